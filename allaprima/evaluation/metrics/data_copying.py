"""C_T: do samples lie nearer to the training pictures than held-out pictures do?

Meehan, Chaudhuri & Dasgupta 2020, "A non-parametric test to detect data-copying in generative models", section 3. In
each cell of a k-means of the training features the distances to the nearest training picture are ranked, of samples
against those of held-out pictures (Mann & Whitney 1947); the z-scores are averaged, a cell's weight being its share of
held-out pictures, and cells with few are left out. Far below 0 samples lie nearer than they should, far above they lie
off. It grows with the number of pictures, and a generator that paints common things alone comes below 0 too: it is a
hint, and the copy rate (``memorisation``) the finding.

Use: ``figure = next(measure(material))``; needs scikit-learn.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import torch

from allaprima.core.errors import UserError
from allaprima.core.seeds import derive
from allaprima.evaluation.material import Material
from allaprima.evaluation.metrics import Figure, NotMeasuredError
from allaprima.evaluation.metrics._bootstrap import interval_around
from allaprima.evaluation.metrics._sets import check, telling

GROUP = "Memorisation"
FIGURES = ("C_T",)
FEWEST_IN_A_CELL = 20
HELD_OUT_A_CELL = 50
MOST_CELLS = 20
MOST_CLUSTERED = 10_000
TELLING = 3.0  # as z-scores go, and the mean of several varies less


def measure(material: Material) -> Iterator[Figure]:
    """The statistic on features, with its cells in ``details``.

    Raises NotMeasuredError where no cell holds 20 samples and 20 held-out pictures.
    """
    check(material.real, f"{material.split} pictures")
    check(material.fake, "samples")
    check(material.searched, "training pictures")
    space = material.neighbours.features
    fake_cell, real_cell = cells(material.searched, material.fake, material.real, material.seed)
    pulls_fake, pulls_real = torch.zeros(len(material.fake)), torch.zeros(len(material.real))
    table, kept = [], 0
    for cell in range(int(torch.cat([fake_cell, real_cell]).max()) + 1):
        here, there = fake_cell == cell, real_cell == cell
        m, n = int(here.sum()), int(there.sum())
        if min(m, n) < FEWEST_IN_A_CELL:
            continue
        above_fake, above_real = placements(space.fake.distance[here], space.real.distance[there])
        mean = float(above_fake.mean())
        scale = (12 * m * n / (m + n + 1)) ** 0.5  # of U/mn − ½, of which the variance is (m+n+1)/12mn by chance
        table.append({"cell": cell, "samples": m, "held_out": n, "z": scale * (mean - 0.5)})
        pulls_fake[here] = n * scale * (above_fake - mean) * len(material.fake) / m
        pulls_real[there] = n * scale * (above_real - mean) * len(material.real) / n
        kept += n
    if not table:
        raise NotMeasuredError(
            "No region holds enough samples and held-out pictures for the C_T test",
            f"use more of both: {FEWEST_IN_A_CELL} of each must lie together",
        )
    value = sum(row["held_out"] * row["z"] for row in table) / kept
    side = (
        "nearer: copies, or little variety"
        if value < -TELLING
        else "farther off"
        if value > TELLING
        else "no difference"
    )
    yield Figure(
        name="C_T",
        value=value,
        interval=telling(
            interval_around(value, (pulls_fake / kept, pulls_real / kept), material.seed, "c_t"), len(material.real)
        ),
        better="neither",
        meaning="Whether samples lie nearer to training pictures than held-out ones do (below −3) or farther off (above 3).",
        note=f"{side}; {len(table)} cells with {kept / len(material.real):.0%} of the held-out pictures; ceiling: what is "
        "expected of other real pictures",
        features=material.features.name,
        ceiling=0.0,
        details={"cells": table},
    )


def placements(fake: torch.Tensor, real: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Share of ``real`` ``[n]`` below each of ``fake`` ``[m]``, and of ``fake`` above each of ``real``; ties count half.

    Both have the mean U/mn of Mann & Whitney; their variances are those of U (DeLong et al. 1988).
    """

    def below(values: torch.Tensor, of: torch.Tensor) -> torch.Tensor:
        ordered = of.sort().values
        ends = [torch.searchsorted(ordered, values, right=right) for right in (False, True)]
        return (ends[0] + ends[1]).float() / 2 / len(of)

    return below(fake, real), 1 - below(real, fake)


def cells(train: torch.Tensor, fake: torch.Tensor, real: torch.Tensor, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The cell of each sample and each held-out picture, int64: k-means of training features, about 50 held-out a cell.

    Raises UserError when scikit-learn is not installed.
    """
    try:
        from sklearn.cluster import KMeans
        from sklearn.exceptions import ConvergenceWarning
    except ImportError:
        raise UserError(
            "The C_T test needs scikit-learn, which is not installed", "pip install 'allaprima[evaluate]'"
        ) from None
    count = max(1, min(MOST_CELLS, len(real) // HELD_OUT_A_CELL))
    means: Any = KMeans(count, n_init=1, random_state=derive(seed, "cells") % 2**32)
    with warnings.catch_warnings():
        # fewer different pictures than cells: the empty ones are left out
        warnings.simplefilter("ignore", ConvergenceWarning)
        means.fit(train[:MOST_CLUSTERED].numpy())
    centres = torch.from_numpy(means.cluster_centers_).to(train.dtype)
    return torch.cdist(fake, centres).argmin(1), torch.cdist(real, centres).argmin(1)
