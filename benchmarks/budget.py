"""Does a run take the minutes that it was given?

Whole commands, ``allaprima train DATASET RUN --minutes M``, on the built-in pictures: GAN and VAE, 32 and 64 px, one and two
minutes. The clock runs from the start of the process to its end. The first run on each dataset trains the features that judge;
the others find them. Asked: every end within 5 % of the minutes.

    python benchmarks/budget.py [--minutes 1 2] [--methods gan vae] [--sizes 32 64] [--set training.threads=1 ...]

The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from allaprima.data.prepare import PrepareConfig, prepare

PICTURES = 2_000
ASKED = 0.05


def seconds_taken(dataset: Path, run: Path, method: str, minutes: float, changes: list[str]) -> float:
    """Of the whole command. Raises CalledProcessError when it fails."""
    settings = [part for change in changes for part in ("--set", change)]
    program = [sys.executable, "-m", "allaprima", "train", str(dataset), str(run)]
    begun = time.monotonic()
    subprocess.run(
        [*program, "--method", method, "--minutes", str(minutes), *settings],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return time.monotonic() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, nargs="+", default=[1, 2], help="the budgets")
    parser.add_argument("--methods", nargs="+", default=["gan", "vae"], help="which methods")
    parser.add_argument("--sizes", type=int, nargs="+", default=[32, 64], help="pixels")
    parser.add_argument("--set", nargs="+", default=[], help="settings other than the defaults: key=value")
    asked = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory() as place:
        for size in asked.sizes:
            dataset = Path(place) / f"studies-{size}"
            prepare("studies", dataset, PrepareConfig(size=(size, size), count=PICTURES))
            for method in asked.methods:
                for minutes in asked.minutes:
                    run = Path(place) / f"{method}-{size}-{minutes:g}"
                    actual = seconds_taken(dataset, run, method, minutes, asked.set)
                    off = actual / (60 * minutes) - 1
                    found.append(
                        {"method": method, "size": size, "planned_s": 60 * minutes, "actual_s": round(actual, 1)}
                    )
                    print(f"{method} {size} px, {minutes:g} minutes: {actual:.1f} s, {off:+.1%}", flush=True)
    worst = max(abs(one["actual_s"] / one["planned_s"] - 1) for one in found)
    print(json.dumps({"benchmark": "budget", "asked": ASKED, "worst": round(worst, 4), "runs": found}))


if __name__ == "__main__":
    main()
