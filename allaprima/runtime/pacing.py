"""The renderer's rhythm: take every client's newest state, paint them together, give each its own frame.

Torch runs in one worker thread; the event loop never waits for it. Without a new state nothing runs at all: a drift is
the client sending new places.

Use: ``async with Pacer(engine) as pacer: client = pacer.join(); ...``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np

from allaprima.core.errors import UserError
from allaprima.runtime.encoding import Kind, encode_live
from allaprima.runtime.session import Session, State

LOG = logging.getLogger(__name__)
TOGETHER = 16  # at most so many clients in one batch: the sixteenth waits no longer than the first

T = TypeVar("T")


class Renders(Protocol):
    """What the pacer needs of ``runtime.engine.Engine``."""

    def render(self, states: Sequence[State]) -> np.ndarray: ...


@dataclass(frozen=True)
class Frame:
    """One painted state. ``sequence`` is the client's number of it; ``render_ms`` the batch's time with encoding."""

    sequence: int
    kind: Kind
    data: bytes
    render_ms: float
    together: int  # clients painted in the same batch


@dataclass(frozen=True)
class Failure:
    """The state could not be painted; ``error`` says why in plain words."""

    sequence: int
    error: UserError


class Client:
    """One client's session, and the outbox of at most one frame. All methods run in the event loop."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self.session = Session()
        self._wake = wake
        self._outbox: Frame | Failure | None = None
        self._filled = asyncio.Event()
        self._free = asyncio.Event()

    def offer(self, sequence: int, state: State) -> None:
        """This state is wanted now; whatever still waits is forgotten."""
        self.session.offer(sequence, state)
        self._wake()

    def acknowledge(self, sequence: int) -> bool:
        """The frame ``sequence`` was shown: the next may be painted. False if no such frame was on its way."""
        known = self.session.acknowledge(sequence)
        if known:
            self._free.set()
            self._wake()
        return known

    async def shown(self) -> None:
        """Wait until the frame that was last taken from ``next`` is acknowledged."""
        await self._free.wait()

    async def next(self) -> Frame | Failure:
        """Wait for this client's next frame."""
        await self._filled.wait()
        self._filled.clear()
        assert self._outbox is not None
        made, self._outbox = self._outbox, None
        return made

    def deliver(self, made: Frame | Failure) -> None:
        if isinstance(made, Failure):
            self.session.acknowledge(made.sequence)  # there is no frame to acknowledge
        self._outbox = made
        self._free.clear()
        self._filled.set()


class Pacer:
    """Paints for all clients. An async context: the loop runs inside it."""

    def __init__(self, engine: Renders) -> None:
        self._engine = engine
        self._clients: dict[Client, None] = {}  # in order of their last frame, the longest ago first
        self._new = asyncio.Event()
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="engine")
        self._loop: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Pacer:
        self._loop = asyncio.create_task(self._run(), name="pacer")
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._loop is not None
        self._loop.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._loop
        self._worker.shutdown(wait=False, cancel_futures=True)

    @property
    def clients(self) -> int:
        """How many are connected."""
        return len(self._clients)

    def join(self) -> Client:
        """A new client; give it to ``leave`` when it goes."""
        client = Client(self._new.set)
        self._clients[client] = None
        return client

    def leave(self, client: Client) -> None:
        self._clients.pop(client, None)

    async def once(self, state: State) -> np.ndarray:
        """One state, painted outside any session: uint8 ``[H, W, C]``. Raises UserError for an unknown class."""
        frames = await self.work(lambda: self._engine.render([state]))
        return frames[0]

    async def work(self, task: Callable[[], T]) -> T:
        """Run ``task`` in the worker thread, between batches."""
        return await asyncio.get_running_loop().run_in_executor(self._worker, task)

    async def _run(self) -> None:
        while True:
            await self._new.wait()
            self._new.clear()
            while batch := [client for client in self._clients if client.session.ready][:TOGETHER]:
                taken = [client.session.take() for client in batch]
                made = await self.work(lambda taken=taken: self._paint(taken))  # type: ignore[misc]  # a default binds it
                for client, one in zip(batch, made, strict=True):
                    client.deliver(one)
                    if client in self._clients:  # to the end of the row: fair when there are more than one batch holds
                        self._clients[client] = self._clients.pop(client)

    def _paint(self, taken: Sequence[tuple[int, State]]) -> list[Frame | Failure]:
        """In the worker thread. One state that cannot be painted does not spoil the others' frames."""
        start = time.perf_counter()
        try:
            frames = self._engine.render([state for _, state in taken])
        except Exception as error:
            if len(taken) > 1:
                return [one for single in taken for one in self._paint([single])]
            if not isinstance(error, UserError):
                LOG.exception("A frame could not be painted")
                error = UserError("This picture could not be painted", "undo the last change, or look at the terminal")
            return [Failure(taken[0][0], error)]
        encoded = [encode_live(frame) for frame in frames]
        took_ms = (time.perf_counter() - start) * 1000
        return [
            Frame(sequence, kind, data, took_ms, len(taken))
            for (sequence, _), (kind, data) in zip(taken, encoded, strict=True)
        ]
