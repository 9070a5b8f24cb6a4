"""The door before the routes: when more pictures are asked for than can wait, the next is refused before anything is read of it.

To parse, check and queue a request costs a millisecond of the one event loop; of a crowd twice as large as fits, that would be a
tenth of a second in which nobody, health checks included, gets an answer. A refusal here costs next to nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from allaprima.server.access import Access, visit_of
from allaprima.server.failures import failure

PAINTS = frozenset({"/api/frame", "/v1/images/generations"})
OWED = PAINTS | {"/api/film", "/api/stream.mjpeg", "/api/photo"}  # counted against a token's pictures
PROBLEM, REMEDY = "Too many pictures are being made at once", "try again in a second"
TOO_MUCH = "This token has had its pictures for now"


class Gate:
    """``most``: requests for pictures inside at once. ``refused`` is called for each that is turned away. ``access`` knows how
    many pictures a token may have.
    """

    def __init__(self, app: ASGIApp, most: int, refused: Callable[[], None], access: Access | None = None) -> None:
        self._app, self._most, self._refused, self._access = app, most, refused, access or Access()
        self._inside = 0
        self.state = getattr(app, "state", None)  # the application's, for whoever looks in from outside

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] in OWED and (wait := self._access.wait(visit_of(scope))):
            visit_of(scope).route = scope["path"]  # one of OWED
            seconds = math.ceil(wait)
            await _refuse(scope["path"], send, TOO_MUCH, f"try again in {seconds} s", seconds)
            return
        if scope["type"] != "http" or scope["path"] not in PAINTS:
            await self._app(scope, receive, send)
            return
        if self._inside >= self._most:
            self._refused()
            await _refuse(scope["path"], send, PROBLEM, REMEDY, 1)
            return
        self._inside += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._inside -= 1


async def _refuse(path: str, send: Send, problem: str, remedy: str, seconds: int) -> None:
    body = json.dumps(failure(path, 429, problem, remedy)).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"retry-after", b"%d" % seconds),
        (b"content-length", b"%d" % len(body)),
    ]
    await send({"type": "http.response.start", "status": 429, "headers": headers})
    await send({"type": "http.response.body", "body": body})
