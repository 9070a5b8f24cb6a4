"""Whether the generator still paints a variety: what the figures of a judged moment say, beside those of earlier ones.

A generator collapses when it paints ever fewer different pictures; its losses may look well then. Its figures do not: the
spread of its samples falls, real pictures are no longer covered, and the distance to them grows.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

# Calibrated on runs that go well and runs that do not (LOG.md): healthy ones keep 85 % of their best diversity and most of
# their coverage while the distance swings up to threefold; collapsed ones lose half of the first or all of the second.
LOST_DIVERSITY = 0.6
LOST_COVERAGE = 0.25
COVERAGE_WORTH = 0.2  # less has not been up
FARTHER = 2.0
NEAR = 0.1  # a kernel distance below it is good whatever it was before
CONSTANT = 0.02  # of the real pictures' spread: one picture, again and again
SETTLED = 0.3  # of the run: no generator is as young as that
SETTLED_STEPS = 50  # until then the running statistics of batch normalisation may be the reason


@dataclass
class Health:
    """The best figures of the moments that were well, and the last such moment's ``num_images_seen`` (None: none yet)."""

    diversity: float = 0.0
    coverage: float = 0.0
    distance: float = math.inf
    good_at: int | None = None

    def complaint(self, figures: dict[str, float], progress: float) -> str | None:
        """What is wrong at a moment with these validation figures, ``progress`` in [0, 1] through the run; None if nothing.

        Figures that are missing say nothing; ``note`` remembers the ones of a good moment.
        """
        if any(not math.isfinite(value) for value in figures.values()):
            return "the pictures are not finite"
        diversity, coverage = figures.get("diversity", math.inf), figures.get("coverage", math.inf)
        if diversity < CONSTANT and progress >= SETTLED:
            return "all pictures are the same"
        if figures.get("kernel_distance", 0.0) <= FARTHER * self.distance:
            return None
        if diversity < LOST_DIVERSITY * self.diversity:
            return f"the pictures' diversity fell from {self.diversity:.2f} to {diversity:.2f}"
        if self.coverage >= COVERAGE_WORTH and coverage < LOST_COVERAGE * self.coverage:
            return f"coverage of the real pictures fell from {self.coverage:.2f} to {coverage:.2f}"
        return None

    def note(self, figures: dict[str, float], num_images_seen: int) -> None:
        """Remember a good moment."""
        self.diversity = max(self.diversity, figures.get("diversity", 0.0))
        self.coverage = max(self.coverage, figures.get("coverage", 0.0))
        # squared distances without bias may be below zero: twice nothing is nothing
        self.distance = min(self.distance, max(figures.get("kernel_distance", math.inf), NEAR))
        self.good_at = num_images_seen

    def state(self) -> dict[str, Any]:
        """What ``Health(**state)`` rebuilds."""
        return asdict(self)
