"""A prepared dataset: memory-mapped arrays and a manifest that was written last.

    manifest.json    format, domain, class names, counts, options, files with their SHA-256
    images.npy       uint8 [N, H, W, C]
    labels.npy       int64 [N], -1 where there is no label
    splits.npy       uint8 [N]: 0 train, 1 validation, 2 test, 3 combinations kept apart, any other number none
    records.jsonl    one line a picture: name, text, and all other columns of the source
    report.json      what was left out, and why
    card.md          what the set is, on a page (data.card)
    sounds.*         recordings, where there are some (data.sounds)
    conditions/      texts and others as nets take them, made when they are first needed (data.conditions)

Use: ``dataset = Dataset.open("datasets/cats"); dataset.images[dataset.indices("train")]``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from allaprima import vault
from allaprima.core.config import Config
from allaprima.core.errors import UserError
from allaprima.core.retention import remind
from allaprima.data.sounds import Sounds
from allaprima.data.split import BY_NUMBER
from allaprima.domains.image import Config as ImageConfig

FORMAT = "allaprima-dataset"
VERSION = 1
REMEDY = "prepare it again, with --force"
MANIFEST = "manifest.json"
DATA = ("images.npy", "labels.npy", "splits.npy")


class Manifest(Config):
    """``manifest.json``. ``fingerprint`` is a SHA-256 over images, labels and splits: equal means the same data.

    ``faces`` were filled, names are ``pseudonyms``, ``rights`` sums up consent and licence (data.precautions); ISO dates (UTC).
    """

    format: str
    version: int
    domain: ImageConfig
    classes: list[str]
    count: int
    split_counts: dict[str, int]
    has_text: bool
    source: str
    options: dict[str, Any]
    files: dict[str, str]
    fingerprint: str
    faces: dict[str, Any] | None = None
    pseudonyms: str | None = None
    rights: dict[str, dict[str, int]] = {}
    required: dict[str, list[str]] = {}
    kept_from: str | None = None
    kept_until: str | None = None


def fingerprint_of(files: Mapping[str, str]) -> str:
    """Of the hashes of pictures, labels and splits, by file name: a SHA-256."""
    return hashlib.sha256("".join(files[name] for name in DATA).encode()).hexdigest()


class Dataset:
    """A prepared dataset, opened for reading."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest
        self.domain = manifest.domain.build()
        self.classes = manifest.classes
        shape, count = self.domain.shape, manifest.count
        # a memory map, or where the folder is locked what stands for one (vault.arrays)
        self.images: Any = _array(folder / "images.npy", np.uint8, (count, *shape.spatial, shape.channels))
        self.labels: np.ndarray = _array(folder / "labels.npy", np.int64, (count,))[:]
        self.split_of: np.ndarray = _array(folder / "splits.npy", np.uint8, (count,))[:]

    @classmethod
    def open(cls, folder: str | Path) -> Dataset:
        """Raises UserError when the folder is missing, damaged, no prepared dataset, or of a newer format."""
        folder = Path(folder)
        if not is_dataset(folder):
            raise UserError(f"'{folder}' is not a prepared dataset", f"run: allaprima prepare SOURCE {folder}")
        try:
            manifest = Manifest.model_validate_json(vault.read_bytes(folder / MANIFEST))
        except ValidationError as error:
            raise UserError(f"'{folder}/{MANIFEST}' is damaged: {error.errors()[0]['msg']}", REMEDY) from None
        except ValueError as error:  # it was encrypted, and then changed
            raise UserError(str(error), "bring it back from a copy") from None
        if manifest.version > VERSION:
            raise UserError(f"'{folder}' was prepared by a newer allaprima", "upgrade: pip install -U allaprima")
        remind(folder, "dataset", manifest.kept_until)
        return cls(folder, manifest)

    def __len__(self) -> int:
        return self.manifest.count

    def indices(self, split: str) -> np.ndarray:
        """Places of the pictures of ``train``, ``validation``, ``test`` or ``apart``: int64, ascending."""
        return np.flatnonzero(self.split_of == BY_NUMBER.index(split))

    @cached_property
    def sounds(self) -> Sounds | None:
        """The recordings, if there are any."""
        return Sounds.of(self.folder)

    @cached_property
    def records(self) -> list[dict[str, Any]]:
        """``name``, ``text`` (or None) and the source's other columns, for each picture."""
        path = self.folder / "records.jsonl"
        try:
            return [json.loads(line) for line in vault.read_bytes(path).decode().split("\n") if line]
        except (OSError, ValueError) as error:
            raise UserError(f"'{path}' is damaged: {error}", REMEDY) from None


def _array(path: Path, dtype: type[np.generic], shape: tuple[int, ...]) -> Any:
    """The array, memory-mapped or sealed. Raises UserError when it is missing, cut short or not what the manifest says."""
    try:
        found = vault.array(path)
    except (OSError, ValueError, EOFError) as error:
        words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UserError(f"'{path}' is damaged: {words}", REMEDY) from None
    if found.shape != shape or found.dtype != dtype:
        said, is_ = f"{np.dtype(dtype)} {list(shape)}", f"{found.dtype} {list(found.shape)}"
        raise UserError(f"'{path}' is damaged: it holds {is_}, and {MANIFEST} says {said}", REMEDY)
    return found


def is_dataset(folder: Path) -> bool:
    """Whether the folder holds the manifest of a prepared dataset (of any version; without a key for one that is locked)."""
    if vault.is_sealed(folder / MANIFEST):
        return True
    try:
        return json.loads((folder / MANIFEST).read_text(encoding="utf-8")).get("format") == FORMAT
    except (OSError, ValueError, AttributeError):
        return False
