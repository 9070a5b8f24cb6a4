"""The Gaussian mechanism on pictures drawn by chance, many times over: how much noise keeps a promise, and what it is worth.

Each of ``steps`` releases takes every record with chance q, on its own, and adds noise of standard deviation σ to a sum in which
a record moves no more than 1. Privacy loss distributions tell what all of them give away (Sommer et al. 2019; Koskela et al.
2020): of one release the exact masses of P and Q between the points of a grid, given to the two ends so that both keep their sum
("connect the dots", Doroshenko et al. 2022: never too small); of all together a power of its Fourier transform. The neighbours
are sets with and without one record, both ways round (Zhu, Dong, Wang 2022); no other sampler is known here.

Use: ``sigma = noise_for(epsilon=1.0, delta=1e-5, rate=0.01, steps=1000)``.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from allaprima.core.errors import UserError

TAIL = 1e-4  # of δ, for what is cut off on either side
ROUNDING = 1e-15  # of each release, in the power of a transform
CELLS, COARSEST = 30, 2e-3  # cells to a standard deviation of one release's loss; and the coarsest
MOST_CELLS = 3_000_000
PRECISION = 1e-3  # of σ, and of ε
MOST_NOISE = 1e5
TILTS = np.geomspace(1e-3, 1e4, 400)  # exponents of Chernoff's bound, per unit of loss


def delta_of(epsilon: float, sigma: float, rate: float, steps: int) -> float:
    """The smallest δ at this ε, or slightly more."""
    return _Composed(sigma, rate, steps, 1e-9).delta(epsilon)


def epsilon_of(sigma: float, delta: float, rate: float, steps: int) -> float:
    """The smallest ε at this δ, or slightly more; infinite where rounding hides so small a δ."""
    composed = _Composed(sigma, rate, steps, delta)
    low, high = 0.0, 1.0
    if composed.delta(0.0) <= delta:
        return 0.0
    while composed.delta(high) > delta:
        low, high = high, 2 * high
        if high > 1e4:
            return math.inf
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if composed.delta(middle) > delta else (low, middle)
    return high


def noise_for(epsilon: float, delta: float, rate: float, steps: int) -> float:
    """The smallest σ, to a thousandth, that keeps (ε, δ). Raises UserError where none is known to."""
    low, high = 0.0, 1.0
    while not _keeps(epsilon, delta, high, rate, steps):
        low, high = high, 2 * high
        if high > MOST_NOISE:
            raise UserError(
                f"No noise is known to keep ε = {epsilon:g}, δ = {delta:g} for {steps:,} steps",
                "promise a larger ε or δ, or plan fewer steps",
            )
    while high - low > PRECISION * high:
        middle = (low + high) / 2
        low, high = (low, middle) if _keeps(epsilon, delta, middle, rate, steps) else (middle, high)
    return high


def _keeps(epsilon: float, delta: float, sigma: float, rate: float, steps: int) -> bool:
    if sigma < 0.2:  # its privacy loss has a tail longer than any use
        return False
    return _Composed(sigma, rate, steps, delta).delta(epsilon) <= delta


class _Composed:
    """The privacy losses of all releases together, with a record taken away and with one added."""

    def __init__(self, sigma: float, rate: float, steps: int, delta: float) -> None:
        if not 0 < rate <= 1 or steps < 1 or sigma <= 0:
            raise ValueError(f"sigma {sigma}, rate {rate}, steps {steps}")
        tail = max(TAIL * delta, 1e-300)
        lowest, p, q, width, beyond = _one(sigma, rate, tail / steps)
        ways = (lowest, p, q), (-(lowest + len(p)), q[::-1], p[::-1])
        self._ways = [_power(*_connected(*way, width), width, steps, tail) for way in ways]
        self._lost = 3 * tail + steps * beyond + ROUNDING * steps

    def delta(self, epsilon: float) -> float:
        """max over both ways of E (1 - e^(ε - loss))₊."""
        found = 0.0
        for losses, masses in self._ways:
            above = losses > epsilon
            found = max(found, float(-(np.expm1(epsilon - losses[above]) * masses[above]).sum()))
        return found + self._lost


def _one(sigma: float, rate: float, tail: float) -> tuple[int, np.ndarray, np.ndarray, float, float]:
    """Of one release: the first grid point, the masses of P and Q in each cell from there, a cell's width, the mass beyond.

    P = (1 - q) N(0, σ²) + q N(1, σ²), Q = N(0, σ²); the loss log P/Q rises with x.
    """
    reach = math.sqrt(2 * math.log(1 / tail))  # Φ(-x) ≤ e^(-x²/2) / 2
    ends = np.array([-reach * sigma, 1 + reach * sigma])
    z = (2 * ends - 1) / (2 * sigma**2)
    with np.errstate(divide="ignore"):
        losses = np.logaddexp(np.log1p(-rate) if rate < 1 else -np.inf, z + math.log(rate))
    spread = rate * math.sqrt(math.expm1(min(1 / sigma**2, 20.0))) if rate < 1 else 1 / sigma
    width = max(min(spread / CELLS, COARSEST), (losses[1] - losses[0]) / MOST_CELLS)
    first, last = math.floor(losses[0] / width) - 1, math.ceil(losses[1] / width) + 1
    grid = np.arange(first, last + 1) * width
    # e^loss = 1 - q + q e^z
    with np.errstate(divide="ignore", invalid="ignore"):
        inner = (np.expm1(grid) + rate) / rate
        x = np.where(inner > 0, sigma**2 * np.log(np.maximum(inner, 0)) + 0.5, -np.inf)
    x[0], x[-1] = -np.inf, np.inf  # what lies outside is counted at the ends
    q = _between(x / sigma)
    p = (1 - rate) * q + rate * _between((x - 1) / sigma)
    return first, p, q, width, 2 * tail


def _between(x: np.ndarray) -> np.ndarray:
    """Φ(x[i + 1]) - Φ(x[i]), from whichever side is small."""
    below = torch.special.ndtr(torch.from_numpy(x)).numpy()
    above = torch.special.ndtr(torch.from_numpy(-x)).numpy()
    return np.maximum(np.where(x[:-1] > 0, above[:-1] - above[1:], below[1:] - below[:-1]), 0)


def _connected(lowest: int, p: np.ndarray, q: np.ndarray, width: float) -> tuple[int, np.ndarray]:
    """Masses of P on the grid's points: of a cell [a, a + h], b at its upper end and p - b at its lower one, so that
    (p - b) e^-a + b e^-(a + h) = q.
    """
    a = (lowest + np.arange(len(p))) * width
    with np.errstate(over="ignore", invalid="ignore"):
        upper = (p - q * np.exp(np.minimum(a, 700))) / -math.expm1(-width)
    upper = np.clip(np.nan_to_num(upper, posinf=0, neginf=0), 0, p)
    masses = np.zeros(len(p) + 1)
    masses[:-1] += p - upper
    masses[1:] += upper
    return lowest, masses


def _power(lowest: int, masses: np.ndarray, width: float, steps: int, tail: float) -> tuple[np.ndarray, np.ndarray]:
    """Losses and masses of the sum of ``steps`` independent losses, but for ``tail`` on either side (Chernoff)."""
    places = lowest + np.arange(len(masses))
    kept = masses > 0
    logs, losses = np.log(masses[kept]), places[kept] * width
    last = min((steps * _moment(logs, t * losses) - math.log(tail)) / t for t in TILTS)
    first = -min((steps * _moment(logs, -t * losses) - math.log(tail)) / t for t in TILTS)
    begin = math.floor(max(first, steps * losses[0]) / width)
    count = math.ceil(min(last, steps * losses[-1]) / width) - begin + 1
    size = 1 << max(1, count - 1).bit_length()
    folded = np.bincount(places % size, masses, minlength=size)
    summed = np.fft.irfft(np.fft.rfft(folded) ** steps, size)
    where = begin + np.arange(count)
    return where * width, np.maximum(summed[where % size], 0)


def _moment(logs: np.ndarray, exponents: np.ndarray) -> float:
    """log Σ e^(logs + exponents)."""
    both = logs + exponents
    most = both.max()
    return float(most + np.log(np.exp(both - most).sum()))
