"""Several conditions at once, of which each may be left out: their embeddings side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import nn

from allaprima.core.config import Choice, Component
from allaprima.core.errors import UserError
from allaprima.models.conditions import CONDITIONS


class Config(Component):
    """The conditions, each of another kind."""

    parts: list[Annotated[Any, Choice(CONDITIONS)]] = Field(default=[], max_length=16)

    @property
    def size(self) -> int:
        """Columns of what is prepared."""
        return sum(part.size for part in self.parts)

    def width(self, dim: int) -> int:
        """The embeddings' width in all when ``dim`` is asked for."""
        return sum(part.width(dim) for part in self.parts)

    def prepare(self, raw: Sequence[Mapping[str, Any] | None]) -> torch.Tensor:
        """Values by the conditions' names, as each condition takes them → float32 ``[N, size]``.

        A class is its number there, which float32 holds exactly up to 2²⁴. Raises UserError as the conditions do.
        """
        for one in raw:
            if one is not None and not isinstance(one, Mapping):
                raise UserError(
                    f"{type(one).__name__} names no conditions", "give values by name, such as {'text': 'a bird'}"
                )
        rows = [one or {} for one in raw]
        columns = [part.prepare([one.get(part.component_name()) for one in rows]) for part in self.parts]
        return self.joined(columns) if columns else torch.zeros(len(rows), 0)

    def joined(self, prepared: Sequence[torch.Tensor]) -> torch.Tensor:
        """What each condition has prepared, in their order → ``[N, size]``."""
        return torch.cat([one.float().reshape(len(one), -1) for one in prepared], dim=1)

    def apart(self, prepared: torch.Tensor) -> list[torch.Tensor]:
        """The reverse of ``joined``."""
        columns = prepared.split([part.size for part in self.parts], dim=1)
        return [
            column[:, 0].long() if part.component_name() == "label" else column
            for part, column in zip(self.parts, columns, strict=True)
        ]

    def build(self, width: int) -> nn.Module:
        return Several(self, width)


class Several(nn.Module):
    """float32 ``[N, size]`` → float32 ``[N, width]``, of which each condition has the share that it asks for."""

    def __init__(self, config: Config, width: int) -> None:
        super().__init__()
        self.config = config
        dim = width // max(1, config.width(1))
        self.nets = nn.ModuleDict({part.component_name(): part.build(part.width(dim)) for part in config.parts})

    def forward(self, prepared: torch.Tensor) -> torch.Tensor:
        if not self.nets:
            return prepared.new_zeros(len(prepared), 0)
        pieces = self.config.apart(prepared)
        return torch.cat([net(piece) for net, piece in zip(self.nets.values(), pieces, strict=True)], dim=1)
