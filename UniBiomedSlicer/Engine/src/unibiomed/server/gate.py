# SPDX-License-Identifier: Apache-2.0
"""What stands before every route: who asks, in which version, and how much may be sent how slowly."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import math
import re
from contextlib import nullcontext
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from unibiomed import __version__
from unibiomed.engine import Limits
from unibiomed.server import PROTOCOL
from unibiomed.server.errors import BrokenBody, error_response

OPEN_PATH = "/protocol"
"""Answered without a token, so that a client can say what is wrong when the versions differ."""


_UPLOAD = re.compile(r"/v1/volumes/[^/]+/data")
_EXPORTS = "/v1/exports"
_LARGE_AT_A_TIME = 2
_SMALL_BODY = 65_536


class Gate:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, *, token: str, limits: Limits) -> None:
        self._app = app
        self._digest = _digest(f"Bearer {token}")
        self._limits = limits
        # A large document takes several times its size while it is read.
        self._large = asyncio.Semaphore(_LARGE_AT_A_TIME)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here, before its body is read."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if (refusal := self._refusal(scope, headers)) is not None:
            if _body_size(headers) > _SMALL_BODY:
                # Not worth the time that it takes to arrive.
                refusal.headers["connection"] = "close"
            await refusal(scope, receive, send)
            return
        limit = self._body_limit(scope["method"], scope["path"])
        async with self._large if scope["path"] == _EXPORTS else nullcontext():
            await self._app(scope, self._bounded(receive, limit), send)

    def _refusal(self, scope: Scope, headers: Headers) -> Any | None:
        if "origin" in headers:
            return error_response(403, "browser_refused", "Web pages may not talk to this engine.")
        if scope["path"] == OPEN_PATH:
            return None
        given = headers.getlist("authorization")
        # Digests of equal length are compared, in constant time: nothing is learnt from how long it takes.
        if len(given) != 1 or not hmac.compare_digest(_digest(given[0]), self._digest):
            return error_response(
                401, "wrong_token", "The token is missing or wrong; check it.", {"www-authenticate": "Bearer"}
            )
        spoken = headers.get("unibiomed-protocol", "none")
        if spoken != str(PROTOCOL):
            return error_response(
                426,
                "protocol_mismatch",
                f"This engine (version {__version__}) speaks protocol {PROTOCOL} and the client protocol "
                f"{spoken[:20]}; update the older of the two.",
            )
        limit = self._body_limit(scope["method"], scope["path"])
        if limit is not None and "content-length" in headers and _body_size(headers) > limit:
            return error_response(413, "too_large", _too_large(limit))
        return None

    def _body_limit(self, method: str, path: str) -> int | None:
        """Bytes that the body may have; None for voxels, whose size the route bounds."""
        if method == "PUT" and _UPLOAD.fullmatch(path):
            return None
        return self._limits.export_bytes if path == _EXPORTS else self._limits.json_bytes

    def _bounded(self, receive: Receive, limit: int | None) -> Receive:
        taken, whole = 0, False

        async def bounded() -> Message:
            nonlocal taken, whole
            if whole:
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), self._limits.stall_seconds)
            except TimeoutError:
                waited = self._limits.stall_seconds
                said = f"Nothing arrived for {waited:g} s; send the rest in a new request."
                raise BrokenBody(408, "stalled", said) from None
            taken += len(message.get("body", b""))
            whole = message["type"] != "http.request" or not message.get("more_body", False)
            if limit is not None and taken > limit:
                raise BrokenBody(413, "too_large", _too_large(limit))
            return message

        return bounded


def _body_size(headers: Headers) -> float:
    if "transfer-encoding" in headers:
        return math.inf
    declared = headers.get("content-length", "0")
    return int(declared) if declared.isdigit() else 0


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


def _too_large(limit: int) -> str:
    return f"The body of this request has more than the {limit} bytes that are allowed."
