"""How good samples are, as figures: one family of measures a file, found by its name.

Each module has ``measure(material) -> Iterator[Figure]``. One that does not apply (a likelihood to a GAN) yields nothing;
one that misses something which a person could provide raises NotMeasuredError, and the others still run. Those that
compare two sets of features have ``on_sets(real, fake, seed)`` as well, see ``_sets``. ``GROUP`` is the heading of a
module's figures in the report, if it is not the module's own name; ``FIGURES`` names all that it may yield, so that the
reason for one that is missing is found.

A figure carries the name of its features, an interval, and what it is at best and at worst: ``floor`` and ``ceiling``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import torch

from allaprima.core.catalog import Catalog
from allaprima.core.errors import UserError

if TYPE_CHECKING:
    from allaprima.evaluation.material import Material

METRICS = Catalog("metric", __name__)
FEWEST_TELLING = 50  # held-out pictures: with less, precision and coverage are near 1 whatever is painted


class NotMeasuredError(UserError):
    """A metric that this run, dataset or split cannot give; the remedy says what would."""


@dataclass(frozen=True)
class Figure:
    """One number. ``interval`` holds 95 % of what a repetition with other pictures would give; None if unknown.

    The other pictures are samples and held-out ones unless the note says that one kind stays the same. ``floor`` is the
    least and ``ceiling`` the most that makes sense, where they exist: at the better end what real pictures get, or the best
    there can be; at the worse end what is had without a model, such as chance. The note says where they come from.
    ``better`` is ``neither`` for a figure that should come near the real pictures' own.
    ``meaning`` is one plain sentence; ``note`` what to keep in mind; ``features`` what it was measured on. ``details``
    are tables behind the number, JSON values by name, such as a confusion matrix. ``group`` is the heading under which it
    stands: its module's ``GROUP``.
    """

    name: str
    value: float
    interval: tuple[float, float] | None
    better: Literal["lower", "higher", "neither"]
    meaning: str
    note: str = ""
    features: str = ""
    floor: float | None = None
    ceiling: float | None = None
    details: dict[str, Any] = field(default_factory=dict)
    group: str = ""

    @property
    def real(self) -> float | None:
        """What real pictures get, or the best there can be: the end at which a figure is good."""
        return self.floor if self.better == "lower" else self.ceiling

    def to_json(self) -> dict[str, Any]:
        """Its fields; None, which is null in JSON, for a number that is not finite."""
        return {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in asdict(self).items()
        }


def warning(held_out: int, samples: int = FEWEST_TELLING) -> str:
    """What a reader must know before figures on so few held-out pictures or samples; empty when there are enough."""
    if held_out >= FEWEST_TELLING:
        few = f"only {samples} samples: these figures say little. Ask for more with --count, better several hundred"
        return few if samples < FEWEST_TELLING else ""
    return (
        f"only {held_out} held-out pictures: these figures say little; precision and coverage lie near 1 whatever "
        f"is painted. Hold out at least {FEWEST_TELLING}, better several hundred"
    )


def measure_all(material: Material, names: list[str] | None = None) -> Iterator[tuple[str, list[Figure] | UserError]]:
    """Every metric of the catalogue (or those named) with its figures, or with the reason why there are none.

    A matrix that cannot be decomposed is such a reason; any other error that is no UserError is a bug, and raised.
    """
    for name in names if names is not None else METRICS.names():
        module = METRICS.get(name)
        group = getattr(module, "GROUP", name.replace("_", " ").capitalize())
        try:
            yield name, [replace(figure, group=group) for figure in module.measure(material)]
        except UserError as error:
            yield name, error
        except torch.linalg.LinAlgError as error:
            problem = f"Its matrices could not be decomposed ({str(error).strip() or 'no convergence'})"
            yield name, NotMeasuredError(problem, "look at the samples: are they broken, or all the same?")
