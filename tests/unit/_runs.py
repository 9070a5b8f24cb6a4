"""Runs so small that they end in a second: settings, and manners, shared by the tests of training."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

LOOP = [
    "method.latent_dim=8",
    "training.batch_size=8",
    "training.validation_samples=16",
    "training.ticks=4",
    "training.precision=fp32",
    "training.threads=1",
]
TINY_GAN = [
    "method.generator.width=8",
    "method.generator.max_width=16",
    "method.discriminator.width=8",
    "method.discriminator.max_width=16",
]
PIXELS = "training.features=pixels"  # for tests about the loop, not about its judge


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """``training.threads`` sets it for the whole process: it is put back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
