"""Sentence vectors of any text encoder in a local Hugging Face folder, by the package transformers. Frozen.

For kinds of models that ``bert`` does not read. Nothing is downloaded, and no code of the folder is run:

    pip install 'allaprima[hugging-face]'
    --set conditioning.text_encoder=hugging_face --set conditioning.text_encoder.folder=FOLDER
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from allaprima.core.config import Component
from allaprima.core.errors import UserError
from allaprima.models.text_encoders._projection import Projection

TOKENS = 128  # of a text that are read
MOST_CHARACTERS = 2_000  # of a text; the tokenizer goes through all it is given before it cuts


class Config(Component):
    """``folder``: a model with its tokenizer, weights as safetensors. ``hidden``: its vectors' length, found."""

    folder: str = ""
    hidden: int = 0

    @property
    def size(self) -> int:
        """Columns of an encoded text."""
        return self.hidden or _size(self.folder)

    @property
    def identity(self) -> str:
        """The digest of the weights and of what is written beside them, the tokenizer too."""
        return _digest(self.folder)

    def fitted(self, captions: Sequence[str | None]) -> Config:
        """With its vectors' length, so that a generator can be rebuilt where the model is missing."""
        return self.model_copy(update={"hidden": self.size})

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> torch.Tensor:
        """float32 ``[N, size]`` of length 1: the mean over a text's tokens (Reimers, Gurevych 2019, section 3)."""
        tokenizer, model = _model(self.folder)
        longest = min(TOKENS, int(getattr(model.config, "max_position_embeddings", 0) or TOKENS))
        rows = []
        for text in texts:  # one at a time, for a sum over a batch comes out differently by its size
            tokens = tokenizer(text[:MOST_CHARACTERS], truncation=True, max_length=longest, return_tensors="pt")
            rows.append(F.normalize(model(**tokens).last_hidden_state[0].float().mean(0), dim=0))
        return torch.stack(rows)

    def build(self, width: int) -> nn.Module:
        return Projection(self.size, width)


@lru_cache(maxsize=8)
def _size(folder: str) -> int:
    """The vectors' length by ``config.json``; the weights are not read. Raises UserError for what is no lone encoder of texts."""
    try:
        told = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
        size = told.get("hidden_size") or told.get("dim")
    except (OSError, ValueError, AttributeError):
        raise UserError(
            f"'{folder}' is no Hugging Face model", "name its folder: --set conditioning.text_encoder.folder=FOLDER"
        ) from None
    if not isinstance(size, int) or told.get("is_encoder_decoder"):
        raise UserError(
            f"'{folder}' holds more than a text encoder ('{told.get('model_type')}')",
            "take a model such as BERT, RoBERTa, DistilBERT or MPNet",
        )
    return size


@lru_cache(maxsize=2)
def _model(folder: str) -> tuple[Any, Any]:
    try:
        from transformers import AutoModel, AutoTokenizer
    except ImportError:
        raise UserError(
            "Text encoders of this kind need transformers, which is not installed",
            "pip install 'allaprima[hugging-face]'",
        ) from None
    if not (Path(folder) / "config.json").is_file():
        raise UserError(
            f"'{folder}' is no Hugging Face model", "name its folder: --set conditioning.text_encoder.folder=FOLDER"
        )
    safe = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **safe)
        model = AutoModel.from_pretrained(folder, use_safetensors=True, **safe).eval()
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"The model in '{folder}' cannot be read: {reason}", "fetch its folder again") from None
    return tokenizer, model


@lru_cache(maxsize=8)
def _digest(folder: str) -> str:
    seen = hashlib.sha256()
    for path in sorted(
        [*Path(folder).glob("*.safetensors"), *Path(folder).glob("*.json"), *Path(folder).glob("*.txt")]
    ):
        with open(path, "rb") as file:
            seen.update(hashlib.file_digest(file, "sha256").digest())
    return seen.hexdigest()
