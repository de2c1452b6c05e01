# SPDX-License-Identifier: Apache-2.0
"""Jobs: submitted, followed by their events, cancelled, and their results fetched."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response, StreamingResponse

from unibiomed.engine.engine import Engine
from unibiomed.engine.jobs import Job
from unibiomed.server.dependencies import CHECKED, EngineOf, SessionOf, errors
from unibiomed.server.schemas import JobBody, JobRequest, JobStarted

router = APIRouter(dependencies=CHECKED, tags=["jobs"])
JobId = Annotated[str, Path(max_length=80)]
ALIVE_SECONDS = 10.0
_ALIVE = b'{"event":"alive"}\n'


@router.post("/v1/jobs", status_code=202, responses=errors(404, 409, 410, 429))
async def submit(request: JobRequest, engine: EngineOf, session: SessionOf) -> JobStarted:
    """Have a task done on a volume."""
    job = engine.submit(session, request.task, request.volume, request.parameters)
    return JobStarted(job=job.id, state=job.state)


@router.get("/v1/jobs", responses=errors(410))
async def list_jobs(engine: EngineOf, session: SessionOf) -> list[JobBody]:
    """The session's jobs, the oldest first."""
    return [_body(job) for job in engine.jobs.of_session(session)]


@router.get("/v1/jobs/{job}", responses=errors(404, 410))
async def get_job(job: JobId, engine: EngineOf, session: SessionOf) -> JobBody:
    """A job as it is now."""
    return _body(engine.jobs.get(session, job))


@router.post("/v1/jobs/{job}/cancel", responses=errors(404, 410))
async def cancel_job(job: JobId, engine: EngineOf, session: SessionOf) -> JobBody:
    """Stop a job: at once while it waits, within one slice while it runs; nothing happens once it is over."""
    found = engine.jobs.get(session, job)
    engine.jobs.cancel(found)
    return _body(found)


@router.delete("/v1/jobs/{job}", status_code=204, response_class=Response, responses=errors(404, 410))
async def delete_job(job: JobId, engine: EngineOf, session: SessionOf) -> None:
    """Cancel a job and forget it with its events and its result."""
    engine.jobs.drop(engine.jobs.get(session, job))


@router.get(
    "/v1/jobs/{job}/result",
    response_class=Response,
    responses={
        **errors(404, 409, 410),
        200: {"description": "A document of result.schema.json.", "content": {"application/json": {}}},
    },
)
async def get_result(job: JobId, engine: EngineOf, session: SessionOf) -> Response:
    """The result of a job that is done."""
    return Response(engine.jobs.get(session, job).result_document(), media_type="application/json")


@router.get(
    "/v1/jobs/{job}/events",
    response_class=StreamingResponse,
    responses={
        **errors(404, 410),
        200: {"description": "One JSON object a line.", "content": {"application/x-ndjson": {}}},
    },
)
async def follow(
    job: JobId,
    request: Request,
    engine: EngineOf,
    session: SessionOf,
    after: Annotated[int, Query(ge=0, le=1 << 62, description="The last number that the client has.")] = 0,
) -> StreamingResponse:
    """The job's events after number ``after``, those to come as they come, until the job is over."""
    lines = _lines(request, engine, session, engine.jobs.get(session, job), after)
    return StreamingResponse(lines, media_type="application/x-ndjson", headers={"cache-control": "no-store"})


async def _lines(request: Request, engine: Engine, session: str, job: Job, after: int) -> AsyncIterator[bytes]:
    loop, news = asyncio.get_running_loop(), asyncio.Event()

    def wake() -> None:
        loop.call_soon_threadsafe(news.set)

    job.log.watch(wake)
    try:
        while True:
            news.clear()
            lines, closed = job.log.after(after)
            if lines:
                after += len(lines)
                yield b"".join(lines)
            if closed:
                return
            try:
                await asyncio.wait_for(news.wait(), ALIVE_SECONDS)
            except TimeoutError:
                if await request.is_disconnected():
                    return
                # A client that listens is alive; one that has gone is noticed by the line that cannot be sent.
                engine.sessions.touch(session)
                yield _ALIVE
    finally:
        job.log.unwatch(wake)


def _body(job: Job) -> JobBody:
    return JobBody(**job.to_json())
