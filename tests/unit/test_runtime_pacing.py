"""The pacer: everyone gets their own newest frame, and nothing runs when nothing moves."""

from __future__ import annotations

import asyncio
import io
import threading
import time
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from allaprima.core.errors import UserError
from allaprima.runtime.pacing import Client, Failure, Frame, Pacer
from allaprima.runtime.session import State


class Painted:
    """Paints each state's seed as a grey level; notes what it was asked for."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.batches: list[list[int]] = []
        self.threads: set[int] = set()
        self.seconds = seconds

    def render(self, states: Sequence[State]) -> np.ndarray:
        self.batches.append([state.seed for state in states])
        self.threads.add(threading.get_ident())
        time.sleep(self.seconds)
        if any(state.label == "unknown" for state in states):
            raise UserError("Unknown class 'unknown'", "choose one of: cat")
        if any(state.label == "broken" for state in states):
            raise ZeroDivisionError("secret detail")
        return np.stack([np.full((8, 8, 1), state.seed % 256, np.uint8) for state in states])


def level(frame: Frame | Failure) -> int:
    assert isinstance(frame, Frame)
    return int(np.asarray(Image.open(io.BytesIO(frame.data)))[0, 0])


async def _frame(client: Client) -> Frame | Failure:
    async with asyncio.timeout(10):
        return await client.next()


def test_many_clients_never_see_each_others_frames() -> None:
    async def play() -> None:
        async with Pacer(Painted()) as pacer:
            clients = [pacer.join() for _ in range(50)]

            async def one(number: int, client: Client) -> None:
                for turn in range(8):
                    client.offer(turn, State(seed=number * 5))
                    frame = await _frame(client)
                    assert level(frame) == pytest.approx(number * 5 % 256, abs=2)
                    assert frame.sequence == turn
                    client.acknowledge(turn)

            await asyncio.gather(*(one(i, client) for i, client in enumerate(clients)))

    asyncio.run(play())


def test_clients_are_painted_together_and_none_is_left_behind() -> None:
    async def play() -> None:
        engine = Painted(seconds=0.005)
        async with Pacer(engine) as pacer:
            clients = [pacer.join() for _ in range(40)]
            counts = dict.fromkeys(clients, 0)

            async def one(client: Client) -> None:
                while True:
                    client.offer(counts[client], State())
                    client.acknowledge((await _frame(client)).sequence)
                    counts[client] += 1

            tasks = [asyncio.create_task(one(client)) for client in clients]
            await asyncio.sleep(0.4)
            for task in tasks:
                task.cancel()
        assert max(map(len, engine.batches)) == 16
        assert min(counts.values()) >= 1
        assert max(counts.values()) - min(counts.values()) <= 1 + max(counts.values()) // 3

    asyncio.run(play())


def test_the_newest_position_wins_while_a_frame_is_on_its_way() -> None:
    async def play() -> None:
        engine = Painted()
        async with Pacer(engine) as pacer:
            client = pacer.join()
            client.offer(1, State(seed=1))
            await _frame(client)
            for seed in range(2, 30):
                client.offer(seed, State(seed=seed))
            await asyncio.sleep(0.05)
            assert engine.batches == [[1]]  # not acknowledged: nothing more is painted
            client.acknowledge(1)
            assert (await _frame(client)).sequence == 29
        assert engine.batches == [[1], [29]]

    asyncio.run(play())


def test_nothing_is_painted_while_nothing_moves() -> None:
    async def play() -> None:
        engine = Painted()
        async with Pacer(engine) as pacer:
            client = pacer.join()
            client.offer(1, State())
            client.acknowledge((await _frame(client)).sequence)
            await asyncio.sleep(0.1)
        assert len(engine.batches) == 1

    asyncio.run(play())


def test_the_event_loop_goes_on_while_torch_works() -> None:
    async def play() -> None:
        engine = Painted(seconds=0.3)
        async with Pacer(engine) as pacer:
            client = pacer.join()
            client.offer(1, State())
            start, ticks = time.monotonic(), 0
            waiting = asyncio.create_task(_frame(client))
            while not waiting.done():
                await asyncio.sleep(0.01)
                ticks += 1
            assert time.monotonic() - start >= 0.3
            assert ticks >= 5
        assert engine.threads.isdisjoint({threading.get_ident()})
        assert len(engine.threads) == 1

    asyncio.run(play())


def test_one_clients_bad_state_spoils_nobody_elses_frame(caplog: pytest.LogCaptureFixture) -> None:
    async def play() -> None:
        async with Pacer(Painted()) as pacer:
            good, unknown, broken = pacer.join(), pacer.join(), pacer.join()
            good.offer(1, State(seed=9))
            unknown.offer(1, State(label="unknown"))
            broken.offer(1, State(label="broken"))
            assert level(await _frame(good)) == 9
            failure = await _frame(unknown)
            assert isinstance(failure, Failure)
            assert "Unknown class" in failure.error.problem
            failure = await _frame(broken)
            assert isinstance(failure, Failure)
            assert "secret" not in str(failure.error)
            unknown.offer(2, State(seed=3))  # no acknowledgement is needed for a frame that never was
            assert level(await _frame(unknown)) == 3

    asyncio.run(play())


def test_a_client_that_left_is_not_painted_for() -> None:
    async def play() -> None:
        engine = Painted()
        async with Pacer(engine) as pacer:
            gone = pacer.join()
            pacer.leave(gone)
            gone.offer(1, State())
            await asyncio.sleep(0.05)
            assert pacer.clients == 0
        assert engine.batches == []

    asyncio.run(play())
