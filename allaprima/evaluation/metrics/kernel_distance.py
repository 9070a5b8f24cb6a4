"""Kernel distance: the squared maximum mean discrepancy with the kernel k(x,y) = (x·y/D + 1)³.

Bińkowski et al. 2018, "Demystifying MMD GANs", section 4: with Inception features it is called KID. The estimate is
unbiased at any number of pictures, so small sets can be compared, and it may come out slightly below 0. They average
over subsets to save time; we take all pairs at once, which has the same expectation and less spread.

Use: ``distance = mmd2(real_features, fake_features)``.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from allaprima.evaluation.material import Material
from allaprima.evaluation.metrics import Figure
from allaprima.evaluation.metrics._bootstrap import interval_around
from allaprima.evaluation.metrics._sets import against_real

GROUP = "Distance"
FIGURES = ("kernel distance",)
ROWS_AT_ONCE = 1024
FEWEST_FOR_INTERVAL = 10


def kernel(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """(x·y/D + 1)³: ``[N,D]``, ``[M,D]`` → ``[N,M]``."""
    return (x @ y.T / x.shape[1] + 1).pow_(3)


def mmd2(x: torch.Tensor, y: torch.Tensor) -> float:
    """Unbiased MMD² (Gretton et al. 2012, eq. 3) of ``[N,D]`` and ``[M,D]``; N, M ≥ 2."""
    return with_scores(x, y)[0]


def with_scores(x: torch.Tensor, y: torch.Tensor) -> tuple[float, torch.Tensor, torch.Tensor]:
    """The same, and what each picture adds to it, to first order: ``[N]`` and ``[M]`` float64 of mean 0.

    A picture's score is twice its mean kernel with its own kind, less that with the other kind, about the mean.
    """
    across = [torch.zeros(len(z), dtype=torch.float64) for z in (x, y)]
    for start in range(0, len(x), ROWS_AT_ONCE):
        values = kernel(x[start : start + ROWS_AT_ONCE], y)
        across[0][start : start + ROWS_AT_ONCE] = values.sum(1).double()
        across[1] += values.sum(0)
    own = [_sums_with_others(z) / (len(z) - 1) for z in (x, y)]
    other = [across[0] / len(y), across[1] / len(x)]
    value = own[0].mean() + own[1].mean() - 2 * other[0].mean()
    added = [2 * (mine - theirs) for mine, theirs in zip(own, other, strict=True)]
    return float(value), added[0] - added[0].mean(), added[1] - added[1].mean()


def _sums_with_others(z: torch.Tensor) -> torch.Tensor:
    """Σ_j≠i k(z_i, z_j) for each of ``[N,D]``, float64 ``[N]``; each pair is worked out once."""
    sums = torch.zeros(len(z), dtype=torch.float64)
    for start in range(0, len(z), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        values = kernel(z[rows], z[start:])
        values.diagonal().zero_()
        sums[rows] += values.sum(1)
        sums[start + len(values) :] += values[:, len(values) :].sum(0)
    return sums


def measure(material: Material) -> Iterator[Figure]:
    """The distance of samples to held-out pictures; its floor is that of training pictures."""
    yield from against_real(on_sets, material)


def on_sets(real: torch.Tensor, fake: torch.Tensor, seed: int) -> Iterator[Figure]:
    """The distance, with its standard error from resampled scores; a handful of pictures is too few for one."""
    value, *influences = with_scores(real, fake)
    known = min(len(real), len(fake)) >= FEWEST_FOR_INTERVAL
    error = float(sum(part.var() / len(part) for part in influences)) ** 0.5
    yield Figure(
        name="kernel distance",
        value=value,
        interval=interval_around(value, influences, seed, "kernel") if known else None,
        better="lower",
        meaning="How far the samples as a whole lie from pictures that were never trained on; 0 is indistinguishable.",
        note=f"standard error {error:.2g}" if known else "",
    )
