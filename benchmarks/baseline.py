"""How soon is the default as good as the classic DCGAN ever gets?

Trains the recipe ``dcgan`` (the published widths, losses and steps) for some minutes and looks, every few seconds of
training, at the Fréchet distance of its moving average on ``domain`` features against the validation split; then the
default GAN, planned for the same minutes, the same way. Looking is not counted. Both run on the same threads, one after
the other, without labels. "ratio" is the time to the first look at which the default is as good as the baseline's best,
over the time at which the baseline got there.

    python benchmarks/baseline.py [DATASET] [--minutes 5] [--looks 30]

Without a dataset the built-in pictures are painted at 32 px. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import allaprima  # noqa: F401 - sets how threads wait, before they start
from allaprima.core.config import load
from allaprima.core.device import Device
from allaprima.core.seeds import numpy_stream
from allaprima.data.dataset import Dataset
from allaprima.data.prepare import PrepareConfig, prepare
from allaprima.evaluation.features import Features, choose, domain, of_pictures
from allaprima.evaluation.metrics.frechet_distance import frechet_distance
from allaprima.recipes import config_of
from allaprima.training import planner, publish
from allaprima.training import run as runs
from allaprima.training.config import RunConfig
from allaprima.training.learner import Learner

SAMPLES = 2_000
USUAL_SPEED = 600  # images a second on two cores, for the choice of width and batch
RECIPES = ("dcgan", "gan")


class Judge:
    """The distance of a learner's moving average to the validation pictures."""

    def __init__(self, dataset: Dataset, device: Device) -> None:
        self.features: Features = domain.load_or_train(dataset, device)
        places = choose(dataset.indices("validation"), SAMPLES, numpy_stream(0, "benchmark-baseline"))
        self.real = of_pictures(self.features, dataset, places)

    def distance(self, run: runs.Run, learner: Learner) -> float:
        bundle, _ = publish.as_bundle(run, learner, {})
        samples = bundle.sample(SAMPLES, seed=0, as_="array")
        return float(frechet_distance(self.real, self.features.extract(bundle.domain.to_tensor(samples))))


def looks(
    config: RunConfig, dataset: Dataset, device: Device, judge: Judge, count: int
) -> Iterator[tuple[float, float]]:
    """(seconds of training, distance), ``count`` times until the budget's minutes are over."""
    minutes = config.budget.minutes
    assert minutes is not None, "the benchmark asks for minutes"
    config = runs.resolve(config, dataset)
    run = runs.Run(Path(), config, dataset)
    loader = run.loader("train", config.training.batch_size, device.torch)
    learner = Learner(config, dataset.domain.shape, run.condition, device, config.seed, loader.num_images)
    limit, used = minutes * 60, 0.0
    for look in range(1, count + 1):
        while used < limit * look / count:
            begun = time.perf_counter()
            rate = learner.num_images_seen / used if used else 1e9
            learner.step(loader.batch(learner.step_number), max(1, int(rate * limit)))
            used += time.perf_counter() - begun
        yield used, judge.distance(run, learner)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("dataset", nargs="?", type=Path)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--looks", type=int, default=30)
    asked = parser.parse_args()
    device = Device.choose()
    with tempfile.TemporaryDirectory() as folder:
        if asked.dataset is None:
            dataset = prepare("studies", Path(folder) / "studies", PrepareConfig(size=(32, 32), count=6_000))
        else:
            dataset = Dataset.open(asked.dataset)
        judge = Judge(dataset, device)
        seen: dict[str, list[tuple[float, float]]] = {}
        for name in RECIPES:
            changes = [f"budget={{minutes: {asked.minutes}}}", "condition=none"]
            config = load(RunConfig, config_of(name).model_dump(mode="json"), changes)
            images = int(USUAL_SPEED * asked.minutes * 60)
            config = planner.for_images(config, len(dataset.indices("train")), images).config
            seen[name] = []
            for seconds, distance in looks(config, dataset, device, judge, asked.looks):
                seen[name].append((seconds, distance))
                print(f"{name:6} {seconds:6.1f} s  Fréchet distance {distance:8.2f}", flush=True)
    best, reached = min((distance, seconds) for seconds, distance in seen["dcgan"])
    ours = next((seconds for seconds, distance in seen["gan"] if distance <= best), None)
    result = {
        "benchmark": "baseline",
        "baseline_best": round(best, 2),
        "baseline_seconds": round(reached, 1),
        "ours_seconds": None if ours is None else round(ours, 1),
        "ratio": None if ours is None else round(ours / reached, 3),
        "ours_last": round(seen["gan"][-1][1], 2),
        "threads": device.describe(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
