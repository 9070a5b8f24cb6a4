"""No condition: an embedding of width 0, so that nets need no special case."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from allaprima.core.config import Component
from allaprima.core.errors import UserError


class Config(Component):
    """Nothing to set."""

    def width(self, dim: int) -> int:
        """The embedding's width when ``dim`` is asked for."""
        return 0

    def prepare(self, raw: Sequence[str | int | None]) -> torch.Tensor:
        """N values, all None → int64 ``[N]`` of zeros. Raises UserError when something is asked for."""
        if any(value is not None for value in raw):
            raise UserError("This generator was trained without classes", "leave the label out")
        return torch.zeros(len(raw), dtype=torch.int64)

    def build(self, dim: int) -> nn.Module:
        return Nothing()


class Nothing(nn.Module):
    """int64 ``[N]`` → float32 ``[N, 0]``."""

    def forward(self, prepared: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(prepared), 0, device=prepared.device)
