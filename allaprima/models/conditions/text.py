"""A text: what an encoder makes of it, prepared once → an embedding that is learned with the generator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import torch
from torch import nn

from allaprima.core.config import Choice, Component
from allaprima.core.errors import UserError
from allaprima.models.text_encoders import TEXT_ENCODERS

AT_ONCE = 256  # texts


class Config(Component):
    """``encoder``: one of ``models/text_encoders``."""

    encoder: Annotated[Any, Choice(TEXT_ENCODERS)] = "words"

    @property
    def size(self) -> int:
        """Columns of a prepared text."""
        columns: int = self.encoder.size
        return columns

    def width(self, dim: int) -> int:
        """The embedding's width when ``dim`` is asked for: a sentence says several things, a class one."""
        return 2 * dim

    def fitted(self, values: Sequence[str | None]) -> Config:
        """With an encoder that knows the training captions."""
        return self.model_copy(update={"encoder": self.encoder.fitted(values)})

    def prepare(self, raw: Sequence[str | None]) -> torch.Tensor:
        """Texts in any language and of any length → float32 ``[N, size]``; zeros for None and for blank ones.

        Raises UserError for what is no text.
        """
        for value in raw:
            if value is not None and not isinstance(value, str):
                raise UserError(f"{type(value).__name__} is no text", 'write what is wanted, such as "a blue bird"')
        # a string may hold halves of characters, which no encoder can take
        texts = [(value or "").encode("utf-8", "replace").decode("utf-8") for value in raw]
        said = [place for place, text in enumerate(texts) if text.strip()]
        rows = torch.zeros(len(raw), self.size)
        for start in range(0, len(said), AT_ONCE):
            places = said[start : start + AT_ONCE]
            rows[places] = self.encoder.encode([texts[place] for place in places])
        return rows

    def build(self, width: int) -> nn.Module:
        net: nn.Module = self.encoder.build(width)
        return net
