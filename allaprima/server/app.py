"""The application: routes, lifespan, and every failure as a problem and a remedy.

Use: ``app = create(bundle, "cats", Rules.for_binding("127.0.0.1"))``.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

import allaprima
from allaprima.bundle.bundle import Bundle
from allaprima.core.catalog import Catalog
from allaprima.core.errors import UserError
from allaprima.runtime.engine import Engine
from allaprima.runtime.pacing import Pacer
from allaprima.server.context import Studio
from allaprima.server.guard import Guard, Rules

LOG = logging.getLogger(__name__)
ROUTES = Catalog("route", "allaprima.server.routes")


def create(bundle: Bundle, name: str, rules: Rules, engine: Engine | None = None) -> Guard:
    """The studio of ``bundle``. The engine is opened here, so that the first frame does not wait for it."""
    engine = engine or Engine(bundle)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with Pacer(engine) as pacer:
            app.state.studio = Studio(name, bundle, engine, pacer)
            yield

    # FastAPI's own documentation pages load their scripts from elsewhere; the description itself stays.
    app = FastAPI(
        title="Alla Prima",
        version=allaprima.__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
    )
    for route in ROUTES.names():
        app.include_router(ROUTES.get(route).router)
    app.add_exception_handler(UserError, _user_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unexpected)
    return Guard(app, rules)  # around everything, the answers to unexpected errors too


def _answer(status: int, problem: str, remedy: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"problem": problem, "remedy": remedy}, status, headers)


async def _user_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, UserError)
    return _answer(400, error.problem, error.remedy)


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]  # its input is not repeated: it may be large, or not even be JSON (NaN)
    where = ".".join(str(part)[:40] for part in first["loc"])[:120]
    return _answer(422, f"'{where}': {first['msg']}", "see /api/openapi.json for what is accepted")


async def _http_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers) if error.headers else None
    return _answer(error.status_code, str(error.detail), "see /api/openapi.json for what there is", headers)


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    LOG.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return _answer(500, "The server made a mistake", "look at the terminal where it runs")
