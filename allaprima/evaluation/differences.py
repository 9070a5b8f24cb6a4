"""When is a difference between two runs more than noise?

Two things make equal runs differ. The pictures that were drawn and held out: the *error* that a figure's interval gives;
runs are measured on the same held-out pictures, so it is taken too large, never too small. And the seed of the training
run: two runs of one recipe, measured on all pictures there are, would still differ. This *spread* is relative to how far
a run falls short of real pictures: runs that lie twice as far away scatter twice as much. It is taken from ``MEASURED``,
pooled with what the compared runs show themselves where three or more differ in nothing but the seed. (Those alone would
tell little: with two degrees of freedom hardly any difference is more than noise.)

The test is Welch's (1947): t = Δ / √(e₁² + e₂² + 2s²), degrees of freedom after Satterthwaite (1946), since errors come
from hundreds of resamplings and spreads from a handful of runs. s is the relative spread at the logarithmic mean of the
two shortfalls, (v₁ - v₂) / ln(v₁/v₂): where there is no error, t is the ratio's logarithm in units of its own scatter. Over
all pairs of a comparison Holm's method (1979) keeps the chance of any false difference at 5 %.

Use: ``p = p_value(Measured(.012, .002), Measured(.10, .01), MEASURED["kernel distance"])``.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from allaprima.core.errors import UserError
from allaprima.evaluation.metrics import Figure
from allaprima.evaluation.metrics._bootstrap import Z95

LEVEL = 0.05  # the chance of telling apart what is equal
FEWEST_SEEDS = 3  # runs of one recipe from which a spread is estimated


@dataclass(frozen=True)
class Measured:
    """A run's figure, as what it is beyond that of real pictures. ``error``: standard; None where there was no interval."""

    value: float
    error: float | None

    @classmethod
    def of(cls, figure: Figure) -> Measured:
        """Real pictures count as 0 where theirs is not known; the interval holds 95 %."""
        error = None if figure.interval is None else (figure.interval[1] - figure.interval[0]) / (2 * Z95)
        return cls(figure.value - (figure.real or 0.0), error)


@dataclass(frozen=True)
class Spread:
    """``relative`` standard deviation between training seeds, with the ``degrees`` of freedom that it is known with."""

    relative: float
    degrees: float


# Between seeds of the recipe ``gan``, of sprites at 32 px: python benchmarks/seeds.py datasets/sprites --seeds 4 --images 12k
MEASURED: dict[str, Spread] = {
    "kernel distance": Spread(0.174, 3),
    "Fréchet distance": Spread(0.216, 3),
}
UNMEASURED = max(MEASURED.values(), key=lambda spread: spread.relative)  # for every other figure: the largest


def p_value(one: Measured, other: Measured, spread: Spread) -> float | None:
    """How often runs of one recipe would differ at least as much; None where an error is unknown.

    Needs scipy (extra ``evaluate``). Raises UserError without it.
    """
    if one.error is None or other.error is None or not math.isfinite(one.value - other.value):
        return None
    errors, seeds = one.error**2 + other.error**2, 2 * (spread.relative * _between(one, other)) ** 2
    if one.value == other.value:
        return 1.0
    if errors + seeds == 0:
        return 0.0
    # Satterthwaite: the whole variance, squared, over that of its uncertain part
    degrees = (errors + seeds) ** 2 / (seeds**2 / spread.degrees) if seeds else math.inf
    return two_sided(abs(one.value - other.value) / math.sqrt(errors + seeds), degrees)


def two_sided(t: float, degrees: float) -> float:
    """P(\\|T\\| ≥ t) of Student's distribution."""
    return float(2 * student().sf(t, degrees))


def t_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float] | None:
    """Of the mean of independent ``values``: mean ± t · s/√n. None for a single one."""
    if len(values) < 2:
        return None
    mean, deviation = statistics.fmean(values), statistics.stdev(values)
    half = float(student().ppf((1 + level) / 2, len(values) - 1)) * deviation / math.sqrt(len(values))
    return mean - half, mean + half


def estimate(groups: Sequence[Sequence[Measured]]) -> Spread | None:
    """The relative spread that groups of runs show, each of one recipe; None if none has ``FEWEST_SEEDS`` runs.

    What the errors account for is taken off each group's variance, since a test adds it again.
    """
    found = []
    for group in groups:
        values = [one.value for one in group if one.error is not None and math.isfinite(one.value)]
        errors = [one.error for one in group if one.error is not None and math.isfinite(one.value)]
        if len(values) < FEWEST_SEEDS:
            continue
        error = statistics.fmean(error**2 for error in errors)
        scale = max(abs(statistics.fmean(values)), math.sqrt(error))
        own = max(0.0, statistics.variance(values) - error) / scale**2 if scale else 0.0
        found.append(Spread(math.sqrt(own), len(values) - 1))
    return pooled(found) if found else None


def pooled(spreads: Sequence[Spread]) -> Spread:
    """The root mean square of several, each counting by its degrees of freedom."""
    degrees = sum(spread.degrees for spread in spreads)
    return Spread(math.sqrt(sum(spread.degrees * spread.relative**2 for spread in spreads) / degrees), degrees)


def holm(p_values: Mapping[tuple[int, int], float | None]) -> dict[tuple[int, int], float | None]:
    """Holm's adjusted p-values; unknown ones stay unknown, and count as tests that were made."""
    count, least = len(p_values), 0.0
    found: dict[tuple[int, int], float | None] = dict.fromkeys(p_values)
    known = sorted((p, pair) for pair, p in p_values.items() if p is not None)
    for place, (p, pair) in enumerate(known):
        least = max(least, min(1.0, (count - place) * p))
        found[pair] = least
    return found


def is_told_apart(p: float | None) -> bool:
    """Whether a difference is more than noise."""
    return p is not None and p < LEVEL


def ranks(count: int, better: Mapping[tuple[int, int], bool]) -> list[tuple[int, int]]:
    """The first and last rank that each of ``count`` runs may have; ``better[i, j]``: i is told apart, and better, than j."""
    found = []
    for run in range(count):
        before = sum(better.get((other, run), False) for other in range(count))
        after = sum(better.get((run, other), False) for other in range(count))
        found.append((1 + before, count - after))
    return found


def _between(one: Measured, other: Measured) -> float:
    """The logarithmic mean of both values' sizes; one that lies below its error, perhaps below 0, counts as its error."""
    low, high = sorted(max(abs(each.value), each.error or 0.0) for each in (one, other))
    if low <= 0 or high - low < 1e-9 * high:
        return high if low > 0 else 0.0
    return (high - low) / math.log(high / low)


def student() -> Any:
    """Student's distribution. Raises UserError without scipy: to be called before hours of work, not after."""
    try:
        from scipy.stats import t
    except ImportError:
        raise UserError(
            "Intervals over few runs need scipy, which is not installed", "pip install 'allaprima[evaluate]'"
        ) from None
    return t
