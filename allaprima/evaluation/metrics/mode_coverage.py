"""How many of the dataset's classes appear among the samples, and in the right proportion? No class need be asked for.

As in the tests on StackedMNIST (Metz et al. 2017, "Unrolled generative adversarial networks", section 3.3; Lin et al. 2018,
"PacGAN"): a classifier trained on real training pictures names each sample; modes covered are the classes named at least
once, mode divergence is KL(samples ‖ training pictures) = Σ p log(p/q) of their shares, in nats. Both depend on how many
samples there are; with 1,000 classes it is customary to take 25,600.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch

from allaprima.core.seeds import numpy_stream
from allaprima.evaluation.material import Material
from allaprima.evaluation.metrics import Figure
from allaprima.evaluation.metrics._classes import redrawn
from allaprima.evaluation.metrics._sets import telling
from allaprima.evaluation.small import small_pictures

GROUP = "Classes"
FIGURES = ("modes covered", "mode divergence")
CUSTOMARY = 25_600
MANY_CLASSES = 100


def measure(material: Material) -> Iterator[Figure]:
    """Both figures; ceiling and floor are what as many real training pictures get."""
    judge, dataset = material.judge, material.dataset
    num_classes, count = len(dataset.classes), len(material.fake)
    train = dataset.indices("train")
    # With replacement: a second draw from what the training pictures were drawn from, and not the whole of them again.
    places = numpy_stream(material.seed, "modes").choice(train, count)
    seen = judge.classify(material.fake_small).bincount(minlength=num_classes)
    real = judge.classify(small_pictures(dataset, places)).bincount(minlength=num_classes)
    labels = np.asarray(dataset.labels[train])
    expected = torch.from_numpy(np.bincount(labels[labels >= 0], minlength=num_classes))
    note = f"{count:,} samples, {num_classes:,} classes; best: what as many training pictures get"
    if num_classes >= MANY_CLASSES and count != CUSTOMARY:
        note += f"; published figures on as many classes take {CUSTOMARY:,} samples"
    again = redrawn(shares_of(seen), count, material.seed, "modes")
    modes, divergence = float(covered(seen)), float(divergence_of(seen, expected))
    yield Figure(
        name="modes covered",
        value=modes,
        interval=telling(_around(modes, covered(again), most=num_classes), count),
        better="higher",
        meaning=f"How many of the {num_classes:,} classes appear among the samples.",
        note=note,
        features=f"judge: {num_classes} classes",
        ceiling=float(covered(real)),
    )
    yield Figure(
        name="mode divergence",
        value=divergence,
        interval=telling(_around(divergence, divergence_of(again, expected)), count),
        better="lower",
        meaning="How far the shares of the classes among the samples lie from those among the training pictures.",
        note=note,
        features=f"judge: {num_classes} classes",
        floor=float(divergence_of(real, expected)),
    )


def covered(counts: torch.Tensor) -> torch.Tensor:
    """How many of ``[…,K]`` are not 0: ``[…]``."""
    return (counts > 0).sum(-1).float()


def divergence_of(counts: torch.Tensor, expected: torch.Tensor) -> torch.Tensor:
    """KL divergence of ``counts`` ``[…,K]`` from ``expected`` ``[K]``, in nats: ``[…]``.

    A class that no training picture has counts as half a picture there, so that the figure stays finite.
    """
    p = counts.double() / counts.sum(-1, keepdim=True)
    q = expected.double().clamp_min(0.5)
    return torch.special.xlogy(p, p * q.sum() / q).sum(-1).clamp_min(0).float()


def shares_of(counts: torch.Tensor) -> torch.Tensor:
    """Shares of the classes, float64 ``[K]``, with something left for those that were not seen.

    As much as there are classes that were seen once (Good 1953, "The population frequencies of species and the estimation
    of population parameters"), but half at most: drawn without it, no class would ever be new, and intervals too short.
    """
    shares = counts.double() / counts.sum()
    unseen = counts == 0
    if not unseen.any():
        return shares
    left = min(0.5, float((counts == 1).sum() / counts.sum()))
    return torch.where(unseen, left / unseen.sum(), shares * (1 - left))


def _around(value: float, replicates: torch.Tensor, most: float = math.inf) -> tuple[float, float]:
    """95 % interval from replicates ``[R]``, moved so that their mean is the value.

    Both figures depend on the number of samples, and drawing again from what was drawn errs twice in the same direction:
    it is the replicates' spread that tells of a repetition, not their place.
    """
    ends = torch.quantile(replicates - replicates.mean(), torch.tensor([0.025, 0.975])) + value
    low, high = ends.clamp(0, most).tolist()
    return min(low, value), max(high, value)
