"""R-precision at 1 of 100 (Xu et al. 2018, "AttnGAN", section 4.1): which of a hundred texts was a sample asked for?

A dual encoder that no loss used picks one of a sample's own text and 99 others, which held-out pictures have. The ceiling is how
often it picks a held-out picture's own text, the floor is chance.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from allaprima.core.seeds import numpy_stream
from allaprima.evaluation.asking import follows
from allaprima.evaluation.dual import DualEncoder
from allaprima.evaluation.judge import most_places
from allaprima.evaluation.material import Material
from allaprima.evaluation.metrics import Figure, NotMeasuredError
from allaprima.evaluation.metrics._bootstrap import interval_of_mean
from allaprima.evaluation.metrics._sets import telling
from allaprima.evaluation.small import small_pictures

GROUP = "What was asked"
FIGURES = ("R-precision at 1 of 100",)
AMONG = 100
FEWEST_TEXTS = 10


def measure(material: Material) -> Iterator[Figure]:
    """For generators that follow texts."""
    if material.asked_places is None or "text" not in follows(material.painter):
        return
    dataset = material.dataset
    texts = np.array([record.get("text") or "" for record in dataset.records], dtype=object)
    pool = sorted({text for text in texts[dataset.indices(material.split)] if text})
    if len(pool) < FEWEST_TEXTS:
        raise NotMeasuredError(
            f"{len(pool)} different texts among the {material.split} pictures are too few to choose from",
            "prepare pictures with more different texts",
        )
    places = most_places(dataset, texts != "")
    dual = DualEncoder.trained_on(small_pictures(dataset, places), list(texts[places]), material.device)
    among, known = min(AMONG, len(pool)), dual.texts(pool)
    fake = hits(dual.pictures(material.fake_small), texts[material.asked_places], pool, known, among, material.seed)
    real = hits(dual.pictures(material.real_small), texts[material.real_places], pool, known, among, material.seed)
    value = float(fake.mean())
    between = interval_of_mean(torch.from_numpy(fake), material.seed, FIGURES[0])
    yield Figure(
        name=FIGURES[0],
        value=value,
        interval=telling(between, len(fake)),
        better="higher",
        meaning=f"Share of samples whose own text a judge picks among {among}.",
        note=f"texts of the {material.split} split, {len(pool):,} different ones; the judge has learned from {len(places):,} "
        "training pictures and their texts; floor: chance; ceiling: held-out pictures and their own texts",
        features="dual encoder",
        floor=1 / among,
        ceiling=float(real.mean()) if len(real) else None,
    )


def hits(
    pictures: torch.Tensor, own: Sequence[str], pool: Sequence[str], known: torch.Tensor, among: int, seed: int
) -> np.ndarray:
    """Whether each picture's ``own`` text comes before ``among`` - 1 others of the ``pool``: float ``[N]``; pictures without
    a text are left out.
    """
    number = {text: place for place, text in enumerate(pool)}
    draws = numpy_stream(seed, "retrieval")
    found = []
    for picture, text in zip(pictures, own, strict=True):
        if text not in number:
            continue
        others = draws.choice(len(pool) - 1, among - 1, replace=False)
        others = others + (others >= number[text])  # any but the own
        found.append(float((known[others] @ picture).max() < known[number[text]] @ picture))
    return np.array(found)
