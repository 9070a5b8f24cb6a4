"""From minutes to images: the program measures its own speed, plans, and keeps the plan in step with the clock.

A run that was given in images never looks at the clock, and so can be repeated bit for bit.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

MEASURE_SECONDS = 4.0
WARM_UP_STEPS = 3
CLOSING_SECONDS = 3.0  # the last grid, bundle and checkpoint
TOLERANCE = 0.02  # a forecast this near to the budget is left alone


def measure_images_per_second(step: Callable[[], Any], batch_size: int, seconds: float = MEASURE_SECONDS) -> float:
    """Run ``step`` for about ``seconds`` after a warm-up; images a second."""
    for _ in range(WARM_UP_STEPS):
        step()
    start, steps = time.perf_counter(), 0
    while steps < 3 or time.perf_counter() - start < seconds:
        step()
        steps += 1
    return steps * batch_size / (time.perf_counter() - start)


@dataclass
class Plan:
    """How many images the run will see, and the seconds it may take; one of ``minutes`` and ``asked_images`` is set."""

    total_images: int
    minutes: float | None
    asked_images: int | None = None
    seconds_used: float = 0.0
    tick_seconds: float = 0.0  # what the last tick (validation, grid, bundle) took

    @classmethod
    def for_minutes(cls, minutes: float, images_per_second: float, seconds_used: float, batch_size: int) -> Plan:
        """``seconds_used``: what preparation has taken of the budget already."""
        left = max(0.0, minutes * 60 - seconds_used - CLOSING_SECONDS)
        return cls(max(batch_size, int(left * images_per_second)), minutes, None, seconds_used)

    def seconds_left(self, ticks_left: int) -> float:
        """For training, beside ``ticks_left`` ticks and the closing; endless for a plan in images."""
        if self.minutes is None:
            return math.inf
        return self.minutes * 60 - self.seconds_used - self.tick_seconds * ticks_left - CLOSING_SECONDS

    def revise(self, num_images_seen: int, images_per_second: float, ticks_left: int) -> None:
        """Move the end to where the clock will be at the budget. Called at ticks; a plan in images stays as it is."""
        if self.minutes is None or ticks_left == 0:
            return
        fitting = num_images_seen + max(0, int(self.seconds_left(ticks_left) * images_per_second))
        if abs(fitting - self.total_images) > TOLERANCE * self.total_images:
            self.total_images = fitting

    def state(self) -> dict[str, Any]:
        """What ``Plan(**state)`` rebuilds."""
        return asdict(self)
