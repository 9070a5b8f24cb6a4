"""The opponent of a generator: a discriminator, the loss of their game, the penalty that keeps it smooth, DiffAugment.

Use: ``losses, real_score = adversary.learn(real, fake.detach(), asked, moment)`` for the discriminator's step, and after it
``losses = adversary.teach(fake, real_score, asked, moment)`` for the step of whatever painted ``fake``.

Both from one pass, with the same discriminator, would cost two thirds. It was tried and does not converge: the two then
circle each other, with optimism (Daskalakis et al. 2018) or without. The same samples in both steps do no harm.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

import torch
from pydantic import Field
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from allaprima.core.config import Choice, Component, named
from allaprima.core.errors import UserError
from allaprima.core.schedules import cosine
from allaprima.data.augment import AUGMENT, apply
from allaprima.domains import Shape
from allaprima.losses.adversarial import ADVERSARIAL
from allaprima.losses.penalties import PENALTIES
from allaprima.methods import Moment, mean
from allaprima.methods._adaptive import Adaptive
from allaprima.methods._pairs import Contrast, mismatched
from allaprima.models.discriminators import DISCRIMINATORS
from allaprima.models.discriminators._reconstruction import Decoder, error

SHOWN = frozenset({"gap", "overfitting", "augmented"})  # names in the losses that nobody descends
RECONSTRUCT, FEW_PICTURES = 1.0, 1_000  # below it a discriminator that must redraw what it saw learns less by heart
DECODED_SIDE = 32  # pixels at most of what is reconstructed: the trunk has halved finer details away


class Config(Component):
    """``penalty`` and ``penalty_weight`` (γ) ``auto`` take what belongs to the loss; γ ends at ``penalty_end`` of itself.

    ``penalty_share``: the part of the batch that the penalty is computed on; γ needs no change, the mean stays unbiased.
    ``augment``: what DiffAugment does to real and generated samples alike. Its probability rises to
    ``augment_probability`` over the first half of the run; ``auto`` takes more the oftener the run shows each picture, for
    that is what a discriminator learns by heart; ``adaptive`` lets it rise while that is seen to happen, until held-out
    pictures score ``augment_target`` of the way from training pictures to generated ones (``_adaptive``). ``reconstruct``: the
    weight of a reconstruction of real samples from what the discriminator has kept of them (FastGAN, Liu et al. 2021);
    ``auto`` asks for it where pictures are few.
    ``mismatched`` and ``contrast``: weights of what makes it mind the condition, where there is one (``_pairs``).
    ``freeze``: the discriminator's lowest layers, which stay as a run begun with ``--from`` found them (FreezeD, Mo et al.
    2020).
    """

    discriminator: Annotated[Any, Choice(DISCRIMINATORS)] = "residual"
    loss: Annotated[str, named(ADVERSARIAL)] = "relativistic"
    penalty: Literal["auto"] | Annotated[str, named(PENALTIES)] = "auto"
    penalty_weight: float | Literal["auto"] = "auto"
    penalty_end: float = Field(1.0, ge=0)
    penalty_share: float = Field(0.125, gt=0, le=1)
    mismatched: float = Field(0.5, ge=0)
    contrast: float = Field(0.1, ge=0)
    augment: list[Annotated[str, named(AUGMENT)]] = ["colour", "translation", "cutout"]
    augment_probability: Annotated[float, Field(ge=0, le=1)] | Literal["auto", "adaptive"] = "auto"
    augment_target: float = Field(0.5, gt=0, lt=1)
    reconstruct: Annotated[float, Field(ge=0)] | Literal["auto"] = "auto"
    freeze: int = Field(0, ge=0)

    @property
    def penalty_name(self) -> str:
        """What ``auto`` comes to: the discriminator's own wish, else the loss's."""
        own = getattr(self.discriminator, "PENALTY", ADVERSARIAL.get(self.loss).PENALTY)
        return own if self.penalty == "auto" else self.penalty

    def for_pictures(self, count: int) -> Self:
        """What is ``auto`` because the number of training pictures decides it, as a number."""
        if self.reconstruct != "auto":
            return self
        wanted = count < FEW_PICTURES and getattr(self.discriminator, "REDRAWS", True)
        return self.model_copy(update={"reconstruct": RECONSTRUCT if wanted else 0.0})

    def settled(self, epochs: float) -> Self:
        """Every ``auto`` as the number that it comes to in a run that shows each picture ``epochs`` times."""
        numbers = {
            "penalty_weight": PENALTIES.get(self.penalty_name).WEIGHT,
            "augment_probability": automatic_probability(epochs),
        }
        return self.model_copy(update={key: value for key, value in numbers.items() if getattr(self, key) == "auto"})


class Adversary(nn.Module):
    """The discriminator and its own condition table. Scores are of single samples: nothing is shared in a batch."""

    def __init__(self, config: Config, shape: Shape, condition: Any, condition_dim: int) -> None:
        super().__init__()
        self.config = config
        self.discriminator = config.discriminator.build(shape, condition_dim)
        self.condition = condition.build(condition_dim)
        self.smallest = self._smallest(shape)
        self.loss = ADVERSARIAL.get(config.loss)
        self.penalty = PENALTIES.get(config.penalty_name)
        self.gamma = self.penalty.WEIGHT if config.penalty_weight == "auto" else config.penalty_weight
        # whether a sample's score depends on the others of its batch
        self.over_batch = any(isinstance(layer, _BatchNorm) for layer in self.discriminator.modules())
        if self.gamma and self.over_batch:
            raise UserError(
                "A gradient penalty does not fit a discriminator with batch normalisation: its samples are not independent",
                "add --set method.discriminator.normalisation=group (or none), or --set method.penalty=none",
            )

        self.followed = condition if condition_dim else None
        self.contrast: Contrast | None = None
        if condition_dim and config.contrast:
            self.contrast = Contrast(self._last_grid(shape).shape[1], condition_dim)
        self.adaptive = Adaptive(config.augment_target) if config.augment_probability == "adaptive" else None
        # ``auto`` is left where nobody has said how many pictures there are
        self.redrawn = 0.0 if config.reconstruct == "auto" else config.reconstruct
        self.decoder = self._decoder(shape) if self.redrawn else None

    def small(self, samples: torch.Tensor) -> torch.Tensor | None:
        """The small pictures of samples, where the discriminator judges these too."""
        return self.discriminator.small(samples) if hasattr(self.discriminator, "small") else None

    @torch.no_grad()
    def _smallest(self, shape: Shape) -> int:
        """Cells of the smallest pictures that it judges."""
        small = self.small(torch.zeros(1, 1, *shape.spatial))
        return math.prod(shape.spatial) if small is None else small.numel()

    @torch.no_grad()
    def _last_grid(self, shape: Shape) -> torch.Tensor:
        return self.discriminator.grids(torch.zeros(2, shape.channels, *shape.spatial))[-1]

    def _decoder(self, shape: Shape) -> Decoder:
        grid = self._last_grid(shape)
        doublings = max(1, int(math.log2(min(DECODED_SIDE, *shape.spatial) / min(grid.shape[2:]))))
        return Decoder(grid.shape[1], shape.channels, len(shape.spatial), doublings)

    def learning(self) -> list[nn.Parameter]:
        """Its parameters, but for those of the layers that are frozen."""
        layers = self.discriminator.layers()[: self.config.freeze] if self.config.freeze else []
        frozen = {id(parameter) for layer in layers for parameter in layer.parameters()}
        return [parameter for parameter in self.parameters() if id(parameter) not in frozen]

    def taken_over_batch(self, part: int) -> list[str]:
        """As ``Method`` has it."""
        group = getattr(self.loss, "GROUP", 1)
        found = [] if part % group == 0 else ["each score's opponents"]
        pairs = self.followed is not None and (self.config.mismatched or self.config.contrast)
        return [*found, "the pairs that do not match"] if pairs else found

    def augment(self, samples: torch.Tensor, moment: Moment) -> torch.Tensor:
        """DiffAugment at this moment's probability."""
        if self.adaptive is not None:
            return apply(self.config.augment, samples, self.adaptive.probability, moment.random)
        final = self.course(moment)
        if not final:
            return samples
        return apply(self.config.augment, samples, cosine(0.0, final, 2 * moment.now), moment.random)

    def course(self, moment: Moment) -> float:
        """What DiffAugment's probability rises to, by which a step goes its way; 0 where it is found on the way."""
        wanted = self.config.augment_probability
        if self.adaptive is not None:
            return 0.0
        return automatic_probability(moment.epochs) if isinstance(wanted, str) else wanted

    def learn(
        self, real: torch.Tensor, fake: torch.Tensor, asked: torch.Tensor, moment: Moment
    ) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """The discriminator's losses, and the real samples' scores ``[N]``, without their graph."""
        real, fake = self.augment(real, moment), self.augment(fake, moment)
        y = self.condition(asked)
        grids, real_score, fake_score = self._scores(real, fake, y)
        losses = {"discriminator": mean(self.loss.discriminator(real_score, fake_score))}
        if self.followed is not None and self.config.mismatched:
            others = self.discriminator.judge(grids, y.roll(1, 0)).float()
            losses["mismatched"] = self.config.mismatched * mean(mismatched(self.followed, asked, real_score, others))
        if self.contrast is not None:
            losses["contrast"] = self.config.contrast * mean(self.contrast(grids[-1], y, asked))
        if self.gamma:
            losses["penalty"] = self._penalty(real, fake, asked, moment)
        if self.decoder is not None:
            losses["redrawn"] = self.redrawn * mean(error(real, self.decoder(grids[-1])))
        if self.adaptive is not None:
            self.adaptive.note(real_score, fake_score)
            losses["overfitting"] = self.adaptive.overfitting()
            losses["augmented"] = self.adaptive.probability.clone()
        losses["gap"] = (real_score - fake_score).detach().mean()
        return losses, real_score.detach()

    def _scores(
        self, real: torch.Tensor, fake: torch.Tensor, y: torch.Tensor
    ) -> tuple[list[torch.Tensor], torch.Tensor, torch.Tensor]:
        """The grids of real samples, their scores, and those of generated ones."""
        if self.over_batch:
            grids = self.discriminator.grids(real)
            return grids, self.discriminator.judge(grids, y).float(), self.discriminator(fake, y).float()
        both = self.discriminator.grids(torch.cat([real, fake]))  # one pass is an eighth faster than two
        real_score, fake_score = self.discriminator.judge(both, y.repeat(2, 1)).float().chunk(2)
        return [grid[: len(real)] for grid in both], real_score, fake_score

    def teach(
        self, fake: torch.Tensor, real_score: torch.Tensor, asked: torch.Tensor, moment: Moment
    ) -> dict[str, torch.Tensor]:
        """The loss of what painted ``fake``. ``real_score``: from ``learn``, so that real samples are not scored twice."""
        y = self.condition(asked).detach()
        grids = self.discriminator.grids(self.augment(fake, moment))
        losses = {"generator": mean(self.loss.generator(real_score, self.discriminator.judge(grids, y).float()))}
        if self.contrast is not None:
            losses["followed"] = self.config.contrast * mean(self.contrast(grids[-1], y, asked))
        return losses

    @torch.no_grad()
    def score(self, real: torch.Tensor, asked: torch.Tensor, moment: Moment) -> torch.Tensor:
        """Real samples' scores ``[N]``, without a graph: what ``learn`` gives too."""
        return self.discriminator(self.augment(real, moment), self.condition(asked)).float()

    def look(self, held_out: torch.Tensor, asked: torch.Tensor, moment: Moment) -> None:
        """Pictures that nothing learns from: how much to augment depends on how they are scored."""
        assert self.adaptive is not None, "held-out pictures were not asked for"
        self.adaptive.look(self.score(held_out, asked, moment), moment.progress)

    def _penalty(self, real: torch.Tensor, fake: torch.Tensor, asked: torch.Tensor, moment: Moment) -> torch.Tensor:
        few = max(1, round(len(real) * self.config.penalty_share))
        y = self.condition(asked[:few])
        mix = torch.rand(few, generator=moment.random, device=real.device)

        def score(x: torch.Tensor) -> torch.Tensor:
            return self.discriminator(x, y.repeat(len(x) // few, 1))

        energy = self.penalty.penalty(score, real[:few], fake[:few], mix)
        # a mean of n cells has an n-th of the gradient in each: n times as much to the square makes up for it
        energy = energy * max(1.0, real[0, 0].numel() / self.smallest)
        # R3GAN lets γ fall with the learning rate; in runs of minutes the discriminator then runs ahead (LOG.md)
        return cosine(self.gamma, self.gamma * self.config.penalty_end, moment.now) * mean(energy)


def automatic_probability(epochs: float) -> float:
    """DiffAugment's final probability: none up to 20 epochs, .15 more with every doubling, at most a half. In hundredths, so
    that a plan that the clock moves a little leaves it alone.

    It costs quality where data are plenty and saves small sets from being learned by heart (Zhao et al. 2020, table 3).
    """
    return round(min(0.5, 0.15 * max(0.0, math.log2(max(epochs, 1e-9) / 20))), 2)
