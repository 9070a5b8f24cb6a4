"""Fréchet distance of two sets of features, each taken for a Gaussian: ‖μr−μf‖² + tr(Σr + Σf − 2(ΣrΣf)^½).

Dowson & Landau 1982; Heusel et al. 2017, "GANs trained by a two time-scale update rule", section 3: with Inception
features it is called FID. With few pictures it comes out too high, to first order by a/N for N real pictures and b/M for
M samples (Chong & Forsyth 2020, "Effectively unbiased FID and Inception score"), so there is a second figure,
extrapolated to infinitely many. They fit a line in 1/N through random subsets. Ours goes through the whole (twice the
weight of the far end) and the mean over pairs of complementary halves of both sets: 2·F(whole) − F(halves). In a pair of
halves the first-order noise of drawing subsets cancels, so that fewer evaluations give less spread.

Use: ``distance = frechet_distance(real_features, fake_features)``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from allaprima.core.seeds import torch_stream
from allaprima.evaluation.material import Material
from allaprima.evaluation.metrics import Figure, NotMeasuredError
from allaprima.evaluation.metrics._bootstrap import interval_around
from allaprima.evaluation.metrics._sets import against_real

GROUP = "Distance"
FIGURES = ("Fréchet distance", "Fréchet distance, extrapolated")
ROWS_AT_ONCE = 2048
# One pair of halves at 2,048 dimensions takes 3 s. More pairs only help where real and fake are hardly different.
PAIRS, PAIRS_IN_MANY_DIMENSIONS, MANY_DIMENSIONS = 5, 1, 1024
NEGLIGIBLE = 1e-10  # of the largest eigenvalue: a direction in which nothing varies, but for rounding


@dataclass(frozen=True)
class Sums:
    """Of vectors x about a ``centre`` c: how many, Σ(x−c) ``[D]`` and Σ(x−c)(x−c)ᵀ ``[D,D]``, float64."""

    centre: torch.Tensor
    count: int
    first: torch.Tensor
    second: torch.Tensor

    @classmethod
    def of(cls, vectors: torch.Tensor, centre: torch.Tensor) -> Sums:
        """``[N,D]``, ``[D]`` → sums, some rows at a time, as float64 takes twice the memory."""
        dim = vectors.shape[1]
        first, second = torch.zeros(dim, dtype=torch.float64), torch.zeros(dim, dim, dtype=torch.float64)
        for rows in vectors.split(ROWS_AT_ONCE):
            centred = rows.double() - centre
            first += centred.sum(0)
            second.addmm_(centred.T, centred)
        return cls(centre, len(vectors), first, second)

    def without(self, part: Sums) -> Sums:
        """The sums of the others."""
        return Sums(self.centre, self.count - part.count, self.first - part.first, self.second - part.second)

    def covariance(self) -> torch.Tensor:
        """``[D,D]``, divided by N − 1."""
        return (self.second - torch.outer(self.first, self.first) / self.count) / (self.count - 1)


def frechet_distance(real: torch.Tensor, fake: torch.Tensor) -> float:
    """The distance of ``[N,D]`` and ``[M,D]`` in float64, never negative; N, M ≥ 2, and N, M > D to mean much."""
    return _distance(*_sums(real, fake))


def with_scores(real: torch.Tensor, fake: torch.Tensor) -> tuple[float, torch.Tensor, torch.Tensor]:
    """The same, and what each picture adds to it, to first order: its influence function, ``[N]`` and ``[M]`` of mean 0.

    For a sample x: 2(μf−μr)ᵀ(x−μf) + (x−μf)ᵀ(I−T)(x−μf) − tr((I−T)Σf), where T = Σr^½ (Σr^½ Σf Σr^½)^-½ Σr^½ is the
    optimal map from the Gaussian of the samples to that of the real pictures; for a real picture the same, mirrored,
    with T⁻¹. (The derivative of tr(ΣrΣf)^½ by Σf is ½T.) Their variance over their number is that of the distance.
    """
    sums = _sums(real, fake)
    root, inverse = _roots(sums[0].covariance())
    middle, middle_inverse = _roots(root @ sums[1].covariance() @ root)
    onto_other = inverse @ middle @ inverse, root @ middle_inverse @ root
    means = [part.centre + part.first / part.count for part in sums]
    found = []
    for x, mean, away, onto in zip(
        (real, fake), means, (means[0] - means[1], means[1] - means[0]), onto_other, strict=True
    ):
        tilt = (torch.eye(len(onto), dtype=torch.float64) - onto).float()
        centred = (rows - mean.float() for rows in x.split(ROWS_AT_ONCE))
        each = torch.cat([rows @ (2 * away.float()) + ((rows @ tilt) * rows).sum(1) for rows in centred])
        found.append(each - each.mean())
    value = _between(*sums, cross=float(middle.trace()))
    return value, found[0], found[1]


def of_halves(real: torch.Tensor, fake: torch.Tensor, seed: int) -> float:
    """The mean distance of random halves of both sets, each with the halves that are left over; N, M ≥ 4."""
    wholes = _sums(real, fake)
    found = []
    for pair in range(PAIRS if real.shape[1] <= MANY_DIMENSIONS else PAIRS_IN_MANY_DIMENSIONS):
        draws = [torch_stream(seed, f"frechet-{kind}", pair) for kind in ("real", "fake")]
        chosen = [
            x[torch.randperm(len(x), generator=g)[: len(x) // 2]] for x, g in zip((real, fake), draws, strict=True)
        ]
        one = [Sums.of(half, whole.centre) for half, whole in zip(chosen, wholes, strict=True)]
        other = [whole.without(half) for whole, half in zip(wholes, one, strict=True)]
        found += [_distance(*one), _distance(*other)]
    return sum(found) / len(found)


def measure(material: Material) -> Iterator[Figure]:
    """Both distances of samples to held-out pictures; their floors are those of training pictures."""
    yield from against_real(on_sets, material)


def on_sets(real: torch.Tensor, fake: torch.Tensor, seed: int) -> Iterator[Figure]:
    """The distance, and from twice as many pictures as dimensions on its extrapolation.

    The interval is a bootstrap of the linearised distance: drawing whole sets again would repeat pictures, which
    shrinks covariances and puts every replicate too high. Raises NotMeasuredError where the pictures of one kind are no
    more than the dimensions: the covariance is then flat in some direction, and the distance is mostly bias.
    """
    count, dim = min(len(real), len(fake)), real.shape[1]
    if count <= dim:
        raise NotMeasuredError(
            f"{count} pictures cannot show how {dim} features vary together",
            f"read the kernel distance instead, or use more than {dim} held-out pictures and samples, better {4 * dim:,}",
        )
    enough = count >= 2 * dim
    plain, *scores = with_scores(real, fake)
    low, high = interval_around(plain, scores, seed, "frechet")
    few = f"only {count} pictures for {dim} features: far too high, compare with the floor alone"
    yield Figure(
        name="Fréchet distance",
        value=plain,
        interval=(max(low, 0.0), high),
        better="lower",
        meaning="How far mean and spread of the samples' features lie from those of pictures that were never trained on.",
        note=f"{len(fake):,} samples against {len(real):,}: the fewer, the higher" if enough else few,
    )
    if enough:
        unbiased = 2 * plain - of_halves(real, fake, seed)
        yield Figure(
            name="Fréchet distance, extrapolated",
            value=unbiased,
            interval=(low + unbiased - plain, high + unbiased - plain),
            better="lower",
            meaning="The Fréchet distance that infinitely many pictures would give; 0 is the best there is.",
            note="by a line in 1/N through whole and halved sets; may come out slightly below 0",
        )


def _sums(real: torch.Tensor, fake: torch.Tensor) -> tuple[Sums, Sums]:
    centre = real.mean(0, dtype=torch.float64)
    return Sums.of(real, centre), Sums.of(fake, centre)


def _distance(real: Sums, fake: Sums) -> float:
    root, _ = _roots(real.covariance())
    # tr(ΣrΣf)^½ = tr(Σr^½ΣfΣr^½)^½, and the latter is symmetric
    matrix = root @ fake.covariance() @ root
    values = torch.linalg.eigvalsh((matrix + matrix.T) / 2)
    return _between(real, fake, cross=float(values.clamp_min(0).sqrt().sum()))


def _between(real: Sums, fake: Sums, cross: float) -> float:
    apart = (real.first / real.count - fake.first / fake.count).square().sum()
    return max(0.0, float(apart + real.covariance().trace() + fake.covariance().trace()) - 2 * cross)


def _roots(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The square root of a positive semidefinite ``[D,D]``, and that of its inverse on the directions that vary."""
    values, vectors = torch.linalg.eigh((matrix + matrix.T) / 2)
    values = values.clamp_min(0)
    inverse = torch.where(values > NEGLIGIBLE * values.max(), values, float("inf")).rsqrt()
    return (vectors * values.sqrt()) @ vectors.T, (vectors * inverse) @ vectors.T
