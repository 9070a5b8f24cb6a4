"""A learned rectified flow in latent space (Liu, Gong, Liu 2023; flow matching, Lipman et al. 2023).

A small net learns the velocity v(x, t, y) of the straight ways from noise x₀ ~ N(0, I) to latents x₁, by equation 1 of Liu et
al.: minimise E ‖(x₁ - x₀) - v((1 - t) x₀ + t x₁, t, y)‖², t ~ U[0, 1]. From noise one then follows dx = v dt. It needs
many pictures and updates before it draws what ``gmm`` draws at once, and has no limit of components.
"""

from __future__ import annotations

import math

import torch
from pydantic import Field
from torch import nn

from allaprima.core.config import Component
from allaprima.core.schedules import cosine
from allaprima.core.seeds import derive, torch_stream
from allaprima.models.priors import Posteriors, Prior

FREQUENCIES = 16  # of the sines and cosines that tell the time
AVERAGED = 0.99  # of the weights' moving average, after its start


class Config(Component):
    """``width`` and ``depth`` of the net; ``updates`` of ``batch_size`` latents fit it. ``steps`` of the midpoint method."""

    width: int = Field(256, ge=8)
    depth: int = Field(3, ge=1, le=16)
    updates: int = Field(1500, ge=1)
    batch_size: int = Field(512, ge=1)
    lr: float = Field(2e-3, gt=0)
    steps: int = Field(8, ge=1, le=256)

    def build(self, latent_dim: int, condition_dim: int, num_classes: int) -> Prior:
        return Flow(self, latent_dim, condition_dim)


class Velocity(nn.Module):
    """x ``[N, D]``, t ``[N, 1]``, y ``[N, E]`` → ``[N, D]``; zero before it has learned."""

    frequencies: torch.Tensor

    def __init__(self, width: int, depth: int, latent_dim: int, condition_dim: int) -> None:
        super().__init__()
        context = 2 * FREQUENCIES + condition_dim
        self.first = nn.Linear(latent_dim + context, width)
        self.hidden = nn.ModuleList(nn.Linear(width + context, width) for _ in range(depth - 1))
        self.last = nn.Linear(width, latent_dim)
        self.act = nn.SiLU()
        # from a quarter of a turn to eight turns between noise and latent
        self.register_buffer("frequencies", math.pi * torch.logspace(-1, 4, FREQUENCIES, base=2))
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: torch.Tensor, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        angles = t * self.frequencies
        context = torch.cat([angles.sin(), angles.cos(), y.to(x.dtype)], dim=1)
        h = self.act(self.first(torch.cat([x, context], dim=1)))
        for layer in self.hidden:
            h = h + self.act(layer(torch.cat([h, context], dim=1)))
        return self.last(h)


class Flow(Prior):
    """Before ``fit`` N(0, I)."""

    centre: torch.Tensor  # [D], and
    scale: torch.Tensor  # [D], of the latents: the net sees them standardised

    def __init__(self, config: Config, latent_dim: int, condition_dim: int) -> None:
        super().__init__()
        self.config = config
        self.velocity = Velocity(config.width, config.depth, latent_dim, condition_dim)
        self.register_buffer("centre", torch.zeros(latent_dim))
        self.register_buffer("scale", torch.ones(latent_dim))

    def forward(self, noise: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        x, step = noise, 1 / self.config.steps
        for place in range(self.config.steps):
            t = x.new_full((x.shape[0], 1), place * step)  # not len(x): an export would take it for a constant
            half = x + 0.5 * step * self.velocity(x, t, y)
            x = x + step * self.velocity(half, t + 0.5 * step, y)
        return self.centre + self.scale * x

    def fit(self, posteriors: Posteriors, seed: int) -> None:
        latents = posteriors.draw(seed)
        self.centre.copy_(latents.mean(0))
        self.scale.copy_(latents.std(0, correction=0).clamp_min(1e-6))
        learned = self._initial(seed)
        optimiser = torch.optim.Adam(learned.parameters(), betas=(0.9, 0.99))
        for update in range(self.config.updates):
            for group in optimiser.param_groups:
                group["lr"] = cosine(self.config.lr, 0.0, update / self.config.updates)
            optimiser.zero_grad()
            with torch.enable_grad():
                self._loss(learned, posteriors, seed, update).backward()
            optimiser.step()
            # the mean of all weights at first, then a moving one
            share = max(1 - AVERAGED, 1 / (update + 1))
            with torch.no_grad():
                torch._foreach_lerp_(list(self.velocity.parameters()), list(learned.parameters()), share)

    def _initial(self, seed: int) -> Velocity:
        """A fresh net whose weights are a function of ``seed``."""
        size = self.velocity.first.in_features - self.velocity.last.out_features - 2 * FREQUENCIES
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(seed, "prior/weights"))
            return Velocity(self.config.width, self.config.depth, len(self.centre), size)

    def _loss(self, net: Velocity, posteriors: Posteriors, seed: int, update: int) -> torch.Tensor:
        draws, count = torch_stream(seed, "prior/update", update), self.config.batch_size
        rows = torch.randint(len(posteriors), (count,), generator=draws)
        noise, x0 = torch.randn(2, count, len(self.centre), generator=draws)
        drawn = posteriors.mean[rows] + posteriors.deviation[rows] * noise
        x1 = (drawn - self.centre) / self.scale
        t = torch.rand(count, 1, generator=draws)
        wanted = x1 - x0
        y = posteriors.asked(rows)
        return (net((1 - t) * x0 + t * x1, t, y) - wanted).square().sum(1).mean()
