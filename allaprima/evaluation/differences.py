"""When is a difference between two runs more than noise?

Two things make equal runs differ. The pictures that were drawn and held out: the *error* that a figure's interval gives;
runs are measured on the same held-out pictures, so it is taken rather too large. And the seed of the training
run: two runs of one recipe, measured on all pictures there are, would still differ. This *spread* is relative to how far
a run falls short of real pictures: runs that lie twice as far away scatter twice as much. It is taken from ``MEASURED``,
pooled with what the compared runs show themselves where three or more differ in nothing but the seed. (Those alone would
tell little: with two degrees of freedom hardly any difference is more than noise.)

The test is Welch's (1947): t = Δ / √(e₁² + e₂² + 2s²), degrees of freedom after Satterthwaite (1946), since errors come
from hundreds of resamplings and spreads from a handful of runs. s is the relative spread at the logarithmic mean of the
two shortfalls, (v₁ - v₂) / ln(v₁/v₂): where there is no error, t is the ratio's logarithm in units of its own scatter.

Of k runs compared, √2·t is held against the studentized range of k (Tukey 1953; Kramer 1956), which for two runs is
Student's test. It keeps the chance of any false difference among all pairs at 5 % where the spread alone counts, and
below it where errors of different size come in (Hayter 1984). Holm's method would too, but takes the tests for unrelated,
though all share one estimate of the spread: of 12 runs, with 5 degrees of freedom, it asks for t > 7.3 of the first pair,
where the range asks for 5.2.

Where the value of real pictures is not known (bits/dim, PSNR), nobody knows how far a run falls short, and the errors
alone are counted: a difference is then one of these runs, which other seeds of their recipes may turn round.

Use: ``p = p_value(Measured(.012, .002), Measured(.10, .01), MEASURED["kernel distance"])``.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
        """The value itself where that of real pictures is not known; the interval holds 95 %."""
        error = None if figure.interval is None else (figure.interval[1] - figure.interval[0]) / (2 * Z95)
        return cls(figure.value - (figure.real or 0.0), error)


@dataclass(frozen=True)
class Spread:
    """``relative`` standard deviation between training seeds, with the ``degrees`` of freedom that it is known with."""

    relative: float
    degrees: float


@dataclass(frozen=True)
class Judged:
    """Each pair's p-value, by places. ``spread``: None where only errors count; ``is_own``: some of these runs show it."""

    p_values: dict[tuple[int, int], float | None]
    spread: Spread | None
    is_own: bool


MEASURED_ON = "domain"  # the features of MEASURED
# Between seeds of the recipe ``gan``, of sprites at 32 px: python benchmarks/seeds.py datasets/sprites --images 20k
# (six runs of 20,000 images and six of 2,000)
MEASURED: dict[str, Spread] = {
    "kernel distance": Spread(0.252, 10),
    "Fréchet distance": Spread(0.214, 10),
}
UNMEASURED = max(MEASURED.values(), key=lambda spread: spread.relative)  # for every other figure: the largest


def judge(by: str, figures: Sequence[Figure], groups: Sequence[Sequence[int]] = ()) -> Judged:
    """Every pair of runs compared by the figure named ``by``; ``groups``: places of runs that differ in the seed alone.

    Needs scipy (extra ``evaluate``). Raises UserError without it.
    """
    spread, own = None, None
    if any(figure.real is None for figure in figures):
        measured = [Measured.of(replace(figure, floor=None, ceiling=None)) for figure in figures]
    else:
        measured = [Measured.of(figure) for figure in figures]
        own = estimate([[measured[i] for i in group] for group in groups])
        usual = MEASURED.get(by, UNMEASURED)
        spread = usual if own is None else pooled([usual, own])
    pairs = itertools.combinations(range(len(figures)), 2)
    p_values = {(i, j): p_value(measured[i], measured[j], spread, len(figures)) for i, j in pairs}
    return Judged(p_values, spread, own is not None)


def p_value(one: Measured, other: Measured, spread: Spread | None, runs: int = 2) -> float | None:
    """How often, of so many ``runs`` of one recipe, some two would differ at least as much; None where an error is unknown.

    Without a ``spread`` only errors count. Needs scipy (extra ``evaluate``). Raises UserError without it.
    """
    if one.error is None or other.error is None or not math.isfinite(one.value - other.value):
        return None
    errors = one.error**2 + other.error**2
    seeds = 0.0 if spread is None else 2 * (spread.relative * _between(one, other)) ** 2
    if one.value == other.value:
        return 1.0
    if errors + seeds == 0:
        return 0.0
    # Satterthwaite: the whole variance, squared, over that of its uncertain part
    degrees = (errors + seeds) ** 2 / (seeds**2 / spread.degrees) if spread is not None and seeds else math.inf
    return beyond(abs(one.value - other.value) / math.sqrt(errors + seeds), degrees, runs)


def beyond(t: float, degrees: float, runs: int = 2) -> float:
    """P(\\|T\\| ≥ t) for the largest \\|T\\| among all pairs of ``runs`` values: of two, Student's distribution."""
    alone = float(2 * student().sf(t, degrees))
    if runs == 2:
        return alone
    from scipy.stats import studentized_range

    # it is integrated numerically: far out, what is left is rounding
    return min(1.0, max(alone, float(studentized_range.sf(math.sqrt(2) * t, runs, degrees))))


def t_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float] | None:
    """Of the mean of independent ``values``: mean ± t · s/√n. None for one or two: t is then so large that it says nothing."""
    if len(values) < 3:
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
