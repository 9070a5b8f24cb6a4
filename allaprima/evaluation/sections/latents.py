"""Ways through the latent space, and for a VAE what becomes of a picture that goes in and out again."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from allaprima.bundle._encoding import MOST_TRIED
from allaprima.evaluation.asking import asked_at
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
    prepared = material.wishes(NUM_WAYS)
    ends = painter.latents(2 * NUM_WAYS, material.seed, asked=prepared.repeat_interleave(2, dim=0))
    ways = [
        painter.interpolate(start, end, STEPS, asked=wish[None])
        for start, end, wish in zip(ends[::2], ends[1::2], prepared, strict=True)
    ]
    body = "".join(wall(way, "step", "strip") for way in ways)
    words = "From one sample to another, in equal steps. Sudden jumps would mean that the space between is not used."
    between = block("On the way between two samples", f'<div class="classes">{body}</div>', words)
    return between + (_reconstructions(material) if painter.encoder is not None and not material.withheld else "")


def _reconstructions(material: Material) -> str:
    painter: Any = material.painter
    places = material.real_places[:NUM_RECONSTRUCTED]
    originals = material.pictures(places)
    asked = _asked(material, places)
    if asked is None:
        return ""
    through = painter.reconstruct(originals, asked=asked)
    pairs = "".join(
        f'<figure class="pair">{wall([original], "original", "one")}{wall([copy], "reconstruction", "one")}</figure>'
        for original, copy in zip(originals, through, strict=True)
    )
    ends = painter.encode(originals[:2], asked=asked[:2])
    strip = wall(painter.interpolate(ends[0], ends[1], STEPS, asked=asked[:1]), "step", "strip")
    words = "Held-out pictures (left) through the encoder and back (right). What is lost, the latent does not hold."
    return block(
        "In and out again", f'<div class="pairs">{pairs}</div><h3>From the first to the second</h3>{strip}', words
    )


def _asked(material: Material, places: np.ndarray) -> torch.Tensor | None:
    """What each picture is, prepared; of a class that the painter does not know, the likeliest that it knows.

    None where it has too many to find the likeliest.
    """
    painter: Any = material.painter
    dataset = material.dataset
    if material.asked_places is not None:
        return asked_at(painter, dataset, places)
    if not painter.classes:
        nothing: torch.Tensor = painter.asked(len(places))
        return nothing
    names: list[Any] = [dataset.classes[i] if i >= 0 else None for i in dataset.labels[places]]
    if all(name in painter.classes for name in names):
        own: torch.Tensor = painter.asked(len(places), label=names)
        return own
    if len(painter.classes) > MOST_TRIED:
        return None
    likeliest: torch.Tensor = painter.likeliest(material.pictures(places))
    return likeliest
