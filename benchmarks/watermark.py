"""From which size on do pixels hold the watermark, and what does it outlive? On the built-in studies.

For each size: how far the marked picture is from the plain one (PSNR), milliseconds, the highest score of any unmarked one, and
the share found again in PNG, in JPEG of three qualities, and in a part of half the width and height, as PNG and as JPEG.

    python benchmarks/watermark.py [--sizes 32 64 128 256 512] [--count 60]

The last line is JSON.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # started as a script, it finds its own folder alone

from allaprima.data.studies.studies import MAX_SIDE, study  # noqa: E402
from allaprima.marks.watermark import CERTAIN, embedded, score  # noqa: E402


def jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def what_becomes(made: np.ndarray) -> dict[str, np.ndarray]:
    """The marked picture after what files go through."""
    side = len(made)
    part = made[side // 5 : side // 5 + side // 2, side // 7 : side // 7 + side // 2]
    kept = {"png": made, **{f"jpeg_{quality}": jpeg(made, quality) for quality in (90, 75, 50)}}
    return kept | {"part": part, "part_jpeg_75": jpeg(part, 75)}


def at_size(size: int, pictures: list[Image.Image]) -> dict[str, float]:
    noise, times, unmarked = [], [], []
    found: dict[str, list[bool]] = {}
    for picture in pictures:
        plain = np.asarray(picture.resize((size, size), Image.Resampling.LANCZOS))
        begun = time.perf_counter()
        made = embedded(plain)
        times.append((time.perf_counter() - begun) * 1000)
        noise.append(10 * np.log10(255**2 / np.square(made.astype(float) - plain).mean()))
        unmarked.append(score(plain))
        for name, pixels in what_becomes(made).items():
            found.setdefault(name, []).append(score(pixels) >= CERTAIN)
    shares = {name: round(statistics.mean(values), 3) for name, values in found.items()}
    figures = {"psnr_db": statistics.median(noise), "ms": statistics.median(times), "highest_unmarked": max(unmarked)}
    return {"size": size, **{name: round(float(value), 2) for name, value in figures.items()}, **shares}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[32, 64, 128, 256, 512])
    parser.add_argument("--count", type=int, default=60)
    asked = parser.parse_args()
    pictures = [Image.fromarray(study(1, number, (MAX_SIDE, MAX_SIDE))[0]) for number in range(asked.count)]
    sizes = [at_size(size, pictures) for size in asked.sizes]
    for figures in sizes:
        print("  ".join(f"{name} {value:g}" for name, value in figures.items()))
    print(json.dumps({"benchmark": "watermark", "certain": CERTAIN, "sizes": sizes}))


if __name__ == "__main__":
    main()
