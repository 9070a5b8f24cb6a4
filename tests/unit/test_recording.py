"""A step that is recorded and played back is the step that Python would take.

What a recording reads anew is tested everywhere, with a stand-in that takes each step as it is; CUDA graphs where there are any.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from pathlib import Path

import pytest
import torch

from allaprima.core.config import load
from allaprima.core.device import Device
from allaprima.core.errors import UserError
from allaprima.data.batch import Batch
from allaprima.data.loader import Loader
from allaprima.data.prepare import PrepareConfig, prepare
from allaprima.domains import Shape
from allaprima.methods import Method
from allaprima.models.conditions import none
from allaprima.training import learner as learners
from allaprima.training import recording
from allaprima.training.config import RunConfig
from allaprima.training.learner import Learner
from tests.unit._runs import TINY_GAN, one_thread

__all__ = ["one_thread"]  # used by pytest

N, STEPS = 16, 12
VAE = [
    "method=vae",
    "method.encoder.width=8",
    "method.decoder.width=8",
    "method.opponent.discriminator.width=8",
    "method.opponent.discriminator.max_width=16",
]
# it augments (many epochs), and its discriminator learns alone at first, or its opponent joins halfway
CASES = {
    "gan": [*TINY_GAN, "method.head_start=0.3", "method.penalty_end=0.1"],
    "adaptive": [*TINY_GAN, "method.augment_probability=adaptive"],
    "vae": [*VAE, "method.warm_up=0.5"],
}
cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs need an NVIDIA GPU")


class StandIn:
    """A recorder that has no graphs, but dials, and the first step of each course in place of the others."""

    def __init__(self, device: torch.device) -> None:
        self.dials: dict[str, torch.Tensor] = {}
        self.courses: list[Hashable] = []
        self.first: dict[Hashable, Callable[[Batch], recording.Losses]] = {}

    def dial(self, name: str, value: float) -> torch.Tensor:
        return self.dials.setdefault(name, torch.zeros(())).fill_(value)

    def run(
        self,
        course: Hashable,
        batch: Batch,
        streams: Iterable[torch.Generator],
        step: Callable[[Batch], recording.Losses],
    ) -> recording.Losses:
        self.courses.append(course)
        # as a recording: what the first step of a course has taken from Python stays
        return self.first.setdefault(course, step)(batch)


def learner(device: Device, *changes: str) -> Learner:
    config = load(
        RunConfig, {}, ["method.latent_dim=8", f"training.batch_size={N}", "training.warm_up_images=40", *changes]
    )
    return Learner(config, Shape(3, (16, 16)), none.Config(), device, seed=0, num_pictures=2)


def train(one: Learner, steps: int = STEPS) -> list[dict[str, float]]:
    """Up to ``steps`` of them, which end the run; the losses of each."""
    losses = []
    for step in range(one.step_number, steps):
        draw = torch.Generator().manual_seed(step)
        samples = (torch.rand(N, 3, 16, 16, generator=draw) * 2 - 1).to(one.device.torch)
        batch = Batch(samples, torch.arange(N, device=one.device.torch))
        if one.method.steps_between_looks and step % one.method.steps_between_looks == 0:
            one.look(batch, STEPS * N)
        losses.append({name: float(value) for name, value in one.step(batch, STEPS * N).items()})
    return losses


def assert_alike(found: list[dict[str, float]], expected: list[dict[str, float]], tolerance: float) -> None:
    """Losses rather than weights: Adam moves a weight without a gradient by the sign of its rounding."""
    assert [one.keys() for one in found] == [one.keys() for one in expected]
    for step, (one, other) in enumerate(zip(found, expected, strict=True)):
        for name, value in other.items():
            assert one[name] == pytest.approx(value, rel=tolerance, abs=tolerance), (step, name)


@pytest.mark.parametrize("changes", CASES.values(), ids=CASES.keys())
def test_dials_say_what_numbers_say(changes: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device(torch.device("cpu"), "fp32")
    plain = learner(device, *changes)
    monkeypatch.setattr(learners, "Recorder", StandIn)
    monkeypatch.setattr(Learner, "_can_be_recorded", lambda self: True)
    dialled = learner(device, *changes)
    expected, found = train(plain), train(dialled)
    assert isinstance(dialled.recorder, StandIn)
    assert len(dialled.recorder.dials) == 2 + len(plain.method.phases), "one for each rate, the step, the progress"
    assert_alike(found, expected, 1e-3)
    if changes is not CASES["adaptive"]:
        assert len(set(dialled.recorder.courses)) == 2, "before and after the second phase joined"


def test_what_is_decided_by_numbers_changes_the_course() -> None:
    method = learner(Device(torch.device("cpu"), "fp32"), *TINY_GAN).method
    draw = torch.Generator()
    courses = [method.course(learners.Moment(0.1, draw, epochs)) for epochs in (1.0, 15.0, 40.0, 40.1, 90.0)]
    assert courses == [(value, False) for value in (0.0, 0.0, 0.15, 0.15, 0.33)]
    assert Method.course(method, learners.Moment(0.1, draw)) is None, "who says nothing is not recorded"


@cuda
@pytest.mark.parametrize("changes", CASES.values(), ids=CASES.keys())
def test_a_graph_learns_what_plain_steps_learn(changes: list[str]) -> None:
    device = Device(torch.device("cuda", 0), "fp32")
    one, other = (learner(device, *changes, f"training.cuda_graphs={on}") for on in ("false", "true"))
    expected, found = train(one), train(other)
    assert one.recorder is None
    assert other.recorder is not None
    assert len(other.recorder._recordings) == (1 if changes is CASES["adaptive"] else 2)
    assert_alike(found, expected, 2e-2)


@cuda
@pytest.mark.parametrize("changes", CASES.values(), ids=CASES.keys())
@pytest.mark.parametrize("steps", [2, 8], ids=["before the second phase joined", "after it"])
def test_a_recorded_run_goes_on_after_a_checkpoint(changes: list[str], steps: int) -> None:
    device = Device(torch.device("cuda", 0), "fp32")
    one = learner(device, *changes)
    train(one, steps)
    kept, state = one.tensors(), one.state()
    expected = train(one)
    one.restore(kept, state)
    assert_alike(train(one), expected, 2e-2)


@cuda
def test_a_step_that_waits_for_the_device_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    one = learner(Device(torch.device("cuda", 0), "fp32"), *TINY_GAN)
    step = type(one.method).step

    def waits(self: object, phase: str, *rest: object) -> dict[str, torch.Tensor]:
        losses = step(self, phase, *rest)  # type: ignore[arg-type]  # the arguments are those of any step
        assert float(losses[phase].detach()) > -1
        return losses

    monkeypatch.setattr(type(one.method), "step", waits)
    with pytest.raises(UserError, match="cannot be recorded") as caught:
        train(one)
    assert "training.cuda_graphs=false" in str(caught.value.remedy)


@cuda
def test_batches_that_are_copied_ahead_are_those_of_their_step(tmp_path: Path) -> None:
    dataset = prepare("studies", tmp_path / "studies", PrepareConfig(size=(16, 16), count=100))
    ahead, plain = (Loader(dataset, "train", N, 0, where) for where in ("cuda", "cpu"))
    for step in (0, 1, 2, 3, 9, 10):
        one, other = ahead.batch(step), plain.batch(step)
        assert torch.equal(one.samples.cpu(), other.samples)
        assert torch.equal(one.ids.cpu(), other.ids)
    ahead.close()
