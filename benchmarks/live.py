"""How near live painting comes to this machine's limit: engines, then frames through the WebSocket to a real client.

Run: ``python benchmarks/live.py`` (``--sizes 256``; ``--seconds 5`` of frames a size). The last line is JSON. All of a size is
measured in turns in one run: the convolution peak (one 3×3 convolution, 128 channels at 64 px, channels-last, in the machine's
quickest precision), plain eager float32 channels-last, and each engine. Random weights paint as quickly as learned ones.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import allaprima  # noqa: F401 - first: it sets how torch's threads wait

# isort: split
import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from websockets.asyncio.client import connect

from allaprima.bundle.bundle import Bundle
from allaprima.bundle.untrained import save, untrained
from allaprima.core.device import has_fast_bf16
from allaprima.runtime.doctor import Finding, examine
from allaprima.runtime.engine import Engine
from allaprima.runtime.session import State
from allaprima.server import listen
from allaprima.server.app import serving
from allaprima.server.guard import Rules
from allaprima.server.protocol import unpack

SKIPPED = ("compiled", "cuda")  # half a minute of compiling; not a CPU's
PEAK_CHANNELS, PEAK_SIDE, PEAK_TIMES = 128, 64, 60


def peak_gflops() -> float:
    """Of one 3×3 convolution, the median."""
    dtype = torch.bfloat16 if has_fast_bf16(torch.device("cpu")) else torch.float32
    net = nn.Conv2d(PEAK_CHANNELS, PEAK_CHANNELS, 3, padding=1).to(dtype=dtype, memory_format=torch.channels_last)
    x = torch.randn(1, PEAK_CHANNELS, PEAK_SIDE, PEAK_SIDE, dtype=dtype).to(memory_format=torch.channels_last)
    taken = []
    with torch.inference_mode():
        for _ in range(PEAK_TIMES):
            start = time.perf_counter()
            net(x)
            taken.append(time.perf_counter() - start)
    return 2 * 9 * PEAK_CHANNELS**2 * PEAK_SIDE**2 / float(np.median(taken)) / 1e9


def gflop(bundle: Bundle) -> float:
    """Of one frame; the transposed convolutions are counted by what they multiply."""
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        bundle.generator(bundle.noise(1), torch.zeros(1, bundle.description.condition_dim))
    return counter.get_total_flops() / 1e9


def eager_ms(bundle: Bundle) -> float:
    """Plain float32, channels-last, as a first program would have it."""
    net = bundle.generator.to(memory_format=torch.channels_last)
    z, y, taken = bundle.noise(8), torch.zeros(1, bundle.description.condition_dim), []
    with torch.inference_mode():
        for i in range(40):
            start = time.perf_counter()
            bundle.domain.to_array(net(z[i % 8 : i % 8 + 1], y))
            taken.append((time.perf_counter() - start) * 1000)
    return float(np.median(taken[5:]))


async def over_the_wire(address: str, seconds: float) -> dict[str, float]:
    """A client that moves for ``seconds``, a new state as soon as a frame is there: frames a second and milliseconds."""
    async with connect(address.replace("http", "ws") + "ws", max_size=None) as socket:
        await socket.recv()
        waits: list[float] = []
        began = time.perf_counter()
        while (now := time.perf_counter()) - began < seconds + 1:
            place = (now - began) % 1.0
            sequence = len(waits)
            state = State(seed=1, x=place, y=-place)
            await socket.send(json.dumps({"type": "state", "sequence": sequence, "state": state.model_dump()}))
            assert unpack(await socket.recv()).sequence == sequence
            await socket.send(json.dumps({"type": "shown", "sequence": sequence}))
            waits.append((time.perf_counter() - now) * 1000)
        steady = np.array(waits[len(waits) // (int(seconds) + 1) :])  # without the first second
        return {
            "fps": round(1000 / float(steady.mean()), 1),
            "p50_ms": round(float(np.percentile(steady, 50)), 2),
            "p95_ms": round(float(np.percentile(steady, 95)), 2),
            "p99_ms": round(float(np.percentile(steady, 99)), 2),
        }


def served(engine: Engine, seconds: float) -> dict[str, float]:
    """Through a server of our own in this process: server and client share the cores, as on a laptop."""
    with listen.bind("127.0.0.1", 0) as listening:
        started = threading.Event()
        server = listen.server(serving({"live": engine}, Rules.for_binding("127.0.0.1")), started.set)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        assert started.wait(30)
        try:
            return asyncio.run(over_the_wire(listen.address_of(listening, "127.0.0.1"), seconds))
        finally:
            server.should_exit = True
            thread.join(20)


def measure(size: int, seconds: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        save(untrained(size, generator="live"), Path(folder) / "live")
        bundle = Bundle.load(Path(folder) / "live")
        work, before, eager = gflop(bundle), peak_gflops(), eager_ms(bundle)
        findings = [one for one in examine(bundle, skip=SKIPPED) if one.right]
        peak = (before + peak_gflops()) / 2
        best: Finding = min(findings, key=lambda one: one.p50_ms)
        figures: dict[str, Any] = {
            "gflop": round(work, 3),
            "peak_gflops": round(peak, 1),
            "eager_fp32_ms": round(eager, 2),
            "best": best.painter,
            "best_ms": round(best.p50_ms, 2),
            "best_p99_ms": round(best.p99_ms, 2),
            "share_of_peak": round(work / best.p50_ms * 1000 / peak, 3),
            "times_eager": round(eager / best.p50_ms, 2),
            "engines_ms": {one.painter: round(one.p50_ms, 2) for one in findings},
        }
        figures["socket"] = served(Engine(bundle, best.engine), seconds)
    print(f"{size} px: {figures}", flush=True)
    return figures


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024])
    options.add_argument("--seconds", type=float, default=5.0)
    given = options.parse_args()
    figures = {str(size): measure(size, given.seconds) for size in given.sizes}
    print(json.dumps({"benchmark": "live", "threads": torch.get_num_threads(), "sizes": figures}))


if __name__ == "__main__":
    main()
