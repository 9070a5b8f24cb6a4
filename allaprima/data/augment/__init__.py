"""Random changes of samples, differentiable, one a file: ``augment(samples, random)`` → samples of the same shape.

``samples`` float ``[N, C, *spatial]`` in [-1, 1]; ``random`` a torch generator on their device. What falls outside the
picture is 0, mid grey. The same file serves as data augmentation and as DiffAugment (Zhao et al. 2020).
"""

from collections.abc import Sequence

import torch

from allaprima.core.catalog import Catalog

AUGMENT = Catalog("augmentation", __name__)


def apply(
    names: Sequence[str], samples: torch.Tensor, probability: float | torch.Tensor, random: torch.Generator
) -> torch.Tensor:
    """Each augmentation in turn, on each sample with ``probability``, a number or a scalar on the samples' device."""
    known = not isinstance(probability, torch.Tensor)  # nobody waits for the device to say what it is
    for name in names if not known or probability > 0 else ():
        changed = AUGMENT.get(name).augment(samples, random)
        if not known or probability < 1:
            chosen = uniform(samples, random) < probability
            changed = torch.where(chosen, changed, samples)
        samples = changed
    return samples


def uniform(samples: torch.Tensor, random: torch.Generator, low: float = 0.0, high: float = 1.0) -> torch.Tensor:
    """One number in [low, high) for each sample, shaped ``[N, 1, …]`` to go with them."""
    shape = (len(samples), *[1] * (samples.dim() - 1))
    return torch.rand(shape, generator=random, device=samples.device) * (high - low) + low
