"""The moving average of weights: how long it remembers, and what it is set to."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from allaprima.core.config import load
from allaprima.domains import Shape
from allaprima.training.config import RunConfig
from allaprima.training.ema import Ema
from allaprima.training.optimizers import learning_rate


def remembered(share: float, batch_size: int, changed: int, images: int) -> float:
    """What is left at ``images`` of weights that changed at ``changed``."""
    net = nn.Linear(1, 1, bias=False)
    nn.init.ones_(net.weight)
    ema = Ema({"net": net})
    for seen in range(batch_size, images + 1, batch_size):
        if seen > changed:
            nn.init.zeros_(net.weight)
        ema.update({"net": net}, batch_size, seen, share)
    return float(next(ema.nets["net"].parameters()))


@pytest.mark.parametrize("share", [0.03, 0.1, 0.25])
@pytest.mark.parametrize("batch_size", [8, 32])
def test_the_half_life_is_a_share_of_the_images_seen(share: float, batch_size: int) -> None:
    # d log(what is left) = -log 2 / (share · images) d images
    expected = (8_000 / 9_600) ** (math.log(2) / share)
    assert remembered(share, batch_size, 8_000, 9_600) == pytest.approx(expected, rel=0.03)


def test_the_beginning_is_soon_forgotten() -> None:
    assert remembered(0.25, 32, 640, 6_400) < 0.01


def test_statistics_are_copied_and_the_averages_learn_nothing() -> None:
    net = nn.BatchNorm1d(2)
    ema = Ema({"net": net})
    net(torch.randn(64, 2) + 5)
    ema.update({"net": net}, 64, 64, 0.1)
    kept = ema.nets["net"]
    assert torch.equal(kept.running_mean, net.running_mean)  # type: ignore[arg-type]  # its buffers are tensors
    assert not kept.training
    assert not any(parameter.requires_grad for parameter in kept.parameters())


@pytest.mark.parametrize(
    ("changes", "side", "expected"),
    [
        ([], 32, (0.1, 0.02, "settling")),
        ([], 64, (0.1, 0.1, "cosine")),
        (["method=vae"], 64, (0.03, 0.1, "cosine")),
        (["training.ema_half_life=0.05", "training.lr_end=0.2"], 64, (0.05, 0.2, "cosine")),
        (["training.lr_end=0.2"], 32, (0.1, 0.2, "cosine")),
        (["training.lr_end=0.2", "training.schedule=linear"], 32, (0.1, 0.2, "linear")),
    ],
)
def test_what_auto_comes_to(changes: list[str], side: int, expected: tuple[float, float, str]) -> None:
    training = load(RunConfig, {}, changes).with_recommended(Shape(3, (side, side))).training
    assert (training.ema_half_life, training.lr_end, training.schedule) == expected


def test_the_step_of_small_pictures_follows_how_many_images_are_planned() -> None:
    training = load(RunConfig, {}, []).with_recommended(Shape(3, (32, 32))).training
    assert learning_rate(training, 0.0, 0) < 1e-3  # the warm-up
    assert learning_rate(training, 1.0, 190_000) == 1e-3
    assert learning_rate(training, 0.6, 900_000) == pytest.approx(1e-3)
    assert learning_rate(training, 0.8, 1_200_000) == pytest.approx(0.51e-3)
    assert learning_rate(training, 1.0, 1_500_000) == pytest.approx(2e-5)
