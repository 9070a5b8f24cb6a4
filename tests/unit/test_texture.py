"""Matching the spectra of small blocks sees a weave that the mean picture hides, and nothing else."""

from __future__ import annotations

import pytest
import torch

from allaprima.core.errors import UserError
from allaprima.domains import Shape
from allaprima.losses.texture import spectrum_distance
from allaprima.methods import METHODS
from allaprima.models.conditions import CONDITIONS
from tests.contracts.tiny import small


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(seed: int, size: int = 32) -> torch.Tensor:
    """Smooth colours with an edge."""
    draw = stream(seed)
    x = torch.rand(16, 3, 1, 1, generator=draw).mul(2).sub(1).expand(16, 3, size, size).clone()
    x[..., size // 2 :] *= torch.rand(16, 1, 1, 1, generator=draw)
    return x


def weave(size: int = 32) -> torch.Tensor:
    """A wave of three pixels, half of the pictures with the opposite sign: there is none in their mean."""
    wave = 0.1 * torch.cos(2 * torch.pi * torch.arange(size) / 3)
    return wave * torch.tensor([1.0, -1.0]).repeat(8)[:, None, None, None]


def distance(one: torch.Tensor, other: torch.Tensor) -> float:
    return float(torch.stack([spectrum_distance(one, other, stream(seed)) for seed in range(8)]).mean())


def test_the_same_pictures_in_another_order_are_no_distance_apart() -> None:
    assert distance(pictures(0), pictures(0).flip(0)) < 1e-9


@pytest.mark.parametrize("size", [32, 28, 8, 9])
def test_a_weave_is_seen_that_the_mean_picture_hides(size: int) -> None:
    real, others = pictures(0, size), pictures(1, size)
    assert distance(real, others + weave(size)) > 2 * distance(real, others)


def test_descending_it_takes_the_weave_out() -> None:
    real, painted = pictures(0), (pictures(1) + weave()).requires_grad_()
    optimizer = torch.optim.Adam([painted], 3e-3)
    before = (painted - pictures(1)).detach().abs().mean()
    for step in range(300):
        optimizer.zero_grad()
        spectrum_distance(real, painted, stream(step)).backward()
        optimizer.step()
    assert (painted - pictures(1)).detach().abs().mean() < 0.5 * before


def test_it_is_for_pictures_alone() -> None:
    config = small(METHODS, "gan", texture=1.0)
    with pytest.raises(UserError, match="pictures alone"):
        config.build(Shape(1, (16,)), CONDITIONS.get("none").Config())  # type: ignore[attr-defined]  # every method's has it
