# SPDX-License-Identifier: Apache-2.0
"""What the UniBiomed modules share: the engine, volumes and segments, reports, settings; one idea a file."""

__all__: list[str] = []
