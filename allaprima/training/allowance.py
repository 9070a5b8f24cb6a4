"""How much of a run goes into judging it: at most a twentieth, of the clock or of the images.

How many samples are judged at a tick is settled before the first step and then stays: figures such as coverage or a Fréchet
distance can be compared only at the same number. What the clock says decides which ticks are judged at all; the images say
it where the budget is in images, so that the run repeats bit for bit.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

SHARE = 0.05
FEWEST_SAMPLES, MOST_SAMPLES = 128, 2048


def samples_for(total_images: int, ticks: int) -> int:
    """A twentieth of the images that are learned between two ticks: judging an image costs less than learning it."""
    return int(min(MOST_SAMPLES, max(FEWEST_SAMPLES, SHARE * total_images / ticks)))


@dataclass
class Allowance:
    """``samples`` are painted each time (0: not settled yet); ``seconds`` went into it so far, ``last_seconds`` the last time.

    ``times``: how often it was done.
    """

    samples: int = 0
    seconds: float = 0.0
    last_seconds: float = 0.0
    times: int = 0

    def spend(self, seconds: float) -> None:
        """Note that judging a moment took so long."""
        self.seconds += seconds
        self.last_seconds = seconds
        self.times += 1

    def covers_another(self, run_seconds: float) -> bool:
        """Whether a run that has taken so long can judge this moment, and the last one at any time, within the share."""
        return self.seconds + 2 * self.last_seconds <= SHARE * run_seconds

    def covers_images(self, num_images_seen: int) -> bool:
        """Whether so many images bear another look: judging a sample counts as learning an image."""
        return (self.times + 1) * self.samples <= SHARE * num_images_seen

    def looks_left(self, run_seconds: float, ticks_left: int) -> float:
        """How many of the ``ticks_left`` of a run of so many seconds in all will be judged, the last one in any case."""
        if not self.last_seconds:
            return ticks_left
        affordable = (SHARE * run_seconds - self.seconds) / self.last_seconds
        return max(1.0, min(affordable, ticks_left))

    def state(self) -> dict[str, Any]:
        """What ``Allowance(**state)`` rebuilds."""
        return asdict(self)
