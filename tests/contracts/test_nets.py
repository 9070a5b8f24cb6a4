"""Every generator, discriminator and encoder of the catalogues keeps the promise of its room."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from allaprima.core.config import Choice, Component
from allaprima.domains import Shape
from allaprima.models.discriminators import DISCRIMINATORS
from allaprima.models.encoders import ENCODERS
from allaprima.models.generators import GENERATORS
from tests.contracts.tiny import (
    BATCH,
    CONDITION_DIM,
    LATENT_DIM,
    SHAPES,
    assert_learns_everywhere,
    assert_survives_disk,
    literal_settings,
    small,
    wake,
)

ROOMS = {"generator": GENERATORS, "discriminator": DISCRIMINATORS, "encoder": ENCODERS}
NETS = [(kind, name) for kind, room in ROOMS.items() for name in room.names()]
SETTINGS = [(kind, name, *setting) for kind, name in NETS for setting in literal_settings(ROOMS[kind], name)]
every_net = pytest.mark.parametrize(("kind", "name"), NETS, ids=lambda value: str(value))
every_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
with_and_without_condition = pytest.mark.parametrize("condition_dim", [0, CONDITION_DIM])


def build(kind: str, config: Component, shape: Shape, condition_dim: int) -> nn.Module:
    torch.manual_seed(1)
    if kind == "discriminator":
        return config.build(shape, condition_dim)
    return config.build(shape, LATENT_DIM, condition_dim)


def inputs(kind: str, shape: Shape, condition_dim: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A latent or a sample, and a condition, for BATCH of them."""
    draw = torch.Generator().manual_seed(2)
    size = (LATENT_DIM,) if kind == "generator" else (shape.channels, *shape.spatial)
    return torch.randn(BATCH, *size, generator=draw), torch.randn(BATCH, condition_dim, generator=draw)


def run(kind: str, shape: Shape, condition_dim: int) -> Callable[[nn.Module], torch.Tensor]:
    """What puts the inputs through a net; an encoder's two results stand side by side, ``[N, 2·latent_dim]``."""

    def through(net: nn.Module) -> torch.Tensor:
        made = net(*inputs(kind, shape, condition_dim))
        return torch.cat(made, dim=1) if kind == "encoder" else made

    return through


def expected_shape(kind: str, shape: Shape) -> tuple[int, ...]:
    if kind == "generator":
        return (BATCH, shape.channels, *shape.spatial)
    return (BATCH,) if kind == "discriminator" else (BATCH, 2 * LATENT_DIM)


@every_net
@every_shape
@with_and_without_condition
def test_a_net_gives_finite_values_of_the_promised_shape_and_learns_in_every_weight(
    kind: str, name: str, shape: Shape, condition_dim: int
) -> None:
    net = wake(build(kind, small(ROOMS[kind], name), shape, condition_dim)).train()
    made = run(kind, shape, condition_dim)(net)
    assert made.shape == expected_shape(kind, shape)
    assert made.isfinite().all()
    assert_learns_everywhere(net, made)


@every_net
@with_and_without_condition
def test_a_net_survives_the_round_trip_to_disk(kind: str, name: str, condition_dim: int) -> None:
    shape, config = SHAPES["rgb"], small(ROOMS[kind], name)
    assert_survives_disk(lambda: build(kind, config, shape, condition_dim), run(kind, shape, condition_dim))


@every_net
def test_in_evaluation_a_result_does_not_depend_on_its_neighbours(kind: str, name: str) -> None:
    shape = SHAPES["rgb"]
    net = build(kind, small(ROOMS[kind], name), shape, CONDITION_DIM).eval()
    x, y = inputs(kind, shape, CONDITION_DIM)
    with torch.no_grad():
        together, alone = net(x, y), net(x[:1], y[:1])
    if kind == "encoder":
        together, alone = torch.cat(together, 1), torch.cat(alone, 1)
    torch.testing.assert_close(together[:1], alone, rtol=1e-4, atol=1e-5)


@every_net
def test_the_condition_matters(kind: str, name: str) -> None:
    shape = SHAPES["rgb"]
    net = wake(build(kind, small(ROOMS[kind], name), shape, CONDITION_DIM)).eval()
    x, y = inputs(kind, shape, CONDITION_DIM)
    with torch.no_grad():
        one, other = net(x, y), net(x, -y)
    if kind == "encoder":
        one, other = one[0], other[0]
    assert (one - other).abs().max() > 1e-6


@pytest.mark.parametrize(("kind", "name", "key", "word"), SETTINGS, ids=lambda value: str(value))
def test_every_word_that_a_setting_allows_builds_and_learns(kind: str, name: str, key: str, word: str) -> None:
    shape = SHAPES["rgb"]
    net = build(kind, small(ROOMS[kind], name, **{key: word}), shape, CONDITION_DIM).train()
    made = run(kind, shape, CONDITION_DIM)(net)
    assert made.isfinite().all()
    made.float().square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


@every_net
def test_settings_survive_being_written_and_read(kind: str, name: str) -> None:
    config = small(ROOMS[kind], name)
    assert Choice(ROOMS[kind]).resolve(config.model_dump(mode="json")) == config
    assert config.component_name() == name
