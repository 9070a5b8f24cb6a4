"""How many studies a second? At 64 px, factors and pixels together, on one core and with two processes.

Run: ``python benchmarks/studies.py`` (about ten seconds).
"""

from __future__ import annotations

import json
import multiprocessing
import time

from allaprima.data.studies.studies import STYLES, factors, render, study

PICTURES, SIZE = 576, (64, 64)  # two decks: every subject, style and colour twice


def _draw(index: int) -> int:
    return int(study(0, index, SIZE)[0][0, 0, 0])


def main() -> None:
    """Prints the rates, each the best of three rounds, and one JSON object last."""
    list(map(_draw, range(100)))  # the noise tiles and the modules are made once
    for style in STYLES:
        chosen = [f for f in (factors(0, i) for i in range(PICTURES)) if f.style == style]
        start = time.process_time()
        for f in chosen:
            render(f, SIZE)
        print(f"{style:10s} {1000 * (time.process_time() - start) / len(chosen):.2f} ms of processor time a picture")
    wall_s, cpu_s = [], []
    for _ in range(3):
        wall, cpu = time.perf_counter(), time.process_time()
        list(map(_draw, range(PICTURES)))
        wall_s.append(time.perf_counter() - wall)
        cpu_s.append(time.process_time() - cpu)
    two_s = []
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.map(_draw, range(200), chunksize=50)
        for _ in range(3):
            wall = time.perf_counter()
            pool.map(_draw, range(PICTURES), chunksize=24)
            two_s.append(time.perf_counter() - wall)
    figures = {
        "pictures_per_second_one_core": round(PICTURES / min(wall_s), 1),
        "pictures_per_second_two_cores": round(PICTURES / min(two_s), 1),
        # on a busy machine the wall clock measures the neighbours too
        "processor_ms_per_picture": round(1000 * min(cpu_s) / PICTURES, 2),
    }
    for name, value in figures.items():
        print(f"{name.replace('_', ' ')}: {value}")
    print(json.dumps({"benchmark": "studies"} | figures))


if __name__ == "__main__":
    main()
