# SPDX-License-Identifier: Apache-2.0
"""A reviewer's session with a catalogue: the queue, the files of a case, and decisions that are safe at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from unibiomed.cohort.annotate import AUTOMATIC, RESULT, SEGMENTATION, THUMBNAIL
from unibiomed.cohort.catalogue import Catalogue
from unibiomed.cohort.drafts import Draft, Drafts
from unibiomed.cohort.records import Decision, Record
from unibiomed.cohort.strategies import ordered
from unibiomed.cohort.texts import TEXT, ReportText, checked_text, model_text, read_text, write_text
from unibiomed.errors import InputError, OutputError
from unibiomed.volumes.atomic import atomic_folder
from unibiomed.volumes.compact_nrrd import copy_compact
from unibiomed.volumes.segment_heads import SegmentHead, read_heads

REVIEWED = "reviewed"


@dataclass(frozen=True)
class CaseFiles:
    """Where the files of a case lie; ``segmentation`` and ``text`` are the corrected ones where there are any."""

    image: Path
    segmentation: Path
    result: Path
    text: Path | None
    thumbnail: Path | None


@dataclass(frozen=True)
class OpenedCase:
    """A case as a reviewer sees it: with his draft in ``files.segmentation`` and ``report`` where he has one.

    ``standing`` is the report without the draft's text, on the same segments; ``others`` are drafts of other reviewers,
    who may be at work on it; ``problem`` says in a sentence what is wrong with a draft that could not be taken up.
    """

    record: Record
    files: CaseFiles
    report: ReportText
    standing: ReportText
    heads: tuple[SegmentHead, ...]
    draft: Draft | None = None
    others: tuple[Draft, ...] = ()
    problem: str = ""


class Review:
    """What can be done with one catalogue by a person."""

    def __init__(self, catalogue: Catalogue) -> None:
        """``catalogue`` stays the caller's, who closes it."""
        self.catalogue = catalogue
        self.drafts = Drafts(catalogue)

    def queue(self, strategy: str) -> list[Record]:
        """The cases that nobody decided on, next one first."""
        return ordered(self.catalogue, strategy)

    def files(self, case_id: str) -> CaseFiles:
        """Files of a case that is done, as they stand. InputError when it is not, or its files are gone."""
        record = self.catalogue.record(case_id)
        if record.state != "done":
            raise InputError(f"The case {case_id} is {record.state}; only one that is done has files to review.")
        automatic = self.catalogue.folder / AUTOMATIC / case_id
        segmentation, text = automatic / SEGMENTATION, None
        if record.decision is not None and record.decision.folder is not None:
            corrected = self.catalogue.folder / record.decision.folder
            segmentation = corrected / SEGMENTATION
            text = corrected / TEXT if (corrected / TEXT).is_file() else None
        if not segmentation.is_file():
            raise InputError(f"{segmentation} is gone; annotate the case again with --redo.")
        picture = automatic / THUMBNAIL
        image = self.catalogue.cohort / record.case.path
        return CaseFiles(image, segmentation, automatic / RESULT, text, picture if picture.is_file() else None)

    def open(self, case_id: str, reviewer: str = "", *, with_draft: bool = True) -> OpenedCase:
        """A case to look at, with the draft of ``reviewer`` unless it is not wanted. InputError as of ``files``."""
        files = self.files(case_id)
        draft, problem, others = None, "", self.drafts.others(case_id, reviewer)
        heads = read_heads(files.segmentation)
        if with_draft:
            try:
                draft = self.drafts.find(case_id, reviewer)
                if draft is not None and draft.segmentation is not None:
                    heads = read_heads(draft.segmentation)
                    files = replace(files, segmentation=draft.segmentation)
            except InputError as error:
                draft, problem = None, str(error)
        known = [head.id for head in heads]
        standing = self._standing(files, heads).only(known)
        report = standing if draft is None or draft.text is None else draft.text.only(known)
        return OpenedCase(self.catalogue.record(case_id), files, report, standing, heads, draft, tuple(others), problem)

    def accept(self, case_id: str, reviewer: str, note: str = "") -> Decision:
        """The result is right as it is (or as it was corrected before)."""
        record = self.catalogue.record(case_id)
        folder = record.decision.folder if record.decision else None
        return self.catalogue.decide(case_id, "accepted", reviewer, folder=folder, note=note)

    def reject(self, case_id: str, reviewer: str, note: str = "") -> Decision:
        """The case is not to be used (a bad image, a wrong patient); exports leave it out."""
        return self.catalogue.decide(case_id, "rejected", reviewer, note=note)

    def correct(
        self,
        case_id: str,
        reviewer: str,
        segmentation: Path | None = None,
        text: dict[str, Any] | None = None,
        note: str = "",
    ) -> Decision:
        """Keep a corrected segmentation (``.seg.nrrd``), a corrected text (see ``texts``) or both, as a new version.

        A part that is None stays as it stands. The files are copied and on disk before the decision is written; earlier
        versions are never touched. InputError for files or a text that are not right: then nothing is written.
        """
        if segmentation is None and text is None:
            raise InputError("A correction holds a segmentation or a text; accept what is right as it is.")
        files, heads, told = self._checked(self.open(case_id, with_draft=False), segmentation, text)
        if told is None and files.text is not None:
            told = read_text(files.text).only(head.id for head in heads)
        folder = self._new_version(case_id, segmentation or files.segmentation, told, heads)
        decision = self.catalogue.decide(case_id, "corrected", reviewer, folder=folder, note=note)
        self.drafts.clear(case_id, decision.reviewer, segmentation=segmentation is not None, text=text is not None)
        return decision

    def draft(
        self, case_id: str, reviewer: str, segmentation: Path | None = None, text: dict[str, Any] | None = None
    ) -> Draft:
        """Keep work that is not decided yet; a part that is None stays as the open draft has it.

        ``reviewer`` may be empty: the next one who opens the case goes on with it. InputError as of ``correct``.
        """
        if segmentation is None and text is None:
            raise InputError("A draft holds a segmentation or a text.")
        _, heads, told = self._checked(self.open(case_id, reviewer), segmentation, text)
        return self.drafts.save(case_id, reviewer, segmentation, told, heads)

    def undo(self, reviewer: str = "") -> Decision | None:
        """Take the last decision back, that of ``reviewer`` where a name is given: others may be at work as well.

        Its files stay, and what a correction changed is a draft of its reviewer again. None where there is no decision.
        """
        last = self.catalogue.last_decision(reviewer)
        if last is None:
            return None
        if last.verdict == "corrected" and last.folder is not None:
            self._draft_again(last, self.catalogue.folder / last.folder)
        return self.catalogue.take_back(last.number)

    def _standing(self, files: CaseFiles, heads: tuple[SegmentHead, ...]) -> ReportText:
        """The reviewer's text, else the model's; empty where neither wrote one."""
        if files.text is not None:
            return read_text(files.text)
        return model_text(files.result, heads) if files.result.is_file() else ReportText()

    def _checked(
        self, opened: OpenedCase, segmentation: Path | None, text: dict[str, Any] | None
    ) -> tuple[CaseFiles, tuple[SegmentHead, ...], ReportText | None]:
        """What a reviewer sends, looked at before anything is written: files, segments, text (None: not sent)."""
        heads = opened.heads
        if segmentation is not None:
            if not segmentation.name.endswith(".seg.nrrd") or not segmentation.is_file():
                raise InputError(f"{segmentation} is not a .seg.nrrd file; save the segmentation as one.")
            heads = read_heads(segmentation)
        return opened.files, heads, None if text is None else checked_text(text, heads)

    def _new_version(
        self, case_id: str, segmentation: Path, text: ReportText | None, heads: tuple[SegmentHead, ...]
    ) -> str:
        """Write the next version of a case; returns its folder, relative to the catalogue's."""
        base = self.catalogue.folder / REVIEWED / case_id
        number = max((int(path.name) for path in base.glob("*") if path.name.isdigit()), default=0) + 1
        while True:
            version = base / f"{number:04d}"
            try:
                with atomic_folder(version) as scratch:
                    copy_compact(segmentation, scratch / SEGMENTATION)
                    if text is not None:
                        write_text(scratch / TEXT, text, heads)
            except OutputError:
                if not version.exists():
                    raise
                number += 1  # another reviewer's correction got this number in the meantime
            else:
                return f"{REVIEWED}/{case_id}/{version.name}"

    def _draft_again(self, decision: Decision, folder: Path) -> None:
        """What a correction holds as a draft, written before the correction is taken back so that no kill loses it."""
        if self.drafts.is_open_without(decision):
            return  # newer work, or work that the correction did not hold
        try:
            heads = read_heads(folder / SEGMENTATION)
            text = read_text(folder / TEXT) if (folder / TEXT).is_file() else None
        except InputError:
            return  # broken files are nothing to go on with; they stay where they are
        self.drafts.save(decision.case_id, decision.reviewer, folder / SEGMENTATION, text, heads)
