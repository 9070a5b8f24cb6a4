"""A turn of up to 15 degrees about the centre. Two-dimensional samples; what comes in from outside repeats the border."""

import math

import torch
from torch.nn import functional as F

from allaprima.data.augment import uniform

LARGEST_DEGREES = 15.0


def augment(samples: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """``[N, C, H, W]`` → the same shape."""
    angle = uniform(samples, random, -1, 1).flatten() * math.radians(LARGEST_DEGREES)
    height, width = samples.shape[-2:]
    zero = torch.zeros_like(angle)
    # grid_sample measures in half sides: a rotation of a picture that is not square needs the proportion
    rows = [
        torch.stack([angle.cos(), -angle.sin() * height / width, zero], dim=1),
        torch.stack([angle.sin() * width / height, angle.cos(), zero], dim=1),
    ]
    grid = F.affine_grid(torch.stack(rows, dim=1), list(samples.shape), align_corners=False)
    return F.grid_sample(samples, grid, padding_mode="border", align_corners=False)
