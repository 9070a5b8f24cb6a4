"""Which moment was the best, and when to stop waiting for a better one. Judged on the validation split alone."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from allaprima.evaluation.validation import BETTER, Watched


@dataclass
class Best:
    """The best of the validation figures ``watch`` so far, and how many judged ticks ago it was."""

    watch: Watched = "kernel_distance"
    figure: float | None = None
    num_images_seen: int = 0
    ticks_since: int = 0

    def offer(self, figure: float, num_images_seen: int) -> bool:
        """Whether ``figure`` is the best so far; one that is not finite never is."""
        sign = 1 if BETTER[self.watch] == "lower" else -1
        if not math.isfinite(figure) or (self.figure is not None and sign * figure >= sign * self.figure):
            self.ticks_since += 1
            return False
        self.figure, self.num_images_seen, self.ticks_since = figure, num_images_seen, 0
        return True

    def is_hopeless(self, patience: int) -> bool:
        """Whether ``patience`` ticks brought nothing better; a patience of 0 never ends."""
        return 0 < patience <= self.ticks_since

    def describe(self) -> str:
        """Such as ``coverage 0.8321``."""
        return f"{self.watch.replace('_', ' ')} {math.nan if self.figure is None else self.figure:.4f}"

    def state(self) -> dict[str, Any]:
        return asdict(self)
