# SPDX-License-Identifier: Apache-2.0
"""What the routes take from a request: the engine, and the session, whose lease it renews."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Depends, Header, Request
from fastapi.security import HTTPBearer

from unibiomed.engine import Engine
from unibiomed.server.schemas import ErrorBody

_BEARER = HTTPBearer(auto_error=False, description="The token that was agreed when the engine was started.")


def _engine(request: Request) -> Engine:
    return request.app.state.engine


def _session(
    request: Request,
    session: Annotated[str, Header(alias="UniBiomed-Session", description="Of POST /v1/sessions.", max_length=80)],
) -> str:
    _engine(request).sessions.touch(session)
    return session


def _spoken(
    bearer: Annotated[object, Depends(_BEARER)],
    protocol: Annotated[Literal["1"], Header(alias="UniBiomed-Protocol")] = "1",
) -> None:
    """Checked before the routes are reached (``gate``); here for the documentation."""


EngineOf = Annotated[Engine, Depends(_engine)]
SessionOf = Annotated[str, Depends(_session)]
CHECKED = [Depends(_spoken)]

_CAUSES = {
    400: "The request is not HTTP or JSON as it should be.",
    401: "The token is missing or wrong.",
    403: "The request came from a web page.",
    404: "There is no such thing in this session.",
    408: "The body stopped arriving.",
    409: "Not possible in the present state.",
    410: "The session has ended.",
    413: "More than is allowed.",
    422: "The request is not as documented; the sentence names the first thing wrong.",
    426: "The client speaks another version of the protocol.",
    429: "Too many sessions or jobs; try again later.",
    500: "The engine failed.",
    503: "Too many connections, or shutting down.",
    507: "No room for more volumes.",
}


def errors(*statuses: int) -> dict[int | str, dict[str, object]]:
    """The documented errors of a route."""
    every = (400, 401, 403, 408, 413, 422, 426, 500, 503, *statuses)
    return {status: {"model": ErrorBody, "description": _CAUSES[status]} for status in sorted(set(every))}
