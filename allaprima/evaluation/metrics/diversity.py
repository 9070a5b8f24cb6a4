"""How different samples are from each other: overall, within each class, and as a number of pictures.

The first two are the mean distance of two pictures' features, as a share of that of two held-out pictures: 1 is as varied
as they are; below, samples are alike; above, there are things that do not belong. The third is the Vendi score (Friedman
& Dieng 2023, "The Vendi score: a diversity evaluation metric for machine learning", eq. 1), the exponential of the
entropy of the eigenvalues of K/N, with the cosine of features for K: so many wholly different pictures would be as
varied. Those eigenvalues are found as the D of ΦᵀΦ/N, with Φ the ``[N,D]`` of unit length, in place of N.

Use: ``mean_distance(features)[0]``, ``vendi(features)[0]``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F

from allaprima.evaluation.material import Material
from allaprima.evaluation.metrics import Figure
from allaprima.evaluation.metrics._bootstrap import interval_around
from allaprima.evaluation.metrics._sets import against_real, check, telling

GROUP = "Quality and variety"
FIGURES = ("diversity", "Vendi score", "diversity within a class")
ROWS_AT_ONCE = 1024
FEWEST_IN_A_CLASS = 10
FEWEST_FOR_INTERVAL = 10


def mean_distance(x: torch.Tensor) -> tuple[float, torch.Tensor]:
    """Mean Euclidean distance of two different ones of ``[N,D]``, N ≥ 2, and each one's influence on it ``[N]``."""
    each = torch.zeros(len(x), dtype=torch.float64)
    for start in range(0, len(x), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        distance = torch.cdist(x[rows], x[start:])
        distance.diagonal().zero_()
        each[rows] += distance.sum(1)
        each[start + len(distance) :] += distance[:, len(distance) :].sum(0)
    each /= len(x) - 1
    return float(each.mean()), 2 * (each - each.mean())


def vendi(x: torch.Tensor) -> tuple[float, torch.Tensor]:
    """The Vendi score of ``[N,D]``, within [1, min(N, D)], and each one's influence on it ``[N]``.

    With ρ = ΦᵀΦ/N and H = −tr ρ ln ρ, the score is exp H, and φ moves it by exp H · (−φᵀ ln ρ φ − H).
    """
    density = torch.zeros(x.shape[1], x.shape[1], dtype=torch.float64)
    for rows in _unit_rows(x):
        density.addmm_(rows.T, rows)
    values, vectors = torch.linalg.eigh(density / len(x))
    values = values.clamp_min(1e-30)
    entropy = float(-(values * values.log()).sum())
    score = float(torch.tensor(entropy).exp())
    surprise = -torch.cat([(rows @ vectors).square() @ values.log() for rows in _unit_rows(x)])
    return score, score * (surprise - surprise.mean())


def _unit_rows(x: torch.Tensor) -> Iterator[torch.Tensor]:
    """``[N,D]`` of unit length, float64, some rows at a time, as float64 takes twice the memory."""
    for rows in x.split(ROWS_AT_ONCE):
        yield F.normalize(rows.double(), dim=1)


def measure(material: Material) -> Iterator[Figure]:
    """Diversity and Vendi score of samples; where classes are known, the diversity within one class too."""
    yield from against_real(on_sets, material)
    yield from within_classes(material)


def on_sets(real: torch.Tensor, fake: torch.Tensor, seed: int) -> Iterator[Figure]:
    """Diversity and Vendi score. The latter looks at samples alone; its ceiling is that of as many training pictures."""
    (ours, pull), (theirs, back) = mean_distance(fake), mean_distance(real)
    known = min(len(real), len(fake)) >= FEWEST_FOR_INTERVAL and theirs > 0
    ratio = ours / theirs if theirs > 0 else 1.0
    pulls = (pull / theirs, -back * ratio / theirs) if known else ()
    yield Figure(
        name="diversity",
        value=ratio,
        interval=interval_around(ratio, pulls, seed, "diversity") if known else None,
        better="neither",
        meaning="How different two samples are, as a share of how different two real pictures are.",
        note="mean distance of features",
    )
    score, influence = vendi(fake)
    yield Figure(
        name="Vendi score",
        value=score,
        interval=interval_around(score, (influence,), seed, "vendi") if known else None,
        better="neither",
        meaning="As varied as so many wholly different pictures would be.",
        note="cosine of features; grows with the number of samples",
    )


def within_classes(material: Material) -> Iterator[Figure]:
    """The diversity within a class, over those with 10 pictures of each kind, weighted by their held-out share.

    Nothing where samples were not asked to be of a class. The ceiling is that of training pictures.
    """
    asked, real_labels = material.asked, material.real_labels
    train_labels = torch.as_tensor(material.dataset.labels[material.searched_places[: material.num_floor]])
    shared = [
        label
        for label in range(len(material.dataset.classes))
        if min(int((asked == label).sum()), int((real_labels == label).sum())) >= FEWEST_IN_A_CLASS
    ]
    if len(shared) < 2:
        return
    check(material.real, f"{material.split} pictures")
    check(material.fake, "samples")
    found = _within(material.real, real_labels, material.fake, asked, shared, material)
    likewise = [label for label in shared if int((train_labels == label).sum()) >= FEWEST_IN_A_CLASS]
    if likewise == shared:
        ceiling = _within(material.real, real_labels, material.train, train_labels, shared, material).value
        found = replace(found, ceiling=ceiling)
    yield found


def _within(
    real: torch.Tensor,
    real_labels: torch.Tensor,
    fake: torch.Tensor,
    labels: torch.Tensor,
    shared: list[int],
    material: Material,
) -> Figure:
    pulls = torch.zeros(len(fake), dtype=torch.float64), torch.zeros(len(real), dtype=torch.float64)
    total = sum(int((real_labels == label).sum()) for label in shared)
    ours = theirs = 0.0
    table: dict[str, Any] = {}
    for label in shared:
        here, there = labels == label, real_labels == label
        weight = int(there.sum()) / total
        (one, pull), (other, back) = mean_distance(fake[here]), mean_distance(real[there])
        table[material.dataset.classes[label]] = one / other if other > 0 else None
        ours, theirs = ours + weight * one, theirs + weight * other
        # a mean over this class alone, written as one over all pictures
        pulls[0][here] = weight * pull * len(fake) / int(here.sum())
        pulls[1][there] = weight * back * len(real) / int(there.sum())
    ratio = ours / theirs if theirs > 0 else 1.0
    moved = (pulls[0] / max(theirs, 1e-12), -pulls[1] * ratio / max(theirs, 1e-12))
    return Figure(
        name="diversity within a class",
        value=ratio,
        interval=telling(interval_around(ratio, moved, material.seed, "diversity-within"), len(real)),
        better="neither",
        meaning="How different two samples of one class are, as a share of how different two real pictures of it are.",
        note=f"{len(shared)} of {len(material.dataset.classes)} classes; a ceiling is that of training pictures",
        features=material.features.name,
        details={"classes": table},
    )
