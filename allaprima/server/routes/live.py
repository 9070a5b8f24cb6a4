"""``/ws``: states in, frames out, for one client. See ``server/protocol.py``."""

from __future__ import annotations

import asyncio
import contextlib

from fastapi import APIRouter, WebSocket
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import WebSocketRoute
from starlette.types import Receive, Scope, Send

from allaprima.core.errors import UserError
from allaprima.runtime.pacing import Client, Failure
from allaprima.server.access import count
from allaprima.server.context import Studio, studio_of
from allaprima.server.controls import Controls
from allaprima.server.protocol import Hello, Moved, Problem, Show, pack, parse

CLIENTS = 1024
READER_SECONDS = 10.0  # a frame that is not shown by then was sent to nobody
POLICY, TRY_LATER = 1008, 1013  # RFC 6455, section 7.4.1


async def live(socket: WebSocket) -> None:
    """One client's session, from hello to goodbye."""
    studio = studio_of(socket)
    await socket.accept()
    if studio.pacer.clients >= CLIENTS:
        await socket.close(TRY_LATER, "too many clients")
        return
    with socket.app.state.access.opened(socket) as welcome:
        if not welcome:
            await socket.close(TRY_LATER, "this token has as many sockets open as it may")
            return
        await _session(socket, studio)


async def _session(socket: WebSocket, studio: Studio) -> None:
    client = studio.pacer.join()
    tasks = [asyncio.create_task(_send_frames(socket, client))]
    if socket.app.state.osc_port is not None:  # a task for each of a thousand sockets is not nothing
        tasks.append(asyncio.create_task(_send_controls(socket, socket.app.state.controls)))
    try:
        # Starlette says a lost connection as OSError, a send after closing as RuntimeError.
        with contextlib.suppress(OSError, RuntimeError):
            await socket.send_text(Hello(engine=studio.engine.painter.name).model_dump_json())
            await _receive(socket, client)
    finally:
        studio.pacer.leave(client)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


# Starlette's route, not FastAPI's: that keeps three exit stacks for each socket and injects nothing that is needed here
router = APIRouter(routes=[WebSocketRoute("/ws", live)])


class Direct:
    """Around the application: a socket goes to ``live`` without the middleware for requests, whose frames would stay on the
    stack of each of a thousand idle sockets (6 KB, with the above 10).
    """

    def __init__(self, app: Starlette) -> None:
        self._app, self.state = app, app.state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket" or scope["path"] != "/ws":
            await self._app(scope, receive, send)
            return
        scope["app"] = self._app
        socket = WebSocket(scope, receive, send)
        try:
            await live(socket)
        except HTTPException as error:  # of a model that is not here: before anything was accepted
            await socket.close(POLICY, str(error.detail))


async def _receive(socket: WebSocket, client: Client) -> None:
    while True:
        event = await socket.receive()
        if event["type"] == "websocket.disconnect":
            return
        try:
            message = parse(event.get("text") or event.get("bytes") or b"")
        except UserError as error:
            await socket.send_text(Problem(problem=error.problem, remedy=error.remedy).model_dump_json())
            continue
        if isinstance(message, Show):
            client.offer(message.sequence, message.state)
        else:
            client.acknowledge(message.sequence)


async def _send_controls(socket: WebSocket, controls: Controls) -> None:
    listener = controls.join()
    try:
        with contextlib.suppress(OSError, RuntimeError):
            while True:
                values, problem = await listener.next()
                if values:
                    await socket.send_text(Moved(values=values).model_dump_json())
                if problem is not None:
                    await socket.send_text(Problem(problem=problem.problem, remedy=problem.remedy).model_dump_json())
    finally:
        controls.leave(listener)


async def _send_frames(socket: WebSocket, client: Client) -> None:
    with contextlib.suppress(OSError, RuntimeError):
        while True:
            made = await client.next()
            if isinstance(made, Failure):
                problem = Problem(sequence=made.sequence, problem=made.error.problem, remedy=made.error.remedy)
                await socket.send_text(problem.model_dump_json())
                continue
            try:
                async with asyncio.timeout(READER_SECONDS):
                    await socket.send_bytes(pack(made))
                    wait = count(socket)
                    await client.shown()
                if wait:
                    await asyncio.sleep(wait)  # slower, and never broken off
            except TimeoutError:
                await socket.close(POLICY, "no frame was shown for too long")
                return
