"""From minutes to images: the program measures its own speed, plans, and keeps the plan in step with the clock.

A run that was given in images never looks at the clock, and so can be repeated bit for bit.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch

MEASURE_SECONDS = 4.0
WARM_UP_STEPS = 3
CLOSING_SECONDS = 1.5  # after the last moment was judged and saved: the closing words, and the end of the process
TOLERANCE = 0.02  # a run ends as near to its minutes as this, on a machine that does nothing else
NOTICED = 0.005  # a forecast this near to the plan is left alone
WINDOW_SHARE, LEAST_WINDOW, MOST_WINDOW = 0.005, 1.0, 10.0  # of the budget; seconds


def measure_images_per_second(
    step: Callable[[], Any], batch_size: int, seconds: float = MEASURE_SECONDS, fewest: int = 3
) -> float:
    """Run ``step`` for about ``seconds``, at least ``fewest`` times, after a warm-up; images a second."""
    for _ in range(WARM_UP_STEPS):
        step()
    wait_for_device()
    start, steps = time.perf_counter(), 0
    while steps < fewest or time.perf_counter() - start < seconds:
        step()
        steps += 1
        if steps % 8 == 0:
            wait_for_device()  # a queue may be seconds long
    wait_for_device()
    return steps * batch_size / (time.perf_counter() - start)


def wait_for_device() -> None:
    """Until everything asked of a GPU is done; CPUs have done it already."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    elif torch.backends.mps.is_available():
        torch.mps.synchronize()


@dataclass
class Plan:
    """How many images the run will see, and the seconds it may take; one of ``minutes`` and ``asked_images`` is set."""

    total_images: int
    minutes: float | None
    asked_images: int | None = None
    seconds_used: float = 0.0
    tick_seconds: float = 0.0  # what the last judged tick (validation, grid, bundle) took
    most_images: int | None = None  # whatever the clock says

    @classmethod
    def for_minutes(
        cls,
        minutes: float,
        images_per_second: float,
        seconds_used: float,
        batch_size: int,
        ticks: int = 0,
        tick_seconds: float = 0.0,
    ) -> Plan:
        """``seconds_used``: what preparation has taken already. ``tick_seconds``: what each of ``ticks`` may take."""
        plan = cls(batch_size, minutes, None, seconds_used, tick_seconds)
        plan.total_images = max(batch_size, int(plan.seconds_left(ticks) * images_per_second))
        return plan

    def seconds_left(self, ticks_left: float) -> float:
        """For training, beside ``ticks_left`` ticks and the closing; endless for a plan in images."""
        if self.minutes is None:
            return math.inf
        return self.minutes * 60 - self.seconds_used - self.tick_seconds * ticks_left - CLOSING_SECONDS

    def revise(self, num_images_seen: int, images_per_second: float, ticks_left: float) -> None:
        """Move the end to where the clock will be at the budget; a plan in images stays as it is."""
        if self.minutes is None or ticks_left == 0:
            return
        fitting = num_images_seen + max(0, int(self.seconds_left(ticks_left) * images_per_second))
        fitting = fitting if self.most_images is None else min(fitting, self.most_images)
        if abs(fitting - self.total_images) > NOTICED * self.total_images:
            self.total_images = fitting

    def state(self) -> dict[str, Any]:
        """What ``Plan(**state)`` rebuilds."""
        return asdict(self)


class Pace:
    """How fast a run goes at the moment: images a second, over windows of a second to ten, ticks left out."""

    def __init__(self) -> None:
        self._images_per_second: float | None = None
        self._mark: tuple[int, float] | None = None

    def pause(self) -> None:
        """What follows until the next look is not learning."""
        self._mark = None

    def look(self, num_images_seen: int, now: float, minutes: float) -> float | None:
        """The speed when a window has passed, else None. Half of it is the last window, half what was before."""
        if self._mark is None or num_images_seen < self._mark[0]:  # the run has gone back
            self._mark = (num_images_seen, now)
            return None
        images, seconds = num_images_seen - self._mark[0], now - self._mark[1]
        if images == 0 or seconds < min(MOST_WINDOW, max(LEAST_WINDOW, WINDOW_SHARE * minutes * 60)):
            return None
        rate = images / seconds
        self._images_per_second = rate if self._images_per_second is None else (self._images_per_second + rate) / 2
        self._mark = (num_images_seen, now)
        return self._images_per_second
