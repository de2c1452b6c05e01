# SPDX-License-Identifier: Apache-2.0
"""Hands one volume over to the engine: hash, announce, and send what it does not have yet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _

from UniBiomedSlicerLib.EngineClient import EngineClient
from UniBiomedSlicerLib.Failure import Failure
from UniBiomedSlicerLib.ReplyFailure import DROPPED
from UniBiomedSlicerLib.SlicedWork import SlicedWork
from UniBiomedSlicerLib.VoxelSteps import VolumeEdited, bytesOf, compressSteps, hashSteps, isWorthCompressing

CHUNK_BYTES = 8 << 20
MAX_DROPS = 4
BUSY = ("upload_busy", "wrong_offset", "already_complete")
WAIT_MS = 200
MAX_WAITS = 100
MAX_NAME = 200


class VolumeTransfer:
    """``done(volumeId, None)`` or ``done(None, failure)`` is called once, unless it is cancelled.

    Over loopback the voxels go as they are, since compressing takes longer than sending; to a remote server they are
    compressed where that saves a quarter. ``progress(stage, fraction)``: stages "preparing", "compressing",
    "uploading". ``sha256`` is known from an earlier transfer, or "" and then found out.
    """

    def __init__(
        self,
        client: EngineClient,
        payload: Any,
        sha256: str,
        unchanged: Callable[[], bool],
        progress: Callable[[str, float], None],
        done: Callable[[str | None, Failure | None], None],
    ) -> None:
        self._client = client
        self._payload = payload
        self.sha256 = sha256
        self._unchanged = unchanged
        self._progress = progress
        self._done: Callable[[str | None, Failure | None], None] | None = done
        self._current: Any = None  # what is under way: SlicedWork or EngineReply
        self._data: Any = bytesOf(payload.array)
        self._encoding = "raw"
        self._volumeId = ""
        self._drops = 0
        self._waits = 0

    def start(self) -> None:
        """Begin."""
        if self.sha256:
            self._announce()
        else:
            steps = hashSteps(self._payload.array, self._unchanged)
            self._current = SlicedWork(steps, self._hashed, lambda fraction: self._progress("preparing", fraction))

    def cancel(self) -> None:
        """Stop; ``done`` is not called."""
        self._done = None
        current, self._current = self._current, None
        if current is not None:
            (current.cancel if isinstance(current, SlicedWork) else current.abort)()

    def _hashed(self, digest: str | None, error: Exception | None) -> None:
        if error is not None:
            self._fail(_edited(error))
            return
        self.sha256 = digest
        self._announce()

    def _announce(self) -> None:
        payload = self._payload
        document = {
            "sha256": self.sha256,
            "shape": list(payload.array.shape),
            "dtype": payload.array.dtype.name,
            "ijk_to_ras": payload.ijkToRas,
            "modality": payload.modality,
            "spatial": payload.spatial,
            "name": payload.name[:MAX_NAME],
            "encoding": self._encoding,
            "bytes": len(self._data),
        }
        if payload.source:
            document["source"] = dict(payload.source)
        self._current = self._client.request("POST", "/v1/volumes", self._announced, document=document)

    def _announced(self, failure: Failure | None, answer: Any) -> None:
        if failure is not None:
            self._fail(failure)
            return
        self._volumeId = str(answer["volume"])
        if answer.get("complete"):
            self._succeed()
        elif (
            self._encoding == "raw"
            and not self._client.isLoopback
            and not answer.get("received")
            and isWorthCompressing(self._payload.array)
        ):
            steps = compressSteps(self._payload.array, self._unchanged)
            self._current = SlicedWork(
                steps, self._compressed, lambda fraction: self._progress("compressing", fraction)
            )
        else:
            self._send(int(answer.get("received") or 0))

    def _compressed(self, data: bytes | None, error: Exception | None) -> None:
        if error is not None:
            self._fail(_edited(error))
            return
        self._data = memoryview(data)
        self._encoding = "zlib"
        path = f"/v1/volumes/{self._volumeId}"  # announced as raw; its size on the wire is another one now
        self._current = self._client.request("DELETE", path, self._withdrawn)

    def _withdrawn(self, failure: Failure | None, answer: Any) -> None:
        if failure is not None:
            self._fail(failure)
        else:
            self._announce()

    def _send(self, offset: int) -> None:
        total = len(self._data)
        self._progress("uploading", offset / total)
        if self._encoding == "raw" and not self._unchanged():
            self._fail(_edited(VolumeEdited()))
            return
        self._current = self._client.request(
            "PUT",
            f"/v1/volumes/{self._volumeId}/data?offset={offset}",
            self._sent,
            data=bytes(self._data[offset : offset + CHUNK_BYTES]),
            sent=lambda count: self._progress("uploading", min(1.0, (offset + count) / total)),
        )

    def _sent(self, failure: Failure | None, answer: Any) -> None:
        if failure is not None and failure.code == DROPPED and self._drops < MAX_DROPS:
            self._drops += 1
            self._askHowFar()
        elif failure is not None and failure.code in BUSY and self._waits < MAX_WAITS:
            # A request of ours that was given up (a job that was cancelled) has not ended there yet.
            self._waits += 1
            qt.QTimer.singleShot(WAIT_MS, self._askHowFar)
        elif failure is not None:
            self._fail(failure)
        elif answer.get("complete"):
            self._succeed()
        else:
            self._send(int(answer["received"]))

    def _askHowFar(self) -> None:
        if self._done is not None:
            self._current = self._client.request("GET", f"/v1/volumes/{self._volumeId}", self._sent)

    def _succeed(self) -> None:
        done, self._done, self._current = self._done, None, None
        if done is not None:
            done(self._volumeId, None)

    def _fail(self, failure: Failure) -> None:
        done, self._done, self._current = self._done, None, None
        if done is not None:
            done(None, failure)


def _edited(error: Exception) -> Failure:
    if isinstance(error, VolumeEdited):
        return Failure("volume_changed", _("The volume was changed while it was being sent; start the task again."))
    return Failure("volume", str(error))
