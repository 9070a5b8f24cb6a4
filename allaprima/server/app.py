"""The application: routes, lifespan, and every failure as a problem and a remedy.

Use: ``app = create(bundle, "cats", Rules.for_binding("127.0.0.1"))``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

import allaprima
from allaprima.bundle.bundle import Bundle
from allaprima.core.catalog import Catalog
from allaprima.core.errors import UserError
from allaprima.runtime.engine import Engine
from allaprima.runtime.pacing import MOST_WAITING, TOGETHER, BusyError, Pacer
from allaprima.server.access import Access, Log
from allaprima.server.context import Studio
from allaprima.server.controls import Controls, Receiver
from allaprima.server.failures import OPENAI, described, failure
from allaprima.server.gate import PROBLEM, REMEDY, Gate
from allaprima.server.guard import Guard, Rules
from allaprima.server.measured import Measured
from allaprima.server.routes.live import Direct

LOG = logging.getLogger(__name__)
ROUTES = Catalog("route", "allaprima.server.routes")


def create(
    bundle: Bundle,
    name: str,
    rules: Rules,
    engine: Engine | None = None,
    osc: socket.socket | None = None,
    log: Log | None = None,
) -> Guard:
    """The studio of ``bundle``. The engine is opened here, so that the first frame does not wait for it."""
    return serving({name: engine or Engine(bundle)}, rules, osc=osc, log=log)


def serving(
    engines: Mapping[str, Engine],
    rules: Rules,
    most_waiting: int = MOST_WAITING,
    osc: socket.socket | None = None,
    log: Log | None = None,
) -> Guard:
    """An application that shows several bundles by name, the first where none is named.

    ``most_waiting``: single pictures that may wait for each. ``osc``: where control messages come in (``server.controls``).
    ``log``: where visits are written down, closed when the application ends.
    """
    measured, access = Measured(engines), Access(rules.tokens, log)

    def lifespan(app: FastAPI) -> contextlib.AbstractAsyncContextManager[None]:
        return _alive(app, engines, most_waiting, osc, access)

    # FastAPI's own documentation pages load their scripts from elsewhere; the description itself stays.
    app = FastAPI(
        title="Alla Prima",
        version=allaprima.__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
    )
    app.state.measured, app.state.ready, app.state.access = measured, False, access
    app.state.controls, app.state.films, app.state.photos = Controls(), set(), {}
    app.state.osc_port = None if osc is None else osc.getsockname()[1]
    for route in ROUTES.names():
        router = ROUTES.get(route).router
        app.include_router(router, responses=described(router.prefix))
    app.add_exception_handler(UserError, _user_error)
    app.add_exception_handler(BusyError, _busy)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unexpected)
    inside = len(engines) * (most_waiting + TOGETHER)  # those that wait and those that are being painted
    gate = Gate(Direct(app), inside, measured.refused.inc, access)
    return Guard(gate, rules, access)  # around everything, the answers to unexpected errors too


@contextlib.asynccontextmanager
async def _alive(
    app: FastAPI, engines: Mapping[str, Engine], most_waiting: int, osc: socket.socket | None, access: Access
) -> AsyncIterator[None]:
    """From the start to the end: pacers, controls, the sweep of tokens, the log."""
    async with contextlib.AsyncExitStack() as stack:
        watch = app.state.measured.watch
        app.state.studios = {
            name: Studio(
                name,
                engine.bundle,
                engine,
                await stack.enter_async_context(Pacer(engine, most_waiting, watch(name))),
            )
            for name, engine in engines.items()
        }
        if osc is not None:
            loop = asyncio.get_running_loop()
            receiver, _ = await loop.create_datagram_endpoint(lambda: Receiver(app.state.controls), sock=osc)
            stack.callback(receiver.close)
        stack.callback(asyncio.create_task(access.sweep()).cancel)
        if access.log is not None:
            stack.callback(access.log.close)
            access.log.say(event="start")
            stack.callback(_said_last, access.log)
        app.state.ready = True
        yield
        app.state.ready = False


def _said_last(log: Log) -> None:
    log.say(event="stop", lost=log.lost)


def _answer(
    request: Request, status: int, problem: str, remedy: str, headers: dict[str, str] | None = None
) -> JSONResponse:
    return JSONResponse(failure(request.url.path, status, problem, remedy), status, headers)


async def _user_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, UserError)
    return _answer(request, 400, error.problem, error.remedy)


async def _busy(request: Request, _: Exception) -> JSONResponse:
    request.app.state.measured.refused.inc()
    return _answer(request, 429, PROBLEM, REMEDY, {"Retry-After": "1"})


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]  # its input is not repeated: it may be large, or not even be JSON (NaN)
    where = ".".join(str(part)[:40] for part in first["loc"])[:120]
    # OpenAI's clients know 400 for what FastAPI calls 422
    status = 400 if request.url.path.startswith(OPENAI) else 422
    return _answer(request, status, f"'{where}': {first['msg']}", "see /api/openapi.json for what is accepted")


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers) if error.headers else None
    return _answer(request, error.status_code, str(error.detail), "see /api/openapi.json for what there is", headers)


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    LOG.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return _answer(request, 500, "The server made a mistake", "look at the terminal where it runs")
