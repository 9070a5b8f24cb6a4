"""Brightness ±0.5, saturation × 0..2, contrast × 0.5..1.5 (DiffAugment, Zhao et al. 2020). Alpha is left alone."""

import torch

from allaprima.data.augment import uniform


def augment(samples: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """``[N, C, *spatial]`` → the same shape."""
    colours, alpha = samples[:, :3], samples[:, 3:]
    colours = colours + uniform(samples, random, -0.5, 0.5)
    if colours.shape[1] == 3:
        grey = colours.mean(1, keepdim=True)
        colours = torch.lerp(grey, colours, uniform(samples, random, 0.0, 2.0))
    mean = colours.flatten(1).mean(1).view(-1, *[1] * (samples.dim() - 1))
    colours = torch.lerp(mean, colours, uniform(samples, random, 0.5, 1.5))
    if alpha.shape[1]:  # premultiplied: a colour never exceeds its alpha
        colours = torch.minimum(colours, alpha).clamp_min(-1)
        return torch.cat([colours, alpha], dim=1)
    return colours
