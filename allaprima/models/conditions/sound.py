"""A sound: its log-mel picture → an embedding, by a small convolutional net that learns with the generator."""

from __future__ import annotations

import base64
import binascii
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from allaprima.core.config import Component
from allaprima.core.errors import UserError
from allaprima.models.blocks import as_embedded
from allaprima.models.sound import decode, log_mel

LEVELS = 255


@dataclass(frozen=True)
class Heard:
    """What was heard already: a prepared row, float32 ``[size]``."""

    row: torch.Tensor


class Config(Component):
    """The picture's size: ``frames`` of 16 ms by ``bands``."""

    frames: int = Field(64, ge=16, le=1024)
    bands: int = Field(40, ge=8, le=128)

    @property
    def size(self) -> int:
        """Columns of a prepared sound."""
        return self.frames * self.bands

    def width(self, dim: int) -> int:
        """The embedding's width when ``dim`` is asked for: a word that is spoken says more than a class's number."""
        return 2 * dim

    def fitted(self, values: Sequence[Any]) -> Config:
        """There is nothing to remember: spectra are scaled by themselves."""
        return self

    def prepare(self, raw: Sequence[Any | None]) -> torch.Tensor:
        """Paths, encoded bytes, waveforms float ``[T]`` at 16 kHz, or what was ``Heard`` → float32 ``[N, size]`` in [-1, 1].

        Zeros for None; silence is -1. Raises UserError for what is no sound.
        """
        rows = [self._row(value) for value in raw]
        return torch.stack(rows) if rows else torch.zeros(0, self.size)

    def _row(self, value: Any) -> torch.Tensor:
        if value is None:
            return torch.zeros(self.size)
        if isinstance(value, Heard):
            if value.row.shape != (self.size,):
                raise UserError("This sound was prepared for another generator", "choose or record it again")
            return value.row
        if isinstance(value, str | Path | bytes):
            value = decode(value)
        if not isinstance(value, np.ndarray | torch.Tensor) or value.ndim != 1:
            raise UserError(
                f"{type(value).__name__} is no sound", "give a file, or a waveform of one channel at 16 kHz"
            )
        return log_mel(value, self.frames, self.bands).flatten()

    def build(self, width: int) -> nn.Module:
        return Ear(self.frames, self.bands, width)


class Ear(nn.Module):
    """float32 ``[N, frames x bands]`` → float32 ``[N, width]``; each row depends on its own sound alone."""

    def __init__(self, frames: int, bands: int, width: int) -> None:
        super().__init__()
        self.grid = (1, frames, bands)
        widths = [1, 16, 32, 64, 64]
        self.convs = nn.ModuleList(
            nn.Conv2d(before, after, 3, stride=2, padding=1) for before, after in itertools.pairwise(widths)
        )
        self.norms = nn.ModuleList(nn.GroupNorm(4, after) for after in widths[1:])
        rows, columns = (-(-side // 2 ** len(self.convs)) for side in (frames, bands))
        self.last = nn.Linear(widths[-1] * rows * columns, width)

    def forward(self, prepared: torch.Tensor) -> torch.Tensor:
        x = prepared.view(-1, *self.grid)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.leaky_relu(norm(conv(x)), 0.2)
        return as_embedded(self.last(x.flatten(1)))


def packed(row: torch.Tensor) -> str:
    """A prepared sound, ``[size]``, as text for a state or a link: 256 levels, base64."""
    levels = ((row.clamp(-1, 1) + 1) * (LEVELS / 2)).round().to(torch.uint8)
    return base64.b64encode(levels.numpy().tobytes()).decode("ascii")


def unpacked(text: str) -> Heard:
    """The reverse. Raises UserError for text that is none of ``packed``."""
    try:
        levels = np.frombuffer(base64.b64decode(text, validate=True), np.uint8)
    except (binascii.Error, ValueError):
        raise UserError("The state's sound cannot be read", "choose or record it again") from None
    return Heard(torch.from_numpy(levels.astype(np.float32)) * (2 / LEVELS) - 1)
