"""The net behind encoders whose sentence vectors are frozen."""

from __future__ import annotations

import torch
from torch import nn

from allaprima.models.blocks import as_embedded


class Projection(nn.Module):
    """float32 ``[N, size]`` of length 1, or zeros → float32 ``[N, width]`` of length √width, as an embedding's rows are.

    Sentences about pictures lie close together on their sphere: the first layer's gain and its tanh pull them apart.
    """

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        hidden = 2 * width
        self.first, self.second = nn.Linear(size, hidden), nn.Linear(hidden, width)
        nn.init.normal_(self.first.weight)
        nn.init.zeros_(self.first.bias)

    def forward(self, prepared: torch.Tensor) -> torch.Tensor:
        return as_embedded(self.second(torch.tanh(self.first(prepared))))
