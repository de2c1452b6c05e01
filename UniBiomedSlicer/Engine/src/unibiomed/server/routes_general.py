# SPDX-License-Identifier: Apache-2.0
"""The hand-shake, what the engine can do, sessions, models, exports, and the end."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Path, Request
from fastapi.responses import Response

from unibiomed import __version__
from unibiomed.engine.capabilities import capabilities
from unibiomed.engine.models import ModelChoice
from unibiomed.engine.refusal import Refused
from unibiomed.server import PROTOCOL
from unibiomed.server.dependencies import CHECKED, EngineOf, SessionOf, errors
from unibiomed.server.errors import AsciiJSONResponse
from unibiomed.server.schemas import (
    ExportRequest,
    JobStarted,
    LoadRequest,
    ModelEntry,
    ProtocolBody,
    SessionBody,
)

open_router = APIRouter(tags=["general"])
router = APIRouter(dependencies=CHECKED, tags=["general"])
SessionId = Annotated[str, Path(max_length=80)]


@open_router.get("/protocol", responses=errors())
async def get_protocol() -> ProtocolBody:
    """Who answers, and in which version; needs no token."""
    return ProtocolBody(name="unibiomed", protocol=PROTOCOL, version=__version__)


@router.get("/v1/capabilities", responses=errors())
async def get_capabilities(engine: EngineOf) -> dict[str, Any]:
    """Versions, device, memory, models, tasks, words and limits."""
    document = await asyncio.to_thread(capabilities, engine)
    return {"protocol": PROTOCOL, **document}


@router.post("/v1/sessions", status_code=201, responses=errors(429))
async def open_session(engine: EngineOf) -> SessionBody:
    """Open a session. Volumes, jobs and results belong to it and go with it."""
    return SessionBody(session=engine.sessions.open(), lease_seconds=engine.limits.lease_seconds)


@router.post("/v1/sessions/{session}/heartbeat", responses=errors(410))
async def heartbeat(session: SessionId, engine: EngineOf) -> SessionBody:
    """Renew the lease; any other request of the session does so too."""
    engine.sessions.touch(session)
    return SessionBody(session=session, lease_seconds=engine.limits.lease_seconds)


@router.delete("/v1/sessions/{session}", status_code=204, response_class=Response, responses=errors(410))
async def close_session(session: SessionId, engine: EngineOf) -> None:
    """End a session: its jobs are cancelled, its volumes and results freed."""
    engine.sessions.touch(session)
    await asyncio.to_thread(engine.close_session, session)


@router.get("/v1/models", responses=errors())
async def list_models(engine: EngineOf) -> list[ModelEntry]:
    """The models that can be loaded: bundled, stored, and those that the server was started with."""
    return await asyncio.to_thread(engine.models.list)


@router.post("/v1/models/load", status_code=202, responses=errors(404, 410, 429))
async def load_model(request: LoadRequest, engine: EngineOf, session: SessionOf) -> JobStarted:
    """Replace the loaded model, for all sessions; a job, whose result describes the model."""
    choice = ModelChoice(request.model, request.device, request.dtype, request.quantize)
    job = await asyncio.to_thread(engine.load, session, choice)
    return JobStarted(job=job.id, state=job.state)


@router.post("/v1/models/unload", status_code=204, response_class=Response, responses=errors(409))
async def unload_model(engine: EngineOf) -> None:
    """Give the model's memory back."""
    await asyncio.to_thread(engine.unload)


@router.post(
    "/v1/exports",
    response_class=Response,
    responses={**errors(), 200: {"description": "The document in that form.", "content": {"*/*": {}}}},
)
async def export_document(request: ExportRequest) -> Response:
    """Write a result or an edited report in another form."""
    # DICOM and page writing cost a second to import, and are seldom needed.
    from unibiomed.tasks.outputs.exports import export

    body, media_type = await asyncio.to_thread(export, request.kind, request.document)
    return Response(body, media_type=media_type)


@router.post("/v1/shutdown", status_code=202, response_class=AsciiJSONResponse, responses=errors())
async def shutdown(request: Request, background: BackgroundTasks) -> dict[str, str]:
    """End the engine; only where it was started by its client or with --allow-shutdown."""
    stop = request.app.state.shutdown
    if stop is None:
        raise Refused("not_allowed", "This engine is not to be shut down by its clients.")
    background.add_task(stop)
    return {"state": "stopping"}
