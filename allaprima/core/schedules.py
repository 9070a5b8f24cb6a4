"""How a setting changes over a run: functions of progress in [0, 1], never of steps or hours."""

from __future__ import annotations

import math


def cosine(start: float, end: float, progress: float) -> float:
    """Half a cosine from ``start`` at 0 to ``end`` at 1 (Loshchilov, Hutter 2017)."""
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * min(max(progress, 0.0), 1.0)))


def linear(start: float, end: float, progress: float) -> float:
    """A straight line from ``start`` at 0 to ``end`` at 1."""
    return start + (end - start) * min(max(progress, 0.0), 1.0)


def constant(start: float, end: float, progress: float) -> float:
    """``start`` throughout."""
    return start


def warm_cosine(peak: float, progress: float, warm: float) -> float:
    """Linear up over the first ``warm`` from a fiftieth of ``peak``, times half a cosine down to 0: for brief trainings."""
    return peak * min(1.0, progress / warm + 0.02) * cosine(1.0, 0.0, progress)


SCHEDULES = {"cosine": cosine, "linear": linear, "constant": constant}
