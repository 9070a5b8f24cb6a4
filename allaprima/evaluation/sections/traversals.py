"""Latent traversals: one strip a direction, everything else held still.

Of an autoencoder, the dimensions whose mean KL says that they carry most (β-VAE, Higgins et al. 2017, shows them so); of
a generator alone, the directions along which its pictures change most (``_directions``).
"""

from __future__ import annotations

from typing import Any

import torch

from allaprima.evaluation.asking import repeated
from allaprima.evaluation.material import Material
from allaprima.evaluation.metrics import NotMeasuredError
from allaprima.evaluation.metrics._autoencoder import encode
from allaprima.evaluation.metrics.active_units import MOST_PICTURES, kl_by_dimension
from allaprima.evaluation.report import block, escape, number, wall
from allaprima.evaluation.sections._directions import strongest

PLACE = 42
NUM_DIRECTIONS = 8
STEPS = 9
REACH = 2.5  # standard deviations of the latents' distribution, N(0, 1) along every direction


def section(material: Material) -> str:
    painter: Any = material.painter
    if not hasattr(painter, "decode"):
        return ""
    try:
        return _of_generator(material) if painter.encoder is None else _of_autoencoder(material)
    except NotMeasuredError:  # broken features, or pictures of other classes: nothing says which dimensions matter
        return ""


def _of_autoencoder(material: Material) -> str:
    painter: Any = material.painter
    pictures = encode(painter, material.dataset, material.real_places, MOST_PICTURES)
    kl = kl_by_dimension(pictures)
    chosen = kl.argsort(descending=True)[:NUM_DIRECTIONS].tolist()
    units = torch.eye(len(kl))[chosen]
    start, label = pictures.mean[0], pictures.labels[0]
    others = "as the encoder put them for one held-out picture"
    if material.withheld:  # the middle of such a strip is that picture, a little blurred
        label = material.wishes(1)[0]
        start, others = painter.latents(1, material.seed, asked=label[None])[0], "as they are of one sample"
    words = (
        f"The {len(chosen)} of {len(kl)} latent dimensions that carry most, by their KL to the prior averaged over held-out "
        f"pictures, each moved from {-REACH:g} to {REACH:g} while the others stay {others}."
    )
    # the moved dimension itself is set, not shifted: the strip shows the same places of the prior for each
    rows = [_strip(painter, start * (1 - unit), unit, label) for unit in units]
    names = [(f"dimension {place}", f"{number(float(kl[place]))} nats") for place in chosen]
    return block("What the latent dimensions do", _table(names, rows), words + _which(material, label))


def _of_generator(material: Material) -> str:
    painter: Any = material.painter
    strengths, units = strongest(painter, material.features, NUM_DIRECTIONS, material.seed, material.wishes)
    labels = material.wishes(1)
    start, label = painter.latents(1, material.seed, asked=labels)[0], labels[0]
    words = (
        f"The directions of the latent space that change pictures most, as the features “{escape(material.features.name)}” "
        f"see them, each followed from {-REACH:g} to {REACH:g} about one sample, the middle of every strip."
    )
    rows = [_strip(painter, start, unit, label) for unit in units]
    names = [(f"direction {rank}", f"{number(float(s))} a step") for rank, s in enumerate(strengths, 1)]
    return block("What the latent directions do", _table(names, rows), words + _which(material, label))


def _strip(painter: Any, start: torch.Tensor, unit: torch.Tensor, label: torch.Tensor) -> str:
    latents = start + torch.linspace(-REACH, REACH, STEPS)[:, None] * unit
    painted = painter.decode(latents, repeated(label, STEPS))
    return wall(painter.domain.to_pictures(painter.domain.to_array(painted)), "step", "strip")


def _table(names: list[tuple[str, str]], rows: list[str]) -> str:
    lines = (
        f'<div class="class"><div class="word">{name}<small>{small}</small></div>{row}</div>\n'
        for (name, small), row in zip(names, rows, strict=True)
    )
    return f'<div class="classes">{"".join(lines)}</div>'


def _which(material: Material, label: torch.Tensor) -> str:
    if label.dim():  # no class, but what a text or a sound was made into
        return " What is asked stays the same throughout."
    classes = material.painter.classes
    return f" The class is “{escape(material.called(classes[int(label)]))}” throughout." if classes else ""
