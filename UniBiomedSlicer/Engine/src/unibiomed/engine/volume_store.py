# SPDX-License-Identifier: Apache-2.0
"""The volumes of all sessions: each is sent once, known by its SHA-256, and kept within a budget of bytes."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from unibiomed.engine.limits import Limits
from unibiomed.engine.refusal import Refused
from unibiomed.engine.uploads import Encoding, Upload

if TYPE_CHECKING:
    from unibiomed.volumes.volume import Volume

DTYPES = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64")


@dataclass(frozen=True)
class VolumeDescription:
    """What a client says of a volume before it sends it.

    ``shape`` is (k, j, i) or (k, j, i, 3), ``ijk_to_ras`` 4x4 in mm, ``sha256`` of the voxels in C order,
    little-endian; ``encoded_bytes`` is the size of what will be sent.
    """

    sha256: str
    shape: tuple[int, ...]
    dtype: str
    ijk_to_ras: tuple[tuple[float, ...], ...]
    encoding: Encoding
    encoded_bytes: int
    modality: str | None = None
    spatial: bool = True
    name: str = ""
    window: str | None = None
    uids: tuple[tuple[str, str], ...] = ()

    @property
    def size(self) -> int:
        """Bytes of the voxels."""
        count = np.dtype(self.dtype).itemsize
        for length in self.shape:
            count *= length
        return count


@dataclass(eq=False)
class StoredVolume:
    """A volume of one session; ``volume`` once it is complete."""

    id: str
    session: str
    description: VolumeDescription
    upload: Upload | None = None
    volume: Volume | None = None
    used: int = 0
    writing: bool = False
    gone: bool = False
    jobs: set[str] = field(default_factory=set)

    @property
    def complete(self) -> bool:
        """Whether jobs can use it."""
        return self.volume is not None

    @property
    def received(self) -> int:
        """Encoded bytes that have arrived."""
        return self.description.encoded_bytes if self.upload is None else self.upload.received


class VolumeStore:
    """Safe to use from several threads. Equal voxels are held once, whoever sent them."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._volumes: dict[str, StoredVolume] = {}
        self._turn = 0
        self._lock = threading.RLock()

    @property
    def bytes_held(self) -> int:
        """Bytes of all distinct voxel data, that still being sent included."""
        with self._lock:
            held = {id(self._data(item)): item.description.size for item in self._volumes.values()}
            return sum(held.values())

    def declare(self, session: str, description: VolumeDescription) -> StoredVolume:
        """A new volume, complete at once if its voxels are known; the same declaration again gives the same volume.

        Refused: too large, or no room even without the session's volumes that no job needs.
        """
        if description.size > self._limits.one_volume_bytes:
            raise Refused(
                "volume_too_large",
                f"The volume has {description.size} bytes of voxels; this engine takes at most "
                f"{self._limits.one_volume_bytes}. Crop or resample it.",
            )
        with self._lock:
            same = [item for item in self.of_session(session) if item.description == description]
            if same:
                return self._touch(same[0])
            known = self._known(description)
        item = StoredVolume(secrets.token_hex(8), session, description)
        if known is not None:
            item.volume = _volume(description, known)
        with self._lock:
            if known is None:
                self._make_room(session, description.size)
                item.upload = self._reserve(description)
            self._forget_beyond(session, self._limits.volumes_per_session - 1)
            self._volumes[item.id] = self._touch(item)
        return item

    def get(self, session: str, volume_id: str) -> StoredVolume:
        """The volume, marked as used now; Refused where the session has none of that id."""
        with self._lock:
            item = self._volumes.get(volume_id)
            if item is None or item.session != session:
                raise Refused(
                    "unknown_volume", f"There is no volume {volume_id[:40]!r} in this session; send it again."
                )
            return self._touch(item)

    def of_session(self, session: str) -> list[StoredVolume]:
        """All volumes of a session."""
        with self._lock:
            return [item for item in self._volumes.values() if item.session == session]

    @contextmanager
    def writing(self, session: str, volume_id: str, offset: int) -> Iterator[StoredVolume]:
        """Take bytes from ``offset`` on with ``write``; Refused unless that is where the data received so far ends."""
        with self._lock:
            item = self.get(session, volume_id)
            if item.upload is None:
                raise Refused("already_complete", "This volume is complete; it takes no more data.")
            if item.writing:
                raise Refused("upload_busy", "Another request is sending this volume's data.")
            if offset != item.upload.received:
                raise Refused("wrong_offset", f"Data is expected from byte {item.upload.received} on, not {offset}.")
            item.writing = True
        try:
            yield item
        finally:
            item.writing = False

    def write(self, item: StoredVolume, chunk: bytes) -> None:
        """Take the next bytes; what is not as declared is dropped, so that the client starts again."""
        upload = item.upload
        if item.gone or upload is None:
            raise Refused("unknown_volume", "This volume was removed while it was being sent.")
        try:
            upload.write(chunk)
        except Refused:
            self._restart(item)
            raise

    def complete(self, item: StoredVolume) -> None:
        """Check all that arrived and make the volume. Refused or InputError (NaN, constant, ...): data dropped."""
        upload = item.upload
        if upload is None or item.gone:
            raise Refused("unknown_volume", "This volume was removed while it was being sent.")
        try:
            upload.finish()
            made = _volume(item.description, upload.voxels)
        except BaseException:
            self._restart(item)
            raise
        with self._lock:
            if not item.gone:
                item.volume, item.upload = made, None

    def drop(self, session: str, volume_id: str) -> None:
        """Forget a volume; a job that is using it keeps its data until it ends."""
        with self._lock:
            self._forget(self.get(session, volume_id))

    def drop_session(self, session: str) -> None:
        """Forget all volumes of a session."""
        with self._lock:
            for item in self.of_session(session):
                self._forget(item)

    def _touch(self, item: StoredVolume) -> StoredVolume:
        self._turn += 1
        item.used = self._turn
        return item

    def _forget(self, item: StoredVolume) -> None:
        item.gone, item.volume, item.upload = True, None, None
        self._volumes.pop(item.id, None)

    def _restart(self, item: StoredVolume) -> None:
        with self._lock:
            if not item.gone:
                item.upload = _upload(item.description)

    def _known(self, description: VolumeDescription) -> np.ndarray | None:
        for item in self._volumes.values():
            if item.complete and item.description.sha256 == description.sha256:
                data = self._data(item)
                if data.nbytes == description.size:
                    return data
        return None

    @staticmethod
    def _data(item: StoredVolume) -> np.ndarray:
        """The flat bytes behind a volume; the object is the same for equal voxels."""
        if item.upload is not None:
            return item.upload.voxels
        data: Any = item.volume.array
        while data.base is not None and isinstance(data.base, np.ndarray):
            data = data.base
        return data

    def _idle(self, session: str) -> list[StoredVolume]:
        """The session's volumes that can go, the longest unused first."""
        idle = [item for item in self.of_session(session) if not item.jobs and not item.writing]
        return sorted(idle, key=lambda item: item.used)

    def _make_room(self, session: str, size: int) -> None:
        idle = self._idle(session)
        while self.bytes_held + size > self._limits.volume_bytes:
            if not idle:
                raise Refused(
                    "no_room",
                    f"The engine holds {self.bytes_held} of at most {self._limits.volume_bytes} bytes of voxels and "
                    "none of this session's can go; wait for its jobs, or remove volumes.",
                )
            self._forget(idle.pop(0))

    @staticmethod
    def _reserve(description: VolumeDescription) -> Upload:
        try:
            return _upload(description)
        except MemoryError:
            raise Refused("no_room", f"This machine has no {description.size} bytes of memory left.") from None

    def _forget_beyond(self, session: str, most: int) -> None:
        idle = self._idle(session)
        while len(self.of_session(session)) > most:
            if not idle:
                raise Refused("no_room", f"This session has jobs on {most + 1} volumes already; wait for some to end.")
            self._forget(idle.pop(0))


def _upload(told: VolumeDescription) -> Upload:
    return Upload(told.size, told.encoded_bytes, told.encoding, told.sha256)


def _volume(description: VolumeDescription, data: np.ndarray) -> Volume:
    """The described volume over ``data``; InputError where it holds nothing to look at."""
    from unibiomed.volumes.volume import Source, Volume

    array = data.view(np.dtype(description.dtype).newbyteorder("<")).reshape(description.shape)
    array.flags.writeable = False
    source = Source(description=description.name, **dict(description.uids))
    return Volume(array, np.array(description.ijk_to_ras), description.modality, source, spatial=description.spatial)
