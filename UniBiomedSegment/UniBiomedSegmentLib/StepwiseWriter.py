# SPDX-License-Identifier: Apache-2.0
"""A result put into the scene in short steps, with the event loop running in between."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import qt
from slicer.i18n import tr as _

from UniBiomedSegmentLib.Results import keepCenter, keepNotFound

BUDGET_S = 0.01


class StepwiseWriter:
    """Writes ``result`` into ``segmentationNode`` with ``writer`` (a ``SegmentationWriter``).

    When all is written, or when it cannot go on, ``onEnd(problem)`` is called once; ``problem`` is "" or one sentence.
    ``segmentIds`` are by the result's own segment ids then.
    """

    def __init__(
        self,
        writer: Any,
        segmentationNode: Any,
        result: Mapping[str, Any],
        onEnd: Callable[[str], None],
        replace: bool = False,
        jobId: str = "",
    ) -> None:
        self.segmentIds: dict[str, str] = {}
        self._writer = writer
        self._node = segmentationNode
        self._name = segmentationNode.GetName()
        self._result = result
        self._steps = writer.writeSteps(result, segmentationNode, replace=replace, jobId=jobId)
        self._onEnd: Callable[[str], None] | None = onEnd

    def start(self) -> None:
        """Go on at the next turn of the event loop."""
        # Not a timer of its own: connected to a method of its owner it would keep the whole result alive in Slicer.
        qt.QTimer.singleShot(0, self._step)

    def stop(self) -> None:
        """Write no more and say nothing."""
        self._onEnd = None
        self._steps.close()

    def _step(self) -> None:
        if self._onEnd is None:
            return
        if self._node.GetScene() is None:
            self._steps.close()
            self._end(_('The segmentation "{name}" was deleted while it was being filled.').format(name=self._name))
            return
        until = time.monotonic() + BUDGET_S
        try:
            for _fraction in self._steps:
                if time.monotonic() >= until:
                    self.start()
                    return
        except ValueError as error:
            self._end(str(error))
            return
        self._keep()
        self._end("")

    def _keep(self) -> None:
        self.segmentIds = dict(self._writer.written)
        segments = {segment["id"]: segment for segment in self._result.get("segments") or ()}
        for resultId, segmentId in self.segmentIds.items():
            keepCenter(self._node, segmentId, segments[resultId]["mask"])
        found = [segment["phrase"] for segment in segments.values()]
        keepNotFound(self._node, self._result.get("not_found") or (), found)

    def _end(self, problem: str) -> None:
        onEnd, self._onEnd = self._onEnd, None
        if onEnd is not None:
            onEnd(problem)
