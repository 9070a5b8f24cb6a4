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
from collections import deque
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
MOST_WAITING = 64  # single pictures
Watch = Callable[[int, float], None]

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


class BusyError(Exception):
    """As many single pictures wait as may; nothing was queued."""


@dataclass
class _Single:
    """A picture outside any session, and who waits for it."""

    state: State
    made: asyncio.Future[np.ndarray]


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

    def __init__(self, engine: Renders, most_waiting: int = MOST_WAITING, watch: Watch = lambda *_: None) -> None:
        """``most_waiting``: single pictures that may wait at once. ``watch`` is told of each batch: pictures and seconds."""
        self._engine, self._most_waiting, self._watch = engine, most_waiting, watch
        self._singles: deque[_Single] = deque()
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

    @property
    def waiting(self) -> int:
        """Single pictures that nobody has begun to paint."""
        return len(self._singles)

    async def once(self, *states: State) -> list[np.ndarray]:
        """States painted outside any session, in batches with everybody else's: uint8 ``[H, W, C]`` each.

        Raises UserError for what cannot be painted, BusyError when too many wait. Whoever is cancelled is not painted for.
        """
        if len(self._singles) + len(states) > self._most_waiting:
            raise BusyError
        loop = asyncio.get_running_loop()
        singles = [_Single(state, loop.create_future()) for state in states]
        self._singles.extend(singles)
        self._new.set()
        try:
            return list(await asyncio.gather(*(single.made for single in singles)))
        finally:
            for single in singles:
                single.made.cancel()  # of a request that failed or went away; no difference to one that is done

    async def work(self, task: Callable[[], T]) -> T:
        """Run ``task`` in the worker thread, between batches."""
        return await asyncio.get_running_loop().run_in_executor(self._worker, task)

    async def _run(self) -> None:
        while True:
            await self._new.wait()
            self._new.clear()
            while True:
                batch = [client for client in self._clients if client.session.ready][:TOGETHER]
                singles = self._next_singles(TOGETHER - len(batch) // 2)  # a full row of clients leaves them a half
                batch = batch[: TOGETHER - len(singles)]
                if not batch and not singles:
                    break
                await self._serve(batch, singles)

    def _next_singles(self, most: int) -> list[_Single]:
        """The longest waiting ones that somebody still waits for."""
        found: list[_Single] = []
        while self._singles and len(found) < most:
            single = self._singles.popleft()
            if not single.made.done():
                found.append(single)
        return found

    async def _serve(self, batch: list[Client], singles: list[_Single]) -> None:
        """Paint for clients and single pictures together, and give each its own."""
        taken = [client.session.take() for client in batch]
        frames, others = await self.work(lambda: self._paint(taken, [single.state for single in singles]))
        for client, frame in zip(batch, frames, strict=True):
            client.deliver(frame)
            if client in self._clients:  # to the end of the row: fair when there are more than one batch holds
                self._clients[client] = self._clients.pop(client)
        for single, picture in zip(singles, others, strict=True):
            if single.made.done():
                continue
            if isinstance(picture, Exception):
                single.made.set_exception(picture)
            else:
                single.made.set_result(picture)

    def _paint(
        self, taken: Sequence[tuple[int, State]], singles: Sequence[State]
    ) -> tuple[list[Frame | Failure], list[np.ndarray | Exception]]:
        """In the worker thread: the clients' frames, encoded, and the single pictures."""
        start = time.perf_counter()
        painted = self._render([*(state for _, state in taken), *singles])
        live = [_told(one) if isinstance(one, Exception) else encode_live(one) for one in painted[: len(taken)]]
        seconds = time.perf_counter() - start
        self._watch(len(painted), seconds)
        frames = [
            Failure(sequence, one)
            if isinstance(one, UserError)
            else Frame(sequence, one[0], one[1], seconds * 1000, len(painted))
            for (sequence, _), one in zip(taken, live, strict=True)
        ]
        return frames, painted[len(taken) :]

    def _render(self, states: Sequence[State]) -> list[np.ndarray | Exception]:
        """One state that cannot be painted does not spoil the others' pictures."""
        try:
            return list(self._engine.render(states))
        except Exception as error:
            if len(states) > 1:
                return [one for state in states for one in self._render([state])]
            return [error]


def _told(error: Exception) -> UserError:
    """What a client is told: of a mistake of ours nothing but that it was one."""
    if isinstance(error, UserError):
        return error
    LOG.error("A frame could not be painted", exc_info=error)
    return UserError("This picture could not be painted", "undo the last change, or look at the terminal")
