"""The Gaussian mechanism: how much noise hides one record, and the ε that an amount of noise is worth.

For a release of sensitivity 1 with noise of standard deviation σ, (ε, δ) holds exactly when (Balle, Wang 2018, theorem 8)

    Φ(1/2σ - εσ) - e^ε Φ(-1/2σ - εσ) ≤ δ.

Use: ``sigma = noise_for(epsilon=1.0, delta=1e-5)``.
"""

from __future__ import annotations

import math

STEPS = 200  # halvings: far beyond what a float can tell


def delta_of(epsilon: float, sigma: float) -> float:
    """The smallest δ at this ε."""
    a, b = 0.5 / sigma, epsilon * sigma
    # e^ε Φ(-a - b) = exp(ε + log Φ(-a - b)): the factors alone are too large and too small
    return _normal(a - b) - math.exp(epsilon + _log_normal(-a - b))


def epsilon_of(sigma: float, delta: float) -> float:
    """The smallest ε at this δ."""
    low, high = 0.0, 1.0
    if delta_of(0.0, sigma) <= delta:
        return 0.0
    while delta_of(high, sigma) > delta:
        high *= 2
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if delta_of(middle, sigma) > delta else (low, middle)
    return high


def noise_for(epsilon: float, delta: float) -> float:
    """The smallest σ that gives (ε, δ)."""
    low, high = 0.0, 1.0
    while delta_of(epsilon, high) > delta:
        high *= 2
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if middle == 0 or delta_of(epsilon, middle) > delta else (low, middle)
    return high


def _normal(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))


def _log_normal(x: float) -> float:
    value = _normal(x)
    # Mill's ratio where the tail is smaller than a float: log Φ(x) ≈ -x²/2 - log(-x √2π)
    return math.log(value) if value > 0 else -x * x / 2 - math.log(-x * math.sqrt(2 * math.pi))
