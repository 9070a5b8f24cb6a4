"""What an evaluation looks at, without painting or looking: features given outright, pictures of noise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from allaprima.bundle.untrained import untrained
from allaprima.core.device import Device
from allaprima.domains.image import Config as ImageConfig
from allaprima.evaluation.material import Material
from allaprima.models.conditions import CONDITIONS

DEVICE = Device(torch.device("cpu"), "fp32")
CLASSES = ["left", "right"]


def cloud(count: int, seed: int, shift: float = 0.0, dim: int = 12) -> torch.Tensor:
    """float32 ``[count, dim]`` from N(shift, I)."""
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed)) + shift


def material(
    real: torch.Tensor,
    fake: torch.Tensor,
    train: torch.Tensor,
    features: str = "domain: test",
    seed: int = 0,
    **changes: Any,
) -> Material:
    """A Material of an unlabelled dataset of 8 px pictures whose features are these, float32 ``[·,D]`` each."""
    count = len(train) + len(real)
    domain = ImageConfig(width=8, height=8, channels=1).build()
    noise = np.random.default_rng(0).integers(0, 256, (count, 8, 8, 1), dtype=np.uint8)
    dataset = SimpleNamespace(
        folder=Path("tiny"),
        domain=domain,
        images=noise,
        labels=np.full(count, -1),
        classes=[],
        manifest=SimpleNamespace(fingerprint="0" * 64, files={}, options={}, source="test"),
        indices=lambda split: np.arange(len(train)) if split == "train" else np.arange(len(train), count),
    )
    painter = SimpleNamespace(domain=domain, classes=[], encoder=None)
    fields: dict[str, Any] = {
        "run": Path("run"),
        "dataset": dataset,
        "painter": painter,
        "features": SimpleNamespace(
            name=features, dim=real.shape[1], identity=features, slow=False, published_names={}, published_note=""
        ),
        "device": DEVICE,
        "split": "test",
        "seed": seed,
        "real": real,
        "real_places": np.arange(len(train), count),
        "real_small": torch.from_numpy(noise[len(train) :]).permute(0, 3, 1, 2),
        "fake": fake,
        "fake_labels": torch.zeros(len(fake), dtype=torch.int64),
        "fake_small": torch.randint(0, 256, (len(fake), 1, 8, 8), dtype=torch.uint8),
        "first": noise[:1].repeat(min(64, len(fake)), 0),
        "searched": train,
        "searched_places": np.arange(len(train)),
        "num_floor": len(train),
    }
    return Material(**{**fields, **changes})


def halves(labels: torch.Tensor, seed: int) -> torch.Tensor:
    """Noise of 8 × 8 px, bright on the left for 0 and on the right for 1: uint8 ``[N,1,8,8]``."""
    pictures = torch.randint(0, 60, (len(labels), 1, 8, 8), generator=torch.Generator().manual_seed(seed))
    columns = torch.arange(8) // 4 == labels[:, None]
    return (pictures + 180 * columns[:, None, None]).to(torch.uint8)


def of_classes(folder: Path, elsewhere: bool = False, count: int = 100, seed: int = 0) -> Material:
    """The same of two classes, from an untrained autoencoder that knows them; ``folder`` is for what metrics keep.

    ``count`` pictures of each kind. ``elsewhere``: the samples' features are far off and all show one class, whatever was asked.
    """
    labels = torch.arange(count) % 2
    apart = 3.0 * labels[:, None]
    train, real, fake = (cloud(count, place, dim=12) + apart for place in (3, 1, 2))
    settings = {"name": "residual", "width": 8, "max_width": 8}
    painter = untrained(8, 1, CLASSES, 4, {**settings, "head_width": 4, "style_dim": 8}, settings)
    shown = halves(torch.cat([labels, labels, 0 * labels if elsewhere else labels]), 4)
    evidence = material(
        real,
        fake + 4 if elsewhere else fake,
        train,
        seed=seed,
        painter=painter,
        fake_labels=labels,
        real_small=shown[count : 2 * count],
        fake_small=shown[2 * count :],
    )
    evidence.dataset.folder, evidence.dataset.classes = folder, CLASSES
    evidence.dataset.images[:] = shown[: 2 * count].permute(0, 2, 3, 1).numpy()
    evidence.dataset.labels[:] = labels.repeat(2).numpy()
    return evidence


def of_texts(folder: Path, elsewhere: bool = False, count: int = 100, seed: int = 0) -> Material:
    """The same, but from a generator that follows texts, which say which half is bright; their last word says nothing.

    ``elsewhere``: the samples show the left half bright, whatever was asked.
    """
    evidence = of_classes(folder, elsewhere, count, seed)
    dataset, kinds = evidence.dataset, 6
    sides = [CLASSES[place] for place in dataset.labels]
    texts = [f"bright on the {side}, number {place // 2 % kinds}" for place, side in enumerate(sides)]
    dataset.records = [  # type: ignore[misc]  # a namespace stands in for the dataset
        {"name": f"{place}", "text": text, "side": side, "group": side}
        for place, (text, side) in enumerate(zip(texts, sides, strict=True))
    ]
    condition = CONDITIONS.get("text").Config().fitted(texts)
    settings = {"name": "residual", "width": 8, "max_width": 8, "head_width": 4, "style_dim": 8}
    painter = untrained(8, 1, None, 4, settings, condition=condition)
    features = SimpleNamespace(**vars(evidence.features), extract=lambda samples: samples.flatten(1)[:, ::4])
    dataset.manifest.fingerprint = f"{count} texts"
    dataset.sounds = None  # type: ignore[misc]  # the same
    return replace(evidence, painter=painter, features=features, asked_places=evidence.real_places)
