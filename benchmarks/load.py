"""Many clients at once: does everyone get frames, how fairly, and how much quicker are pictures painted together?

Run: ``python benchmarks/load.py`` (``--clients 50 --size 64 --engine openvino``). The last line is JSON: frames a second of
each client (most over fewest), of all together beside one at a time on the same engine, and the answers to twice the capacity.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import allaprima  # noqa: F401 - first: it sets how torch's threads wait

# isort: split
import numpy as np
from websockets.asyncio.client import connect

from allaprima.bundle.untrained import save, untrained
from allaprima.runtime.engine import Engine
from allaprima.runtime.pacing import TOGETHER
from allaprima.runtime.session import State
from allaprima.server.protocol import unpack

WAITING = 64  # single pictures that may wait: the server's own default


async def play(address: str, number: int, until: float) -> int:
    """One client: a new state as soon as its frame is there. Returns its frames."""
    frames = 0
    async with connect(address.replace("http", "ws") + "ws", max_size=None) as socket:
        await socket.recv()
        while time.perf_counter() < until:
            state = State(seed=number, x=(frames % 200) / 200)
            await socket.send(json.dumps({"type": "state", "sequence": frames, "state": state.model_dump(mode="json")}))
            assert unpack(await socket.recv()).sequence == frames
            await socket.send(json.dumps({"type": "shown", "sequence": frames}))
            frames += 1
    return frames


async def all_play(address: str, clients: int, seconds: float) -> list[int]:
    until = time.perf_counter() + seconds
    return list(await asyncio.gather(*(play(address, number, until) for number in range(clients))))


async def flood(address: str, requests: int) -> dict[str, float]:
    """That many single pictures at the same moment: how many were refused, how soon, and how soon health still answers.

    From bare sockets that are open beforehand: a client library takes longer for a request than the server does.
    """
    host, port = address.removeprefix("http://").strip("/").split(":")
    sockets = [await asyncio.open_connection(host, int(port)) for _ in range(requests)]
    health = asyncio.create_task(asyncio.to_thread(health_ms, host, int(port)))
    await asyncio.sleep(0.1)
    refused: list[float] = []

    async def ask(seed: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
        body = json.dumps({"seed": seed}).encode()
        head = f"POST /api/frame HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
        began = time.perf_counter()
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        code = int((await reader.readline()).split()[1])
        if code == 429:
            refused.append((time.perf_counter() - began) * 1000)
        return code

    codes = await asyncio.gather(*(ask(seed, *one) for seed, one in enumerate(sockets)))
    for _, writer in sockets:
        writer.close()
    assert set(codes) <= {200, 429}, codes
    return {
        "requests": requests,
        "refused": len(refused),
        "refused_p95_ms": round(float(np.percentile(refused, 95)), 1) if refused else 0.0,
        "health_worst_ms": round(await health, 1),
    }


def health_ms(host: str, port: int, seconds: float = 0.6) -> float:
    """The longest that ``/healthz`` took meanwhile, asked again and again by a thread of its own."""
    connection = http.client.HTTPConnection(host, port, timeout=30)
    until, worst = time.perf_counter() + seconds, 0.0
    while time.perf_counter() < until:
        began = time.perf_counter()
        connection.request("GET", "/healthz")
        assert connection.getresponse().read() is not None
        worst = max(worst, (time.perf_counter() - began) * 1000)
        time.sleep(0.005)
    connection.close()
    return worst


@contextlib.contextmanager
def served(size: int, engine: str) -> Iterator[str]:
    """The address of ``allaprima serve`` in a process of its own, as it is in life."""
    with tempfile.TemporaryDirectory() as folder:
        save(untrained(size), Path(folder) / "live")
        command = [sys.executable, "-m", "allaprima", "serve", f"{folder}/live", "--engine", engine, "--port", "0"]
        process = subprocess.Popen([*command, "--queue", str(WAITING)], stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if found := re.search(r"http://\S+?/", line):
                    yield found.group()
                    break
        finally:
            process.terminate()
            process.wait(30)


def one_at_a_time(engine: Engine, seconds: float) -> float:
    """Frames a second of the engine alone, each state by itself."""
    began = time.perf_counter()
    frames = 0
    while time.perf_counter() - began < seconds:
        engine.render([State(seed=frames % 50)])
        frames += 1
    return frames / (time.perf_counter() - began)


def together(engine: Engine, seconds: float) -> float:
    """Frames a second, sixteen states at once."""
    states = [State(seed=seed) for seed in range(16)]
    engine.render(states)  # finds the batch sizes that are exact
    began = time.perf_counter()
    frames = 0
    while time.perf_counter() - began < seconds:
        frames += len(engine.render(states))
    return frames / (time.perf_counter() - began)


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--clients", type=int, default=50)
    options.add_argument("--size", type=int, default=64)
    options.add_argument("--seconds", type=float, default=6.0)
    options.add_argument("--engine", default="torch")
    given = options.parse_args()
    engine = Engine(untrained(given.size), given.engine)
    single, batched = one_at_a_time(engine, 3.0), together(engine, 3.0)
    with served(given.size, given.engine) as address:
        frames = np.array(asyncio.run(all_play(address, given.clients, given.seconds)))
        flooded = asyncio.run(flood(address, 2 * (WAITING + TOGETHER)))
    figures = {
        "benchmark": "load",
        "clients": given.clients,
        "size": given.size,
        "engine": engine.painter.name,
        "batch_sizes": engine.batch_sizes,
        "engine_alone_fps": round(single, 1),
        "engine_of_sixteen_fps": round(batched, 1),
        "batched_over_single": round(batched / single, 2),
        "all_clients_fps": round(float(frames.sum()) / given.seconds, 1),
        "fewest_frames": int(frames.min()),
        "fairness_max_over_min": round(float(frames.max() / max(1, frames.min())), 2),
        "flood": flooded,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
