"""A hole of half of each side, anywhere (DeVries, Taylor 2017; DiffAugment, Zhao et al. 2020)."""

import torch

from allaprima.data.augment import uniform

SIZE = 0.5


def augment(samples: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """``[N, C, *spatial]`` → the same shape."""
    hole = torch.ones(1, dtype=torch.bool, device=samples.device)
    for axis in range(2, samples.dim()):
        side = samples.shape[axis]
        half = side * SIZE / 2
        centre = uniform(samples, random, 0, side)
        shape = [1] * samples.dim()
        shape[axis] = side
        place = torch.arange(side, device=samples.device).view(shape)
        hole = hole & ((place - centre).abs() < half)
    return samples.masked_fill(hole, 0.0)
