"""Precision, recall, density, coverage: is each sample plausible, and is everything that exists painted?

The neighbourhood of a picture is the ball that reaches to its k-th nearest of its own kind, k = 5. Precision and
recall: Kynkäänniemi et al. 2019, "Improved precision and recall metric"; density and coverage, which single outliers
disturb less: Naeem et al. 2020, "Reliable fidelity and diversity metrics", eqs. 5 and 6.

Their intervals are those of the set that the scores belong to: how far each would move with other samples (precision and
density) or other held-out pictures (recall and coverage) if the other set stayed. Each note says so.

Use: ``scores = prdc(real_features, fake_features)``; each is a score per picture, and their means are the figures.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from allaprima.evaluation.material import Material
from allaprima.evaluation.metrics import Figure
from allaprima.evaluation.metrics._bootstrap import interval_of_mean
from allaprima.evaluation.metrics._sets import against_real

GROUP = "Quality and variety"
FIGURES = ("precision", "recall", "density", "coverage")
K = 5
ROWS_AT_ONCE = 1024
MEANINGS = {
    "precision": "Share of samples that look like something real.",
    "recall": "Share of real pictures that the samples come near to: low when kinds of pictures are missing.",
    "density": "How deep in the crowd of real pictures the samples lie; around 1 is right, and above is possible.",
    "coverage": "Share of real pictures with a sample as near as their neighbours: low when kinds are missing.",
}
OF_SAMPLES = "interval: of drawing other samples, against these held-out pictures"
OF_REAL = "interval: of drawing other held-out pictures, against these samples"
INTERVALS = {"precision": OF_SAMPLES, "recall": OF_REAL, "density": OF_SAMPLES, "coverage": OF_REAL}


def prdc(real: torch.Tensor, fake: torch.Tensor, k: int = K) -> dict[str, torch.Tensor]:
    """Scores of ``[N,D]`` and ``[M,D]``: precision and density ``[M]``, recall and coverage ``[N]``; N, M > k."""
    real_reach, fake_reach = _reach(real, k), _reach(fake, k)
    recall, coverage = [], []
    inside = torch.zeros(len(fake))
    for start in range(0, len(real), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        distance = torch.cdist(real[rows], fake)
        within = distance < real_reach[rows, None]
        inside += within.float().sum(0)  # quicker than counting truths
        recall.append((distance < fake_reach[None, :]).any(1))
        coverage.append(within.any(1))
    return {
        "precision": (inside > 0).float(),
        "recall": torch.cat(recall).float(),
        "density": inside / k,
        "coverage": torch.cat(coverage).float(),
    }


def _reach(x: torch.Tensor, k: int) -> torch.Tensor:
    """Distance from each of ``[N,D]`` to its k-th nearest other: ``[N]``."""
    # k + 1: each picture is its own nearest. The largest of so few is found ten times quicker than by kthvalue.
    parts = [torch.cdist(rows, x).topk(k + 1, largest=False, sorted=False).values for rows in x.split(ROWS_AT_ONCE)]
    return torch.cat(parts).amax(1)


def measure(material: Material) -> Iterator[Figure]:
    """The four figures of samples; their ceilings are those of training pictures."""
    yield from against_real(on_sets, material)


def on_sets(real: torch.Tensor, fake: torch.Tensor, seed: int) -> Iterator[Figure]:
    """The four figures. Fewer than 6 pictures of a kind leave fewer neighbours, which the note says."""
    k = min(K, len(real) - 1, len(fake) - 1)
    for name, scores in prdc(real, fake, k).items():
        yield Figure(
            name=name,
            value=float(scores.double().mean()),
            interval=interval_of_mean(scores, seed, name),
            better="higher",
            meaning=MEANINGS[name],
            note=f"k = {k}" + ("" if k == K else " for want of pictures") + f"; {INTERVALS[name]}",
        )
