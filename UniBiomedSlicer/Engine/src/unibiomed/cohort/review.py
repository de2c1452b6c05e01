# SPDX-License-Identifier: Apache-2.0
"""A reviewer's session with a catalogue: the queue, the files of a case, and decisions that are safe at once."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from unibiomed.cohort.annotate import AUTOMATIC, RESULT, SEGMENTATION, THUMBNAIL
from unibiomed.cohort.catalogue import Catalogue, Decision, Record
from unibiomed.cohort.strategies import ordered
from unibiomed.errors import InputError
from unibiomed.volumes.atomic import atomic_folder

REVIEWED = "reviewed"
TEXT = "report.json"


@dataclass(frozen=True)
class CaseFiles:
    """Where the files of a case lie; ``segmentation`` and ``text`` are the corrected ones where there are any."""

    image: Path
    segmentation: Path
    result: Path
    text: Path | None
    thumbnail: Path | None


class Review:
    """What can be done with one catalogue by a person."""

    def __init__(self, catalogue: Catalogue) -> None:
        """``catalogue`` stays the caller's, who closes it."""
        self.catalogue = catalogue

    def queue(self, strategy: str) -> list[Record]:
        """The cases that nobody decided on, next one first."""
        return ordered(self.catalogue, strategy)

    def files(self, case_id: str) -> CaseFiles:
        """Files of a case that is done. InputError when it is not, or its files are gone."""
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

    def accept(self, case_id: str, reviewer: str, note: str = "") -> Decision:
        """The result is right as it is (or as it was corrected before)."""
        record = self.catalogue.record(case_id)
        folder = record.decision.folder if record.decision else None
        return self.catalogue.decide(case_id, "accepted", reviewer, folder=folder, note=note)

    def reject(self, case_id: str, reviewer: str, note: str = "") -> Decision:
        """The case is not to be used (a bad image, a wrong patient); exports leave it out."""
        return self.catalogue.decide(case_id, "rejected", reviewer, note=note)

    def correct(
        self, case_id: str, reviewer: str, segmentation: Path, text: dict | None = None, note: str = ""
    ) -> Decision:
        """Keep a corrected segmentation (``.seg.nrrd``), and a corrected text with its spans, as a new version.

        The files are copied and on disk before the decision is written; earlier versions are never touched.
        """
        if not segmentation.name.endswith(".seg.nrrd") or not segmentation.is_file():
            raise InputError(f"{segmentation} is not a .seg.nrrd file; save the segmentation as one.")
        if self.catalogue.record(case_id).state != "done":
            raise InputError(f"The case {case_id} is not done; only one that is done can be corrected.")
        base = self.catalogue.folder / REVIEWED / case_id
        taken = [int(path.name) for path in base.glob("*") if path.name.isdigit()]
        version = f"{max(taken, default=0) + 1:04d}"
        with atomic_folder(base / version) as scratch:
            shutil.copyfile(segmentation, scratch / SEGMENTATION)
            if text is not None:
                (scratch / TEXT).write_text(json.dumps(text, indent=1), encoding="utf-8")
        folder = f"{REVIEWED}/{case_id}/{version}"
        return self.catalogue.decide(case_id, "corrected", reviewer, folder=folder, note=note)

    def undo(self) -> Decision | None:
        """Take the last decision back; its files stay."""
        return self.catalogue.undo()
