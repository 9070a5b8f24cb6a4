"""Binding an address and running an application on it until Ctrl-C or SIGTERM, which both end with exit code 0.

Use: ``with bind("127.0.0.1", 7860) as listening: run(app, listening)``.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable, Iterator

import uvicorn
from starlette.types import ASGIApp

from allaprima.core.errors import UserError
from allaprima.server.protocol import LARGEST_MESSAGE

GOODBYE_SECONDS = 2


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises UserError when the port is taken or not allowed."""
    if not 0 <= port < 65536:
        raise UserError(f"There is no port {port}", "give --port a number from 0 to 65535; 0 takes a free one")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError):
        raise UserError(f"There is no address '{host}' on this machine", "leave --host out, or use 0.0.0.0") from None
    listening = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":  # on Windows it would let two programs share the port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(128)
    except OSError as error:
        listening.close()
        if error.errno in (errno.EADDRINUSE, getattr(errno, "WSAEADDRINUSE", errno.EADDRINUSE)):
            raise UserError(f"Port {port} is in use", "give --port 0 to take a free one, or stop the other") from None
        if error.errno == errno.EACCES:
            raise UserError(f"Port {port} is not allowed", "give a --port of 1024 or more, or 0") from None
        raise UserError(
            f"'{host}' cannot be listened on: {error.strerror}", "leave --host out, or use 0.0.0.0"
        ) from None
    return listening


def address_of(listening: socket.socket, host: str) -> str:
    """The address to open in a browser."""
    port = listening.getsockname()[1]
    name = socket.gethostname() if host in ("0.0.0.0", "::", "") else host
    return f"http://[{name}]:{port}/" if ":" in name else f"http://{name}:{port}/"


class _Server(uvicorn.Server):
    """uvicorn raises a caught signal again after shutting down, which would end the process with a failure."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_start = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_start()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def server(
    app: ASGIApp, started: Callable[[], None] = lambda: None, drain_seconds: int = GOODBYE_SECONDS
) -> uvicorn.Server:
    """uvicorn for many small sockets: no compression, short messages, no access log (a token could be in it).

    ``drain_seconds``: how long requests that were begun may take once it is told to end.
    """
    config = uvicorn.Config(
        app,
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        ws_max_size=LARGEST_MESSAGE,
        timeout_graceful_shutdown=drain_seconds,
        log_config=None,
        access_log=False,
        server_header=False,
    )
    return _Server(config, started)


def run(
    app: ASGIApp,
    listening: socket.socket,
    started: Callable[[], None] = lambda: None,
    drain_seconds: int = GOODBYE_SECONDS,
) -> None:
    """Serve until Ctrl-C or SIGTERM. ``started`` is called once connections are accepted."""
    server(app, started, drain_seconds).run(sockets=[listening])


def open_browser(address: str) -> None:
    """Open the page if there is a display to open it on; never wait for it."""
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return
    threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
