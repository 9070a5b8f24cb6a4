"""``/ws``: states in, frames out, for one client. See ``server/protocol.py``."""

from __future__ import annotations

import asyncio
import contextlib

from fastapi import APIRouter, WebSocket

from allaprima.core.errors import UserError
from allaprima.runtime.pacing import Client, Failure
from allaprima.server.context import studio_of
from allaprima.server.controls import Listener
from allaprima.server.protocol import Hello, Moved, Problem, Show, pack, parse

router = APIRouter()
CLIENTS = 1024
READER_SECONDS = 10.0  # a frame that is not shown by then was sent to nobody
POLICY, TRY_LATER = 1008, 1013  # RFC 6455, section 7.4.1


@router.websocket("/ws")
async def live(socket: WebSocket) -> None:
    """One client's session, from hello to goodbye."""
    studio = studio_of(socket)
    await socket.accept()
    if studio.pacer.clients >= CLIENTS:
        await socket.close(TRY_LATER, "too many clients")
        return
    client = studio.pacer.join()
    controls = socket.app.state.controls
    listener = controls.join()
    tasks = [asyncio.create_task(_send_frames(socket, client)), asyncio.create_task(_send_controls(socket, listener))]
    try:
        # Starlette says a lost connection as OSError, a send after closing as RuntimeError.
        with contextlib.suppress(OSError, RuntimeError):
            await socket.send_text(Hello(engine=studio.engine.painter.name).model_dump_json())
            await _receive(socket, client)
    finally:
        studio.pacer.leave(client)
        controls.leave(listener)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


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


async def _send_controls(socket: WebSocket, listener: Listener) -> None:
    with contextlib.suppress(OSError, RuntimeError):
        while True:
            values, problem = await listener.next()
            if values:
                await socket.send_text(Moved(values=values).model_dump_json())
            if problem is not None:
                await socket.send_text(Problem(problem=problem.problem, remedy=problem.remedy).model_dump_json())


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
                    await client.shown()
            except TimeoutError:
                await socket.close(POLICY, "no frame was shown for too long")
                return
