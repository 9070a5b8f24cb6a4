"""A run for large pictures begins with small ones: the same nets, which see no step when the pictures grow."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from allaprima.core.config import load
from allaprima.core.device import Device
from allaprima.core.errors import UserError
from allaprima.data.batch import Batch
from allaprima.domains import Shape
from allaprima.methods import Moment
from allaprima.models.conditions import none
from allaprima.training.command import as_changes
from allaprima.training.config import RunConfig
from allaprima.training.learner import Learner
from tests.unit._runs import one_thread

__all__ = ["one_thread"]  # used by pytest

SHAPE = Shape(3, (60, 96))  # padded to 64 × 96 in both nets
METHOD = {
    "name": "gan",
    "latent_dim": 8,
    "generator": {"name": "live", "width": 8, "max_width": 16, "cell": 4},
    "discriminator": {"name": "residual", "width": 8, "max_width": 16, "stem_levels": 3, "skipped_levels": 2},
    "begin_small": 0.5,
    "texture": 1.0,
}


def learner(shape: Shape = SHAPE, **changes: Any) -> Learner:
    config = load(RunConfig, {"method": METHOD | changes, "training": {"batch_size": 4, "precision": "fp32"}})
    return Learner(config, shape, none.Config(), Device(torch.device("cpu"), "fp32"), seed=0)


def batch(seed: int) -> Batch:
    samples = torch.rand(4, 3, *SHAPE.spatial, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return Batch(samples, torch.arange(4), {})


def test_the_nets_see_no_step_when_the_pictures_grow() -> None:
    method: Any = learner().method
    z, y, pictures = torch.randn(4, 8), torch.zeros(4, 0), batch(0).samples
    discriminator = method.adversary.discriminator
    with torch.no_grad():
        small = discriminator.small(pictures)
        assert small.shape == method.generator.coarse(z, y).shape == (4, 3, 16, 24)
        torch.testing.assert_close(discriminator(small, y), discriminator(pictures, y))
        painted = method.generator.eval()(z, y)
        wanted = torch.nn.functional.interpolate(method.generator.coarse(z, y), scale_factor=4, mode="bilinear")
    torch.testing.assert_close(painted, wanted[..., 2:-2, :], atol=1e-4, rtol=1e-3)


def test_a_penalty_weighs_the_same_on_a_large_picture_of_which_the_small_one_is_seen() -> None:
    moment = Moment(0.0, torch.Generator())
    # pictures that need no padding: a repeated border would count more than once in the small picture
    shape = Shape(3, (64, 96))
    method: Any = learner(shape).method
    adversary, asked = method.adversary, torch.zeros(4, dtype=torch.int64)
    large = torch.rand(4, 3, *shape.spatial) * 2 - 1
    small = adversary.small(large)
    of_small = adversary._penalty(small, small, asked, moment)
    torch.testing.assert_close(adversary._penalty(large, large, asked, moment), of_small)
    assert of_small > 0


def test_what_is_fine_learns_in_the_second_half_alone() -> None:
    found = learner()
    fine = {
        name: parameter
        for name, parameter in found.method.named_parameters()
        if "generator.enlarger" in name or ".trunk.stem.0" in name or ".joined" in name
    }
    assert len(fine) == 9
    before = {name: parameter.detach().clone() for name, parameter in fine.items()}
    for number in range(3):
        found.step(batch(number), total_images=24)
    assert all(torch.equal(parameter, before[name]) for name, parameter in fine.items())
    for number in range(3, 6):
        losses = found.step(batch(number), total_images=24)
    assert all(loss.isfinite() for loss in losses.values())
    moved = [name for name, parameter in fine.items() if not torch.equal(parameter, before[name])]
    assert len(moved) == 9, moved


def test_the_enlarger_learns_from_pictures_before_they_grow() -> None:
    found = learner(enlarging=100.0)
    detail = found.method.generator.enlarger.detail.weight  # type: ignore[attr-defined]
    losses = found.step(batch(0), total_images=24)
    assert detail.any()
    assert losses["enlarging"] > 0


def test_only_a_generator_that_enlarges_can_learn_it() -> None:
    with pytest.raises(UserError, match="--live"):
        learner(enlarging=100.0, begin_small=0.0, generator="residual")


def test_a_run_goes_on_from_either_half_to_the_bit() -> None:
    whole = learner()
    states = []
    for number in range(6):
        states.append((whole.tensors(), whole.state()))
        states[-1] = ({key: value.clone() for key, value in states[-1][0].items()}, states[-1][1])
        whole.step(batch(number), total_images=24)
    for begun in (2, 5):
        again = learner()
        again.restore(*states[begun])
        for number in range(begun, 6):
            again.step(batch(number), total_images=24)
        wanted, found = whole.tensors(), again.tensors()
        assert wanted.keys() == found.keys()
        assert all(torch.equal(wanted[key], found[key]) for key in wanted)


def test_all_that_looks_at_pictures_looks_at_small_ones() -> None:
    small = learner(perceptual=0.1, augment_probability="adaptive")
    small.look(batch(9), total_images=24)
    assert all(loss.isfinite() for loss in small.step(batch(0), total_images=24).values())


@pytest.mark.parametrize(
    "changes",
    [{"generator": "residual"}, {"discriminator": "residual"}, {"discriminator": "dcgan", "loss": "non_saturating"}],
    ids=str,
)
def test_nets_that_do_not_fit_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="--live"):
        learner(**changes)


@pytest.mark.parametrize("size", [256, 512, 1024])
def test_a_run_for_live_use_begins_small(size: int) -> None:
    changes = as_changes(None, 1.0, None, None, [], None, size)
    settings = dict(change.split("=", 1) for change in changes)
    assert float(settings["method.begin_small"]) > 0
    spoken = ["method.generator.width=8", "method.discriminator.width=8"]
    config = load(RunConfig, {}, [*changes, *spoken])
    Learner(config, Shape(3, (size, size)), none.Config(), Device(torch.device("cpu"), "fp32"), seed=0)
