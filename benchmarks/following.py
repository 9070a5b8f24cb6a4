"""How soon does a generator do what it is asked? Trains for a number of images, and looks on the way.

Held-out pictures' texts, sounds or attributes are asked for, those of the test split and, where combinations were kept apart, of
these; classifiers that were trained on training pictures alone say what samples show: the class, and each column of the records
that is told (evaluation.told). Seconds are those of the processor.

    python benchmarks/following.py datasets/studies --images 60k [--looks 4] [--grid FILE.png] --set condition=text

``ceiling`` is what the classifiers say of real test pictures. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # started as a script, it finds its own folder alone

import torch  # noqa: E402

import allaprima  # noqa: E402, F401 - sets how threads wait, before they start
from allaprima.core.config import load  # noqa: E402
from allaprima.core.device import Device  # noqa: E402
from allaprima.core.seeds import numpy_stream  # noqa: E402
from allaprima.data.conditions import Asked  # noqa: E402
from allaprima.data.dataset import Dataset  # noqa: E402
from allaprima.evaluation.features import choose  # noqa: E402
from allaprima.evaluation.judge import Classifier  # noqa: E402
from allaprima.evaluation.small import shrink, small_pictures  # noqa: E402
from allaprima.evaluation.told import Column, told_columns  # noqa: E402
from allaprima.training import command, planner, publish  # noqa: E402
from allaprima.training import run as runs  # noqa: E402
from allaprima.training.config import RunConfig  # noqa: E402
from allaprima.training.learner import Learner  # noqa: E402

SAMPLES = 600
SIDE = 8


def judges(learner_bundle: Any, dataset: Dataset, device: Device) -> dict[str, tuple[Column, Classifier]]:
    """A classifier for the class and for each column that is told."""
    columns = told_columns(learner_bundle, dataset)
    if dataset.classes:
        columns.append(Column("class", dataset.classes, dataset.labels))
    return {column.name: (column, column.judge(dataset, device)[0]) for column in columns}


def right(judged: dict[str, tuple[Column, Classifier]], small: torch.Tensor, places: Any) -> dict[str, float]:
    """The share of ``small`` that shows what the pictures at ``places`` do, by column."""
    found = {}
    for name, (column, classifier) in judged.items():
        known = column.of(places) >= 0
        hits = classifier.predict(small[known]).argmax(1) == column.of(places)[known]
        found[name] = round(float(hits.float().mean()), 3)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--images", default="60k")
    parser.add_argument("--looks", type=int, default=4, help="the last of them at the end")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--grid", type=Path, help="where samples go, and what was asked beside them as .txt")
    parser.add_argument("--set", nargs="+", default=[], help="settings other than the defaults: key=value")
    asked = parser.parse_args()
    dataset, images = Dataset.open(asked.dataset), command.parse_count(asked.images)
    settings = [f"budget={{images: {images}}}", f"training.threads={asked.threads}", *asked.set]
    config = runs.resolve(load(RunConfig, {}, settings), dataset)
    device = Device.choose(config.training.precision, asked.threads)
    config = planner.for_images(config, len(dataset.indices("train")), images).config
    run = runs.Run(Path(), config, dataset)
    learner = Learner.of(run, device)
    loader = run.loader("train", config.training.batch_size, device.torch)
    judged = judges(publish.as_bundle(run, learner, {})[0], dataset, device)
    test = choose(dataset.indices("test"), SAMPLES, numpy_stream(0, "benchmark-following"))
    found: list[dict[str, Any]] = []
    told = {"benchmark": "following", "dataset": dataset.folder.name, "set": asked.set}
    told["ceiling"] = right(judged, small_pictures(dataset, test), test)
    seconds = 0.0
    for look in range(1, asked.looks + 1):
        begun = time.process_time()
        while learner.num_images_seen < images * look / asked.looks:
            learner.step(loader.batch(learner.step_number), images)
        seconds += time.process_time() - begun
        found.append({"images": learner.num_images_seen, "processor_seconds": round(seconds)})
        found[-1] |= followed(run, learner, judged, asked.grid)
        print(found[-1], flush=True)
    print(json.dumps({**told, "looks": found}))


def followed(run: runs.Run, learner: Learner, judged: dict[str, Any], grid: Path | None) -> dict[str, dict[str, float]]:
    """The shares of this moment by split; the test split's first samples go to ``grid``."""
    bundle, dataset, found = publish.as_bundle(run, learner, {})[0], run.dataset, {}
    for split in ("test", "apart"):
        places = choose(dataset.indices(split), SAMPLES, numpy_stream(0, "benchmark-following"))
        if not len(places):
            continue
        asked = Asked(dataset, run.condition).rows(places)
        samples = bundle.sample(len(places), seed=1, as_="tensor", asked=asked)
        found[split] = right(judged, shrink(samples), places)
        if split == "test" and grid is not None:
            array = bundle.domain.to_array(samples[: SIDE * SIDE])
            bundle.domain.to_grid(array, SIDE, scale=2).save(grid)
            texts = [str(dataset.records[place].get("text")) for place in places[: SIDE * SIDE]]
            grid.with_suffix(".txt").write_text("\n".join(texts) + "\n", encoding="utf-8")
    return found


if __name__ == "__main__":
    main()
