# SPDX-License-Identifier: Apache-2.0
"""A review over lines of JSON: how Slicer's page talks with a catalogue on the same machine.

One request a line, one answer a line, in order: ``{"id": 1, "do": "queue", "strategy": "random"}`` is answered by
``{"id": 1, "ok": true, ...}`` or ``{"id": 1, "ok": false, "message": "One sentence."}``. A decision is on disk before
its answer is written. The conversation ends when its input does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TextIO

from unibiomed.cohort.catalogue import Decision, Record
from unibiomed.cohort.review import Review
from unibiomed.cohort.strategies import STRATEGIES
from unibiomed.errors import InputError, UniBiomedError

MOST_LISTED = 500


def converse(review: Review, requests: Iterable[str], answers: TextIO) -> None:
    """Answer every line of ``requests``; blank lines are skipped, and a broken one is answered like a wrong one."""
    for line in requests:
        if line.strip():
            answers.write(json.dumps(answer(review, line), ensure_ascii=False) + "\n")
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
    except json.JSONDecodeError as error:
        return {"id": number, "ok": False, "message": f"The line is not JSON ({error.msg})."}
    except KeyError as error:
        return {"id": number, "ok": False, "message": f"The request lacks {error}."}


def _status(review: Review, request: Mapping[str, Any]) -> dict[str, Any]:
    plan = review.catalogue.plan
    return {
        "cohort": str(review.catalogue.cohort),
        "counts": review.catalogue.counts(),
        "reviewed": sum(record.decision is not None for record in review.catalogue.records()),
        "strategies": list(STRATEGIES),
        "plan": plan.model_dump(mode="json"),
    }


def _queue(review: Review, request: Mapping[str, Any]) -> dict[str, Any]:
    records = review.queue(str(request.get("strategy", "least-confident")))
    return {"waiting": len(records), "cases": [_case(record) for record in records[:MOST_LISTED]]}


def _cases(review: Review, request: Mapping[str, Any]) -> dict[str, Any]:
    records = list(review.catalogue.records())
    first = int(request.get("first", 0))
    return {"total": len(records), "cases": [_case(record) for record in records[first : first + MOST_LISTED]]}


def _open(review: Review, request: Mapping[str, Any]) -> dict[str, Any]:
    files = review.files(str(request["case"]))
    record = review.catalogue.record(str(request["case"]))
    return {
        "case": _case(record),
        "series_uid": record.case.series_uid,
        "files": {
            "image": str(files.image),
            "segmentation": str(files.segmentation),
            "result": str(files.result),
            "text": str(files.text) if files.text else None,
            "thumbnail": str(files.thumbnail) if files.thumbnail else None,
        },
    }


def _accept(review: Review, request: Mapping[str, Any]) -> dict[str, Any]:
    return _decided(review.accept(str(request["case"]), str(request["reviewer"]), str(request.get("note", ""))))


def _reject(review: Review, request: Mapping[str, Any]) -> dict[str, Any]:
    return _decided(review.reject(str(request["case"]), str(request["reviewer"]), str(request.get("note", ""))))


def _correct(review: Review, request: Mapping[str, Any]) -> dict[str, Any]:
    text = request.get("text")
    if text is not None and not isinstance(text, dict):
        raise InputError("The corrected text is a JSON object with text and spans.")
    file = Path(str(request["segmentation"]))
    note = str(request.get("note", ""))
    return _decided(review.correct(str(request["case"]), str(request["reviewer"]), file, text, note))


def _undo(review: Review, request: Mapping[str, Any]) -> dict[str, Any]:
    decision = review.undo()
    return {"decision": None} if decision is None else _decided(decision)


_VERBS: dict[str, Callable[[Review, Mapping[str, Any]], dict[str, Any]]] = {
    "status": _status,
    "queue": _queue,
    "cases": _cases,
    "open": _open,
    "accept": _accept,
    "correct": _correct,
    "reject": _reject,
    "undo": _undo,
}


def _decided(decision: Decision) -> dict[str, Any]:
    return {"decision": {"case": decision.case_id, "verdict": decision.verdict, "reviewer": decision.reviewer}}


def _case(record: Record) -> dict[str, Any]:
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
    }
