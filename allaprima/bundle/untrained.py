"""A generator with random weights: what a benchmark or a test needs of a run, without the training.

Use: ``bundle = untrained(64, classes=["cat", "fish"]); save(bundle, folder)``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from allaprima.bundle.bundle import Bundle
from allaprima.bundle.files import build_nets, write
from allaprima.bundle.format import Description, Weights
from allaprima.core.config import validate
from allaprima.core.seeds import derive
from allaprima.models.conditions import CONDITIONS

CONDITION_DIM = 16


def untrained(
    size: int = 64,
    channels: int = 3,
    classes: list[str] | None = None,
    latent_dim: int = 64,
    generator: Any = "residual",
    encoder: Any = None,
    prior: Any = None,
    seed: int = 0,
    condition: Any = None,
) -> Bundle:
    """Square pictures of ``size`` pixels; ``generator``, ``encoder`` and ``prior`` as in a configuration: a name or a mapping.

    ``condition``: the Config of one, instead of ``classes``.
    """
    classes = classes or []
    if condition is None:
        condition = CONDITIONS.get("label").Config(classes=classes) if classes else CONDITIONS.get("none").Config()
    fields = {
        "domain": {"name": "image", "height": size, "width": size, "channels": channels},
        "latent_dim": latent_dim,
        "condition": condition.model_dump(mode="json"),
        "condition_dim": condition.width(CONDITION_DIM),
        "condition_weights": [1 / len(classes) for _ in classes],
        "generator": generator,
        "encoder": encoder,
        "prior": prior,
        "weights": Weights(file="", sha256="").model_dump(),
        "provenance": {"note": "random weights, never trained"},
    }
    description = validate(Description, fields)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "untrained"))
        nets = build_nets(description)
    for net in nets.values():
        net.eval().requires_grad_(False)
    return Bundle(description, nets)


def save(bundle: Bundle, folder: Path) -> None:
    """Write ``bundle`` to ``folder`` with a sheet of its own pictures as preview."""
    fields = bundle.description.model_dump(mode="json", exclude={"weights"})
    sheet = bundle.domain.to_grid(bundle.sample(16, as_="array"))
    write(folder, fields, bundle.nets, card="# Untrained\n\nRandom weights.\n", preview=sheet)
