"""Intervals by drawing the same pictures again with replacement (Efron 1979)."""

from __future__ import annotations

import torch

from allaprima.core.seeds import torch_stream

REPLICATES = 200
Z95 = 1.959964


def resampling_weights(count: int, seed: int, name: str, replicates: int = REPLICATES) -> torch.Tensor:
    """How often each of ``count`` pictures is drawn in each replicate: float32 ``[count, replicates]``."""
    drawn = torch.randint(count, (count, replicates), generator=torch_stream(seed, name))
    weights = torch.zeros(count, replicates)
    return weights.scatter_add_(0, drawn, torch.ones(count, replicates))


def interval_of_mean(scores: torch.Tensor, seed: int, name: str) -> tuple[float, float]:
    """95 % percentile interval of the mean of ``scores`` ``[N]``, one score a picture."""
    means = scores.float() @ resampling_weights(len(scores), seed, name, 1000) / len(scores)
    low, high = torch.quantile(means, torch.tensor([0.025, 0.975])).tolist()
    return low, high
