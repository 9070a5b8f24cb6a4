"""Is a difference between two runs told apart when it is real, and only then?

Trains one recipe with several seeds, and as many runs a tenth as long, in images, so that the machine's speed does not
matter. Every pair of equal length should be called noise, every pair of unequal length told apart: by kernel distance and
by Fréchet distance, with the spreads of ``evaluation/differences.py``. "pairwise" judges each pair as ``allaprima compare A
B`` would; "all_at_once" all pairs as one ``allaprima compare`` of all runs would, which allows for their number, and pools
the spread with what the runs show themselves.

The same runs give those spreads. A spread proves nothing on the runs that it came from, so it is estimated on one set and
proved on another, six runs of each length by the same command:

    python benchmarks/seeds.py datasets/sprites --images 20k    # "spread" goes into evaluation/differences.py
    python benchmarks/seeds.py datasets/fashion --images 20k    # the shares are the proof

A finished run is not trained again: the same command goes on. Without a dataset the built-in pictures are painted at 32 px.
The last line is JSON; "minutes" are those of this call.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

import allaprima  # noqa: F401 - sets how threads wait, before they start
from allaprima.bundle.bundle import Bundle
from allaprima.core.device import Device
from allaprima.core.files import write_json
from allaprima.core.seeds import numpy_stream
from allaprima.data.dataset import Dataset
from allaprima.data.prepare import PrepareConfig, prepare
from allaprima.evaluation import differences
from allaprima.evaluation.contestants import as_figure
from allaprima.evaluation.differences import Measured
from allaprima.evaluation.evaluate import weights_sha256
from allaprima.evaluation.features import Features, choose, domain, of_pictures
from allaprima.evaluation.metrics import METRICS, Figure
from allaprima.recipes import config_of
from allaprima.training import command

METRICS_JUDGED = {"kernel distance": "kernel_distance", "Fréchet distance": "frechet_distance"}
MOST_REAL = 5_000
SAMPLE_SEED = 0


class Judge:
    """The features of real pictures, taken once, and the figures of any run against them."""

    def __init__(self, dataset: Dataset, device: Device, count: int) -> None:
        draw = numpy_stream(SAMPLE_SEED, "benchmark-seeds")
        self.device, self.count = device, min(count, len(dataset.indices("train")))
        self.features: Features = domain.load_or_train(dataset, device)
        self.real = of_pictures(self.features, dataset, choose(dataset.indices("test"), MOST_REAL, draw))
        train = of_pictures(self.features, dataset, choose(dataset.indices("train"), self.count, draw))
        self.best: dict[str, float] = {}
        self.best = {figure.name: figure.value for figure in self._figures(train)}

    def figures(self, run: Path) -> dict[str, Figure]:
        """By name; kept beside the run, for the weights that were measured."""
        bundle = Bundle.load(run, self.device.torch)
        kept = run / "seeds.json"
        measured_on = {"features": self.features.identity, "count": self.count, "real": len(self.real)}
        key = {"weights": weights_sha256(bundle), **measured_on}
        if kept.is_file():
            found = json.loads(kept.read_text(encoding="utf-8"))
            if found["key"] == key:
                return {values["name"]: as_figure(values) for values in found["figures"]}
        painted = [
            self.features.extract(bundle.domain.to_tensor(array)) for array, _ in bundle.stream(self.count, SAMPLE_SEED)
        ]
        figures = list(self._figures(torch.cat(painted)))
        write_json(kept, {"key": key, "figures": [figure.to_json() for figure in figures]})
        return {figure.name: figure for figure in figures}

    def _figures(self, vectors: torch.Tensor) -> Iterator[Figure]:
        for name, metric in METRICS_JUDGED.items():
            figure = next(
                one for one in METRICS.get(metric).on_sets(self.real, vectors, SAMPLE_SEED) if one.name == name
            )
            yield replace(figure, floor=self.best.get(name), features=self.features.name)


def train(asked: argparse.Namespace, dataset: Dataset, folder: Path, images: int, seed: int) -> Path:
    """A run of the recipe, new, gone on with, or standing."""
    changes = [f"budget={{images: {images}}}", f"seed={seed}", "training.ticks=4", *asked.set]
    quiet: Callable[[str], None] = lambda words: None  # noqa: E731
    outcome = command.train(str(dataset.folder), folder, "32", changes, quiet, config_of(asked.recipe))
    if outcome.ending in ("stopped", "before"):
        raise SystemExit("stopped and saved; the same command goes on")
    return folder


def shares(p_values: dict[tuple[int, int], float | None], long: int) -> dict[str, float]:
    """Of pairs of places, the first ``long`` those of the longer runs: how many are rightly called noise or told apart."""
    told: dict[bool, list[bool]] = {True: [], False: []}
    for (i, j), p in p_values.items():
        told[(i < long) == (j < long)].append(differences.is_told_apart(p))
    equal, unequal = told[True], told[False]
    return {
        "equal_called_noise": round(1 - sum(equal) / len(equal), 3),
        "tenth_told_apart": round(sum(unequal) / len(unequal), 3),
    }


def judged(name: str, long: list[Figure], short: list[Figure]) -> dict[str, dict[str, float]]:
    """The shares when runs are compared in twos, and all at once."""
    runs = [*long, *short]
    places = list(range(len(runs)))
    pairs = itertools.combinations(places, 2)
    in_twos = {(i, j): differences.judge(name, [runs[i], runs[j]]).p_values[0, 1] for i, j in pairs}
    at_once = differences.judge(name, runs, [places[: len(long)], places[len(long) :]]).p_values
    return {"pairwise": shares(in_twos, len(long)), "all_at_once": shares(at_once, len(long))}


def summarise(full: list[dict[str, Figure]], tenth: list[dict[str, Figure]]) -> dict[str, Any]:
    """Shares and spreads by figure."""
    found: dict[str, Any] = {"pairwise": {}, "all_at_once": {}, "spread": {}, "means": {}}
    found |= {"spread_of_full": {}, "spread_of_tenth": {}}
    for name in METRICS_JUDGED:
        long, short = ([figures[name] for figures in group] for group in (full, tenth))
        for way, rates in judged(name, long, short).items():
            found[way][name] = rates
        groups = [[Measured.of(figure) for figure in group] for group in (long, short)]
        # young runs scatter more than longer ones, and people compare both: the spread to count with is that of all
        for key, chosen in {"spread": groups, "spread_of_full": groups[:1], "spread_of_tenth": groups[1:]}.items():
            own = differences.estimate(chosen)
            found[key][name] = None if own is None else {"relative": round(own.relative, 3), "degrees": own.degrees}
        found["means"][name] = [round(sum(f.value for f in group) / len(group), 4) for group in (long, short)]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", nargs="?", type=Path, help="a prepared dataset; default: built-in pictures at 32 px")
    parser.add_argument("--recipe", default="gan")
    parser.add_argument("--seeds", type=int, default=6, help="runs of each length")
    parser.add_argument("--images", default="20k", help="shown to the longer runs")
    parser.add_argument("--count", type=int, default=2000, help="samples of each run")
    parser.add_argument("--out", type=Path, help="default: runs/seeds/DATASET-RECIPE-IMAGES")
    parser.add_argument("--set", nargs="+", default=[], help="settings of the runs: key=value")
    asked = parser.parse_args()
    if asked.seeds < 2:
        parser.error("--seeds 2 or more: pairs are judged")
    images, began = command.parse_count(asked.images), time.monotonic()
    if asked.dataset is None:
        prepare("studies", Path("datasets/studies-32"), PrepareConfig(size=(32, 32), count=4000))
        asked.dataset = Path("datasets/studies-32")
    dataset = Dataset.open(asked.dataset)
    out = asked.out or Path("runs/seeds") / f"{dataset.folder.resolve().name}-{asked.recipe}-{images}"
    device = Device.choose()
    judge = Judge(dataset, device, asked.count)
    groups: dict[str, list[dict[str, Figure]]] = {"full": [], "tenth": []}
    for seed, (kind, length) in itertools.product(range(asked.seeds), (("full", images), ("tenth", images // 10))):
        figures = judge.figures(train(asked, dataset, out / f"{kind}-{seed}", length, seed))
        groups[kind].append(figures)
        words = "  ".join(f"{name} {figure.value:.4g} (real {figure.floor:.4g})" for name, figure in figures.items())
        print(f"{kind} {seed}: {words}", flush=True)
    found = summarise(groups["full"], groups["tenth"])
    minutes = round((time.monotonic() - began) / 60, 1)
    told = {"dataset": dataset.folder.resolve().name, "recipe": asked.recipe, "images": images, "seeds": asked.seeds}
    print(json.dumps({"benchmark": "seeds", **told, **found, "minutes": minutes}, ensure_ascii=False))


if __name__ == "__main__":
    main()
