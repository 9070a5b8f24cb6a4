"""Averaged weights paint with batch statistics of their own."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import nn

from allaprima.core.config import load
from allaprima.core.device import Device
from allaprima.data.dataset import Dataset
from allaprima.data.loader import Loader
from allaprima.methods.vae import draw
from allaprima.training import run as runs
from allaprima.training.config import RunConfig
from allaprima.training.learner import Learner
from allaprima.training.statistics import BATCH_SIZE, BATCHES, with_own_statistics
from tests.unit._runs import LOOP, PIXELS, TINY_GAN, one_thread

__all__ = ["one_thread"]  # used by pytest

VAE = ["method=vae", *(f"method.{net}.{key}" for net in ("encoder", "decoder") for key in ("width=8", "max_width=16"))]


def learned(dataset: Path, *changes: str, steps: int = 6) -> tuple[runs.Run, Learner]:
    config = load(RunConfig, {}, [*LOOP, PIXELS, "training.lr=1e-2", *changes])
    opened = Dataset.open(dataset)
    run = runs.Run(Path(), runs.resolve(config, opened), opened)
    learner = Learner.of(run, Device(torch.device("cpu"), "fp32"))
    loader = Loader(opened, "train", config.training.batch_size)
    for step in range(steps):
        learner.step(loader.batch(step), 1000)
    return run, learner


def norms(nets: dict[str, nn.Module]) -> list[nn.BatchNorm2d]:
    return [layer for net in nets.values() for layer in net.modules() if isinstance(layer, nn.BatchNorm2d)]


@pytest.mark.parametrize("changes", [TINY_GAN, VAE], ids=["gan", "vae"])
def test_the_statistics_are_those_of_the_averaged_weights(changes: list[str], tiny_dataset: Path) -> None:
    run, learner = learned(tiny_dataset, *changes)
    nets = with_own_statistics(run, learner)
    assert norms(nets)
    for name, net in nets.items():
        assert all(
            torch.equal(a, b) for a, b in zip(net.parameters(), learner.ema.nets[name].parameters(), strict=True)
        )
    # a net that normalises by the batch at hand, on a batch as large as all that was measured, paints nearly the same
    of_batch = copy.deepcopy(nets)
    z = torch.randn(BATCHES * BATCH_SIZE, learner.method.latent_dim, generator=torch.Generator().manual_seed(1))
    label = torch.arange(len(z)) % 2
    with torch.no_grad():
        if "encoder" in nets:  # its decoder knows posteriors rather than noise
            places = run.dataset.indices("train")
            samples = run.dataset.domain.to_tensor(run.dataset.images[places])
            label = torch.from_numpy(run.dataset.labels[places].copy())
            z = draw(*nets["encoder"](samples, nets["condition"](label)), torch.Generator().manual_seed(2))
        y = nets["condition"](label)
        painted = nets["generator"](z, y)
        expected = of_batch["generator"].train()(z, y)
        before = learner.ema.nets["generator"](z, y)
    apart = (painted - expected).square().mean()
    assert apart < 0.25 * (before - expected).square().mean()


def test_measuring_them_moves_nothing_and_gives_the_same_each_time(tiny_dataset: Path) -> None:
    run, learner = learned(tiny_dataset, *TINY_GAN)
    before = learner.tensors()
    one, other = with_own_statistics(run, learner), with_own_statistics(run, learner)
    assert all(torch.equal(value, before[key]) for key, value in learner.tensors().items())
    assert not any(norm.training for norm in norms(one))
    assert all(norm.momentum == nn.BatchNorm2d(1).momentum for norm in norms(one))
    for a, b in zip(norms(one), norms(other), strict=True):
        assert torch.equal(a.running_mean, b.running_mean)
        assert torch.equal(a.running_var, b.running_var)


def test_nets_without_batch_normalisation_are_left_alone(tiny_dataset: Path) -> None:
    run, learner = learned(tiny_dataset, *TINY_GAN, "method.generator.normalisation=none", steps=1)
    assert with_own_statistics(run, learner) is learner.ema.nets
