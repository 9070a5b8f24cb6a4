"""How long one picture takes: state → uint8 frame, and → JPEG; batch 1, 2 threads, default generator.

Run: ``python benchmarks/frame.py``. The last line is JSON: milliseconds, p50 and p99, for 64 and 256 px.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import allaprima  # noqa: F401 - first: it sets how torch's threads wait

# isort: split
import numpy as np
import torch

from allaprima.bundle.untrained import untrained
from allaprima.runtime.encoding import encode_live
from allaprima.runtime.engine import Engine
from allaprima.runtime.session import State

SIZES = (64, 256)
THREADS = 2
WARM_UP = 20
FRAMES = 300


def times_ms(frame: Callable[[State], object]) -> np.ndarray:
    """Milliseconds of each of FRAMES calls; every state differs, as under a hand."""
    taken = []
    for i in range(WARM_UP + FRAMES):
        state = State(seed=1, x=i / (WARM_UP + FRAMES), y=-i / (WARM_UP + FRAMES))
        start = time.perf_counter()
        frame(state)
        taken.append((time.perf_counter() - start) * 1000)
    return np.array(taken[WARM_UP:])


def main() -> None:
    torch.set_num_threads(THREADS)
    figures: dict[str, object] = {"benchmark": "frame", "threads": THREADS, "frames": FRAMES}
    for size in SIZES:
        engine = Engine(untrained(size))
        bare = times_ms(lambda state, engine=engine: engine.render([state]))
        encoded = times_ms(lambda state, engine=engine: encode_live(engine.render([state])[0]))
        print(f"{size} px, {engine.painter.name}: {np.median(bare):.2f} ms, with JPEG {np.median(encoded):.2f} ms")
        figures["engine"] = engine.painter.name
        for name, taken in (("", bare), ("jpeg_", encoded)):
            figures[f"{name}p50_ms_{size}"] = round(float(np.percentile(taken, 50)), 3)
            figures[f"{name}p99_ms_{size}"] = round(float(np.percentile(taken, 99)), 3)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
