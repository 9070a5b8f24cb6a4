"""Does it repeat its training pictures? The share of samples that are copies, by features and pixel by pixel.

A copy lies nearer to one training picture than to the crowd of its neighbours (``nearest.Nearest.ratio``) by as much as
the nearest 1 % of held-out pictures do, which are no copies. The threshold is found on one half of the held-out pictures
and their own rate on the other, then the other way round, and both are averaged: that rate, about 1 %, is the floor. It
is higher where a set holds nearly the same picture several times, since a sample that is ten times as near as the crowd
always counts. Twice as near must be the least, however alone held-out pictures lie.

Use: ``figures = list(measure(material)); verdict(figures)``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import torch

from allaprima.core.seeds import numpy_stream
from allaprima.evaluation.material import Material
from allaprima.evaluation.metrics import Figure
from allaprima.evaluation.metrics._sets import check, telling
from allaprima.evaluation.nearest import PIXEL_SIDE, Space

GROUP = "Memorisation"
FIGURES = ("copy rate", "copy rate, pixels")
FEWEST = 20
CALIBRATED = 0.01
ALWAYS_A_COPY, NEVER_A_COPY = 0.1, 0.5
SIGNIFICANT, NOTABLE = 1e-3, 0.01
FEWEST_TO_CLEAR = 100  # held-out pictures: with less, 1 % of them is no picture
COPIES, CLEAR, UNKNOWN = "copies", "no sign of copying", "too few pictures to tell"
REPLICATES = 1000


def measure(material: Material) -> Iterator[Figure]:
    """The copy rates by features and by pixels. Raises NotMeasuredError below 20 samples or pictures of either kind."""
    check(material.real, f"{material.split} pictures", FEWEST)
    check(material.fake, "samples", FEWEST)
    check(material.searched, "training pictures", FEWEST)
    found = material.neighbours
    side = max(min(PIXEL_SIDE, size) for size in material.fake_small.shape[-2:])
    total = len(material.dataset.indices("train"))
    part = f"; searched {len(material.searched):,} of {total:,} training pictures: copies of the others are not seen"
    for figure in (
        copy_rate(found.features, "copy rate", material.features.name, material.seed),
        copy_rate(found.pixels, "copy rate, pixels", f"pixels: {side} px, mirrored too", material.seed),
    ):
        yield replace(figure, note=figure.note + part) if len(material.searched) < total else figure


def verdict(figures: Iterable[Figure]) -> str:
    """What the copy rates among ``figures`` say together: ``COPIES`` if one does; empty if there are none."""
    said = [figure.details["verdict"] for figure in figures if "verdict" in figure.details]
    return next((word for word in (COPIES, UNKNOWN, CLEAR) if word in said), "")


def copy_rate(space: Space, name: str, features: str, seed: int) -> Figure:
    """The share of samples that are copies; its ``details`` hold the verdict and what it rests on.

    The interval is a bootstrap of held-out pictures, which moves the threshold, and of samples by Jeffreys' posterior
    of their share, so that no copies among few samples are not taken for none at all.
    """
    fake, real = space.fake_ratio.double().numpy(), space.real_ratio.double().numpy()
    draw = numpy_stream(seed, "copies", *name.encode())
    order = draw.permutation(len(real))
    halves = [real[order[: len(real) // 2]], real[order[len(real) // 2 :]]]
    thresholds = [threshold(half) for half in halves]
    rate = float(np.mean([np.mean(fake <= t) for t in thresholds]))
    num_held_out = sum(int(np.sum(other <= t)) for t, other in zip(thresholds, halves[::-1], strict=True))
    floor = num_held_out / len(real)
    chance = _chance(round(rate * len(fake)), len(fake), num_held_out, len(real))
    copies = chance < SIGNIFICANT and rate > floor + NOTABLE
    word = COPIES if copies else CLEAR if len(real) >= FEWEST_TO_CLEAR else UNKNOWN
    between = telling(_interval_of_rate(fake, halves, rate, draw), len(real))
    near = float(np.mean(thresholds))
    return Figure(
        name=name,
        value=rate,
        interval=between,
        better="lower",
        meaning="Share of samples that all but repeat one training picture; above the floor, it copies.",
        note=f"{word}; a copy lies at most {near:.2f} times as far as its other neighbours; floor: held-out pictures’ own rate",
        features=features,
        floor=floor,
        details={"verdict": word, "chance": chance, "threshold": near, "held_out_rate": floor},
    )


def threshold(ratios: np.ndarray) -> float:
    """The ratio at or below which 1 % of these pictures lie, at least one; within [0.1, 0.5]."""
    rank = max(1, int(CALIBRATED * len(ratios)))
    return float(np.clip(np.partition(ratios, rank - 1)[rank - 1], ALWAYS_A_COPY, NEVER_A_COPY))


def _chance(copies: int, samples: int, twins: int, held_out: int) -> float:
    """How likely so many copies would be if samples were held-out pictures: Fisher's exact test, one-sided."""

    def log_choose(n: int, k: torch.Tensor) -> torch.Tensor:
        return torch.lgamma(torch.tensor(n + 1.0).double()) - torch.lgamma(k + 1) - torch.lgamma(n - k + 1)

    total = copies + twins
    more = torch.arange(copies, min(samples, total) + 1, dtype=torch.float64)
    ways = log_choose(samples, more) + log_choose(held_out, total - more)
    return min(1.0, float((ways - log_choose(samples + held_out, torch.tensor(float(total)).double())).exp().sum()))


def _interval_of_rate(
    fake: np.ndarray, halves: list[np.ndarray], rate: float, draw: np.random.Generator
) -> tuple[float, float]:
    sorted_fake = np.sort(fake)
    below = np.zeros((REPLICATES, 2))
    for place, half in enumerate(halves):
        for replicate in range(REPLICATES):
            below[replicate, place] = np.searchsorted(sorted_fake, threshold(draw.choice(half, len(half))), "right")
    copies = below.mean(1)
    low, high = np.quantile(draw.beta(copies + 0.5, len(fake) - copies + 0.5), [0.025, 0.975])
    return min(float(low), rate), max(float(high), rate)
