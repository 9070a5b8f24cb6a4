"""How fast are pictures prepared, beside a bare decode-and-resize loop on the same cores?

The pictures are the photo set at 64 px (``ALLAPRIMA_DATA`` or ``../shared/data``), or JPEG photographs made here when
it is missing. The bare loop is one process that reads each member of the same zip, decodes it with Pillow's JPEG draft
mode and crops and resizes it with Lanczos; it keeps nothing. The figure to hold: ratio ≥ 0.8, where 1 is the bare loop
times the number of cores. Starting the workers, checks, duplicates, split and writing all count for ``prepare``, which
resizes to a quality that nobody can tell apart (43 dB, see ``data/fitting.py``) in less time.

A busy neighbour takes cores from ``prepare`` and not from the loop that needs one only. So the loop also runs once a core
at the same time: ``ratio_to_all`` compares with that, and means the same on a busy machine as on a quiet one.

Use: ``python benchmarks/prepare.py``; the last line is one JSON object.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import statistics
import sys
import tempfile
import time
import zipfile
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from allaprima.data.prepare import PrepareConfig, prepare
from allaprima.data.processes import cores

SIZE = 64
REPEATS = 5


def photographs(folder: Path) -> Path:
    """The photo set, or a zip of 1,000 JPEG pictures of 400 × 533 with smooth shapes and some grain."""
    root = Path(os.environ.get("ALLAPRIMA_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    found = root / "photos" / "clothing-1000.zip"
    if found.is_file():
        return found
    made = folder / "made.zip"
    with zipfile.ZipFile(made, "w") as archive:
        for index in range(1000):
            random = np.random.default_rng(index)
            small = Image.fromarray(random.integers(0, 256, (8, 6, 3), dtype=np.uint8)).resize(
                (400, 533), Image.BICUBIC
            )
            grain = random.normal(0, 6, (533, 400, 3))
            picture = Image.fromarray((np.asarray(small) + grain).clip(0, 255).astype(np.uint8))
            packed = io.BytesIO()
            picture.save(packed, "JPEG", quality=85)
            archive.writestr(f"{index:04d}.jpg", packed.getvalue())
    return made


def bare_loop(source: Path) -> float:
    """Pictures per second of one process that only decodes and resizes."""
    start = time.perf_counter()
    return loop(source) / (time.perf_counter() - start)


def loop(source: Path) -> int:
    """Decode and resize every picture; returns how many there were."""
    with zipfile.ZipFile(source) as archive:
        names = [name for name in archive.namelist() if name.endswith(".jpg")]
        for name in names:
            picture = Image.open(io.BytesIO(archive.read(name)))
            scale = 2 * max(SIZE / picture.width, SIZE / picture.height)
            picture.draft("RGB", (round(picture.width * scale), round(picture.height * scale)))
            np.asarray(ImageOps.fit(picture.convert("RGB"), (SIZE, SIZE), Image.Resampling.LANCZOS))
    return len(names)


def prepared(source: Path, target: Path) -> float:
    """Pictures per second of the whole ``prepare``."""
    start = time.perf_counter()
    with contextlib.redirect_stderr(io.StringIO()):
        dataset = prepare(source, target, PrepareConfig(size=(SIZE, SIZE)))
    return len(dataset) / (time.perf_counter() - start)


def on_all_cores(source: Path) -> float:
    """Pictures per second of one bare loop a core, together. No pool: its threads would keep ``prepare`` from forking."""
    context = get_context("fork" if sys.platform == "linux" else "spawn")
    loops = [context.Process(target=loop, args=(source,)) for _ in range(cores())]
    start = time.perf_counter()
    for process in loops:
        process.start()
    for process in loops:
        process.join()
    seconds = time.perf_counter() - start
    with zipfile.ZipFile(source) as archive:
        return len(loops) * sum(name.endswith(".jpg") for name in archive.namelist()) / seconds


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = photographs(Path(folder))
        prepared(source, Path(folder) / "warm")  # the file cache, and torch's import when the dataset is opened
        bare, together, whole = [], [], []
        for repeat in range(REPEATS):  # alternating, so that a busy neighbour disturbs both
            bare.append(bare_loop(source))
            together.append(on_all_cores(source))
            whole.append(prepared(source, Path(folder) / str(repeat)))
            print(f"bare {bare[-1]:,.0f}/s, on all {together[-1]:,.0f}/s, prepare {whole[-1]:,.0f}/s", flush=True)
    per_core, on_all, speed = (statistics.median(speeds) for speeds in (bare, together, whole))
    figures = {
        "benchmark": "prepare",
        "pictures_per_second": round(speed, 1),
        "bare_loop_per_core": round(per_core, 1),
        "cores": cores(),
        "ratio": round(speed / (per_core * cores()), 3),
        "bare_loop_all_cores": round(on_all, 1),
        "ratio_to_all": round(speed / on_all, 3),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
