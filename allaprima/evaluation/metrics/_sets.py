"""What all metrics that compare two sets of features share: their checks, and real pictures in the samples' place."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch

from allaprima.core.errors import UserError
from allaprima.evaluation.material import Material
from allaprima.evaluation.metrics import FEWEST_TELLING, Figure, NotMeasuredError

OnSets = Callable[[torch.Tensor, torch.Tensor, int], Iterator[Figure]]
FEW_PICTURES = 100


def check(vectors: torch.Tensor, what: str, fewest: int = 2) -> None:
    """Raises NotMeasuredError when there are fewer than ``fewest`` of ``what``, or one is not finite."""
    if len(vectors) < fewest:
        there = f"is 1 {what.removesuffix('s')}" if len(vectors) == 1 else f"are {len(vectors) or 'no'} {what}"
        raise NotMeasuredError(f"There {there}, too few to compare", f"at least {fewest} are needed, better 1,000")
    if not vectors.isfinite().all():
        raise NotMeasuredError(
            f"The features of the {what} are not finite numbers", "look at the pictures: are they broken?"
        )


def against_real(on_sets: OnSets, material: Material, fewest: int = 2) -> Iterator[Figure]:
    """``on_sets`` of held-out pictures and samples; floor or ceiling is what as many training pictures get instead."""
    real, fake, train = material.real, material.fake, material.train
    check(real, f"{material.split} pictures", fewest)
    check(fake, "samples", fewest)
    try:
        check(train, "training pictures", fewest)
        best = {figure.name: figure.value for figure in on_sets(real, train, material.seed)}
    except UserError:
        best = {}
    for figure in on_sets(real, fake, material.seed):
        interval = telling(figure.interval, len(real))
        width = "wide interval" if interval else "too few for an interval"
        few = f"only {len(real)} held-out pictures: {width}" if len(real) < FEW_PICTURES else ""
        end = "floor" if figure.better == "lower" else "ceiling"
        ends: dict[str, Any] = {end: best[figure.name]} if figure.name in best else {}
        whose = f"{end}: {len(train):,} training pictures in the samples’ place" if ends else ""
        yield replace(
            figure,
            interval=interval,
            note="; ".join(part for part in (figure.note, whose, few) if part),
            features=material.features.name,
            **ends,
        )


def telling(interval: tuple[float, float] | None, held_out: int) -> tuple[float, float] | None:
    """The interval, unless it is not finite, or of no width only because so few pictures were drawn again."""
    if interval is None or not all(math.isfinite(end) for end in interval):
        return None
    no_width = math.isclose(*interval, rel_tol=1e-5, abs_tol=1e-6)  # but for float32's rounding
    return None if held_out < FEWEST_TELLING and no_width else interval
