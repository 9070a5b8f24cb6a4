"""A class: its name or number → a learned embedding (as in R3GAN's generator and discriminator, 2025)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import Field
from torch import nn

from allaprima.core.config import Component
from allaprima.core.errors import UserError, suggest


class Config(Component):
    """The class names, in the order of their numbers."""

    classes: list[str] = Field(default=[], max_length=100_000)

    def width(self, dim: int) -> int:
        """The embedding's width when ``dim`` is asked for."""
        return dim

    def prepare(self, raw: Sequence[str | int | None]) -> torch.Tensor:
        """Names or numbers → int64 ``[N]`` in [0, classes). Raises UserError, with the nearest name, for unknown ones."""
        return torch.tensor([self._number(value) for value in raw], dtype=torch.int64)

    def _number(self, value: str | int | None) -> int:
        if isinstance(value, str) and value in self.classes:
            return self.classes.index(value)
        if value is not None and str(value).lstrip("-").isdigit() and 0 <= int(value) < len(self.classes):
            return int(value)
        raise UserError(f"Unknown class '{value}'", suggest(str(value), self.classes))

    def build(self, dim: int) -> nn.Module:
        return nn.Embedding(max(1, len(self.classes)), dim)
