"""How long a full evaluation takes, and how much memory: 10,000 samples at 32 px against 10,000 held-out pictures.

Run: ``python benchmarks/evaluate.py`` measures a GAN's default nets, untrained, on the built-in studies in ten classes;
``--run RUN --dataset DATASET`` any other. Features and the judge on real pictures are made beforehand: they are kept with
the dataset. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COUNT = 10_000
PICTURES = 24_000


def peak_gb() -> float:
    """The process's largest resident memory so far, in gigabytes (10⁹ bytes)."""
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 1e9 if sys.platform == "darwin" else most * 1024 / 1e9  # kilobytes, except on macOS


def measure(run: Path, dataset: Path, count: int, out: Path) -> None:
    """Evaluate once and print the seconds and the peak as JSON; called in a process of its own."""
    from allaprima.bundle.bundle import Bundle
    from allaprima.core.device import Device
    from allaprima.data.dataset import Dataset
    from allaprima.evaluation.evaluate import evaluate

    begun = time.monotonic()
    device = Device.choose()
    report = evaluate(run, Dataset.open(dataset), Bundle.load(run, device.torch), device, count, out=out)
    seconds = time.monotonic() - begun
    print(report.table())
    print(
        json.dumps(
            {
                "benchmark": "evaluate",
                "samples": json.loads((out / "report.json").read_text())["samples"],
                "seconds": round(seconds, 1),
                "peak_gb": round(peak_gb(), 2),
            }
        )
    )


def made(folder: Path) -> tuple[Path, Path]:
    """A dataset of studies and a bundle of untrained nets for it."""
    from allaprima.bundle.untrained import save, untrained
    from allaprima.data.prepare import PrepareConfig, prepare

    dataset = prepare(
        "studies", folder / "dataset", PrepareConfig(size=(32, 32), count=PICTURES, test=COUNT / PICTURES)
    )
    save(untrained(32, classes=dataset.classes), folder / "bundle")
    return folder / "bundle", folder / "dataset"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--dataset", type=Path)
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)  # the report's folder: the timed process
    asked = parser.parse_args()
    if asked.measure:
        measure(asked.run, asked.dataset, asked.count, asked.measure)
        return
    with tempfile.TemporaryDirectory() as folder:
        run, dataset = (asked.run, asked.dataset) if asked.run else made(Path(folder))
        again = [sys.executable, __file__, "--run", str(run), "--dataset", str(dataset), "--count", str(asked.count)]
        for turn in ("first", "second"):  # the first trains the features, and is not what is asked about
            print(f"{turn} time", flush=True)
            subprocess.run([*again, "--measure", str(Path(folder) / turn)], check=True)


if __name__ == "__main__":
    main()
