"""Nearer or farther by up to a fifth. Two-dimensional samples; what comes in from outside repeats the border."""

import torch
from torch.nn import functional as F

from allaprima.data.augment import uniform

LARGEST = 0.2


def augment(samples: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """``[N, C, H, W]`` → the same shape."""
    scale = (1 + LARGEST) ** uniform(samples, random, -1, 1).flatten()
    zero = torch.zeros_like(scale)
    matrix = torch.stack([torch.stack([scale, zero, zero], dim=1), torch.stack([zero, scale, zero], dim=1)], dim=1)
    grid = F.affine_grid(matrix, list(samples.shape), align_corners=False)
    return F.grid_sample(samples, grid, padding_mode="border", align_corners=False)
