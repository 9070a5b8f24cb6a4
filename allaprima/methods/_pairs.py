"""What makes a discriminator mind the condition: mismatched pairs, and a contrastive head.

Mismatched pairs (matching-aware discriminators: Reed et al. 2016, section 4.2, and DF-GAN, Tao et al. 2022, equation 1), in the
relativistic form: a real picture x scores higher with its own condition y than with another's, y',

    E softplus(D(x, y') - D(x, y)).

The contrastive head is an auxiliary classifier where conditions are not classes: features of x and of y are projected on a
sphere, and of all conditions of the batch each picture must find its own (InfoNCE, van den Oord et al. 2018, equation 4; XMC-GAN,
Zhang et al. 2021). It learns from real pairs alone, and generated pictures then follow what it has learned.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from allaprima.models.conditions import left_out

WIDTH = 64
TEMPERATURE = 0.1


def _same(asked: torch.Tensor) -> torch.Tensor:
    """bool ``[N, N]``: which of the batch ask for the same thing."""
    rows = asked.reshape(len(asked), -1)
    return (rows[:, None] == rows[None]).all(2)


def mismatched(condition: Any, asked: torch.Tensor, own: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """The loss of pairs, ``[N]``: ``own`` and ``others`` are the scores ``[N]`` of the pictures with their conditions and with
    those of their neighbours in the batch (``roll(1)``). Zero where both ask the same, and where the neighbour leaves something
    out, for then it is not wrong.
    """
    beside = asked.roll(1, 0)
    rows = (asked != beside).reshape(len(asked), -1).any(1)
    wrong = rows & ~left_out(condition, beside)
    return F.softplus(others - own) * wrong


class Contrast(nn.Module):
    """Pictures' features ``[N, F, *grid]`` and conditions ``[N, E]`` → the loss of finding one's own, ``[N]``."""

    def __init__(self, features: int, condition_dim: int) -> None:
        super().__init__()
        self.of_picture = nn.Linear(features, WIDTH)
        self.of_condition = nn.Linear(condition_dim, WIDTH)

    def forward(self, grid: torch.Tensor, y: torch.Tensor, asked: torch.Tensor) -> torch.Tensor:
        with torch.autocast(grid.device.type, enabled=False):
            h = F.normalize(self.of_picture(F.leaky_relu(grid.float(), 0.2).flatten(2).mean(2)), dim=1)
            logits = h @ F.normalize(self.of_condition(y.float()), dim=1).T / TEMPERATURE
            # who asks for the same is no wrong answer
            twins = _same(asked) & ~torch.eye(len(asked), dtype=torch.bool, device=asked.device)
            logits = logits.masked_fill(twins, -torch.inf)
            return -logits.log_softmax(1).diagonal()
