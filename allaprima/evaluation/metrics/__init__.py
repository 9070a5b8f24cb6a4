"""How good samples are, as figures: one family of measures a file, found by its name.

Each module has ``measure(real, fake, seed) -> Iterator[Figure]`` on features: float32 ``[N,D]`` of held-out pictures
and ``[M,D]`` of samples. A figure carries the name of its features, an interval, and its floor: what training pictures
get in the samples' place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import torch

from allaprima.core.catalog import Catalog
from allaprima.core.errors import UserError

METRICS = Catalog("metric", __name__)
FEW_PICTURES = 100


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
        return asdict(self)


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
    few = f"only {len(real)} held-out pictures: wide interval" if len(real) < FEW_PICTURES else ""
    for name in METRICS.names():
        module = METRICS.get(name)
        floors = {figure.name: figure.value for figure in module.measure(real, train, seed)}
        for figure in module.measure(real, fake, seed):
            note = "; ".join(part for part in (figure.note, few) if part)
            yield replace(figure, note=note, features=features, floor=floors.get(figure.name))
