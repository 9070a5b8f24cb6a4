"""Runs so small that they end in a second: settings, and manners, shared by the tests of training."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from allaprima.training.course import Course
from allaprima.training.judging import Judge
from allaprima.training.learner import Learner

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


class Machine:
    """A clock that moves with the steps: ``speed`` images a second, times what ``factor`` says of the seconds gone."""

    def __init__(self, speed: float, factor: Callable[[float], float] = lambda now: 1.0, look: float = 1.5) -> None:
        self.now, self.speed, self.factor, self.look = 0.0, speed, factor, look

    def install(self, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(time, "monotonic", lambda: self.now)
        patch.setattr(time, "perf_counter", lambda: self.now)

        def step(learner: Learner, batch: Any, total_images: int) -> dict[str, Any]:
            learner.step_number += 1
            self.now += len(batch) / (self.speed * self.factor(self.now))
            return {}

        def judge(judge: Judge, learner: Learner, course: Course) -> tuple[dict[str, float], str]:
            self.now += self.look / self.factor(self.now)
            course.allowance.spend(self.look / self.factor(self.now))
            return {"kernel_distance": 1.0}, "judged"

        patch.setattr(Learner, "step", step)
        patch.setattr(Judge, "judge", judge)
