"""Samples → figures on the test split, by features that no contestant has seen.

They are our ``domain`` features, trained on the training pictures with their labels, with a seed that no run uses, three
times as long as a run trains its own, and without a time limit. They are kept with the dataset. Every line is judged at
every mark by the same test pictures and the same number of samples; the end is judged once more by all of its samples. The
floor is what as many training pictures get in the samples' place.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from allaprima.core.device import Device
from allaprima.core.files import sha256_file
from allaprima.core.seeds import numpy_stream
from allaprima.data.dataset import Dataset
from allaprima.evaluation.features import choose, domain, of_pictures
from allaprima.evaluation.metrics.frechet_distance import frechet_distance
from allaprima.evaluation.metrics.kernel_distance import mmd2
from allaprima.evaluation.metrics.prdc import prdc
from benchmarks._race.stage import write_whole

SEED = 20_011
FEATURES = domain.Config(seed=SEED, num_images=60_000)
NO_LIMIT = 1e9  # seconds
MOST_TEST_PICTURES = 10_000
SHOWN = ("precision", "recall", "coverage")


class Judge:
    """Of one dataset (the labelled one). Making it trains the features, unless they are kept already."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.features = domain.load_or_train(dataset, Device.choose(), NO_LIMIT, config=FEATURES)
        self.places = choose(dataset.indices("test"), MOST_TEST_PICTURES, numpy_stream(SEED, "judge-test"))
        self.real = of_pictures(self.features, dataset, self.places)

    def figures(self, vectors: torch.Tensor) -> dict[str, float]:
        """Of samples' features ``[N,D]``. NaN where a sample's features are not finite."""
        if not vectors.isfinite().all():
            return dict.fromkeys(("frechet_distance", "kernel_distance", *SHOWN), math.nan)
        scores = prdc(self.real, vectors)
        return {
            "frechet_distance": frechet_distance(self.real, vectors),
            "kernel_distance": mmd2(self.real, vectors),
            **{name: float(scores[name].mean()) for name in SHOWN},
        }

    def floor(self, count: int) -> dict[str, float]:
        """The figures of ``count`` training pictures, or of all if there are fewer."""
        places = choose(self.dataset.indices("train"), count, numpy_stream(SEED, "judge-floor"))
        return self.figures(of_pictures(self.features, self.dataset, places)) | {"count": len(places)}

    def of_samples(self, pictures: np.ndarray, counts: Sequence[int]) -> list[dict[str, float]]:
        """The figures of the first ``count`` of uint8 ``[N,H,W,C]``, for each count."""
        to_tensor = self.dataset.domain.to_tensor
        parts = [
            self.features.extract(to_tensor(pictures[start : start + 512])) for start in range(0, len(pictures), 512)
        ]
        vectors = torch.cat(parts)
        return [self.figures(vectors[:count]) for count in counts]

    def key(self) -> dict[str, Any]:
        """What a kept figure depends on besides the samples."""
        return {
            "features": FEATURES.model_dump(mode="json"),
            "version": domain.VERSION,
            "data": self.dataset.manifest.fingerprint,
            "test_pictures": len(self.places),
        }


def judge_result(
    judge: Judge, folder: Path, shown: Sequence[dict[str, Any]], samples: int, say: Callable[[str], None] = print
) -> list[dict[str, Any]]:
    """``shown`` of a result in ``folder`` with ``figures`` (of the first ``samples``) and ``all_figures`` (of all).

    What was judged before is read from ``judged.json``, and what is judged now is added there.
    """
    path = folder / "judged.json"
    kept = _read(path, judge.key())
    judged = []
    for one in shown:
        file = folder / one["file"]
        place = f"{sha256_file(file)}/{samples}"
        if place not in kept:
            counts = [min(samples, one["count"]), one["count"]]
            kept[place] = judge.of_samples(np.load(file), sorted(set(counts)))
            say(f"judged {folder.parent.name}: {one['line']} at {one['minutes']:g} minutes")
        judged.append({**one, "figures": kept[place][0], "all_figures": kept[place][-1]})
    write_whole(path, json.dumps({"key": judge.key(), "kept": kept}).encode())
    return judged


def _read(path: Path, key: dict[str, Any]) -> dict[str, Any]:
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        return held["kept"] if held["key"] == key else {}
    except (OSError, ValueError, KeyError):
        return {}
