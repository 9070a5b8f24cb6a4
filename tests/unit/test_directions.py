"""Directions: orthogonal, the strongest first, the same for the same weights."""

from __future__ import annotations

import pytest
import torch

from allaprima.bundle.untrained import untrained
from allaprima.explain.directions import principal
from allaprima.models.generators import GENERATORS
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
