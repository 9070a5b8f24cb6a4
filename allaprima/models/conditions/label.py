"""A class: its name or number → a learned embedding (as in R3GAN's generator and discriminator, 2025)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import Field
from torch import nn

from allaprima.core.config import Component
from allaprima.core.errors import UserError, suggest

LEFT_OUT = -1


class Config(Component):
    """The class names, in the order of their numbers. ``optional``: the class may be left out, which is learned too.

    Where it may not, whoever asks for no class is given one, drawn as often as in training.
    """

    classes: list[str] = Field(default=[], max_length=100_000)
    optional: bool = False

    @property
    def size(self) -> int:
        """Columns of a prepared class among others."""
        return 1

    def width(self, dim: int) -> int:
        """The embedding's width when ``dim`` is asked for."""
        return dim

    def prepare(self, raw: Sequence[str | int | None]) -> torch.Tensor:
        """Names or numbers → int64 ``[N]`` in [0, classes), -1 for None where a class is optional.

        Raises UserError, with the nearest name, for unknown ones.
        """
        return torch.tensor([self._number(value) for value in raw], dtype=torch.int64)

    def _number(self, value: str | int | None) -> int:
        if value is None and self.optional:
            return LEFT_OUT
        if isinstance(value, str) and value in self.classes:
            return self.classes.index(value)
        if value is not None and str(value).lstrip("-").isdigit() and 0 <= int(value) < len(self.classes):
            return int(value)
        raise UserError(f"Unknown class '{value}'", suggest(str(value), self.classes))

    def build(self, dim: int) -> nn.Module:
        return (
            OptionalEmbedding(len(self.classes), dim) if self.optional else nn.Embedding(max(1, len(self.classes)), dim)
        )


class OptionalEmbedding(nn.Embedding):
    """int64 ``[N]`` → float32 ``[N, dim]``; the last row is for what is left out."""

    def __init__(self, classes: int, dim: int) -> None:
        super().__init__(classes + 1, dim)

    def forward(self, prepared: torch.Tensor) -> torch.Tensor:
        return super().forward(torch.where(prepared < 0, self.num_embeddings - 1, prepared))
