"""Ways through the latent space, and for a VAE what becomes of a picture that goes in and out again."""

from __future__ import annotations

from typing import Any

import numpy as np

from allaprima.bundle.bundle import MOST_TRIED
from allaprima.evaluation.material import Material
from allaprima.evaluation.report import block, wall

PLACE = 40
STEPS = 8
NUM_WAYS = 4
NUM_RECONSTRUCTED = 12


def section(material: Material) -> str:
    painter: Any = material.painter
    if not hasattr(painter, "interpolate"):
        return ""
    prepared = painter.labels(NUM_WAYS, None, material.seed)
    ends = painter.latents(2 * NUM_WAYS, material.seed, labels=prepared.repeat_interleave(2))
    labels = prepared.tolist() if painter.classes else [None] * NUM_WAYS
    ways = [
        painter.interpolate(start, end, STEPS, label=label)
        for start, end, label in zip(ends[::2], ends[1::2], labels, strict=True)
    ]
    body = "".join(wall(way, "step", "strip") for way in ways)
    words = "From one sample to another, in equal steps. Sudden jumps would mean that the space between is not used."
    between = block("On the way between two samples", f'<div class="classes">{body}</div>', words)
    return between + (_reconstructions(material) if painter.encoder is not None else "")


def _reconstructions(material: Material) -> str:
    painter: Any = material.painter
    places = material.real_places[:NUM_RECONSTRUCTED]
    originals = material.pictures(places)
    labels = _labels(material, places)
    if labels is None:
        return ""
    through = painter.reconstruct(originals, labels or None)
    pairs = "".join(
        f'<figure class="pair">{wall([original], "original", "one")}{wall([copy], "reconstruction", "one")}</figure>'
        for original, copy in zip(originals, through, strict=True)
    )
    ends = painter.encode(originals[:2], labels[:2] or None)
    strip = wall(painter.interpolate(ends[0], ends[1], STEPS, label=labels[0] if labels else None), "step", "strip")
    words = "Held-out pictures (left) through the encoder and back (right). What is lost, the latent does not hold."
    return block(
        "In and out again", f'<div class="pairs">{pairs}</div><h3>From the first to the second</h3>{strip}', words
    )


def _labels(material: Material, places: np.ndarray) -> list[str | int] | None:
    """A class that the painter knows for each picture: its own or, failing that, the likeliest.

    Empty for a painter without classes; None where it has too many to find the likeliest.
    """
    painter: Any = material.painter
    if not painter.classes:
        return []
    dataset = material.dataset
    names: list[Any] = [dataset.classes[i] if i >= 0 else None for i in dataset.labels[places]]
    if all(name in painter.classes for name in names):
        return names
    if len(painter.classes) > MOST_TRIED:
        return None
    return list(painter.likeliest(material.pictures(places)).tolist())
