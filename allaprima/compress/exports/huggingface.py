"""A model repository for the Hugging Face hub: the bundle itself, with its card as the hub reads it.

Upload the folder (``huggingface-cli upload``) and anyone can ``allaprima.load("you/name", download=True)``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from allaprima import vault
from allaprima.bundle.bundle import Bundle
from allaprima.bundle.format import DESCRIPTION
from allaprima.core.errors import UserError
from allaprima.core.files import sha256_file

SUMMARY = "a model repository for the Hugging Face hub, which allaprima.load reads"
ATTRIBUTES = "*.safetensors filter=lfs diff=lfs merge=lfs -text\n*.webp filter=lfs diff=lfs merge=lfs -text\n"


def write(bundle: Bundle, folder: Path, about: dict[str, Any], wanted: Any) -> _Loaded:
    source, weights = bundle.folder, bundle.description.weights
    if source is None or weights is None:
        raise UserError("This bundle lies in no folder", "save it first, or name a run")
    for name in (DESCRIPTION, weights.file, "card.md", "preview.webp"):
        if (source / name).is_file():
            (folder / name).write_bytes(vault.read_bytes(source / name))  # plain: it is made for others
    if sha256_file(folder / weights.file) != weights.sha256:
        raise UserError(f"'{weights.file}' changed while it was copied", "export again once training has ended")
    (folder / ".gitattributes").write_text(ATTRIBUTES, "utf-8")
    (folder / "README.md").write_text(_card(bundle, about, source), "utf-8")
    (folder / "card.md").unlink(missing_ok=True)  # it is the README now
    return _Loaded(Bundle.load(folder))


class _Loaded:
    """Paints with the bundle as it was read from the new folder."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle

    def __call__(self, z: torch.Tensor, y: torch.Tensor) -> np.ndarray:
        from allaprima.bundle.mixing import Embedded

        asked = Embedded(y)
        array: np.ndarray = self._bundle.domain.to_array(self._bundle.decode(self._bundle.from_noise(z, asked), asked))
        return array


def _card(bundle: Bundle, about: dict[str, Any], source: Path) -> str:
    """The bundle's card with the hub's heading. No licence is claimed: only the pictures' owner can give one."""
    task = "text-to-image" if "text" in bundle.follows else "unconditional-image-generation"
    heading = f"---\nlibrary_name: allaprima\npipeline_tag: {task}\ntags:\n- allaprima\n- {_method(about)}\n---\n\n"
    card = source / "card.md"
    text = vault.read_bytes(card).decode() if card.is_file() else f"# {about['name']}\n"
    return heading + text.replace('allaprima.load("this/folder")', 'allaprima.load("you/name", download=True)')


def _method(about: dict[str, Any]) -> str:
    return str(about["provenance"].get("method", "gan"))
