# SPDX-License-Identifier: Apache-2.0
"""One task on one volume, from the moment that it is submitted until it has ended, seen from a module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import vtk
from slicer.i18n import tr as _

from UniBiomedSlicerLib.Signal import Signal

PREPARING = "preparing"
UPLOADING = "uploading"
QUEUED = "queued"
RUNNING = "running"
DONE = "done"
FAILED = "failed"
CANCELLED = "cancelled"
ENDED = (DONE, FAILED, CANCELLED)


class Job:
    """What ``EngineService.submit`` returns at once; everything else arrives through the signals, never from within
    ``submit`` itself, so that there is time to connect to them.

    ``state`` is one of the constants above. ``result`` is the result document (``unibiomed.result/1``) once it is
    "done". ``message`` is one sentence: why it failed, or the last notice. ``code`` is the machine-readable reason.
    ``volumeId`` is the MRML ID of the volume and ``volumeMTime`` what ``VolumeReader.identify`` said of it when the
    job was submitted.
    """

    def __init__(
        self,
        task: str,
        volumeNode: Any = None,
        parameters: dict[str, Any] | None = None,
        modality: str | None = None,
        identify: Callable[[Any], tuple] | None = None,
    ) -> None:
        self.id = ""
        self.task = task
        self.parameters = dict(parameters or {})
        self.modality = modality
        self.state = PREPARING
        self.result: dict[str, Any] | None = None
        self.message = ""
        self.code = ""
        self.volumeName = volumeNode.GetName() if volumeNode is not None else ""
        self.volumeId = volumeNode.GetID() if volumeNode is not None else ""
        self.volumeMTime = identify(volumeNode) if identify and volumeNode is not None else ()

        self.stateChanged = Signal("Job.stateChanged")  # (job)
        self.progressed = Signal("Job.progressed")  # (stage: str, fraction: float | None, secondsLeft: float | None)
        self.textGrew = Signal("Job.textGrew")  # (text so far: str)
        self.maskArrived = Signal("Job.maskArrived")  # ({"target", "phrase", "slice", "mask"})
        self.noticed = Signal("Job.noticed")  # (sentence: str)
        self.finished = Signal("Job.finished")  # (job), exactly once

        self._identify = identify
        self._volume = vtk.vtkWeakReference()  # an ID alone may name another volume after the scene was replaced
        if volumeNode is not None:
            self._volume.Set(volumeNode)
        self._onCancel: Callable[[], None] | None = None

    @property
    def hasEnded(self) -> bool:
        """Whether it is done, failed or cancelled."""
        return self.state in ENDED

    def cancel(self) -> None:
        """Ask it to stop; ``finished`` follows within one slice of the engine's work. No effect once it has ended."""
        if not self.hasEnded and self._onCancel is not None:
            self._onCancel()

    def volumeNode(self) -> Any:
        """The volume that it was submitted for, None when that is no longer in a scene."""
        node = self._volume.Get()
        return node if node is not None and node.GetScene() is not None else None

    def volumeChanged(self) -> str:
        """Why the result may not fit the volume any more, as one sentence; "" when nothing has changed since."""
        node = self.volumeNode()
        if node is None:
            return _('The volume "{name}" was deleted after this job was started.').format(name=self.volumeName)
        if self._identify is not None and self._identify(node) != self.volumeMTime:
            return _(
                'The voxels, the geometry or the transform of "{name}" were changed after this job was started.'
            ).format(name=self.volumeName)
        return ""

    # What follows is called by the service that runs the job.

    def onCancel(self, action: Callable[[], None] | None) -> None:
        """Set what ``cancel`` does."""
        self._onCancel = action

    def setState(self, state: str) -> None:
        """Go to a state that is not an end; ignored once the job has ended."""
        if self.hasEnded or state == self.state:
            return
        self.state = state
        self.stateChanged.emit(self)

    def notice(self, sentence: str) -> None:
        """Tell something that the user should know while it runs."""
        if not self.hasEnded:
            self.message = sentence
            self.noticed.emit(sentence)

    def finish(self, state: str, message: str = "", code: str = "", result: dict[str, Any] | None = None) -> None:
        """End it; only the first call counts."""
        if self.hasEnded:
            return
        self.state = state
        self.message = message or self.message
        self.code = code
        self.result = result
        self._onCancel = None
        self.stateChanged.emit(self)
        self.finished.emit(self)
        for signal in (
            self.stateChanged,
            self.progressed,
            self.textGrew,
            self.maskArrived,
            self.noticed,
            self.finished,
        ):
            signal.disconnectAll()  # nothing follows, and a panel that was listening can be freed
