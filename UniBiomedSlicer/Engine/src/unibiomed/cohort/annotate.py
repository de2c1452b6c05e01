# SPDX-License-Identifier: Apache-2.0
"""Annotates one case: the volume read, the plan done, the files written, and what the catalogue has to know of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unibiomed.cohort.cases import Case
from unibiomed.cohort.catalogue import AUTOMATIC
from unibiomed.cohort.plan import Output, Plan
from unibiomed.cohort.reading import Reading
from unibiomed.cohort.records import Outcome
from unibiomed.cohort.unsaid import FRAME_HINT, unknown_modality
from unibiomed.errors import InputError, OutputError
from unibiomed.tasks.frames import Frames
from unibiomed.tasks.interpret import interpret
from unibiomed.tasks.outputs import write_outputs
from unibiomed.tasks.outputs.segmentation import to_segmentation
from unibiomed.tasks.outputs.thumbnail import thumbnail
from unibiomed.tasks.results import Interpretation, SegmentationResult
from unibiomed.tasks.schema import to_text
from unibiomed.tasks.segment import segment
from unibiomed.volumes import read_volume
from unibiomed.volumes.atomic import atomic_folder
from unibiomed.volumes.frames import FrameMissing
from unibiomed.volumes.masks import BoxMask
from unibiomed.volumes.volume import Volume
from unibiomed.volumes.writing import write_segmentation

RESULT, SEGMENTATION, THUMBNAIL = "result.json", "segmentation.seg.nrrd", "thumbnail.png"
_EXTRA: dict[Output, str] = {"nifti": "segmentation.nii.gz", "dicom-seg": "segmentation.dcm"}
_SEEN_SLICES = 5

Result = SegmentationResult | Interpretation


@dataclass(frozen=True)
class Annotator:
    """A loaded model and a plan, for case after case.

    ``folder`` is the catalogue's, ``cohort`` that of the images; ``fetch`` brings the files of a case there first.
    """

    model: Any
    plan: Plan
    cohort: Path
    folder: Path
    fetch: Callable[[Case], object] | None = None

    def __call__(self, case: Case, cancelled: Callable[[], bool] | None = None) -> Outcome:
        """Annotate ``case`` into ``folder/automatic/<case>``, all files or none.

        A case done before is replaced, reviewed files lie elsewhere. Raises one of ``failures.CASE_ERRORS`` when
        the case cannot be done, Cancelled when ``cancelled()`` turns true.
        """
        try:
            return self._annotated(case, cancelled)
        finally:
            # No picture of this case comes again: what is kept of them would only fill the memory.
            self.model.cache.clear()

    def _annotated(self, case: Case, cancelled: Callable[[], bool] | None) -> Outcome:
        started = time.monotonic()
        plan = self.plan.of(case)
        if self.fetch is not None:
            self.fetch(case)
        volume = self._volume(case, plan)
        result = self._result(plan, volume, cancelled)
        disagreement = self._disagreement(plan, volume, result, cancelled)
        embedding = self._embedding(plan, volume)
        left_out = self._write(case, plan, volume, result)
        return Outcome(
            seconds=round(time.monotonic() - started, 3),
            model=self.model.info.name,
            weights_sha256=result.provenance.weights_sha256,
            prompts=result.provenance.prompts,
            confidence=case_confidence(result),
            segments=len(result.segments),
            disagreement=disagreement,
            embedding=embedding,
            reading=Reading.of(result, self.plan.rule_of(case), left_out),
        )

    def _volume(self, case: Case, plan: Plan) -> Volume:
        """The image. InputError, with what to write in the plan, where its modality or frame is not known."""
        try:
            volume = read_volume(
                self.cohort / case.path, modality=plan.modality, series_uid=case.series_uid, frame=plan.frame
            )
        except FrameMissing as error:
            raise InputError(f"{error} {FRAME_HINT}") from error
        if volume.modality is None and (reason := unknown_modality(case, plan)):
            raise InputError(reason)
        return volume

    def _result(
        self, plan: Plan, volume: Volume, cancelled: Callable[[], bool] | None, method: str | None = None
    ) -> Result:
        where: dict[str, Any] = {
            "modality": plan.modality, "site": plan.site, "window": plan.window, "axis": plan.axis,
            "cancelled": cancelled,
        }  # fmt: skip
        if plan.targets:
            how: Any = method or plan.method
            return segment(self.model, volume, plan.targets, method=how, clean=plan.clean, **where)
        return interpret(self.model, volume, anatomy=plan.anatomy, **where)

    def _disagreement(
        self, plan: Plan, volume: Volume, result: Result, cancelled: Callable[[], bool] | None
    ) -> float | None:
        """1 - mean Dice between the plan's method and the other one; None where the plan does not ask for it."""
        if not plan.propagation or volume.n_slices < 2:
            return None
        other = self._result(plan, volume, cancelled, "slices" if plan.method == "propagate" else "propagate")
        first = {item.phrase: item.mask for item in result.segments}
        second = {item.phrase: item.mask for item in other.segments}
        if not first and not second:
            return 0.0
        overlaps = []
        for phrase in first.keys() | second.keys():
            one, two = first.get(phrase), second.get(phrase)
            overlaps.append(0.0 if one is None or two is None else _dice(one, two))
        return round(1.0 - float(np.mean(overlaps)), 4)

    def _embedding(self, plan: Plan, volume: Volume) -> np.ndarray:
        """The mean direction of some slices, spread over the volume, as the model sees them."""
        frames = Frames.of(volume, modality=plan.modality, site=plan.site, window=plan.window, axis=plan.axis)
        pictures = [frames.picture(index) for index in frames.sample(_SEEN_SLICES)]
        mean = self.model.embed(pictures).mean(0)
        return mean / max(float(np.linalg.norm(mean)), 1e-12)

    def _write(self, case: Case, plan: Plan, volume: Volume, result: Result) -> tuple[str, ...]:
        """Write the case's folder; returns why an output of the plan is not in it, one sentence each."""
        segmentation = to_segmentation(result, volume)
        left_out = []
        with atomic_folder(self.folder / AUTOMATIC / case.id, replace=True) as scratch:
            if isinstance(result, Interpretation) and "report" in plan.outputs:
                write_outputs(scratch, result, volume, replace=True)
            # The segmentation is what review and export start from; it is always there.
            write_segmentation(scratch / SEGMENTATION, segmentation, reference=volume)
            for output, name in _EXTRA.items():
                if output in plan.outputs and segmentation.segments:
                    try:
                        write_segmentation(scratch / name, segmentation, reference=volume)
                    except OutputError as error:
                        # A format that cannot hold this case (no DICOM, segments that overlap) is no reason to lose it.
                        left_out.append(str(error))
            (scratch / RESULT).write_text(to_text(result), encoding="utf-8")
            thumbnail(result, volume).save(scratch / THUMBNAIL)
        return tuple(left_out)


def _dice(one: BoxMask, two: BoxMask) -> float:
    return 2 * one.intersection(two).voxel_count / (one.voxel_count + two.voxel_count)


def case_confidence(result: Result) -> float:
    """How certain the model is of a case, 0 to 1: that of its least certain segment.

    With nothing found, it is how clearly the nearest miss of any target failed to be there; 1 if nothing was near.
    """
    if result.segments:
        return round(min(item.confidence for item in result.segments), 4)
    misses = [item.best.iou for item in result.not_found if item.best is not None]
    return round(1.0 - max((min(max(miss, 0.0), 1.0) for miss in misses), default=0.0), 4)
