# SPDX-License-Identifier: Apache-2.0
"""How much the engine takes on, so that no client can fill its memory."""

from __future__ import annotations

from dataclasses import asdict, dataclass

_MIB = 1 << 20
_GIB = 1 << 30


@dataclass(frozen=True)
class Limits:
    """Counts, bytes and seconds; beyond them the engine refuses, or forgets what is oldest, as each line says."""

    sessions: int = 16
    """Open sessions; the next one is refused."""
    lease_seconds: float = 60.0
    """A session that makes no request for this long is lost, and all that it left is freed."""
    queued_jobs: int = 64
    """Jobs waiting, of all sessions; the next one is refused."""
    queued_jobs_per_session: int = 16
    volume_bytes: int = 8 * _GIB
    """Voxels kept, of all sessions. A session that needs more loses its own longest unused volumes first."""
    one_volume_bytes: int = 4 * _GIB
    volumes_per_session: int = 64
    """The longest unused one goes first."""
    kept_jobs_per_session: int = 256
    """Finished jobs whose events and results are kept; the oldest go first."""
    kept_bytes: int = 2 * _GIB
    """Events and results of finished jobs, of all sessions; the oldest go first."""
    event_bytes: int = 64 * _MIB
    """Events of one job; beyond it masks are not sent as they come (they are in the result)."""
    json_bytes: int = 8 * _MIB
    """Body of a request that is neither voxels nor an export."""
    export_bytes: int = 64 * _MIB
    """Body of an export, with its pictures; two at a time."""
    connections: int = 128
    """Open at a time; the next one is answered 503."""
    stall_seconds: float = 30.0
    """A request whose body stops arriving for this long is given up."""

    def to_json(self) -> dict[str, int | float]:
        """All limits by name, for clients."""
        return asdict(self)
