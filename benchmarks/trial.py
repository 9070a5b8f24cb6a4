"""What does a setting do? Trains for a number of images, planned for exactly these, and judges as the race does.

Whole steps of the learner, without looks, checkpoints or labels; Fréchet and kernel distance, precision, recall and coverage
of the moving average's samples on the race's ``domain`` features against the *validation* split, on the way and at the end.
Seconds are those of the processor, so that a machine that is busy with other work changes nothing.

    python benchmarks/trial.py [.race/data/sprites] [--images 48k] [--seeds 0 1 2] [--set method.penalty_weight=1 ...]

Without a dataset the built-in pictures are painted at 32 px. ``--set condition=label`` for labels; ``--grid FILE.png`` shows
samples. Differences of less than a fifth between single seeds are noise. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # started as a script, it finds its own folder alone

import allaprima  # noqa: E402, F401 - sets how threads wait, before they start
from allaprima.core.config import load  # noqa: E402
from allaprima.core.device import Device  # noqa: E402
from allaprima.core.seeds import numpy_stream  # noqa: E402
from allaprima.data.dataset import Dataset  # noqa: E402
from allaprima.data.prepare import PrepareConfig, prepare  # noqa: E402
from allaprima.evaluation.features import choose, domain, of_pictures  # noqa: E402
from allaprima.evaluation.metrics.frechet_distance import frechet_distance  # noqa: E402
from allaprima.evaluation.metrics.kernel_distance import mmd2  # noqa: E402
from allaprima.evaluation.metrics.prdc import prdc  # noqa: E402
from allaprima.training import command, planner, publish  # noqa: E402
from allaprima.training import run as runs  # noqa: E402
from allaprima.training.config import RunConfig  # noqa: E402
from allaprima.training.learner import Learner  # noqa: E402
from benchmarks._race.judge import FEATURES, NO_LIMIT, SHOWN  # noqa: E402

SAMPLES = 2_000


class Trial:
    """One run on ``dataset`` from ``changes``, for ``images``."""

    def __init__(self, dataset: Dataset, images: int, seed: int, threads: int, changes: list[str]) -> None:
        settings = [f"budget={{images: {images}}}", "condition=none", f"training.threads={threads}", *changes]
        config = runs.resolve(load(RunConfig, {}, [f"seed={seed}", *settings]), dataset)
        self.device = Device.choose(config.training.precision, threads)
        self.features = domain.load_or_train(dataset, self.device, NO_LIMIT, config=FEATURES)
        places = choose(dataset.indices("validation"), SAMPLES, numpy_stream(0, "benchmark-trial"))
        self.real = of_pictures(self.features, dataset, places)
        config = planner.for_images(config, len(dataset.indices("train")), images).config
        self.run, self.images = runs.Run(Path(), config, dataset), images
        self.learner = Learner.of(self.run, self.device)
        self.loader = self.run.loader("train", config.training.batch_size, self.device.torch)
        self.seconds = 0.0

    def learn_until(self, images: float) -> None:
        """Steps alone; their processor seconds count."""
        begun = time.process_time()
        while self.learner.num_images_seen < images:
            self.learner.step(self.loader.batch(self.learner.step_number), self.images)
        self.seconds += time.process_time() - begun

    def judge(self, grid: Path | None) -> dict[str, float]:
        """The figures of this moment; its first 64 samples go to ``grid``."""
        bundle, _ = publish.as_bundle(self.run, self.learner, {})
        samples = bundle.sample(SAMPLES, seed=0, as_="array")
        painted = self.features.extract(bundle.domain.to_tensor(samples))
        if grid is not None:
            bundle.domain.to_grid(samples[:64], 8, scale=2).save(grid)
        scores = prdc(self.real, painted)
        return {
            "images": self.learner.num_images_seen,
            "processor_seconds": round(self.seconds, 1),
            "frechet_distance": round(float(frechet_distance(self.real, painted)), 2),
            "kernel_distance": round(mmd2(self.real, painted), 4),
            **{name: round(float(scores[name].mean()), 3) for name in SHOWN},
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path, nargs="?", help="a prepared one, such as the race's in .race/data")
    parser.add_argument("--images", default="48k")
    parser.add_argument("--looks", type=int, default=2, help="the last of them at the end")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--grid", type=Path, help="where the last seed's samples go")
    parser.add_argument("--set", nargs="+", default=[], help="settings other than the defaults: key=value")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if asked.dataset is None:
            dataset = prepare("studies", Path(folder) / "studies", PrepareConfig(size=(32, 32), count=6_000))
        else:
            dataset = Dataset.open(asked.dataset)
        print(json.dumps(compare(dataset, asked)))


def compare(dataset: Dataset, asked: argparse.Namespace) -> dict[str, object]:
    """A trial a seed; returns the last line."""
    images, ends = command.parse_count(asked.images), []
    for seed in asked.seeds:
        trial = Trial(dataset, images, seed, asked.threads, asked.set)
        for look in range(1, asked.looks + 1):
            trial.learn_until(images * look / asked.looks)
            found = trial.judge(asked.grid if look == asked.looks else None)
            print(seed, found, flush=True)
        ends.append(found)
    middle = {key: statistics.median(end[key] for end in ends) for key in ends[0]}
    told = {"dataset": dataset.folder.name, "set": asked.set, "seeds": asked.seeds}
    return {"benchmark": "trial", **told, "median": middle, "runs": ends}


if __name__ == "__main__":
    main()
