"""No penalty."""

import torch

from allaprima.losses.penalties import Score

WEIGHT = 0.0


def penalty(score: Score, real: torch.Tensor, fake: torch.Tensor, mix: torch.Tensor) -> torch.Tensor:
    """Zeros."""
    return torch.zeros(len(real), device=real.device)
