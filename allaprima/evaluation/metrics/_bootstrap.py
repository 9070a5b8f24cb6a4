"""Intervals by drawing the same pictures again with replacement (Efron 1979)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from allaprima.core.seeds import torch_stream

REPLICATES = 200
REPLICATES_OF_MEANS = 1000
DRAWS_AT_ONCE = 1024  # of each replicate, which bounds the memory however many pictures there are
Z95 = 1.959964


def resampling_weights(count: int, seed: int, name: str) -> torch.Tensor:
    """How often each of ``count`` pictures is drawn in each replicate: float32 ``[count, REPLICATES]``, for few pictures."""
    drawn = torch.randint(count, (count, REPLICATES), generator=torch_stream(seed, name))
    return torch.zeros(count, REPLICATES).scatter_add_(0, drawn, torch.ones(count, REPLICATES))


def resampled_means(scores: torch.Tensor, seed: int, name: str) -> torch.Tensor:
    """The mean of ``scores`` ``[N]``, one a picture, in each of ``REPLICATES_OF_MEANS`` resamplings: float64."""
    draw, count, sums = torch_stream(seed, name), len(scores), torch.zeros(REPLICATES_OF_MEANS, dtype=torch.float64)
    for start in range(0, count, DRAWS_AT_ONCE):  # one stream, so that the result is that of drawing all at once
        rows = min(DRAWS_AT_ONCE, count - start)
        drawn = torch.randint(count, (rows, REPLICATES_OF_MEANS), generator=draw)
        sums += scores.float()[drawn].sum(0, dtype=torch.float64)
    return sums / count


def interval_of_mean(scores: torch.Tensor, seed: int, name: str) -> tuple[float, float]:
    """95 % percentile interval of the mean of ``scores`` ``[N]``, one score a picture."""
    return _percentiles(resampled_means(scores, seed, name))


def interval_around(value: float, influences: Sequence[torch.Tensor], seed: int, name: str) -> tuple[float, float]:
    """95 % interval of a figure from its influence function, for each set of pictures it depends on: ``[N]``, mean 0.

    The figure is replaced by its linear part (Efron 1982, the infinitesimal jackknife), which is what resampling sees
    of it but for a bias upwards of those that, like distances, suffer when pictures are repeated.
    """
    moved = [resampled_means(part, seed, f"{name}-{place}") for place, part in enumerate(influences)]
    low, high = _percentiles(torch.stack(moved).sum(0))
    return value + min(low, 0.0), value + max(high, 0.0)


def _percentiles(replicates: torch.Tensor) -> tuple[float, float]:
    low, high = torch.quantile(replicates, torch.tensor([0.025, 0.975], dtype=replicates.dtype)).tolist()
    return low, high
