"""How a setting changes over a run: functions of progress in [0, 1], never of steps or hours.

Progress may be a scalar tensor, and the value is one then: a recorded step (``training.recording``) reads it anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import torch

Progress = TypeVar("Progress", float, "torch.Tensor")

HELD, FALLING = 200_000, 0.4  # images; share of a plan


def cosine(start: float, end: float, progress: Progress) -> Progress:
    """Half a cosine from ``start`` at 0 to ``end`` at 1 (Loshchilov, Hutter 2017)."""
    if isinstance(progress, int | float):
        return end + (start - end) * 0.5 * (1 + math.cos(math.pi * min(max(progress, 0.0), 1.0)))
    return end + (start - end) * 0.5 * (1 + (math.pi * progress.clamp(0, 1)).cos())


def linear(start: float, end: float, progress: Progress) -> Progress:
    """A straight line from ``start`` at 0 to ``end`` at 1."""
    if isinstance(progress, int | float):
        return start + (end - start) * min(max(progress, 0.0), 1.0)
    return start + (end - start) * progress.clamp(0, 1)


def constant(start: float, end: float, progress: float) -> float:
    """``start`` throughout."""
    return start


def settling(start: float, end: float, progress: float, total: float) -> float:
    """``start``, then half a cosine to ``end`` over what a plan has beyond ``HELD`` images, at most over ``FALLING`` of it.

    Held and then let fall as in Zhai et al. 2022 ("Scaling vision transformers"); a plan of ``total`` images that has no more
    than ``HELD`` keeps ``start`` throughout.
    """
    falling = min(FALLING, 1 - HELD / total) if total > HELD else 0.0
    return cosine(start, end, (progress - 1 + falling) / falling) if falling else start


def warm_cosine(peak: float, progress: float, warm: float) -> float:
    """Linear up over the first ``warm`` from a fiftieth of ``peak``, times half a cosine down to 0: for brief trainings."""
    return peak * min(1.0, progress / warm + 0.02) * cosine(1.0, 0.0, progress)


SCHEDULES: dict[str, Callable[[float, float, float], float]] = {
    "cosine": cosine,
    "linear": linear,
    "constant": constant,
}
