"""Where a search may look for a setting: told beside the setting's owner, relative to the default where that is meant.

A method's Config names its own in ``searched``, for example ``{"method.beta": Times(1 / 4, 4), "training.beta2": None}``;
None takes a setting of every method's out. Use: ``Times(1 / 4, 4).around(1e-3)`` → ``Between(2.5e-4, 4e-3, log=True)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Between:
    """Anything from ``low`` to ``high``, evenly, or evenly in the logarithm."""

    low: float
    high: float
    log: bool = False

    def around(self, default: Any) -> Between | None:
        """Widened so that the default is inside; None for a default that is no number."""
        if not _is_number(default):
            return None
        return Between(min(self.low, default), max(self.high, default), self.log)


@dataclass(frozen=True)
class OneOf:
    """One of ``values``, which need no order."""

    values: tuple[Any, ...]

    def around(self, default: Any) -> OneOf | None:
        """With the default among them."""
        return self if default in self.values else OneOf((*self.values, default))


@dataclass(frozen=True)
class Times:
    """From ``low`` to ``high`` times the default, evenly in the logarithm."""

    low: float
    high: float

    def around(self, default: Any) -> Between | None:
        """None for a default of 0, which is a thing switched off, and for one that is no number."""
        if not _is_number(default) or default <= 0:
            return None
        return Between(default * self.low, default * self.high, log=True)


@dataclass(frozen=True)
class Multiples:
    """The default times one of ``factors``; whole numbers stay whole and at least 1."""

    factors: tuple[float, ...]

    def around(self, default: Any) -> OneOf | None:
        """None for a default that is no number."""
        if not _is_number(default):
            return None
        whole = isinstance(default, int)
        values = {max(1, round(default * factor)) if whole else default * factor for factor in self.factors}
        return OneOf(tuple(sorted({*values, default})))


Span = Between | OneOf | Times | Multiples
Spans = Mapping[str, Span | None]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
