"""Which moment was the best, and when to stop waiting for a better one. Judged on the validation split alone."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from allaprima.evaluation.validation import BETTER, Watched


@dataclass
class Best:
    """The best of the validation figures ``watch`` so far, how many judged ticks ago it was, and the moment that is kept.

    Figures that differ by ``grain`` or less differ by chance. Of such moments the latest is kept: it has learned longest, and
    on few validation pictures the best figure of many is luck.
    """

    watch: Watched = "kernel_distance"
    figure: float | None = None
    num_images_seen: int = 0  # of the moment that is kept
    ticks_since: int = 0
    grain: float = 0.0
    kept: float | None = None  # the figure of that moment

    def offer(self, figure: float, num_images_seen: int) -> bool:
        """Whether this moment is to be kept; one whose figure is not finite never is."""
        sign = 1 if BETTER[self.watch] == "lower" else -1
        better = math.isfinite(figure) and (self.figure is None or sign * figure < sign * self.figure)
        self.ticks_since = 0 if better else self.ticks_since + 1
        if better:
            self.figure = figure
        elif not self._is_as_good(sign * figure):
            return False
        self.num_images_seen, self.kept = num_images_seen, figure
        return True

    def _is_as_good(self, signed: float) -> bool:
        """Whether a figure, lower being better, differs from the best by chance alone."""
        sign = 1 if BETTER[self.watch] == "lower" else -1
        return self.grain > 0 and self.figure is not None and signed - sign * self.figure <= self.grain

    def is_hopeless(self, patience: int) -> bool:
        """Whether ``patience`` ticks brought nothing better; a patience of 0 never ends."""
        return 0 < patience <= self.ticks_since

    def describe(self) -> str:
        """The kept moment's figure, such as ``coverage 0.8321``."""
        figure = self.figure if self.kept is None else self.kept
        return f"{self.watch.replace('_', ' ')} {math.nan if figure is None else figure:.4f}"

    def state(self) -> dict[str, Any]:
        return asdict(self)
