# SPDX-License-Identifier: Apache-2.0
"""A review over lines of JSON: how Slicer's page talks with a catalogue on the same machine.

One request a line, one answer a line, in order: ``{"id": 1, "do": "queue", "strategy": "random"}`` is answered by
``{"id": 1, "ok": true, ...}`` or ``{"id": 1, "ok": false, "message": "One sentence."}``. A decision, and a draft, is on
disk before its answer is written. The conversation ends when its input does.

- ``status``; ``queue`` (``strategy``); ``cases`` (``first``: a page of all cases by id, from this number on)
- ``open`` (``case``; ``reviewer``): the files and the report as they stand, with the reviewer's draft if he has one
- ``draft`` (``case``, ``reviewer``; ``segmentation``, ``text``): keep work that is not decided; ``discard``: drop it
- ``accept``, ``reject`` (``case``, ``reviewer``; ``note``); ``correct`` (also ``segmentation``, ``text``, one or both)
- ``undo`` (``reviewer``): take the last decision back, that of the reviewer where one is named

``segmentation`` is the path of a ``.seg.nrrd`` file, ``text`` a report as ``cohort.texts`` describes it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TextIO

from unibiomed.cohort.drafts import Draft
from unibiomed.cohort.records import Decision, Record
from unibiomed.cohort.review import Review
from unibiomed.cohort.shown import shown_image
from unibiomed.cohort.strategies import STRATEGIES
from unibiomed.errors import InputError, UniBiomedError
from unibiomed.volumes.dicom_files import pick_series

MOST_LISTED = 500


def converse(review: Review, requests: Iterable[str], answers: TextIO) -> None:
    """Answer every line of ``requests``; blank lines are skipped, and a broken one is answered like a wrong one."""
    for line in requests:
        if line.strip():
            # ASCII: a path that is not valid Unicode, or a pipe in another encoding, must not end the conversation.
            answers.write(json.dumps(answer(review, line)) + "\n")
            answers.flush()


def answer(review: Review, line: str) -> dict[str, Any]:
    """The answer to one line."""
    number: Any = None
    try:
        request = json.loads(line)
        if not isinstance(request, dict):
            raise InputError("A request is a JSON object.")
        number = request.get("id")
        verb = _VERBS.get(str(request.get("do")))
        if verb is None:
            raise InputError(f"There is no request {str(request.get('do'))[:40]!r}; these are: {', '.join(_VERBS)}.")
        return {"id": number, "ok": True, **verb(review, request)}
    except UniBiomedError as error:
        return {"id": number, "ok": False, "message": str(error)}
    except (OSError, sqlite3.Error) as error:
        # A full disk, a folder that is gone: the conversation goes on, and what was asked may be asked again.
        return {"id": number, "ok": False, "message": f"The catalogue cannot be read or written ({error})."}
    except json.JSONDecodeError as error:
        return {"id": number, "ok": False, "message": f"The line is not JSON ({error.msg})."}
    except KeyError as error:
        return {"id": number, "ok": False, "message": f"The request lacks {error}."}
    except UnicodeEncodeError as error:
        # Half of an emoji, as a broken paste leaves it, can be neither written nor looked up.
        return {"id": number, "ok": False, "message": f"The request holds a letter that is none ({error.reason})."}


def _status(review: Review, request: Mapping[str, Any]) -> dict[str, Any]:
    plan = review.catalogue.plan
    return {
        "cohort": str(review.catalogue.cohort),
        "counts": review.catalogue.counts(),
        "reviewed": review.catalogue.reviewed(),
        "strategies": list(STRATEGIES),
        "plan": plan.model_dump(mode="json"),
    }


def _queue(review: Review, request: Mapping[str, Any]) -> dict[str, Any]:
    records = review.queue(str(request.get("strategy", "least-confident")))
    return {"waiting": len(records), "cases": [_case(review, record) for record in records[:MOST_LISTED]]}


def _cases(review: Review, request: Mapping[str, Any]) -> dict[str, Any]:
    first = request.get("first", 0)
    if not isinstance(first, int) or first < 0:
        raise InputError("first is the number of a case, from 0.")
    records = review.catalogue.records(first=first, most=MOST_LISTED)
    total = sum(review.catalogue.counts().values())
    return {"total": total, "cases": [_case(review, record) for record in records]}


def _open(review: Review, request: Mapping[str, Any]) -> dict[str, Any]:
    opened = review.open(str(request["case"]), str(request.get("reviewer", "")))
    record, files, report = opened.record, opened.files, opened.report
    phrases = {head.id: head.phrase for head in opened.heads}
    names = {head.id: head.name for head in opened.heads}
    image = shown_image(review.catalogue, record.case)
    return {
        "case": _case(review, record),
        "series_uid": record.case.series_uid,
        "files": {
            "image": str(image),
            "first": _first_of_series(record, image),
            "segmentation": str(files.segmentation),
            "result": str(files.result),
            "text": str(files.text) if files.text else None,
            "thumbnail": str(files.thumbnail) if files.thumbnail else None,
        },
        "report": {
            "text": report.text,
            "spans": [span.model_dump(mode="json") for span in report.spans],
            "author": report.author,
            "findings": [
                {
                    "sentence": remark.sentence,
                    "segments": list(remark.segments),
                    "names": [names[segment] for segment in remark.segments],
                    "phrases": [phrases[segment] for segment in remark.segments],
                }
                for remark in report.remarks()
            ],
        },
        "standing": {
            "text": opened.standing.text,
            "spans": [span.model_dump(mode="json") for span in opened.standing.spans],
        },
        "draft": None if opened.draft is None else _draft_facts(opened.draft),
        "others": [_draft_facts(draft) for draft in opened.others],
        "problem": opened.problem,
    }


def _first_of_series(record: Record, image: Path) -> str | None:
    """The first file of the case's own series where its folder holds DICOM files, of other series as well perhaps."""
    if record.case.series_uid is None or not image.is_dir():
        return None
    return str(pick_series(image, record.case.series_uid)[0].path)


def _draft(review: Review, request: Mapping[str, Any]) -> dict[str, Any]:
    segmentation, text = _changed(request)
    draft = review.draft(str(request["case"]), str(request.get("reviewer", "")), segmentation, text)
    return {"draft": _draft_facts(draft)}


def _discard(review: Review, request: Mapping[str, Any]) -> dict[str, Any]:
    return {"discarded": review.drafts.discard(str(request["case"]), str(request.get("reviewer", "")))}


def _accept(review: Review, request: Mapping[str, Any]) -> dict[str, Any]:
    return _decided(review.accept(str(request["case"]), str(request["reviewer"]), str(request.get("note", ""))))


def _reject(review: Review, request: Mapping[str, Any]) -> dict[str, Any]:
    return _decided(review.reject(str(request["case"]), str(request["reviewer"]), str(request.get("note", ""))))


def _correct(review: Review, request: Mapping[str, Any]) -> dict[str, Any]:
    segmentation, text = _changed(request)
    note = str(request.get("note", ""))
    return _decided(review.correct(str(request["case"]), str(request["reviewer"]), segmentation, text, note))


def _undo(review: Review, request: Mapping[str, Any]) -> dict[str, Any]:
    decision = review.undo(str(request.get("reviewer", "")))
    return {"decision": None} if decision is None else _decided(decision)


_VERBS: dict[str, Callable[[Review, Mapping[str, Any]], dict[str, Any]]] = {
    "status": _status,
    "queue": _queue,
    "cases": _cases,
    "open": _open,
    "accept": _accept,
    "correct": _correct,
    "reject": _reject,
    "draft": _draft,
    "discard": _discard,
    "undo": _undo,
}


def _changed(request: Mapping[str, Any]) -> tuple[Path | None, Any]:
    """Path of the changed segmentation and the changed text, None for what stays; the text is checked where it goes."""
    segmentation = request.get("segmentation")
    return None if segmentation is None else Path(str(segmentation)), request.get("text")


def _draft_facts(draft: Draft) -> dict[str, Any]:
    return {
        "reviewer": draft.reviewer,
        "at": draft.at,
        "segmentation": draft.segmentation is not None,
        "text": draft.text is not None,
    }


def _decided(decision: Decision) -> dict[str, Any]:
    return {"decision": {"case": decision.case_id, "verdict": decision.verdict, "reviewer": decision.reviewer}}


def _case(review: Review, record: Record) -> dict[str, Any]:
    outcome = record.outcome
    return {
        "id": record.case.id,
        "patient": record.case.patient,
        "state": record.state,
        "reason": record.reason,
        "segments": outcome.segments if outcome else None,
        "confidence": outcome.confidence if outcome else None,
        "disagreement": outcome.disagreement if outcome else None,
        "verdict": record.decision.verdict if record.decision else None,
        "reviewer": record.decision.reviewer if record.decision else None,
        "drafts": [draft.reviewer for draft in review.drafts.open_ones(record.case.id)],
    }
