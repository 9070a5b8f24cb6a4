"""Is it new? Samples beside the training pictures that are nearest to them."""

from __future__ import annotations

import torch
from PIL import Image

from allaprima.evaluation.material import Material
from allaprima.evaluation.report import block, image, number

PLACE = 50
NUM_PAIRS = 8


def section(material: Material) -> str:
    distance, nearest = nearest_of(material.fake, material.searched)
    held_out, _ = nearest_of(material.real, material.searched)
    closest = torch.argsort(distance)[:NUM_PAIRS].tolist()
    first = list(range(min(NUM_PAIRS, len(material.first))))
    words = (
        "A sample (left) and the training picture nearest to it in feature space (right), with their distance. "
        f"Held-out pictures lie {number(float(held_out.median()))} from their nearest training picture (median), the "
        f"samples {number(float(distance.median()))}. A generator that repeats its training pictures shows it here."
    )
    shown = {place: material.painter.domain.to_pictures(material.first[place][None])[0] for place in first}
    shown |= _painted_again(material, [place for place in closest if place not in shown])
    parts = [
        "<div class='pairs'>" + "".join(_pair(material, i, shown[i], distance, nearest) for i in places) + "</div>"
        for places in (first, closest)
    ]
    body = f"<h3>The first samples</h3>{parts[0]}<h3>The closest of all {len(material.fake):,}</h3>{parts[1]}"
    if len(material.searched) < len(material.dataset.indices("train")):
        words += f" {len(material.searched):,} training pictures, drawn at random, were searched."
    return block("Nearest training pictures", body, words)


def nearest_of(vectors: torch.Tensor, among: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Distance to, and place of, the nearest of ``among`` ``[M,D]`` for each of ``vectors`` ``[N,D]``."""
    found = [torch.cdist(part, among).min(dim=1) for part in vectors.split(1024)]
    return torch.cat([part.values for part in found]), torch.cat([part.indices for part in found])


def _painted_again(material: Material, places: list[int]) -> dict[int, Image.Image]:
    """Samples that were not kept when they were measured: streamed again up to the last of them."""
    wanted, start = set(places), 0
    shown: dict[int, Image.Image] = {}
    for array, _ in material.painter.stream(max(places, default=-1) + 1, material.seed):
        for place in wanted & set(range(start, start + len(array))):
            shown[place] = material.painter.domain.to_pictures(array[place - start][None])[0]
        start += len(array)
    return shown


def _pair(material: Material, place: int, sample: Image.Image, distance: torch.Tensor, nearest: torch.Tensor) -> str:
    real = material.pictures([int(material.searched_places[int(nearest[place])])])[0]
    return (
        f'<figure class="pair">{image(sample, f"sample {place}")}{image(real, "nearest training picture")}'
        f"<figcaption>{number(float(distance[place]))}</figcaption></figure>"
    )
