"""Who asked for how much: a visit for each request, allowances by token, and the access log.

The log says when, whose token (its name), which route (its pattern, never an address with what somebody wrote in it), method,
status, pictures, milliseconds and bytes, a JSON line each, and ``event`` where a token was refused, a limit was reached, or the
server starts and stops. It never holds an address of a machine, a browser's name, a text, a
state, a seed or a token. A thread writes it, so a slow disk holds nobody up; a full one is said once, and the server goes on.

Use: ``count(request, 4)`` in a route that made four pictures.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import json
import logging
import logging.handlers
import os
import queue
import stat
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from starlette.requests import HTTPConnection
from starlette.types import Message, Scope, Send
from starlette.websockets import WebSocket

from allaprima.core.errors import UserError
from allaprima.server.tokens import Grant, Tokens

NOBODY = "-"
LOG_BYTES, LOG_FILES = 10 << 20, 5
MOST_WAITING = 10_000  # lines that may wait for the disk
BURST_SECONDS = 10  # of its rate, a token may ask at once
SECONDS_BETWEEN_SWEEPS = 1.0
CLOSING_SECONDS = 1.0  # for a client that does not read; it is tried again
LAST_LINES_SECONDS = 2.0  # that a disk has at the end
SCOPE = "allaprima.visit"
TAKEN_AWAY = 1008  # RFC 6455, section 7.4.1: policy
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "WEBSOCKET"})
REFUSED, LIMITED = "token refused", "limit reached"


@dataclass
class Visit:
    """One request or one socket. ``name`` and ``sha256`` of its token; ``pictures`` made for it; ``event`` to be told of it."""

    name: str = NOBODY
    sha256: str | None = None
    route: str | None = None  # where no router came to it
    event: str | None = None
    pictures: int = 0
    status: int = 0
    sent: int = 0
    begun: float = field(default_factory=time.perf_counter)

    def watching(self, send: Send) -> Send:
        """``send``, with status and bytes noted on the way."""

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.status = message["status"]
            elif message["type"] == "websocket.accept":
                self.status = 101
            body = message.get("body") or message.get("bytes") or (message.get("text") or "").encode()
            self.sent += len(body)
            await send(message)

        return sending


def visit_of(scope: Scope) -> Visit:
    """The visit that a request or socket belongs to."""
    visit: Visit = scope.get(SCOPE) or Visit()
    return visit


def count(connection: HTTPConnection, pictures: int = 1) -> float:
    """Note what was made for a request or a socket; seconds until its token may have more."""
    visit: Visit = visit_of(connection.scope)
    access: Access = connection.app.state.access
    visit.pictures += pictures
    return access.wait(visit, pictures)


def holds(connection: HTTPConnection) -> bool:
    """Whether the token that a request or a socket came with is still one: for what goes on for long."""
    access: Access = connection.app.state.access
    return access.holds(visit_of(connection.scope))


class Allowance:
    """Pictures of one token: what was made is owed, and paid off at its rate; who owes must wait."""

    def __init__(self) -> None:
        self._level, self._then = 0.0, time.monotonic()  # pictures owed

    def wait(self, rate: float | None, made: int = 0) -> float:
        """Seconds until the next may be asked for, after ``made`` more; ``rate`` in pictures a minute."""
        now = time.monotonic()
        if rate is None:
            self._level, self._then = 0.0, now
            return 0.0
        second = rate / 60
        self._level = max(0.0, self._level - (now - self._then) * second) + made
        self._then = now
        return max(0.0, (self._level - max(1.0, BURST_SECONDS * second) + 1) / second) if self._level else 0.0


class Access:
    """Of one application. ``tokens`` and ``log`` are optional, each by itself."""

    def __init__(self, tokens: Tokens | None = None, log: Log | None = None) -> None:
        self.tokens, self.log = tokens, log
        self._allowances: dict[str, Allowance] = {}
        self._sockets: Counter[str] = Counter()
        self._open: dict[int, WebSocket] = {}

    def grant(self, name: str) -> Grant | None:
        return None if self.tokens is None else self.tokens.grants().get(name)

    def holds(self, visit: Visit) -> bool:
        """Whether the visit's token is what it was when it came: not taken away, not over, not in the place of another."""
        if visit.name == NOBODY:
            return True
        grant = self.grant(visit.name)
        return grant is not None and grant.sha256 == visit.sha256

    def wait(self, visit: Visit, made: int = 0) -> float:
        """Seconds until the visit's token may have another picture, after ``made`` more; 0 for who has no limit."""
        grant = self.grant(visit.name)
        if grant is None:
            return 0.0
        wait = self._allowances.setdefault(visit.name, Allowance()).wait(grant.pictures_a_minute, made)
        if wait:
            visit.event = LIMITED
        return wait

    @contextlib.contextmanager
    def opened(self, socket: WebSocket) -> Iterator[bool]:
        """Whether the socket's token may have one more open; it is closed when the token is taken away."""
        visit = visit_of(socket.scope)
        grant = self.grant(visit.name)
        if grant is not None and grant.sockets is not None and self._sockets[visit.name] >= grant.sockets:
            visit.event = LIMITED
            yield False
            return
        self._sockets[visit.name] += 1
        self._open[id(socket)] = socket
        try:
            yield True
        finally:
            self._sockets[visit.name] -= 1
            self._open.pop(id(socket), None)

    async def sweep(self) -> None:
        """For ever: sockets whose token was taken away are closed."""
        while self.tokens is not None:
            await asyncio.sleep(SECONDS_BETWEEN_SWEEPS)
            over = [socket for socket in self._open.values() if not self.holds(visit_of(socket.scope))]
            await asyncio.gather(*(_closed(socket) for socket in over))

    def leave(self, visit: Visit, scope: Scope) -> None:
        """What is told of a visit when it is over."""
        if self.log is None:
            return
        route = getattr(scope.get("route"), "path", None) or visit.route
        method = scope.get("method", "WEBSOCKET")
        spent = (time.perf_counter() - visit.begun) * 1000
        self.log.say(
            **({} if visit.event is None else {"event": visit.event}),
            token=visit.name,
            route=route or ("/ws" if scope["type"] == "websocket" else NOBODY),
            method=method if method in METHODS else NOBODY,  # a client may write what it likes there
            status=visit.status,
            pictures=visit.pictures,
            ms=round(spent, 1),
            bytes=visit.sent,
        )


async def _closed(socket: WebSocket) -> None:
    with contextlib.suppress(OSError, RuntimeError, TimeoutError):  # it went by itself, or does not read
        async with asyncio.timeout(CLOSING_SECONDS):
            await socket.close(TAKEN_AWAY, "the token was taken away")


class _Rotating(logging.handlers.RotatingFileHandler):
    """For its owner alone to read; what the disk refuses is said once."""

    failed = False

    def _open(self) -> TextIOWrapper:
        handle = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        stream = os.fdopen(handle, "a", encoding="utf-8")
        if stat.S_ISREG(os.fstat(handle).st_mode):
            os.chmod(self.baseFilename, 0o600)  # one that was there before too
        return stream

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        if not self.failed:
            self.failed = True
            print(f"The access log '{self.baseFilename}' cannot be written: {sys.exc_info()[1]}", file=sys.stderr)

    def close(self) -> None:
        """What a full disk does not take is lost; the end is not the time to fail."""
        with contextlib.suppress(OSError):
            super().close()


class _Listener(logging.handlers.QueueListener):
    """Its end waits for the disk, but not for ever."""

    def stop(self) -> None:
        with contextlib.suppress(queue.Full):
            self.queue.put(None, timeout=LAST_LINES_SECONDS)  # type: ignore[attr-defined]
        if self._thread is not None:
            self._thread.join(LAST_LINES_SECONDS)


class Log:
    """The access log's file."""

    def __init__(self, path: Path) -> None:
        """Raises UserError where it cannot be written."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handler = _Rotating(path, maxBytes=LOG_BYTES, backupCount=LOG_FILES - 1, encoding="utf-8")
        except OSError as error:
            raise UserError(f"'{path}' cannot be written: {error.strerror}", "name another --access-log") from None
        self._lines: queue.Queue[Any] = queue.Queue(MOST_WAITING)
        self._listener = _Listener(self._lines, handler)
        self._listener.start()
        self._handler, self.lost = handler, 0

    def say(self, **values: Any) -> None:
        """One line. With thousands waiting for the disk it is left out, and ``lost`` counts it: "stop" says how many."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"time": now, **values}, ensure_ascii=False)
        record = logging.LogRecord("access", logging.INFO, "", 0, line, None, None)
        try:
            self._lines.put_nowait(record)
        except queue.Full:
            self.lost += 1

    def close(self) -> None:
        """Everything that was said is written."""
        self._listener.stop()
        self._handler.close()


def written_to(path: Path | None) -> Log | None:
    """The log in a file, if one is named."""
    return None if path is None else Log(path)
