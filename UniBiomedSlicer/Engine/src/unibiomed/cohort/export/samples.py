# SPDX-License-Identifier: Apache-2.0
"""The cases of a catalogue as an export takes them: image, segments on its grid, text, split, a name of no person."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from unibiomed.cohort.catalogue import Catalogue, Record
from unibiomed.cohort.export.splits import Split, assign_splits
from unibiomed.cohort.plan import Plan
from unibiomed.cohort.review import CaseFiles, Review
from unibiomed.errors import InputError
from unibiomed.tasks.phrases import make_phrase, parse_phrase
from unibiomed.tasks.results import Interpretation, SegmentationResult
from unibiomed.tasks.schema import from_json
from unibiomed.volumes import read_volume
from unibiomed.volumes.reading_nrrd import read_segmentation
from unibiomed.volumes.segmentation import Segmentation
from unibiomed.volumes.volume import Volume

Which = Literal["corrected", "reviewed", "all"]


@dataclass(frozen=True)
class Sample:
    """One case to be exported. Image and segments are read when they are asked for, and not kept beyond the sample.

    ``name`` is ``case-0007``, unless identities are kept; ``patient`` likewise. ``plan`` is the one for this case.
    """

    name: str
    patient: str
    split: Split
    record: Record
    files: CaseFiles
    plan: Plan

    @cached_property
    def volume(self) -> Volume:
        """The image. InputError when it cannot be read any more."""
        plan, series = self.plan, self.record.case.series_uid
        return read_volume(self.files.image, modality=plan.modality, series_uid=series, frame=plan.frame)

    @cached_property
    def segmentation(self) -> Segmentation:
        """The segments that stand, the reviewer's, else the model's; ``target`` is the bare name ("liver")."""
        read = read_segmentation(self.files.segmentation, self.volume.shape, self.volume.ijk_to_ras)
        bare = (replace(segment, target=parse_phrase(segment.target).target) for segment in read.segments)
        return replace(read, segments=tuple(bare))

    @cached_property
    def result(self) -> SegmentationResult | Interpretation:
        """What the model said."""
        return from_json(self.files.result.read_text(encoding="utf-8"))  # type: ignore[return-value]

    @property
    def text(self) -> str:
        """The report as the reviewer left it, else the model's, else nothing."""
        if self.files.text is not None:
            return str(json.loads(self.files.text.read_text(encoding="utf-8")).get("text", ""))
        return self.result.text if isinstance(self.result, Interpretation) else ""

    @property
    def modality(self) -> str:
        """The modality word, "unknown" where nobody said it."""
        return self.result.provenance.modality

    def phrase(self, number: int) -> str:
        """The phrase of segment ``number``: what the model was asked, or its name for one that a reviewer added."""
        segment = self.segmentation.segments[number]
        asked = segment.attributes.get("UniBiomed.Phrase", "")
        return asked or make_phrase(segment.target, self.result.provenance.site, self.modality)


def samples(
    catalogue: Catalogue,
    which: Which = "reviewed",
    *,
    validation: float = 0.1,
    test: float = 0.1,
    seed: int = 0,
    keep_identity: bool = False,
) -> Iterator[Sample]:
    """The samples, ordered by name. Rejected cases are never among them.

    ``which``: "corrected" those that a person changed, "reviewed" those accepted or corrected, "all" with the
    model's own results for the rest. InputError when there is none.
    """
    chosen = [record for record in catalogue.records() if _is_wanted(record, which)]
    if not chosen:
        raise InputError(f"{catalogue.folder} holds no case to export ({which}); review some, or export all.")
    patients = sorted({record.case.patient for record in catalogue.records()})
    splits = assign_splits({record.case.patient for record in chosen}, validation=validation, test=test, seed=seed)
    number_of = {record.case.id: number for number, record in enumerate(catalogue.records(), start=1)}
    review, plan = Review(catalogue), catalogue.plan
    for record in chosen:
        case = record.case
        yield Sample(
            name=case.id if keep_identity else f"case-{number_of[case.id]:04d}",
            patient=case.patient if keep_identity else f"patient-{patients.index(case.patient) + 1:04d}",
            split=splits[case.patient],
            record=record,
            files=review.files(case.id),
            plan=plan.of(case),
        )


def _is_wanted(record: Record, which: Which) -> bool:
    if record.state != "done" or (record.decision is not None and record.decision.verdict == "rejected"):
        return False
    if which == "all":
        return True
    if record.decision is None:
        return False
    return which == "reviewed" or record.decision.folder is not None
