# SPDX-License-Identifier: Apache-2.0
"""The application: an engine behind a token."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI

from unibiomed import __version__
from unibiomed.engine import Engine
from unibiomed.server import routes_general, routes_jobs, routes_volumes
from unibiomed.server.errors import AsciiJSONResponse, add_handlers
from unibiomed.server.gate import Gate


def create_app(engine: Engine, *, token: str, shutdown: Callable[[], None] | None = None) -> FastAPI:
    """The ASGI application over ``engine``, which it starts and closes with itself.

    ``token`` is asked of every request but ``GET /protocol``. ``shutdown`` is called for ``POST /v1/shutdown``; None
    refuses that.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        engine.start()
        yield
        engine.close()

    app = FastAPI(
        title="UniBiomed engine",
        version=__version__,
        description="See docs/protocol.md. Not for clinical use.",
        openapi_url="/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        default_response_class=AsciiJSONResponse,
        lifespan=lifespan,
    )
    app.state.engine, app.state.shutdown = engine, shutdown
    for router in (
        routes_general.open_router,
        routes_general.router,
        routes_volumes.router,
        routes_jobs.router,
    ):
        app.include_router(router)
    add_handlers(app)
    app.add_middleware(Gate, token=token, limits=engine.limits)
    return app
