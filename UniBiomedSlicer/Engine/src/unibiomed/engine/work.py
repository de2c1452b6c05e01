# SPDX-License-Identifier: Apache-2.0
"""A job's task run to its result document."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from unibiomed.engine.parameters import Parameters, decode_region

if TYPE_CHECKING:
    from unibiomed.engine.jobs import Job
    from unibiomed.volumes.volume import Volume


def run_task(
    task: str,
    model: Any,
    volume: Volume,
    parameters: Parameters,
    job: Job,
    *,
    batch_size: int | None = None,
    window: str | None = None,
) -> tuple[bytes, dict[str, Any]]:
    """The result of ``unibiomed.tasks.<task>`` as JSON (see ``unibiomed.tasks.schema``), and a summary of it.

    ``batch_size`` overrules that of the parameters where the task has one; ``window`` stands in where they have none.
    """
    from unibiomed import tasks
    from unibiomed.tasks.schema import to_json

    arguments = parameters.arguments()
    arguments["window"] = arguments["window"] or window
    if "batch_size" in arguments:
        arguments["batch_size"] = batch_size
    if "region" in arguments:
        arguments["region"] = decode_region(arguments["region"], volume.shape)
    result = getattr(tasks, task)(model, volume, **arguments, progress=job.reporter, cancelled=job.stop.is_set)
    document = to_json(result)
    if text := getattr(result, "text", ""):
        job.log.add("text", text=text, final=True)
    return json.dumps(document, allow_nan=False, separators=(",", ":")).encode("ascii"), _summary(document)


def _summary(document: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": document["type"],
        "segments": len(document.get("segments", ())),
        "not_found": len(document.get("not_found", ())),
        "nothing_found": document.get("nothing_found"),
    }
