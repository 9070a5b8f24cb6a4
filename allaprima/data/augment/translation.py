"""A shift of up to an eighth of each side (DiffAugment, Zhao et al. 2020)."""

import torch

from allaprima.data.augment import uniform

LARGEST = 0.125


def augment(samples: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """``[N, C, *spatial]`` → the same shape."""
    for axis in range(2, samples.dim()):
        side = samples.shape[axis]
        most = int(side * LARGEST + 0.5)
        shift = uniform(samples, random, -most, most + 1).floor().long()
        shape = [1] * samples.dim()
        shape[axis] = side
        place = torch.arange(side, device=samples.device).view(shape) + shift
        inside = (place >= 0) & (place < side)
        index = place.clamp(0, side - 1).expand(-1, *samples.shape[1:axis], -1, *samples.shape[axis + 1 :])
        samples = samples.gather(axis, index) * inside
    return samples
