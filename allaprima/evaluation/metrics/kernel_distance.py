"""Kernel distance: the squared maximum mean discrepancy with the kernel k(x,y) = (x·y/D + 1)³.

Bińkowski et al. 2018, "Demystifying MMD GANs", section 4: with Inception features it is called KID. The estimate is
unbiased at any number of pictures, so small sets can be compared, and it may come out slightly below 0. They average
over subsets to save time; we take all pairs at once, which has the same expectation and less spread.

Use: ``distance = mmd2(real_features, fake_features)``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from allaprima.evaluation.metrics import Figure
from allaprima.evaluation.metrics._bootstrap import REPLICATES, Z95, resampling_weights

ROWS_AT_ONCE = 1024


def kernel(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """(x·y/D + 1)³: ``[N,D]``, ``[M,D]`` → ``[N,M]``."""
    return (x @ y.T / x.shape[1] + 1).pow_(3)


def mmd2(x: torch.Tensor, y: torch.Tensor) -> float:
    """Unbiased MMD² (Gretton et al. 2012, eq. 3) of ``[N,D]`` and ``[M,D]``; N, M ≥ 2."""
    within = [_pairs(z, z, torch.ones(len(z), 1), torch.ones(len(z), 1), same=True) for z in (x, y)]
    across = _pairs(x, y, torch.ones(len(x), 1), torch.ones(len(y), 1))
    return float(within[0] + within[1] - 2 * across)


def measure(real: torch.Tensor, fake: torch.Tensor, seed: int) -> Iterator[Figure]:
    """The distance, with its standard error from resampled pictures.

    With a handful of pictures some resamplings hold one picture alone, which makes no pair: there is no interval then.
    """
    wx = resampling_weights(len(real), seed, "kernel-real")
    wy = resampling_weights(len(fake), seed, "kernel-fake")
    within = _pairs(real, real, wx, wx, same=True) + _pairs(fake, fake, wy, wy, same=True)
    replicates = within - 2 * _pairs(real, fake, wx, wy)
    error = float(replicates.std())
    known = math.isfinite(error)
    value = mmd2(real, fake)
    yield Figure(
        name="kernel distance",
        value=value,
        interval=(value - Z95 * error, value + Z95 * error) if known else None,
        better="lower",
        meaning="How far the samples as a whole lie from pictures that were never trained on; 0 is indistinguishable.",
        note=f"standard error {error:.2g}, {REPLICATES} resamplings" if known else "",
    )


def _pairs(x: torch.Tensor, y: torch.Tensor, wx: torch.Tensor, wy: torch.Tensor, same: bool = False) -> torch.Tensor:
    """Weighted mean of k over all pairs, a column of weights at a time: ``[N,D],[M,D],[N,R],[M,R]`` → ``[R]``.

    ``same``: x and y are the same pictures, and no picture is paired with itself, however often it was drawn.
    """
    total, mass = torch.zeros(wx.shape[1], dtype=torch.float64), torch.zeros(wx.shape[1], dtype=torch.float64)
    for start in range(0, len(x), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        values = kernel(x[rows], y)
        column_sums = wy.sum(0).double().expand(len(values), -1).clone()
        if same:
            diagonal = torch.arange(len(values))
            values[diagonal, diagonal + start] = 0
            column_sums -= wy[rows]
        total += (wx[rows].double() * (values @ wy).double()).sum(0)
        mass += (wx[rows].double() * column_sums).sum(0)
    return total / mass
