# SPDX-License-Identifier: Apache-2.0
"""Volumes: described first, then sent in as many pieces as the client likes."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from starlette.requests import ClientDisconnect

from unibiomed.engine.volume_store import StoredVolume
from unibiomed.server.dependencies import CHECKED, EngineOf, SessionOf, errors
from unibiomed.server.schemas import VolumeBody, VolumeRequest

router = APIRouter(dependencies=CHECKED, tags=["volumes"])
VolumeId = Annotated[str, Path(max_length=80)]


@router.post("/v1/volumes", status_code=201, responses=errors(410, 507))
async def describe_volume(request: VolumeRequest, engine: EngineOf, session: SessionOf) -> VolumeBody:
    """Say what will be sent; voxels that are already here make the volume complete at once."""
    description = await asyncio.to_thread(request.description)
    return _body(await asyncio.to_thread(engine.volumes.declare, session, description))


@router.get("/v1/volumes", responses=errors(410))
async def list_volumes(engine: EngineOf, session: SessionOf) -> list[VolumeBody]:
    """The session's volumes."""
    return [_body(item) for item in engine.volumes.of_session(session)]


@router.get("/v1/volumes/{volume}", responses=errors(404, 410))
async def get_volume(volume: VolumeId, engine: EngineOf, session: SessionOf) -> VolumeBody:
    """How much of a volume has arrived."""
    return _body(engine.volumes.get(session, volume))


@router.delete("/v1/volumes/{volume}", status_code=204, response_class=Response, responses=errors(404, 410))
async def delete_volume(volume: VolumeId, engine: EngineOf, session: SessionOf) -> None:
    """Forget a volume; a job at work on it goes on."""
    engine.volumes.drop(session, volume)


@router.put(
    "/v1/volumes/{volume}/data",
    responses=errors(404, 409, 410),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def put_data(
    volume: VolumeId,
    request: Request,
    engine: EngineOf,
    session: SessionOf,
    offset: Annotated[int, Query(ge=0, le=1 << 62, description="Must be what has been received so far.")],
) -> VolumeBody:
    """Send the next piece of the encoded voxels. What arrived before a broken connection is kept."""
    with engine.volumes.writing(session, volume, offset) as item:
        try:
            await _take(request, engine, session, item)
        except ClientDisconnect:
            return _body(item)
        if item.upload is not None and item.upload.whole:
            await asyncio.to_thread(engine.volumes.complete, item)
        return _body(item)


async def _take(request: Request, engine: EngineOf, session: str, item: StoredVolume) -> None:
    async for chunk in request.stream():
        engine.sessions.touch(session)
        if item.description.encoding == "raw":
            engine.volumes.write(item, chunk)
        else:
            # A small chunk can become many bytes; other clients are served meanwhile.
            await asyncio.to_thread(engine.volumes.write, item, chunk)


def _body(item: StoredVolume) -> VolumeBody:
    total = item.description.encoded_bytes
    return VolumeBody(volume=item.id, complete=item.complete, received=item.received, bytes=total)
