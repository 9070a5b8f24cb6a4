"""How good samples are, as figures: one family of measures a file, found by its name.

Each module has ``measure(real, fake, seed) -> Iterator[Figure]`` on features: float32 ``[N,D]`` of held-out pictures
and ``[M,D]`` of samples. A figure carries the name of its features, an interval, and its floor: what training pictures
get in the samples' place.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import torch

from allaprima.core.catalog import Catalog
from allaprima.core.errors import UserError

METRICS = Catalog("metric", __name__)
FEW_PICTURES = 100
FEWEST_TELLING = 50  # held-out pictures: with less, precision and coverage are near 1 whatever is painted


@dataclass(frozen=True)
class Figure:
    """One number. ``interval`` holds 95 % of what a repetition with other pictures would give; None if unknown.

    ``meaning`` is one plain sentence; ``note`` what to keep in mind; ``floor`` the value of real against real.
    """

    name: str
    value: float
    interval: tuple[float, float] | None
    better: Literal["lower", "higher"]
    meaning: str
    note: str = ""
    features: str = ""
    floor: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Its fields; None, which is null in JSON, for a number that is not finite."""
        fields = asdict(self)
        return {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in fields.items()
        }


def warning(held_out: int) -> str:
    """What a reader must know before figures on so few held-out pictures; empty when there are enough."""
    if held_out >= FEWEST_TELLING:
        return ""
    return (
        f"only {held_out} held-out pictures: these figures say little; precision and coverage lie near 1 whatever "
        f"is painted. Hold out at least {FEWEST_TELLING}, better several hundred"
    )


def measure_all(
    real: torch.Tensor, fake: torch.Tensor, train: torch.Tensor, features: str, seed: int = 0
) -> Iterator[Figure]:
    """Every metric of the catalogue on features ``[·,D]`` of held-out (``real``), painted and training pictures.

    Use as many training pictures as samples: some measures depend on how many there are. Raises UserError when there
    are fewer than 2 of a kind, or a feature is not finite.
    """
    for vectors, what in ((real, "held-out pictures"), (fake, "samples"), (train, "training pictures")):
        if len(vectors) < 2:
            raise UserError(f"There are {len(vectors)} {what}, too few to compare", "at least 2 are needed, better 100")
        if not vectors.isfinite().all():
            raise UserError(
                f"The features of the {what} are not finite numbers", "look at the pictures: are they broken?"
            )
    for name in METRICS.names():
        module = METRICS.get(name)
        floors = {figure.name: figure.value for figure in module.measure(real, train, seed)}
        for figure in module.measure(real, fake, seed):
            interval = _telling(figure.interval, len(real))
            width = "wide interval" if interval else "too few for an interval"
            few = f"only {len(real)} held-out pictures: {width}" if len(real) < FEW_PICTURES else ""
            note = "; ".join(part for part in (figure.note, few) if part)
            yield replace(figure, interval=interval, note=note, features=features, floor=floors.get(figure.name))


def _telling(interval: tuple[float, float] | None, held_out: int) -> tuple[float, float] | None:
    """The interval, unless it is not finite, or of no width only because so few pictures were drawn again."""
    if interval is None or not all(math.isfinite(end) for end in interval):
        return None
    no_width = math.isclose(*interval, rel_tol=1e-5, abs_tol=1e-6)  # but for float32's rounding
    return None if held_out < FEWEST_TELLING and no_width else interval
