"""What does encryption at rest cost? Training steps and reading of an encrypted dataset against the same one plain.

    python benchmarks/vault.py [--sizes 64 256] [--steps 24] [--rounds 3]

Steps of the default GAN, with the loader's batches, plain and encrypted in turn, three times; images per second, medians, and
the lowest and highest ratio of a round. On a machine that does other things take more rounds. A checkpoint of 64 MB, saved and
verified. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # started as a script, it finds its own folder alone

import torch  # noqa: E402

import allaprima  # noqa: E402, F401 - sets how threads wait, before they start
from allaprima import vault  # noqa: E402
from allaprima.core.config import load  # noqa: E402
from allaprima.core.device import Device  # noqa: E402
from allaprima.data.dataset import Dataset  # noqa: E402
from allaprima.data.prepare import PrepareConfig, prepare  # noqa: E402
from allaprima.training import checkpoint, planner  # noqa: E402
from allaprima.training import run as runs  # noqa: E402
from allaprima.training.config import RunConfig  # noqa: E402
from allaprima.training.learner import Learner  # noqa: E402
from allaprima.vault import keys, lock  # noqa: E402

ROUNDS = 3
MB = 1 << 20


class Training:
    """Steps of the default GAN on a dataset."""

    def __init__(self, dataset: Dataset) -> None:
        config = runs.resolve(load(RunConfig, {}, ["condition=none"]), dataset)
        config = planner.for_images(config, len(dataset.indices("train")), 100_000).config
        run = runs.Run(Path(), config, dataset)
        device = Device.choose(config.training.precision, torch.get_num_threads())
        self.learner, self.batch_size = Learner.of(run, device), config.training.batch_size
        self.loader = run.loader("train", self.batch_size, device.torch)
        self.at = 0

    def speed(self, steps: int) -> float:
        """Images per second."""
        begun = time.perf_counter()
        for _ in range(steps):
            self.learner.step(self.loader.batch(self.at), 100_000)
            self.at += 1
        return steps * self.batch_size / (time.perf_counter() - begun)


def reading(dataset: Dataset) -> float:
    """Pictures per second, one epoch in batches of 64, in the order of a loader, without anything else."""
    places = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(0)).numpy()
    begun = time.perf_counter()
    for start in range(0, len(places), 64):
        dataset.images[places[start : start + 64]]
    return len(places) / (time.perf_counter() - begun)


def in_turn(measures: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """What each gave, taken in turn, the first one second in every other round."""
    found: dict[str, list[float]] = {name: [] for name in measures}
    for number in range(rounds):
        for name in list(measures)[:: -1 if number % 2 else 1]:
            found[name].append(measures[name]())
    return found


def at_size(folder: Path, size: int, steps: int, rounds: int) -> dict[str, Any]:
    config = PrepareConfig(size=(size, size), count=128_000 // size)
    seconds, sets = {}, {}
    for name, how in (("plain", ""), ("encrypted", "passphrase")):
        begun = time.perf_counter()
        sets[name] = prepare("studies", folder / f"{name}-{size}", config, encrypt=how)
        seconds[name] = time.perf_counter() - begun
    trainings = {name: Training(dataset) for name, dataset in sets.items()}
    for training in trainings.values():
        training.speed(4)
    each = in_turn({name: lambda one=one: one.speed(steps) for name, one in trainings.items()}, rounds)  # type: ignore[misc]
    speeds = {name: statistics.median(values) for name, values in each.items()}
    ratios = [sealed / plain for plain, sealed in zip(each["plain"], each["encrypted"], strict=True)]
    looked = in_turn({name: lambda one=one: reading(one) for name, one in sets.items()}, rounds)  # type: ignore[misc]
    reads = {name: statistics.median(values) for name, values in looked.items()}
    return {
        "size": size,
        "plain_images_per_second": round(speeds["plain"], 1),
        "encrypted_images_per_second": round(speeds["encrypted"], 1),
        "training_ratio": round(speeds["encrypted"] / speeds["plain"], 3),
        "training_ratios": [round(min(ratios), 3), round(max(ratios), 3)],
        "plain_read_per_second": round(reads["plain"]),
        "encrypted_read_per_second": round(reads["encrypted"]),
        "prepare_ratio": round(seconds["plain"] / seconds["encrypted"], 3),
    }


def checkpoints(folder: Path) -> dict[str, float]:
    """Milliseconds to save and verify 64 MB."""
    tensors, state = {"weights": torch.randn(16 * MB)}, {"images": 1}
    found = {}
    for name in ("plain", "encrypted"):
        own = folder / f"checkpoints-{name}"
        own.mkdir()
        if name == "encrypted":
            lock.create(own, "passphrase")
            vault.key_of(own)
        times = []
        for number in range(ROUNDS):
            begun = time.perf_counter()
            checkpoint.verify(checkpoint.save(own, number, tensors, state, keep=1))
            times.append((time.perf_counter() - begun) * 1000)
        found[f"checkpoint_{name}_ms"] = round(statistics.median(times), 1)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    asked = parser.parse_args()
    os.environ[keys.PASSPHRASE] = "measured, not kept"
    with tempfile.TemporaryDirectory() as folder:
        sizes = [at_size(Path(folder), size, asked.steps, asked.rounds) for size in asked.sizes]
        saved = checkpoints(Path(folder))
    for found in sizes:
        print(f"{found['size']} px: training {found['training_ratio']:.2f} of plain speed")
    print(json.dumps({"benchmark": "vault", "threads": torch.get_num_threads(), "sizes": sizes, **saved}))


if __name__ == "__main__":
    main()
