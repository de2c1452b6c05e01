# SPDX-License-Identifier: Apache-2.0
"""The cases of a catalogue as an export takes them: image, segments on its grid, text, split, a name of no person."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from unibiomed.cohort.catalogue import Catalogue
from unibiomed.cohort.export.splits import Split, assign_splits
from unibiomed.cohort.plan import Plan
from unibiomed.cohort.records import Record
from unibiomed.cohort.review import CaseFiles, Review
from unibiomed.cohort.texts import ReportText, model_text, read_text
from unibiomed.errors import InputError
from unibiomed.tasks.compose import full_stop
from unibiomed.tasks.outputs.views import frames_of
from unibiomed.tasks.phrases import make_phrase, parse_phrase
from unibiomed.tasks.results import Interpretation, Kind, SegmentationResult
from unibiomed.tasks.schema import from_json
from unibiomed.tasks.stack import slices_along
from unibiomed.volumes import read_volume
from unibiomed.volumes.modalities import base_modality, parse_modality
from unibiomed.volumes.reading_nrrd import read_segmentation
from unibiomed.volumes.segment_heads import SegmentHead, read_heads
from unibiomed.volumes.segmentation import Segmentation
from unibiomed.volumes.terminology import lookup
from unibiomed.volumes.volume import Volume

Which = Literal["corrected", "reviewed", "all"]


@dataclass(frozen=True)
class Sample:
    """One case to be exported. Image and segments are read when they are asked for, and kept until ``let_go``.

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

    @cached_property
    def heads(self) -> tuple[SegmentHead, ...]:
        """What the file says of the segments, in the order of ``segmentation``."""
        return read_heads(self.files.segmentation)

    @cached_property
    def model_report(self) -> ReportText:
        """What the model wrote, linked to the segments that stand; empty for a plan that asked for segments only."""
        return model_text(self.files.result, self.heads)

    @cached_property
    def report(self) -> ReportText:
        """The report as the reviewer left it, else the model's; its links name segments of ``heads``."""
        if self.files.text is None:
            return self.model_report
        return read_text(self.files.text).only(head.id for head in self.heads)

    @property
    def text(self) -> str:
        """The report as the reviewer left it, else the model's, else nothing."""
        return self.report.text

    @property
    def is_text_corrected(self) -> bool:
        """Whether a person changed words or what they are linked to."""
        return (self.report.text, self.report.spans) != (self.model_report.text, self.model_report.spans)

    @cached_property
    def slices(self) -> tuple[tuple[int, ...], ...]:
        """For each segment the slices that show it, counted along the axis that the model read."""
        axis = frames_of(self.result, self.volume, self.result.provenance.site).mapping.array_axis
        return tuple(slices_along(segment.mask, axis) for segment in self.segmentation.segments)

    def sentence(self, phrase: str, index: int | None = None) -> str:
        """What is said of the segments of ``phrase`` on slice ``index`` (None: on any); "" where nothing is.

        The words of a reviewer hold for the whole segment, those of the model for the slices that it found it on.
        """
        for number, slices in enumerate(self.slices):
            if self.phrase(number) != phrase or (index is not None and index not in slices):
                continue
            said = self._said(number, phrase, index)
            if said:
                return said
        return ""

    def kind(self, number: int) -> Kind:
        """Whether segment ``number`` is anatomy or an abnormality; "unknown" where neither model nor codes say it."""
        segment = self.segmentation.segments[number]
        told = segment.attributes.get("UniBiomed.Kind", "")
        if told in ("anatomy", "abnormality"):
            return told
        term = lookup(segment.target)
        return ("abnormality" if term.is_abnormality else "anatomy") if term.known else "unknown"

    def _said(self, number: int, phrase: str, index: int | None) -> str:
        head, target = self.heads[number], self.segmentation.segments[number].target
        names = (head.name, target, phrase)
        said = self.report.said_of(head.id, names)
        if said != self.model_report.said_of(head.id, names):
            return full_stop(said) if said else ""
        if not isinstance(self.result, Interpretation):
            return ""
        of_segment = (
            item
            for item in self.result.findings
            if (head.model_id in item.segments if head.model_id else item.phrase == phrase)
        )
        seen = (item.sentence for item in of_segment if index is None or index in item.slices)
        return next(filter(None, seen), "")

    def let_go(self) -> None:
        """Forget what was read: the images of a whole cohort do not fit into memory."""
        for name, value in vars(type(self)).items():
            if isinstance(value, cached_property):
                self.__dict__.pop(name, None)

    @property
    def modality(self) -> str:
        """The modality word, "unknown" where nobody said it."""
        return self.result.provenance.modality

    def phrase(self, number: int) -> str:
        """The phrase of segment ``number``: what the model was asked, or its name for one that a reviewer added."""
        segment = self.segmentation.segments[number]
        asked = segment.attributes.get("UniBiomed.Phrase", "")
        return asked or make_phrase(segment.target, self.result.provenance.site, self.modality)


def one_by_one(samples: Iterable[Sample]) -> Iterator[Sample]:
    """Each sample in turn; what was read of it is forgotten when the next one is asked for."""
    for sample in samples:
        yield sample
        sample.let_go()


def samples(
    catalogue: Catalogue,
    which: Which = "reviewed",
    *,
    modality: str | None = None,
    validation: float = 0.1,
    test: float = 0.1,
    seed: int = 0,
    keep_identity: bool = False,
) -> Iterator[Sample]:
    """The samples, ordered by name. Rejected cases are never among them.

    ``which``: "corrected" those that a person changed, "reviewed" those accepted or corrected, "all" with the
    model's own results for the rest. ``modality``: those read as it alone ("MRI" is every sequence of it). A patient's
    split is the same whatever is chosen by modality. InputError when there is none.
    """
    word = parse_modality(modality) if modality else None
    records = list(catalogue.records(embeddings=False))
    chosen = [record for record in records if _is_wanted(record, which)]
    if not chosen:
        raise InputError(f"{catalogue.folder} holds no case to export ({which}); review some, or export all.")
    patients = {name: n for n, name in enumerate(sorted({r.case.patient for r in records}), start=1)}
    splits = assign_splits({record.case.patient for record in chosen}, validation=validation, test=test, seed=seed)
    number_of = {record.case.id: number for number, record in enumerate(records, start=1)}
    review, plan = Review(catalogue), catalogue.plan
    some = False
    for record in chosen:
        case = record.case
        sample = Sample(
            name=case.id if keep_identity else f"case-{number_of[case.id]:04d}",
            patient=case.patient if keep_identity else f"patient-{patients[case.patient]:04d}",
            split=splits[case.patient],
            record=record,
            files=review.files(case.id),
            plan=plan.of(case),
        )
        if word is None or word in (sample.modality, base_modality(sample.modality)):
            some = True
            yield sample
        else:
            sample.let_go()
    if not some:
        raise InputError(f"{catalogue.folder} holds no case of the modality {word} to export ({which}).")


def _is_wanted(record: Record, which: Which) -> bool:
    if record.state != "done" or (record.decision is not None and record.decision.verdict == "rejected"):
        return False
    if which == "all":
        return True
    if record.decision is None:
        return False
    return which == "reviewed" or record.decision.folder is not None
