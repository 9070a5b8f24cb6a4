"""Do all seeds succeed? The same short run with seeds 0, 1, …: its figure, the spread, faults and returns to good moments.

A run succeeds when it ends with a generator whose figure on the validation split is finite and within ``--within`` times
that of the median seed. With ``--set training.lr=1e-2``, ten times too high, the returns are what is looked at.

    python benchmarks/stability.py [datasets/sprites] --images 20k [--seeds 5] [--recipe gan] [--set key=value ...]

A finished run is not trained again. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import allaprima  # noqa: F401 - sets how threads wait, before they start
from allaprima.core.errors import UserError
from allaprima.data.prepare import PrepareConfig, prepare
from allaprima.recipes import config_of
from allaprima.training import command, stats

BUILT_IN = Path("datasets/studies-32")
WATCHED = "validation/kernel_distance"


def train(asked: argparse.Namespace, images: int, seed: int, folder: Path) -> dict[str, Any]:
    """One run, new, gone on with, or standing: its best and last figure, and how often it went back."""
    changes = [f"budget={{images: {images}}}", f"seed={seed}", "training.validation_samples=512", *asked.set]
    quiet: Callable[[str], None] = lambda words: None  # noqa: E731
    try:
        outcome = command.train(str(asked.dataset), folder, "32", changes, quiet, config_of(asked.recipe))
    except UserError as error:
        return {"seed": seed, "best": math.inf, "last": math.inf, "returns": [], "problem": error.problem}
    if outcome.ending in ("stopped", "before"):
        raise SystemExit("stopped and saved; the same command goes on")
    lines = stats.read(folder)
    figures = [line[WATCHED] for line in lines if WATCHED in line]
    returns = [
        [line["num_images_seen"], line["health/returned_to_images"]]
        for line in lines
        if "health/returned_to_images" in line
    ]
    return {"seed": seed, "best": round(min(figures), 4), "last": round(figures[-1], 4), "returns": returns}


def summarise(found: list[dict[str, Any]], within: float) -> dict[str, Any]:
    """Who succeeded, and the spread of the best figures."""
    best = [run["best"] for run in found]
    middle = statistics.median(best)
    good = [run["seed"] for run in found if math.isfinite(run["best"]) and run["best"] <= within * middle]
    return {
        "succeeded": len(good),
        "of": len(found),
        "median": round(middle, 4),
        "spread": round(statistics.stdev(best) / middle, 3) if len(best) > 1 and math.isfinite(sum(best)) else None,
        "returns": sum(len(run["returns"]) for run in found),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path, nargs="?", help="a prepared one; default: built-in pictures at 32 px")
    parser.add_argument("--images", default="20k", help="shown to each run")
    parser.add_argument("--seeds", type=int, default=5, help="0, 1, … of them")
    parser.add_argument("--recipe", default="gan")
    parser.add_argument("--within", type=float, default=2.0, help="of the median seed's figure")
    parser.add_argument("--out", type=Path, help="default: runs/stability/DATASET-RECIPE-IMAGES")
    parser.add_argument("--set", nargs="+", default=[], help="settings of the runs: key=value")
    asked = parser.parse_args()
    if asked.dataset is None:
        asked.dataset = BUILT_IN
        prepare("studies", BUILT_IN, PrepareConfig(size=(32, 32), count=6_000))
    images, name = command.parse_count(asked.images), asked.dataset.resolve().name
    out = asked.out or Path("runs/stability") / f"{name}-{asked.recipe}-{images}"
    found = []
    for seed in range(asked.seeds):
        found.append(train(asked, images, seed, out / f"seed-{seed}"))
        print(found[-1], flush=True)
    told = {"dataset": name, "recipe": asked.recipe, "images": images, "set": asked.set}
    print(json.dumps({"benchmark": "stability", **told, **summarise(found, asked.within), "runs": found}))


if __name__ == "__main__":
    main()
