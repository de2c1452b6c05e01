# SPDX-License-Identifier: Apache-2.0
"""Every error is a status, a code for programs and one sentence for people."""

from __future__ import annotations

import json
import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from unibiomed.engine import Refused
from unibiomed.engine.parameters import first_problem
from unibiomed.errors import UniBiomedError

_LOG = logging.getLogger("unibiomed.server")

STATUS = {
    "already_complete": 409,
    "bad_encoding": 422,
    "busy": 409,
    "hash_mismatch": 422,
    "invalid_parameters": 422,
    "no_model": 409,
    "no_result": 409,
    "not_allowed": 403,
    "no_room": 507,
    "queue_full": 429,
    "session_lost": 410,
    "shutting_down": 503,
    "size_mismatch": 422,
    "too_many_sessions": 429,
    "unknown_job": 404,
    "unknown_model": 404,
    "unknown_task": 422,
    "unknown_volume": 404,
    "upload_busy": 409,
    "volume_incomplete": 409,
    "volume_too_large": 413,
    "wrong_offset": 409,
}
_WORDS = {404: "not_found", 405: "method_not_allowed"}


class BrokenBody(HTTPException):
    """The body of a request stopped, or is more than is allowed: the connection cannot serve another request."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(status, message, {"connection": "close"})
        self.code = code


class AsciiJSONResponse(JSONResponse):
    """JSON in ASCII with escapes, so that no text, however odd, fails to be sent."""

    def render(self, content: Any) -> bytes:
        """``content`` as bytes."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


def error_response(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> AsciiJSONResponse:
    """The one form of all errors."""
    return AsciiJSONResponse({"error": {"code": code, "message": message}}, status, headers)


def add_handlers(app: FastAPI) -> None:
    """Bring every error of ``app`` into that form."""
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(UniBiomedError, _invalid)
    app.add_exception_handler(RequestValidationError, _not_as_documented)
    app.add_exception_handler(BrokenBody, _broken)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _internal)


async def _refused(request: Request, error: Refused) -> Response:
    return error_response(STATUS.get(error.code, 400), error.code, str(error))


async def _invalid(request: Request, error: UniBiomedError) -> Response:
    return error_response(422, "invalid_input", str(error))


async def _not_as_documented(request: Request, error: RequestValidationError) -> Response:
    return error_response(422, "invalid_request", first_problem(error.errors()))


async def _broken(request: Request, error: BrokenBody) -> Response:
    return error_response(error.status_code, error.code, error.detail, dict(error.headers or {}))


async def _http(request: Request, error: HTTPException) -> Response:
    code = _WORDS.get(error.status_code, "bad_request")
    return error_response(error.status_code, code, f"{str(error.detail).rstrip('.')}.", dict(error.headers or {}))


async def _internal(request: Request, error: Exception) -> Response:
    _LOG.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return error_response(500, "internal", f"The engine failed ({type(error).__name__}); its log says more.")
