"""Which engine is the quickest here, for generators of one form: what ``allaprima doctor`` measured, kept in the cache.

Speed depends on the nets' form, not on their weights: a run's next checkpoint needs no new measurement. Whether the engine
paints rightly depends on the weights too, and is checked whenever it is opened.

Use: ``remember(bundle, Choice("openvino", "openvino bf16")); recall(bundle)``.
"""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import ValidationError

from allaprima.bundle.bundle import Bundle
from allaprima.core import cache
from allaprima.core.config import Config
from allaprima.core.files import write_json
from allaprima.core.machine import processor

PACKAGES = ("torch", "openvino", "onnxruntime")


class Choice(Config):
    """An engine's name and that of its painter, and the milliseconds that a frame took."""

    engine: str
    painter: str
    frame_ms: float


def remember(bundle: Bundle, choice: Choice) -> None:
    """For every bundle of this form, on this machine with these packages. Raises UserError when the disk is full."""
    path = _path(bundle)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, choice.model_dump())


def recall(bundle: Bundle) -> Choice | None:
    """What was remembered; None for a form that was never measured here."""
    try:
        return Choice.model_validate_json(_path(bundle).read_bytes())
    except (OSError, ValidationError):
        return None


def _path(bundle: Bundle) -> Path:
    description = bundle.description
    form = {
        "processor": processor(),
        "device": str(bundle.device),
        "domain": description.domain.model_dump(mode="json"),
        "generator": description.generator.model_dump(mode="json"),
        "dims": [description.latent_dim, description.condition_dim],
        "packages": {name: _version(name) for name in PACKAGES},
    }
    digest = hashlib.sha256(json.dumps(form, sort_keys=True).encode()).hexdigest()
    return cache.folder("engines") / f"{digest[:16]}.json"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
