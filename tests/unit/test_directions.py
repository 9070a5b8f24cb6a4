"""Directions: orthogonal, the strongest first, the same for the same weights."""

from __future__ import annotations

import pytest
import torch

from allaprima.bundle.untrained import untrained
from allaprima.explain.directions import _activations, levels, principal
from allaprima.models.generators import GENERATORS
from allaprima.runtime.session import Point, State, noise
from tests.contracts.tiny import small


@pytest.mark.parametrize("generator", GENERATORS.names())
def test_directions_are_orthonormal_and_the_same_again(generator: str) -> None:
    net = small(GENERATORS, generator).model_dump(mode="json")
    bundle = untrained(16, latent_dim=12, generator=net)
    directions = principal(bundle)
    assert directions.shape == (8, 12)
    torch.testing.assert_close(directions @ directions.T, torch.eye(8), atol=1e-4, rtol=0)
    assert torch.equal(principal(untrained(16, latent_dim=12, generator=net)), directions)
    assert principal(bundle) is directions


def test_the_first_moves_the_picture_more_than_the_last() -> None:
    bundle = untrained(16, latent_dim=16, generator="residual")
    with torch.no_grad():  # the noise's first coordinate is made the one that matters
        bundle.generator.dense.weight[:, 0] *= 10
    directions = principal(bundle)
    assert directions[0, 0].abs() > 0.95
    z = bundle.noise(16)
    base = bundle.decode(z)
    far = [float((bundle.decode(z + 2 * one) - base).abs().mean()) for one in (directions[0], directions[-1])]
    assert far[0] > far[1]


def test_few_coordinates_have_few_directions() -> None:
    assert principal(untrained(16, latent_dim=3, generator={"name": "dcgan", "width": 8})).shape == (3, 3)


@pytest.mark.parametrize("dim", [3, 12, 64])
def test_levels_are_a_basis_and_early_layers_see_the_coarse_part_the_most(dim: int) -> None:
    bundle = untrained(32, latent_dim=dim, generator={"name": "residual", "width": 16, "max_width": 32})
    parts = levels(bundle)
    whole = torch.cat(parts)
    assert [len(part) > 0 for part in parts] == [True] * 3
    torch.testing.assert_close(whole @ whole.T, torch.eye(dim), atol=1e-4, rtol=0)
    z, y = bundle.noise(32), torch.zeros(32, 0)
    base = _activations(bundle, z, y)
    moved = [float((_activations(bundle, z + axes[0], y) - base).square().mean()) for axes in parts]
    assert moved[0] > moved[1] > moved[2]


def test_a_mix_by_levels_takes_each_part_from_its_own_place() -> None:
    bundle = untrained(16, latent_dim=12, generator="residual")
    a, b = Point(seed=1), Point(seed=2)
    coarse, middle, fine = levels(bundle)
    start, end = noise(State(seed=1), bundle), noise(State(seed=2), bundle)
    mixed = noise(State(a=a, b=b, mix=0.0, mix_middle=1.0, mix_fine=0.0), bundle)
    torch.testing.assert_close(coarse @ mixed, coarse @ start, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(middle @ mixed, middle @ end, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(fine @ mixed, fine @ start, atol=1e-5, rtol=1e-4)
    same = State(a=a, b=b, mix=0.3, mix_middle=0.3, mix_fine=0.3)
    assert torch.equal(noise(same, bundle), noise(State(a=a, b=b, mix=0.3), bundle))
