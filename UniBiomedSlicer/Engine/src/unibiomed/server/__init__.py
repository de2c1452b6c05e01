# SPDX-License-Identifier: Apache-2.0
"""The engine on the wire: HTTP/1.1 with JSON, NDJSON events and binary voxels, as ``docs/protocol.md`` says.

No logic of its own: every route checks what arrives, asks :class:`unibiomed.engine.Engine`, and writes the answer.
"""

from __future__ import annotations

PROTOCOL = 1
"""Version of the protocol. Both sides must have the same."""
