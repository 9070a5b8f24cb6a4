"""The end of every discriminator: features → one score, projected on the condition (Miyato, Koyama 2018)."""

from __future__ import annotations

import torch
from torch import nn


class Score(nn.Module):
    """h ``[N, F]``, y ``[N, E]`` → ``w·h + y·(V h)/√E`` as float32 ``[N]``; without a condition the second term is absent.

    In float32 whatever precision the nets run in: a relativistic loss lives on differences of scores, a hundredth of their
    size where bf16 knows steps of a hundredth.
    """

    def __init__(self, features: int, condition_dim: int) -> None:
        super().__init__()
        self.unconditional = nn.Linear(features, 1)
        self.projection = nn.Linear(features, condition_dim, bias=False) if condition_dim else None

    def forward(self, h: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        with torch.autocast(h.device.type, enabled=False):
            h = h.float()
            score = self.unconditional(h).squeeze(1)
            if self.projection is not None:
                score = score + (self.projection(h) * y.float()).sum(1) * y.shape[1] ** -0.5
        return score
