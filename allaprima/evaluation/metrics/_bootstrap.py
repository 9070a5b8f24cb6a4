"""Intervals by drawing the same pictures again with replacement (Efron 1979)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from allaprima.core.seeds import torch_stream

REPLICATES = 200
REPLICATES_OF_MEANS = 1000
Z95 = 1.959964


def resampling_weights(count: int, seed: int, name: str, replicates: int = REPLICATES) -> torch.Tensor:
    """How often each of ``count`` pictures is drawn in each replicate: float32 ``[count, replicates]``."""
    drawn = torch.randint(count, (count, replicates), generator=torch_stream(seed, name))
    weights = torch.zeros(count, replicates)
    return weights.scatter_add_(0, drawn, torch.ones(count, replicates))


def resampled_means(scores: torch.Tensor, seed: int, name: str) -> torch.Tensor:
    """The mean of ``scores`` ``[N]``, one a picture, in each of ``REPLICATES_OF_MEANS`` resamplings: float32."""
    return scores.float() @ resampling_weights(len(scores), seed, name, REPLICATES_OF_MEANS) / len(scores)


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
    low, high = torch.quantile(replicates, torch.tensor([0.025, 0.975])).tolist()
    return low, high
