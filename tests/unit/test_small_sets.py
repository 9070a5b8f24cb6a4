"""What helps where pictures are few: augmentation that answers to learning by heart, a discriminator that redraws what it saw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from allaprima.core.config import load
from allaprima.core.device import Device
from allaprima.core.errors import UserError
from allaprima.data.augment import apply
from allaprima.data.batch import Batch
from allaprima.data.dataset import Dataset
from allaprima.losses.features import matching, perceptual
from allaprima.methods import METHODS, Moment
from allaprima.methods._adaptive import MOST, SPAN, STEPS_BETWEEN_LOOKS, Adaptive
from allaprima.methods._adversary import FEW_PICTURES, RECONSTRUCT
from allaprima.models.conditions import CONDITIONS
from allaprima.models.discriminators import DISCRIMINATORS
from allaprima.models.discriminators._reconstruction import Decoder, error
from allaprima.training import checkpoint, command
from allaprima.training.config import RunConfig
from allaprima.training.learner import Learner
from allaprima.training.run import read_config
from tests.contracts.tiny import SHAPES, small
from tests.unit._runs import LOOP, PIXELS, TINY_GAN, one_thread

__all__ = ["one_thread"]  # used by pytest

RGB = SHAPES["rgb"]


def look_on(
    adaptive: Adaptive, train: float, held: float, generated: float, until: float = 0.2, looks: int = 40
) -> None:
    """So many looks at scores about these means, evenly spread over the run's progress."""
    begun = float(adaptive.looked_at)
    for number in range(1, looks + 1):
        adaptive.note(torch.tensor([train - 0.1, train + 0.1]), torch.tensor([float(generated)]))
        adaptive.look(torch.tensor([float(held)]), begun + number / looks * until)


@pytest.mark.parametrize(("held", "expected"), [(2.0, 0.0), (1.0, 0.25), (-1.0, 0.75), (-2.0, 1.0)])
@pytest.mark.parametrize("shift", [0.0, 1000.0, -7.0])
def test_overfitting_is_how_far_held_out_pictures_lie_on_the_way_to_generated_ones(
    held: float, expected: float, shift: float
) -> None:
    adaptive = Adaptive(0.5)
    look_on(adaptive, 2 + shift, held + shift, -2 + shift, looks=200)
    assert float(adaptive.overfitting()) == pytest.approx(expected, abs=1e-3)


def test_augmentation_rises_while_pictures_are_learned_by_heart_and_falls_afterwards() -> None:
    adaptive = Adaptive(0.5)
    look_on(adaptive, 2, -1.9, -2, until=SPAN / 2)
    assert float(adaptive.probability) == pytest.approx(0.5, abs=1e-4)
    look_on(adaptive, 2, 1.9, -2, until=SPAN / 4, looks=2000)
    assert float(adaptive.probability) == pytest.approx(0.25, abs=0.02)
    look_on(adaptive, 2, 1.9, -2, until=1.0)
    assert float(adaptive.probability) == 0
    look_on(adaptive, 2, -1.9, -2, until=3.0, looks=400)
    assert float(adaptive.probability) == pytest.approx(MOST)


def test_a_discriminator_that_tells_nothing_apart_has_learned_nothing_by_heart() -> None:
    adaptive = Adaptive(0.5)
    for generated in (0.0, 1.0):
        look_on(adaptive, 0.0, -5.0, generated)
        assert float(adaptive.overfitting()) == 0
        assert float(adaptive.probability) == 0


def test_a_probability_on_the_device_does_what_a_number_does() -> None:
    x = torch.rand(64, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    for p in (0.0, 0.3, 1.0):
        one, other = (
            apply(["cutout", "translation"], x, as_, torch.Generator().manual_seed(1)) for as_ in (p, torch.tensor(p))
        )
        if 0 < p < 1:
            torch.testing.assert_close(one, other)
        else:
            same = (other == x).flatten(1).all(1)
            assert same.all() if p == 0 else not same.any()


def run(folder: Path, dataset: Path, *changes: str, images: int = 160) -> dict[str, torch.Tensor]:
    """The tensors of its last checkpoint."""
    settings = [*TINY_GAN, *LOOP, PIXELS, f"budget={{images: {images}}}", *changes]
    command.train(str(dataset), folder, "16", settings, lambda words: None)
    return checkpoint.load(checkpoint.listed(folder / "checkpoints")[-1])[0]


def test_the_signal_is_part_of_every_checkpoint_and_a_run_repeats_exactly(tmp_path: Path, tiny_dataset: Path) -> None:
    asked = ["method.augment_probability=adaptive", "method.augment_target=0.01"]
    one, other = (run(tmp_path / name, tiny_dataset, *asked) for name in ("one", "other"))
    for key, value in one.items():
        assert torch.equal(value, other[key]), key
    assert float(one["method.adversary.adaptive.looked_at"]) == pytest.approx(16 / 20)  # steps 0, 4, … 16 of 20
    assert one["method.adversary.adaptive.differences"].abs().min() > 0


def test_a_learner_restored_from_its_state_adapts_on_as_one_that_never_stopped(tiny_dataset: Path) -> None:
    config = load(
        RunConfig, {}, [*TINY_GAN, *LOOP, "method.augment_probability=adaptive", "method.augment_target=0.01"]
    )
    shape, none = Dataset.open(tiny_dataset).domain.shape, CONDITIONS.get("none").Config()
    draw = torch.Generator().manual_seed(0)
    batches = [Batch(torch.rand(8, 3, 16, 16, generator=draw), torch.arange(8)) for _ in range(12)]

    def go(learner: Learner, steps: range) -> Learner:
        for number in steps:
            if number % STEPS_BETWEEN_LOOKS == 0:
                learner.look(batches[-1], 96)
            learner.step(batches[number], 96)
        return learner

    def fresh() -> Learner:
        return Learner(config, shape, none, Device(torch.device("cpu"), "fp32"), 0)

    whole, half, rest = go(fresh(), range(10)), go(fresh(), range(5)), fresh()
    rest.restore(half.tensors(), half.state())
    go(rest, range(5, 10))
    one: Any = whole.method
    other: Any = rest.method
    for key, value in one.adversary.adaptive.state_dict().items():
        assert torch.equal(value, other.adversary.adaptive.state_dict()[key]), key
    assert float(one.adversary.adaptive.looked_at) > 0


def test_only_the_validation_split_is_held_out(
    tmp_path: Path, tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[int] = set()
    before = Learner.look

    def noted(self: Learner, batch: Batch, total_images: int) -> None:
        seen.update(batch.ids.tolist())
        before(self, batch, total_images)

    monkeypatch.setattr(Learner, "look", noted)
    run(tmp_path / "fixed", tiny_dataset)
    assert seen == set()
    run(tmp_path / "adaptive", tiny_dataset, "method.augment_probability=adaptive")
    assert seen == set(Dataset.open(tiny_dataset).indices("validation").tolist())


def test_held_out_pictures_leave_no_gradient_and_move_no_weight() -> None:
    torch.manual_seed(0)
    method: Any = small(METHODS, "gan", augment_probability="adaptive").build(RGB, CONDITIONS.get("none").Config())
    weights = {key: value.clone() for key, value in method.named_parameters()}
    batch = Batch(torch.rand(4, 3, 16, 16), torch.arange(4))
    method.look(batch, Moment(0.5, torch.Generator().manual_seed(0)))
    assert all(torch.equal(value, weights[key]) and value.grad is None for key, value in method.named_parameters())


@pytest.mark.parametrize("name", [name for name in DISCRIMINATORS.names() if name != "projected"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_a_discriminator_learns_to_redraw_real_pictures_from_what_it_keeps(name: str, shape: Any) -> None:
    torch.manual_seed(0)
    discriminator = small(DISCRIMINATORS, name, normalisation="none").model_dump(mode="json")
    method: Any = small(METHODS, "gan", discriminator=discriminator, reconstruct=1.0).build(
        shape, CONDITIONS.get("none").Config()
    )
    draw = torch.Generator().manual_seed(1)
    batch = Batch(
        torch.rand(8, shape.channels, 1, 1, generator=draw).expand(8, -1, *shape.spatial) * 2 - 1, torch.arange(8)
    )
    optimiser = torch.optim.Adam(method.parameters_of("discriminator"), 3e-3)
    found = []
    for _ in range(30):
        losses = method.step("discriminator", batch, Moment(0.0, torch.Generator().manual_seed(3)))
        optimiser.zero_grad()
        losses["redrawn"].backward()
        optimiser.step()
        found.append(float(losses["redrawn"].detach()))
    assert found[-1] < 0.7 * found[0]
    trunk = method.adversary.discriminator.layers()[0]
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in trunk.parameters())


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_the_decoder_redraws_in_any_number_of_dimensions(dims: int) -> None:
    net = Decoder(6, 2, dims, doublings=2)
    made = net(torch.randn(3, 6, *[4] * dims))
    assert made.shape == (3, 2, *[16] * dims)
    assert made.abs().max() <= 1
    samples = torch.randn(3, 2, *[32] * dims)
    assert error(samples, made).shape == (3,)
    assert float(error(torch.full_like(samples, 0.25), torch.full_like(made, -0.5)).mean()) == pytest.approx(0.75)


def test_perceptual_distance_is_that_of_directions_in_features() -> None:
    one = [torch.randn(4, 5, 3, 3, generator=torch.Generator().manual_seed(0)), torch.ones(4, 2, 1, 1)]
    assert float(perceptual(one, [5 * grid for grid in one]).abs().max()) < 1e-5
    torch.testing.assert_close(perceptual(one, [-grid for grid in one]), torch.full((4,), 4.0), atol=1e-4, rtol=0)
    right = [torch.tensor([1.0, 0.0]).view(1, 2, 1, 1)], [torch.tensor([0.0, 3.0]).view(1, 2, 1, 1)]
    assert float(perceptual(*right)) == pytest.approx(2.0)


def test_matching_compares_means_and_not_samples() -> None:
    draw = torch.Generator().manual_seed(0)
    one = [torch.randn(6, 4, 2, 2, generator=draw), torch.randn(6, 8, 1, 1, generator=draw)]
    assert float(matching(one, [grid.flip(0) for grid in one]).max()) < 1e-10
    torch.testing.assert_close(matching(one, [3 * grid for grid in one]), torch.full((6,), 4.0))
    assert matching(one, [torch.zeros_like(grid) for grid in one])[0] == pytest.approx(1.0)


def test_freezing_more_than_a_discriminator_has_leaves_its_last_weighing_to_learn() -> None:
    method: Any = small(METHODS, "gan", freeze=99).build(RGB, CONDITIONS.get("none").Config())
    learning = {id(parameter) for parameter in method.parameters_of("discriminator")}
    names = {name for name, p in method.adversary.discriminator.named_parameters() if id(p) in learning}
    assert names == {"trunk.basis", "score.unconditional.weight", "score.unconditional.bias"}


@pytest.mark.parametrize("value", ["sometimes", 1.5])
def test_a_probability_that_is_none_is_refused(value: Any) -> None:
    with pytest.raises(UserError, match="augment_probability"):
        load(RunConfig, {}, [f"method.augment_probability={value}"])


def test_a_discriminator_redraws_where_pictures_are_few_unless_a_person_decides(
    tmp_path: Path, tiny_dataset: Path
) -> None:
    method = load(RunConfig, {}, ["method=gan"]).method
    assert method.for_pictures(FEW_PICTURES - 1).reconstruct == RECONSTRUCT
    assert method.for_pictures(FEW_PICTURES).reconstruct == 0
    chosen = load(RunConfig, {}, ["method.reconstruct=0.3"]).method
    assert chosen.for_pictures(10).reconstruct == 0.3
    tensors = run(tmp_path / "run", tiny_dataset, images=8)  # some hundred pictures
    assert any(key.startswith("method.adversary.decoder.") for key in tensors)
    assert read_config(tmp_path / "run").method.reconstruct == RECONSTRUCT
