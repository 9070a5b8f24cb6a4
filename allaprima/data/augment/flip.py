"""Left and right exchanged in half of the samples. Not for letters, digits, or anything that has a side."""

import torch

from allaprima.data.augment import uniform


def augment(samples: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """``[N, C, *spatial]`` → the same shape."""
    return torch.where(uniform(samples, random) < 0.5, samples.flip(-1), samples)
