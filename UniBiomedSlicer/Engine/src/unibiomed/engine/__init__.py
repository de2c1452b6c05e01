# SPDX-License-Identifier: Apache-2.0
"""One model at work for several clients: sessions, volumes, a queue of jobs, their events, cancelling, memory.

No HTTP and no files from the network: ``unibiomed.server`` puts this on the wire. Importing it costs no torch; that is
imported by the first model that is loaded.
"""

from __future__ import annotations

from unibiomed.engine.engine import Engine
from unibiomed.engine.limits import Limits
from unibiomed.engine.refusal import Refused

__all__ = ["Engine", "Limits", "Refused"]
