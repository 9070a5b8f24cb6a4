"""A BERT encoder (Devlin et al. 2019) of a Hugging Face folder, by torch alone: mean of its last tokens, at length 1.

The folder holds ``config.json``, ``tokenizer.json`` and ``model.safetensors``; reading them executes nothing. The mean over the
tokens is Sentence-BERT's (Reimers, Gurevych 2019, section 3).
"""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from allaprima.core.errors import UserError

TOKENS = 128  # of a text that are read
MOST_CHARACTERS = 2_000  # of a text; the tokenizer goes through all it is given before it cuts
LAYER = "encoder.layer.{}."


class Encoder:
    """Texts → float32 ``[N, size]`` of length 1."""

    def __init__(self, folder: Path) -> None:
        self.config, self.weights = _config(folder), _weights(folder)
        self.tokenizer = _tokenizer(folder, len(self.weights["embeddings.position_embeddings.weight"]))

    @torch.no_grad()
    def encode(self, texts: list[str]) -> torch.Tensor:
        """One text at a time, for a sum over a batch comes out differently by its size."""
        return torch.stack([self._one(text) for text in texts])

    def _one(self, text: str) -> torch.Tensor:
        numbers = torch.tensor(self.tokenizer.encode(text[:MOST_CHARACTERS]).ids)
        w = self.weights
        x = w["embeddings.word_embeddings.weight"][numbers]
        x = (
            x
            + w["embeddings.position_embeddings.weight"][: len(numbers)]
            + w["embeddings.token_type_embeddings.weight"][0]
        )
        x = self._norm(x, "embeddings.LayerNorm")
        for number in range(self.config["num_hidden_layers"]):
            x = self._layer(x, LAYER.format(number))
        return F.normalize(x.mean(0), dim=0)

    def _layer(self, x: torch.Tensor, name: str) -> torch.Tensor:
        heads = self.config["num_attention_heads"]
        # [T, E] → [heads, T, E / heads]
        q, k, v = (
            self._linear(x, f"{name}attention.self.{one}").unflatten(1, (heads, -1)).transpose(0, 1)
            for one in ("query", "key", "value")
        )
        seen = F.scaled_dot_product_attention(q[None], k[None], v[None])[0].transpose(0, 1).flatten(1)
        x = self._norm(x + self._linear(seen, f"{name}attention.output.dense"), f"{name}attention.output.LayerNorm")
        h = F.gelu(self._linear(x, f"{name}intermediate.dense"))
        return self._norm(x + self._linear(h, f"{name}output.dense"), f"{name}output.LayerNorm")

    def _linear(self, x: torch.Tensor, name: str) -> torch.Tensor:
        return F.linear(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def _norm(self, x: torch.Tensor, name: str) -> torch.Tensor:
        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        return F.layer_norm(x, x.shape[-1:], weight, bias, self.config.get("layer_norm_eps", 1e-12))


@lru_cache(maxsize=2)
def encoder_in(folder: Path) -> Encoder:
    """The folder's encoder, read once. Raises UserError when it is none of this kind."""
    return Encoder(folder)


def size_of(folder: Path) -> int:
    """The vectors' length. Raises UserError when the folder is none of this kind."""
    return int(_config(folder)["hidden_size"])


@lru_cache(maxsize=8)
def identity_of(folder: Path) -> str:
    """The SHA-256 of the weights and of the tokenizer."""
    seen = hashlib.sha256()
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        with open(folder / name, "rb") as file:
            seen.update(hashlib.file_digest(file, "sha256").digest())
    return seen.hexdigest()


@lru_cache(maxsize=8)
def _config(folder: Path) -> dict[str, Any]:
    try:
        config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        kind = config.get("model_type")
    except (OSError, ValueError, AttributeError) as error:
        raise UserError(f"'{folder}' is no text encoder: {error}", "give the folder of a BERT model") from None
    if kind != "bert" or config.get("hidden_act", "gelu") != "gelu" or not isinstance(config.get("hidden_size"), int):
        raise UserError(
            f"'{folder}' holds a text encoder of the kind '{kind}'", "BERT models can be read, such as all-MiniLM-L6-v2"
        )
    return config


def _tokenizer(folder: Path, places: int) -> Any:
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise UserError(
            "Text encoders of this kind need tokenizers, which is not installed", "pip install 'allaprima[text]'"
        ) from None
    try:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # the library raises bare Exceptions
        raise UserError(
            f"'{folder}/tokenizer.json' cannot be read: {error}", "fetch the model's folder again"
        ) from None
    tokenizer.no_padding()
    tokenizer.enable_truncation(min(TOKENS, places))
    return tokenizer


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    try:
        found = load_file(folder / "model.safetensors")
    except Exception as error:
        raise UserError(
            f"'{folder}/model.safetensors' cannot be read: {error}", "fetch the model's folder again"
        ) from None
    return {name.removeprefix("bert."): weight.float() for name, weight in found.items()}
