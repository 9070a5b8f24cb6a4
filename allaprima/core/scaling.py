"""How far a method gets with nets of a width and a number of images: what the planner chooses by, told beside the method.

The form is that of Hoffmann et al. 2022 ("Training compute-optimal large language models", eq. 2), a part that width takes
away and a part that images take away, both of a distance to real pictures; where the numbers come from, ``LOG.md`` tells.

Use: ``Scaling().shortfall(48, 400_000)``.
"""

from __future__ import annotations

from dataclasses import dataclass

WIDTHS = (32, 48, 64, 96, 128, 192, 256)
REFERENCE_WIDTH, REFERENCE_IMAGES = 32, 100_000


@dataclass(frozen=True)
class Scaling:
    """shortfall(w, n) = of_width · (w / 32)^-by_width + (n / 100,000)^-by_images, in units of its own.

    ``narrowest`` is the width of the shortest run. ``slowing``: images a second go with w^-slowing on the machine of the log.
    """

    of_width: float = 0.3
    by_width: float = 0.7
    by_images: float = 0.6
    narrowest: int = 32
    slowing: float = 1.3

    @property
    def widths(self) -> list[int]:
        """All that the planner may choose, the narrowest first."""
        return [width for width in WIDTHS if width >= self.narrowest]

    def shortfall(self, width: int, images: float) -> float:
        """What such a run leaves to be wished for; lower is better."""
        wide = self.of_width * (width / REFERENCE_WIDTH) ** -self.by_width
        return wide + (max(images, 1.0) / REFERENCE_IMAGES) ** -self.by_images

    def speed_ratio(self, width: int, other: int) -> float:
        """How many times as fast nets of ``width`` are as those of ``other``, on the machine of the log."""
        return (width / other) ** -self.slowing

    def pays(self, width: int, narrower: int, images: float) -> bool:
        """Whether ``width`` gets further with ``images`` than ``narrower`` in the same time, on the machine of the log."""
        more = images * self.speed_ratio(narrower, width)
        return self.shortfall(width, images) < self.shortfall(narrower, more)

    def widest(self, pictures: int) -> int:
        """Beyond it ``pictures`` different ones are learned by heart rather than understood: a width for 1,000, √ of more."""
        limit = max(self.narrowest, REFERENCE_WIDTH * (pictures / 1_000) ** 0.5)
        return max(width for width in self.widths if width <= limit)
