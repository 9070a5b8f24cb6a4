"""Is it new? Samples beside the training pictures that are nearest to them, and what the copy rates say."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from allaprima.evaluation.material import Material
from allaprima.evaluation.metrics.memorisation import CLEAR, COPIES, UNKNOWN, verdict
from allaprima.evaluation.nearest import Space
from allaprima.evaluation.report import block, escape, image
from allaprima.evaluation.small import small_pictures

PLACE = 50
NUM_PAIRS = 8
WITHHELD = (
    "Pictures, texts and the names of classes are left out, here and elsewhere on this page: their dataset is encrypted, and "
    "the page is not."
)
PLAINLY = {
    COPIES: "<strong>It copies.</strong> More samples all but repeat a training picture than held-out pictures do.",
    CLEAR: "<strong>No sign of copying.</strong> No more samples repeat a training picture than held-out pictures do.",
    UNKNOWN: "<strong>Too few held-out pictures to tell</strong> whether it copies.",
}


def section(material: Material) -> str:
    found = material.neighbours
    said = PLAINLY.get(verdict(material.figures), "")
    if material.withheld:
        return block("Nearest training pictures", f"<p>{WITHHELD}</p>", f"{said} {_words(material)}".strip())
    first = torch.arange(min(NUM_PAIRS, len(material.fake)))
    lists = [
        ("The first samples", first, found.features),
        ("The closest of all by features", _closest(found.features), found.features),
        ("The closest of all, pixel by pixel", _closest(found.pixels), found.pixels),
    ]
    body = "".join(f"<h3>{title}</h3>{_pairs(material, places, space)}" for title, places, space in lists)
    return block("Nearest training pictures", body, f"{said} {_words(material)}".strip())


def _words(material: Material) -> str:
    found = material.neighbours
    usual = [f"{float(space.real_ratio.median()):.2f}" for space in (found.features, found.pixels)]
    rates = [
        f"{escape(figure.name)} {_percent(figure.value)} (held-out pictures {_percent(figure.details['held_out_rate'])}, "
        f"at {figure.details['threshold']:.2f} or less)"
        for figure in material.figures
        if "verdict" in figure.details
    ]
    words = (
        "A sample (left) and the training picture nearest to it (right). Below, how far that is, as a share of the distance "
        "to the sample’s other neighbours: 0 is the same picture, 1 is no nearer than others. Held-out pictures have "
        f"{usual[0]} by features and {usual[1]} pixel by pixel (medians), where mirror images count too."
    )
    if rates:
        words += f" {'; '.join(rates).capitalize()}."
    if len(material.searched) < len(material.dataset.indices("train")):
        words += f" {len(material.searched):,} training pictures, drawn at random, were searched."
    return words


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _closest(space: Space) -> torch.Tensor:
    """Places of the samples most like one training picture, for what else is near them, each of another: int64."""
    taken: dict[int, int] = {}
    for place in torch.argsort(space.fake_ratio, stable=True).tolist():
        taken.setdefault(int(space.fake.place[place]), place)
        if len(taken) == NUM_PAIRS:
            break
    return torch.tensor(list(taken.values()))


def _pairs(material: Material, places: torch.Tensor, space: Space) -> str:
    samples = _to_pictures(material, material.fake_small[places])
    nearest = material.searched_places[space.fake.place[places].numpy()]
    # Both are shown as small as samples are kept, so that neither looks the sharper for it.
    real = _to_pictures(material, small_pictures(material.dataset, np.asarray(nearest)))
    found = material.neighbours
    near = [found.features.fake_ratio[places].tolist(), found.pixels.fake_ratio[places].tolist()]
    pairs = (
        f'<figure class="pair">{image(sample, f"sample {place}")}{image(other, "nearest training picture")}'
        f"<figcaption>features {by_features:.2f}<br>pixels {by_pixels:.2f}</figcaption></figure>"
        for place, sample, other, by_features, by_pixels in zip(places.tolist(), samples, real, *near, strict=True)
    )
    return f'<div class="pairs">{"".join(pairs)}</div>'


def _to_pictures(material: Material, small: torch.Tensor) -> list[Any]:
    """uint8 ``[n,C,h,w]`` → PIL pictures."""
    domain = material.dataset.domain
    return domain.to_pictures(domain.to_array(small.float().div(127.5).sub(1)))
