"""Doublings lay no pattern of their own over a picture, at the start and after any step."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from allaprima.core.config import load
from allaprima.core.device import Device
from allaprima.data.batch import Batch
from allaprima.domains import Shape
from allaprima.models.conditions import none
from allaprima.models.doubling import doubling
from allaprima.training.config import RunConfig
from allaprima.training.learner import Learner
from tests.unit._runs import TINY_GAN, one_thread

__all__ = ["one_thread"]  # used by pytest


def unevenness(layer: Any, dims: int) -> float:
    """How far what becomes of a constant map is from constant, away from its border."""
    inside = [slice(2, -2)] * dims
    painted = layer(torch.ones(1, 3, *[6] * dims))[(slice(None), slice(None), *inside)]
    return float((painted - painted.mean(tuple(range(2, dims + 2)), keepdim=True)).detach().abs().max())


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_a_constant_map_stays_constant(dims: int) -> None:
    layer: Any = doubling(3, 5, dims, bias=True)
    assert unevenness(layer, dims) < 1e-5, "from the start"
    nn.init.normal_(layer.weight)
    assert unevenness(layer, dims) > 0.1
    if dims == 2:
        layer.to(memory_format=torch.channels_last)
    free = layer.weight.detach().clone()
    layer.constrain_()
    assert unevenness(layer, dims) < 1e-4
    moved = layer.weight.detach() - free
    every_other = [slice(0, None, 2)] * dims
    first = [slice(0, 1)] * dims
    within = moved[(slice(None), slice(None), *every_other)]
    # the nearest such weights: all taps of a place move alike
    torch.testing.assert_close(within, within[(slice(None), slice(None), *first)].expand_as(within))
    once = layer.weight.detach().clone()
    layer.constrain_()
    torch.testing.assert_close(layer.weight.detach(), once)


def test_training_keeps_it_so_and_touches_nothing_else() -> None:
    config = load(RunConfig, {}, [*TINY_GAN, "training.batch_size=8", "training.warm_up_images=0"])
    learner = Learner(config, Shape(3, (16, 16)), none.Config(), Device(torch.device("cpu"), "fp32"), seed=0)
    before = [layer.weight.detach().clone() for layer in learner.constrained["generator"]]
    draw = torch.Generator().manual_seed(0)
    for _ in range(3):
        learner.step(Batch(torch.rand(8, 3, 16, 16, generator=draw) * 2 - 1, torch.arange(8)), 1000)
    assert not learner.constrained["discriminator"]
    layers = learner.constrained["generator"]
    assert len(layers) == 2
    assert all((layer.weight - old).abs().max() > 1e-3 for layer, old in zip(layers, before, strict=True)), "it moved"
    for layer in [*layers, learner.ema.nets["generator"].to_picture]:
        channels = layer.weight.shape[0]
        painted = layer(torch.randn(1, channels, 1, 1).expand(1, channels, 6, 6))[..., 2:-2, 2:-2]
        assert float((painted - painted.mean((2, 3), keepdim=True)).detach().abs().max()) < 1e-5
