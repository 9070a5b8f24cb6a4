"""A private GAN: its discriminator learns by DP-SGD (Abadi et al. 2016; of GANs Xie et al. 2018; Bie, Kamath, Zhang 2023).

In each step every training picture takes part by chance, on its own. The gradient of each that does, of its own score and of that
of one generated picture beside it, is clipped; their sum gets Gaussian noise and is divided by the number that is expected.
That is all that is ever told of the pictures: the generator learns from the discriminator alone. Bie et al. give it many steps
for one of the generator's; where minutes on a CPU are the limit and not ε, one for one was as good (``LOG.md``).

So nothing in the discriminator may look at several pictures at once (batch normalisation), and no penalty is taken on real
pictures. ``methods/dp_merf`` is quicker and, at ε = 1, better (``LOG.md``); this one gains with ε and with time.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import AfterValidator, Field
from torch import nn

from allaprima.core.config import Choice, Component, named
from allaprima.core.errors import UserError
from allaprima.data.batch import Batch
from allaprima.domains import Shape
from allaprima.losses.adversarial import ADVERSARIAL
from allaprima.losses.variety import mode_seeking
from allaprima.methods import Method, Moment, asked_of, mean
from allaprima.methods._clipping import Critic, clipped_sum
from allaprima.methods._promise import Promise
from allaprima.models.discriminators import DISCRIMINATORS
from allaprima.models.generators import GENERATORS

AT_ONCE = 64  # pictures that are differentiated together: memory
SHOWN = 32  # generated pictures whose loss is told
ALONE = 1e-3  # scores of a picture beside others may differ by so much


def _no_penalty(name: str) -> str:
    if name != "none":
        raise UserError(
            f"A penalty ({name}) is taken on real pictures, and its gradient would pass by the noise",
            "leave out method.penalty: clipping keeps the discriminator smooth",
        )
    return name


def _blind_loss(name: str) -> str:
    if ADVERSARIAL.get(name).PENALTY != "none":
        fitting = [each for each in ADVERSARIAL.names() if ADVERSARIAL.get(each).PENALTY == "none"]
        raise UserError(
            f"The {name} loss needs a penalty on real pictures, or shows the generator their scores",
            f"choose one of: {', '.join(fitting)}",
        )
    return name


class Config(Component):
    """``epsilon`` and ``delta``: how little one training picture may change what is released (Dwork, Roth 2014).

    ``clip``: no picture's gradient counts for more. ``clipping``: ``flat`` shortens the longer ones to it; ``automatic`` makes
    all about as long (Bu et al. 2023). ``discriminator_steps`` for one of the generator, which paints ``painted`` pictures in it.
    ``variety``: the weight of the mode-seeking term (losses.variety) there, which needs no picture either.
    """

    recommended: ClassVar[dict[str, float]] = {
        "lr": 1e-3,
        "lr_end": 1.0,
        "beta1": 0.5,
        "beta2": 0.9,
        "batch_size": 128,
        "ema_half_life": 0.05,
    }
    PRIVATE: ClassVar[bool] = True  # nothing of the pictures gets through but what the noise is on
    SAMPLER: ClassVar[str] = "poisson"  # how training pictures are drawn (training.promise)
    FOLLOWS: ClassVar[frozenset[str]] = frozenset({"none", "label"})

    epsilon: float = Field(8.0, gt=0, le=100)
    delta: float = Field(1e-5, gt=0, lt=1e-2)
    clip: float = Field(1.0, gt=0)
    clipping: Literal["flat", "automatic"] = "automatic"
    discriminator_steps: int = Field(1, ge=1, le=1_000)
    painted: int = Field(128, ge=2)
    variety: float = Field(0.0, ge=0)
    loss: Annotated[str, named(ADVERSARIAL), AfterValidator(_blind_loss)] = "non_saturating"
    penalty: Annotated[str, AfterValidator(_no_penalty)] = "none"
    generator: Annotated[Any, Choice(GENERATORS)] = {"name": "dcgan", "width": 16}
    discriminator: Annotated[Any, Choice(DISCRIMINATORS)] = {"name": "dcgan", "width": 16, "normalisation": "none"}
    latent_dim: int = Field(32, ge=1)
    condition_dim: int = Field(16, ge=1)

    def told(self) -> dict[str, Any]:
        """For the card."""
        return {
            "epsilon": self.epsilon,
            "delta": self.delta,
            "mechanism": "DP-SGD on the discriminator, Poisson sampling, privacy loss distributions",
            "unit": "one training picture with its class, added or left out",
            "not_covered": "the number of pictures, the class names, the pictures' size; several pictures of one person;"
            " validation and test pictures, which nothing learned from; noise in floating point",
        }

    def build(self, shape: Shape, condition: Component) -> DpGan:
        return DpGan(self, shape, condition)


class DpGan(Method):
    """Two phases. ``promise`` is made when the plan is known (training.promise); without it nothing is noised, nothing leaves."""

    phases = ("discriminator", "generator")

    def __init__(self, config: Config, shape: Shape, condition: Any) -> None:
        super().__init__()
        if condition.component_name() not in config.FOLLOWS:
            raise UserError(
                "Privately, a generator learns pictures and their classes, nothing else that was said of them",
                "add --set condition=label, or condition=none",
            )
        self.config = config
        self.latent_dim = config.latent_dim
        self.condition_dim = condition.width(config.condition_dim)
        self.generator = config.generator.build(shape, self.latent_dim, self.condition_dim)
        self.condition = condition.build(self.condition_dim)
        self.critic = Critic(config.discriminator.build(shape, self.condition_dim), condition.build(self.condition_dim))
        self.classes = max(1, len(getattr(condition, "classes", [])))
        self.loss = ADVERSARIAL.get(config.loss)
        self.promise: Promise | None = None
        self._rehearsed = 0
        self._check_alone(shape)

    @torch.no_grad()
    def _check_alone(self, shape: Shape) -> None:
        """Clipping bounds what a picture does to its own gradient, not what it does to its neighbours'."""
        ramp = torch.linspace(-1, 1, shape.channels * shape.spatial[0] * shape.spatial[1])
        picture = ramp.view(1, shape.channels, *shape.spatial)
        y = torch.zeros(4, self.condition_dim)
        net = self.critic.discriminator
        one = net(torch.cat([picture, -picture, 0 * picture, picture.flip(2)]), y)
        other = net(torch.cat([picture, picture**2, picture.flip(3), -picture]), y)
        moved = any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in net.modules())
        if moved or (one[0] - other[0]).abs() > ALONE * (1 + one[0].abs()):
            raise UserError(
                "A private discriminator must look at each picture alone, and this one's normalisation looks at others too",
                "add --set method.discriminator.normalisation=group, or none",
            )

    # -- the promise ------------------------------------------------------------------------------------------------

    def make_promise(self, pictures: int, batch_size: int, steps: int) -> None:
        """For ``steps`` steps of the discriminator with ``batch_size`` of the ``pictures`` expected in each."""
        self.promise = Promise.made(self.config.epsilon, self.config.delta, pictures, batch_size, steps)

    def get_extra_state(self) -> torch.Tensor:
        """For checkpoints: the secret too."""
        return torch.zeros(0, dtype=torch.uint8) if self.promise is None else self.promise.to_tensor()

    def set_extra_state(self, state: torch.Tensor) -> None:
        """From a checkpoint."""
        self.promise = Promise.of_tensor(state) if len(state) else None

    def class_shares(self) -> list[float]:
        """Of how frequent classes are nothing is told: the generator learns all alike."""
        return [1 / self.classes] * self.classes

    # -- learning ---------------------------------------------------------------------------------------------------

    def parameters_of(self, phase: str) -> Iterable[nn.Parameter]:
        if phase == "discriminator":
            return self.critic.parameters()
        return [*self.generator.parameters(), *self.condition.parameters()]

    def pace(self, phase: str, moment: Moment) -> float:
        """The generator learns before every n-th step of the discriminator's."""
        made = self._rehearsed if self.promise is None else self.promise.spent
        return 0.0 if phase == "generator" and (made + 1) % self.config.discriminator_steps else 1.0

    def exported(self) -> dict[str, nn.Module]:
        return {"generator": self.generator, "condition": self.condition}

    def replay(self, nets: dict[str, nn.Module], batch: Batch, random: torch.Generator) -> None:
        device = batch.samples.device
        z = torch.randn(len(batch), self.latent_dim, generator=random, device=device)
        nets["generator"](z, nets["condition"](self._labels(len(batch), device)))

    def step(self, phase: str, batch: Batch, moment: Moment) -> dict[str, torch.Tensor]:
        return self._discriminator(batch, moment) if phase == "discriminator" else self._generator(batch, moment)

    def _labels(self, count: int, device: torch.device) -> torch.Tensor:
        return torch.arange(count, device=device) % self.classes

    def _latents(self, count: int, moment: Moment, device: torch.device) -> torch.Tensor:
        return torch.randn(count, self.latent_dim, generator=moment.random, device=device)

    def _secret_latents(self, count: int, moment: Moment, device: torch.device) -> torch.Tensor:
        """For what stands beside real pictures: which is whose depends on who takes part, so nobody may know them."""
        if self.promise is None:
            return self._latents(count, moment, device)
        values = self.promise.normal("latents", count * self.latent_dim)
        return torch.from_numpy(values).view(count, self.latent_dim).to(device, torch.float32)

    @torch.no_grad()
    def _paint_each_alone(self, z: torch.Tensor, asked: torch.Tensor) -> torch.Tensor:
        """Without batch statistics: what stands beside one real picture must not depend on others' classes."""
        was = self.generator.training
        self.generator.eval()
        painted = self.generator(z, self.condition(asked)).float()
        self.generator.train(was)
        return painted

    def _discriminator(self, batch: Batch, moment: Moment) -> dict[str, torch.Tensor]:
        """A loss whose gradient is the noised one; its value is that of generated pictures, which are nobody's secret."""
        device, asked = batch.samples.device, asked_of(batch)
        with torch.autocast(device.type, enabled=False):
            labels = self._labels(SHOWN, device)
            shown = self._paint_each_alone(self._latents(SHOWN, moment, device), labels)
            fake = self._paint_each_alone(self._secret_latents(len(batch), moment, device), asked)
            noised = self._release(batch.samples, fake, asked)
            parameters = list(self.critic.parameters())
            descended = torch.stack([(p * g).sum() for p, g in zip(parameters, noised, strict=True)]).sum()
            with torch.no_grad():
                scores = self.critic.discriminator(shown, self.critic.condition(labels)).float()
                value = mean(self.loss.discriminator(torch.zeros_like(scores), scores))
            return {"discriminator": value + descended - descended.detach()}

    def _release(self, real: torch.Tensor, fake: torch.Tensor, asked: torch.Tensor) -> list[torch.Tensor]:
        """The mean of clipped gradients with noise, by parameter."""
        config, parameters = self.config, list(self.critic.parameters())
        sums = [torch.zeros_like(parameter) for parameter in parameters]
        for start in range(0, len(real), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            inputs = real[part], fake[part], asked[part]
            clipped = clipped_sum(
                self.critic, self.loss.discriminator, inputs, config.clip, config.clipping == "automatic"
            )
            for total, piece in zip(sums, clipped, strict=True):
                total += piece.detach()
        if self.promise is None:
            self._rehearsed += 1
            return [total / max(1, len(real)) for total in sums]
        noise = self.promise.spend(len(real), sum(total.numel() for total in sums))
        pieces = torch.from_numpy(config.clip * noise).split([total.numel() for total in sums])
        expected = self.promise.expected
        return [
            ((total.double().cpu() + piece.view(total.shape)) / expected).to(total)
            for total, piece in zip(sums, pieces, strict=True)
        ]

    def _generator(self, batch: Batch, moment: Moment) -> dict[str, torch.Tensor]:
        """Of the batch nothing is used but the device."""
        device = batch.samples.device
        asked = self._labels(self.config.painted, device)
        z = self._latents(len(asked), moment, device)
        fake = self.generator(z, self.condition(asked)).float()
        y = self.critic.condition(asked).detach()
        scores = self.critic.discriminator(fake, y).float()
        losses = {"generator": mean(self.loss.generator(torch.zeros_like(scores), scores))}
        if self.config.variety:
            other = self._latents(len(asked), moment, device)
            painted = self.generator(other, self.condition(asked)).float()
            losses["variety"] = self.config.variety * mean(mode_seeking(z, other, fake, painted))
        return losses
