"""A Gaussian mixture with full covariances, fitted by expectation-maximisation (Dempster, Laird, Rubin 1977): the default.

To draw a component and then a point of it would make pictures jump where the draw flips. Here noise is carried to the
mixture by its own rectified flow (Liu, Gong, Liu 2023, equation 2; Lipman et al. 2023), whose velocity needs no net: with
x₀ ~ N(0, I), x₁ ~ Σ πₖ N(μₖ, Σₖ) and xₜ = (1 - t) x₀ + t x₁ every expectation is one of Gaussians,

    v(x, t) = E[x₁ - x₀ | xₜ = x] = Σ γₖ(x, t) (μₖ + (t Σₖ - (1 - t) I) Sₖ⁻¹ (x - t μₖ)),   Sₖ = (1 - t)² I + t² Σₖ,

where γₖ is the responsibility of N(t μₖ, Sₖ) with weight πₖ. So a latent is a continuous function of its noise. Each class
has weights πₖ of its own; the components are shared. Of pictures that are asked for by text or sound the mixture is that of
what remains of their latents after a ridge regression on the condition (Hoerl, Kennard 1970), whose prediction is added.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from pydantic import Field
from torch.nn import functional as F

from allaprima.core.config import Component
from allaprima.core.seeds import torch_stream
from allaprima.models.priors import Posteriors, Prior

FEWEST_OF_A_COMPONENT = 50  # pictures
LEAST_VARIANCE = 1e-6
LEAST_WEIGHT = 1e-8
RIDGE = 1e-2  # of the regression, in units of the conditions' mean variance
NEAR = 0.1  # how near to a class's embedding counts as that class, in distances between classes


class Config(Component):
    """``components``: at most so many, fewer for few pictures. ``steps`` of the midpoint method, two evaluations each.

    ``shrinkage``: how many pictures' worth of the components' mean covariance, in multiples of the latent dimension, each
    one's covariance takes in.
    """

    components: int = Field(64, ge=1, le=1024)
    iterations: int = Field(20, ge=1, le=1000)
    shrinkage: float = Field(0.25, ge=0)
    steps: int = Field(8, ge=1, le=256)

    def build(self, latent_dim: int, condition_dim: int, num_classes: int) -> Prior:
        return MixtureFlow(self, latent_dim, condition_dim, num_classes)


class MixtureFlow(Prior):
    """Before ``fit`` one component, N(0, I)."""

    weights: torch.Tensor  # [classes, K]
    classes: torch.Tensor  # [classes, condition_dim], what each class is embedded as
    means: torch.Tensor  # [K, D]
    variances: torch.Tensor  # [K, D], along the axes
    axes: torch.Tensor  # [K, D, D], one in a column
    slope: torch.Tensor | None  # [condition_dim, D], where conditions are no classes
    middle: torch.Tensor | None  # [condition_dim], their mean

    def __init__(self, config: Config, latent_dim: int, condition_dim: int, num_classes: int) -> None:
        super().__init__()
        self.config = config
        many = config.components
        first = torch.eye(many)[:1]
        self.register_buffer("weights", first.repeat(max(1, num_classes), 1))
        self.register_buffer("classes", torch.zeros(max(1, num_classes), condition_dim))
        self.register_buffer("means", torch.zeros(many, latent_dim))
        self.register_buffer("variances", torch.ones(many, latent_dim))
        self.register_buffer("axes", torch.eye(latent_dim).repeat(many, 1, 1))
        by_value = condition_dim and not num_classes
        self.register_buffer("slope", torch.zeros(condition_dim, latent_dim) if by_value else None)
        self.register_buffer("middle", torch.zeros(condition_dim) if by_value else None)

    def forward(self, noise: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        log_weights = self.weights_of(y).clamp_min(LEAST_WEIGHT).log()
        x, step = noise, 1 / self.config.steps
        for place in range(self.config.steps):
            half = x + 0.5 * step * self.velocity(x, place * step, log_weights)
            x = x + step * self.velocity(half, (place + 0.5) * step, log_weights)
        if self.slope is None or self.middle is None:
            return x
        return x + (y.to(x.dtype) - self.middle) @ self.slope

    def velocity(self, x: torch.Tensor, t: float, log_weights: torch.Tensor) -> torch.Tensor:
        """v(x, t) for x ``[N, D]`` and log π ``[N, K]``."""
        # x - t μ in each component's own axes: [N, K, D]
        along = torch.einsum("nkd,kde->nke", x[:, None] - t * self.means, self.axes)
        spread = (1 - t) ** 2 + t * t * self.variances
        log_density = log_weights - 0.5 * (along.square() / spread + spread.log()).sum(2)
        towards = torch.einsum("nke,kde->nkd", along * (t * self.variances - (1 - t)) / spread, self.axes)
        return ((self.means + towards) * log_density.softmax(1)[..., None]).sum(1)

    def weights_of(self, y: torch.Tensor) -> torch.Tensor:
        """πₖ for conditions ``[N, condition_dim]``: a class's own; between two classes, something between."""
        if len(self.classes) == 1:
            return self.weights.expand(y.shape[0], -1)  # not len(y): an export would take it for a constant
        # written out, for torch.cdist and pdist have no place in an exported graph
        between = (self.classes[:, None] - self.classes).square().sum(2)
        same = torch.eye(len(self.classes), device=between.device)
        apart = (between + same * between.max()).min().clamp_min(1e-12)
        distances = (y.float()[:, None] - self.classes).square().sum(2) / (NEAR**2 * apart)
        return (-0.5 * distances).softmax(1) @ self.weights

    @torch.no_grad()
    def fit(self, posteriors: Posteriors, seed: int) -> None:
        if self.slope is not None and posteriors.each is not None:
            posteriors = self._regress(posteriors)
        many = min(self.config.components, max(1, len(posteriors) // FEWEST_OF_A_COMPONENT))
        weights, means, covariances = expectation_maximisation(
            posteriors, len(self.weights), many, self.config.iterations, self.config.shrinkage, seed
        )
        variances, axes = torch.linalg.eigh(covariances.double())
        rest = self.config.components - many  # of weight 0
        self.weights.copy_(F.pad(weights, (0, rest)))
        self.classes.copy_(posteriors.embedded)
        self.means.copy_(F.pad(means, (0, 0, 0, rest)))
        self.variances.copy_(F.pad(variances.float().clamp_min(LEAST_VARIANCE), (0, 0, 0, rest), value=1.0))
        self.axes[:many].copy_(axes.float())
        self.axes[many:] = torch.eye(axes.shape[-1])

    def _regress(self, posteriors: Posteriors) -> Posteriors:
        """Learns the slope; the posteriors with what it predicts taken off their means."""
        assert self.slope is not None
        assert self.middle is not None
        assert posteriors.each is not None
        y, z = posteriors.each.double(), posteriors.mean.double()
        centred = y - y.mean(0)
        gram = centred.T @ centred
        gram += RIDGE * gram.diagonal().mean().clamp_min(1e-9) * torch.eye(len(gram), dtype=gram.dtype)
        self.middle.copy_(y.mean(0))
        self.slope.copy_(torch.linalg.solve(gram, centred.T @ (z - z.mean(0))))
        return replace(posteriors, mean=(z - centred @ self.slope.double()).float())


def expectation_maximisation(
    posteriors: Posteriors, num_classes: int, many: int, iterations: int, shrinkage: float, seed: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Weights ``[classes, K]``, means ``[K, D]`` and covariances ``[K, D, D]`` of latents drawn from ``posteriors``.

    The covariance of a component is that of the posteriors' means plus their own variances, not that of one draw of each:
    the same in expectation, and never singular. A part of the components' mean covariance is mixed in (a maximum a
    posteriori estimate, as of Fraley, Raftery 2007), so that few pictures are not learned by heart.
    """
    z, of_class = posteriors.draw(seed), F.one_hot(posteriors.labels, num_classes).float()
    responsibility = F.one_hot(nearest(z, spread_out(z, many, seed)), many).float()
    prior_count = shrinkage * z.shape[1]
    for _ in range(iterations):
        count = responsibility.sum(0).clamp_min(1e-3)
        means = responsibility.T @ posteriors.mean / count[:, None]
        scatter = torch.stack(
            [
                centred.T @ (centred * share[:, None]) + (share @ posteriors.deviation.square()).diag()
                for share, centred in zip(responsibility.T, (posteriors.mean - mean for mean in means), strict=True)
            ]
        )
        within = scatter.sum(0) / len(z)
        covariances = (scatter + prior_count * within) / (count + prior_count)[:, None, None]
        # a class seen rarely leans on the weights of all: one picture's worth
        weights = of_class.T @ responsibility + (count / len(z))
        weights = weights / weights.sum(1, keepdim=True)
        responsibility = (log_densities(z, means, covariances) + weights[posteriors.labels].log()).softmax(1)
    return weights, means, covariances


def log_densities(z: torch.Tensor, means: torch.Tensor, covariances: torch.Tensor) -> torch.Tensor:
    """log N(z; μₖ, Σₖ) for z ``[N, D]``: ``[N, K]``."""
    lower = torch.linalg.cholesky(covariances)
    white = torch.linalg.solve_triangular(lower, (z - means[:, None]).mT, upper=False)  # [K, D, N]
    log_volume = lower.diagonal(dim1=1, dim2=2).log().sum(1)
    return (-0.5 * white.square().sum(1) - log_volume[:, None] - 0.5 * z.shape[1] * math.log(2 * math.pi)).T


def nearest(z: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    """The centre that is nearest to each z: int64 ``[N]``."""
    return torch.cdist(z, centres).argmin(1)


def spread_out(z: torch.Tensor, many: int, seed: int) -> torch.Tensor:
    """``many`` of the z, far from each other: each is drawn by its squared distance from those before (k-means++, Arthur,
    Vassilvitskii 2007).
    """
    draws = torch_stream(seed, "prior/centres")
    chosen = [int(torch.randint(len(z), (1,), generator=draws))]
    distance = torch.full((len(z),), math.inf)
    for _ in range(many - 1):
        distance = torch.minimum(distance, (z - z[chosen[-1]]).square().sum(1))
        chosen.append(int(torch.multinomial(distance.clamp_min(1e-12), 1, generator=draws)))
    return z[chosen]
