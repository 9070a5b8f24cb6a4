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


SCHEDULES = {"cosine": cosine, "linear": linear, "constant": constant}
