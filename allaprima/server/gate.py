"""The door before the routes: when more pictures are asked for than can wait, the next is refused before anything is read of it.

To parse, check and queue a request costs a millisecond of the one event loop; of a crowd twice as large as fits, that would be a
tenth of a second in which nobody, health checks included, gets an answer. A refusal here costs next to nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from allaprima.server.failures import failure

PAINTS = frozenset({"/api/frame", "/v1/images/generations"})
PROBLEM, REMEDY = "Too many pictures are being made at once", "try again in a second"


class Gate:
    """``most``: requests for pictures inside at once. ``refused`` is called for each that is turned away."""

    def __init__(self, app: ASGIApp, most: int, refused: Callable[[], None]) -> None:
        self._app, self._most, self._refused = app, most, refused
        self._inside = 0
        self.state = getattr(app, "state", None)  # the application's, for whoever looks in from outside

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in PAINTS:
            await self._app(scope, receive, send)
            return
        if self._inside >= self._most:
            self._refused()
            await _refuse(scope["path"], send)
            return
        self._inside += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._inside -= 1


async def _refuse(path: str, send: Send) -> None:
    body = json.dumps(failure(path, 429, PROBLEM, REMEDY)).encode()
    headers = [(b"content-type", b"application/json"), (b"retry-after", b"1"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 429, "headers": headers})
    await send({"type": "http.response.body", "body": body})
