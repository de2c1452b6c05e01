# SPDX-License-Identifier: Apache-2.0
"""Work on a case that is not decided yet, on disk: what a reviewer has changed so far, one draft a case and reviewer.

A draft is the folder ``drafts/<case>/<reviewer>`` of the catalogue: ``draft.json`` says who, when and the text, and
names the file of the segmentation beside it where that was changed. ``draft.json`` is replaced in one step and last, so
that a writer that is killed leaves the draft before it. Drafts are no part of the catalogue's decisions: they are never
exported and count for nothing. One is open until its reviewer decides on the case; that decision taken back, it is open
again.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from unibiomed.cohort.catalogue import Catalogue
from unibiomed.cohort.records import Decision
from unibiomed.cohort.texts import ReportText, parse_text, to_json
from unibiomed.errors import InputError
from unibiomed.volumes.atomic import atomic_path, sweep
from unibiomed.volumes.compact_nrrd import copy_compact
from unibiomed.volumes.segment_heads import SegmentHead, read_heads

DRAFTS = "drafts"
FORMAT = "unibiomed.draft/1"
_FILE = "draft.json"
_NAMELESS = "nameless"
#: In the name of a folder with a broken draft.
_ASIDE = ".broken-"


@dataclass(frozen=True)
class Draft:
    """What ``reviewer`` ("" before a name was given) has changed, ``at`` seconds since the epoch.

    ``segmentation`` and ``text`` are None where they are as they stand. ``after`` is the number of the last decision
    about the case, also one taken back, that was there when the draft was saved.
    """

    reviewer: str
    at: float
    after: int
    segmentation: Path | None = None
    text: ReportText | None = None


class Drafts:
    """The drafts of one catalogue, which stays the caller's."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue

    def save(
        self,
        case_id: str,
        reviewer: str,
        segmentation: Path | None = None,
        text: ReportText | None = None,
        heads: Sequence[SegmentHead] = (),
    ) -> Draft:
        """Keep what was changed; a part that is None stays as the open draft has it. All of it or nothing is written.

        ``heads``: the segments that ``text`` may speak of.
        """
        folder = self._folder(case_id, reviewer)
        former = self._gone_on_from(case_id, reviewer)
        sweep(folder)
        kept = former.segmentation if former else None
        if segmentation is not None:
            kept = folder / f"{uuid.uuid4().hex[:12]}.seg.nrrd"
            with atomic_path(kept) as scratch:
                copy_compact(segmentation, scratch)
        elif kept is not None and kept.parent != folder:
            # The draft was begun before its reviewer gave a name; it moves to where his are.
            with atomic_path(folder / kept.name) as scratch:
                shutil.copyfile(kept, scratch)
            kept = folder / kept.name
        told = text if text is not None else former.text if former else None
        draft = Draft(reviewer.strip(), time.time(), self._last_decision(case_id), kept, told)
        with atomic_path(folder / _FILE) as scratch:
            scratch.write_text(_to_text(case_id, draft, heads), encoding="utf-8")
        for left in folder.glob("*.seg.nrrd"):
            if left != kept:
                left.unlink(missing_ok=True)
        if draft.reviewer and former is not None and not former.reviewer:
            shutil.rmtree(self._folder(case_id, ""), ignore_errors=True)
        return draft

    def find(self, case_id: str, reviewer: str) -> Draft | None:
        """The open draft of ``reviewer``, else the one saved before a name was given; None where there is none.

        InputError when it is broken.
        """
        for name in dict.fromkeys((reviewer, "")):
            draft = self._read(self._folder(case_id, name))
            if draft is not None and not self._is_settled(case_id, draft):
                return draft
        return None

    def others(self, case_id: str, reviewer: str) -> list[Draft]:
        """Open drafts of other reviewers, the latest first; broken ones are left out."""
        own = {self._folder(case_id, name) for name in (reviewer, "")}
        return [draft for folder, draft in self._open(case_id) if folder not in own]

    def open_ones(self, case_id: str) -> list[Draft]:
        """Every open draft of a case, the latest first; broken ones are left out."""
        return [draft for _, draft in self._open(case_id)]

    def discard(self, case_id: str, reviewer: str) -> bool:
        """Delete the draft that ``find`` gives, or the one that it complains of; whether there was one."""
        for folder in (self._folder(case_id, name) for name in dict.fromkeys((reviewer, ""))):
            try:
                draft = self._read(folder)
            except InputError:
                _delete(folder)
                return True
            if draft is not None and not self._is_settled(case_id, draft):
                _delete(folder)
                return True
        return False

    def clear(self, case_id: str, reviewer: str, *, segmentation: bool, text: bool) -> None:
        """Delete the draft that a correction of ``reviewer`` has settled, if all that it holds is in the correction.

        ``segmentation``, ``text``: what the correction holds.
        """
        for folder in (self._folder(case_id, name) for name in dict.fromkeys((reviewer, ""))):
            try:
                draft = self._read(folder)
            except InputError:
                continue
            if draft is None or not self._is_settled(case_id, draft):
                continue
            if (segmentation or draft.segmentation is None) and (text or draft.text is None):
                _delete(folder)

    def is_open_without(self, decision: Decision) -> bool:
        """Whether a draft of its reviewer is open once ``decision`` is taken back, or there is one that is broken."""
        case_id = decision.case_id
        try:
            drafts = [self._read(self._folder(case_id, name)) for name in dict.fromkeys((decision.reviewer, ""))]
        except InputError:
            return True
        return any(draft is not None and not self._is_settled(case_id, draft, decision.number) for draft in drafts)

    def _gone_on_from(self, case_id: str, reviewer: str) -> Draft | None:
        """The open draft that the next one adds to; a broken one, which nobody was shown, is set aside."""
        for name in dict.fromkeys((reviewer, "")):
            folder = self._folder(case_id, name)
            try:
                draft = self._read(folder)
            except InputError:
                _set_aside(folder)
                return None
            if draft is not None and not self._is_settled(case_id, draft):
                return draft
        return None

    def _open(self, case_id: str) -> list[tuple[Path, Draft]]:
        found = []
        for folder in (self.catalogue.folder / DRAFTS / case_id).glob("*"):
            if _ASIDE in folder.name:
                continue
            try:
                draft = self._read(folder)
            except InputError:
                continue
            if draft is not None and not self._is_settled(case_id, draft):
                found.append((folder, draft))
        return sorted(found, key=lambda item: -item[1].at)

    def _folder(self, case_id: str, reviewer: str) -> Path:
        """A name may hold anything, so its digest is the folder's."""
        name = reviewer.strip()
        key = hashlib.sha256(name.encode()).hexdigest()[:16] if name else _NAMELESS
        return self.catalogue.folder / DRAFTS / case_id / key

    def _last_decision(self, case_id: str) -> int:
        return max((decision.number for decision, _ in self.catalogue.history(case_id)), default=0)

    def _is_settled(self, case_id: str, draft: Draft, leaving_out: int | None = None) -> bool:
        """Whether its reviewer has decided since; by numbers of decisions, not by clocks. One may be left out."""
        return any(
            stands
            and decision.number > draft.after
            and decision.number != leaving_out
            and draft.reviewer in ("", decision.reviewer)
            for decision, stands in self.catalogue.history(case_id)
        )

    def _read(self, folder: Path) -> Draft | None:
        path = folder / _FILE
        if not path.is_file():
            return None
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            if document["format"] != FORMAT:
                raise InputError(f"{path} is a draft of the form {str(document['format'])[:40]}, not {FORMAT}.")
            name = document["segmentation"]
            segmentation = None if name is None else folder / Path(str(name)).name
            reviewer, at, after = str(document["reviewer"]), float(document["at"]), int(document["after"])
            told = document["text"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"The draft {path} is broken and is left out ({error!r}).") from error
        if segmentation is not None and not segmentation.is_file():
            raise InputError(f"The draft {path} is broken and is left out (its segmentation is gone).")
        if segmentation is not None:
            read_heads(segmentation)  # a torn file is found out now, not when it is needed
        text = None if told is None else parse_text(told, f"The draft {path} is broken and is left out")
        return Draft(reviewer, at, after, segmentation, text)


def _to_text(case_id: str, draft: Draft, heads: Sequence[SegmentHead]) -> str:
    document = {
        "format": FORMAT,
        "case": case_id,
        "reviewer": draft.reviewer,
        "at": draft.at,
        "after": draft.after,
        "segmentation": draft.segmentation.name if draft.segmentation else None,
        "text": None if draft.text is None else to_json(draft.text, heads),
    }
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def _set_aside(folder: Path) -> None:
    """Keep a broken draft where a person can look at it, out of the way of the next one."""
    number = 1
    while (aside := folder.with_name(f"{folder.name}{_ASIDE}{number}")).exists():
        number += 1
    folder.rename(aside)


def _delete(folder: Path) -> None:
    """What makes it a draft goes first: a kill in between leaves files that nobody reads."""
    (folder / _FILE).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
