"""A batch in parts is the batch: the same draws, pictures and gradients, whether at once, in turn or on several processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from allaprima.core.config import load
from allaprima.core.device import Device
from allaprima.core.errors import UserError
from allaprima.data.augment import AUGMENT, apply
from allaprima.data.batch import Batch
from allaprima.data.dataset import Dataset
from allaprima.data.loader import Loader
from allaprima.domains import Shape
from allaprima.methods import Moment
from allaprima.models.conditions import none
from allaprima.training import command, loop
from allaprima.training import run as runs
from allaprima.training.config import RunConfig
from allaprima.training.distributed import Group
from allaprima.training.learner import Learner, check_division
from allaprima.training.parts import Part
from tests.unit._runs import LOOP, PIXELS, TINY_GAN, one_thread

__all__ = ["one_thread"]  # used by pytest

N = 32  # its smallest part, eight samples, is a whole group of opponents
GAN = [*TINY_GAN, *LOOP[:1], *LOOP[4:], f"training.batch_size={N}", "condition=none"]
# the penalty's share of the smallest part is whole samples
PLAIN_GAN = [*GAN, "method.generator.normalisation=none", "method.penalty_share=0.25"]
VAE = [
    *("method=vae", "method.encoder.width=8", "method.decoder.width=8", "method.decoder.normalisation=none"),
    *("method.encoder.normalisation=none", "method.reconstruction=squared_error", *GAN[4:]),
    *("method.opponent.discriminator.width=8", "method.opponent.share=1", "method.opponent.spread=0"),
    "method.opponent.penalty_share=1",
]
AUGMENTED = ["method.augment_probability=0.7", "training.augment=[flip]"]
PARTS = [Part(number, 4) for number in range(4)]


def learner(*changes: str) -> Learner:
    config = load(RunConfig, {}, changes)
    made = Learner(config, Shape(3, (16, 16)), none.Config(), Device(torch.device("cpu"), "fp32"), seed=0)
    # zero weights, which some layers start with, would hide what depends on them
    draw = torch.Generator().manual_seed(5)
    for parameter in made.method.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=draw)
    return made


def batch() -> Batch:
    draw = torch.Generator().manual_seed(1)
    return Batch(torch.rand(N, 3, 16, 16, generator=draw) * 2 - 1, torch.arange(N))


def gradients(*changes: str) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Of every phase of the first step, and its losses."""
    found, losses = {}, {}
    made = learner(*changes)
    for phase in made.method.phases:
        made.method.zero_grad(set_to_none=True)
        losses |= made._gradients(phase, made._prepare(batch()), Moment(0.9, made._stream(phase), 100.0))
        for name, parameter in made.method.named_parameters():
            if any(parameter is own for own in made.parameters[phase]) and parameter.grad is not None:
                found[f"{phase}.{name}"] = parameter.grad.clone()
    return found, losses


def farthest(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """The largest difference, as a share of the largest gradient of the same tensor."""
    assert one.keys() == other.keys()
    return max(float((one[k] - other[k]).abs().max() / one[k].abs().max().clamp_min(1e-3)) for k in one)


@pytest.mark.parametrize(
    "changes",
    [
        PLAIN_GAN,
        [*PLAIN_GAN, *AUGMENTED],
        [*PLAIN_GAN, "method.loss=wasserstein", "method.penalty_share=0.5"],
        [*PLAIN_GAN, "method.loss=hinge"],
        VAE,
    ],
    ids=["relativistic", "augmented", "wasserstein", "hinge", "vae"],
)
@pytest.mark.parametrize("count", [2, 4])
def test_the_gradient_of_a_batch_in_parts_is_that_of_the_whole(changes: list[str], count: int) -> None:
    (whole, losses), (parts, part_losses) = gradients(*changes), gradients(*changes, f"training.accumulate={count}")
    assert len(whole) > 10
    assert farthest(whole, parts) < 1e-4
    torch.testing.assert_close(part_losses, losses, rtol=1e-4, atol=1e-5)


def test_batch_normalisation_sees_the_part_alone() -> None:
    assert farthest(gradients(*GAN)[0], gradients(*GAN, "training.accumulate=4")[0]) > 1e-2


def test_training_in_parts_stays_with_training_at_once() -> None:
    made = [learner(*PLAIN_GAN, *AUGMENTED, f"training.accumulate={count}") for count in (1, 4)]
    for one in made:
        for _ in range(3):
            one.step(batch(), 1000)
    tensors = [one.tensors() for one in made]
    assert all(torch.allclose(tensors[0][key], tensors[1][key], atol=1e-4) for key in tensors[0])


@pytest.mark.parametrize(
    "draw",
    [
        lambda random, n: torch.rand(n, 3, generator=random),
        lambda random, n: torch.randn((n, 2), generator=random),
        lambda random, n: torch.randn(size=(n,), generator=random),
        lambda random, n: torch.randint(3, 9, (n, 2), generator=random),
        lambda random, n: torch.randint(high=9, size=(n,), generator=random),
    ],
)
def test_a_part_draws_its_share_of_what_the_whole_batch_draws(draw: Any) -> None:
    whole = draw(torch.Generator().manual_seed(0), N)
    for part in PARTS:
        with part.draws():
            assert torch.equal(draw(torch.Generator().manual_seed(0), N // 4), whole[part.number :: 4])


def test_a_single_number_is_the_same_for_all_parts_and_an_unknown_draw_is_refused() -> None:
    alone = torch.rand((), generator=torch.Generator().manual_seed(0))
    for part in PARTS:
        with part.draws():
            assert torch.rand((), generator=torch.Generator().manual_seed(0)) == alone
    with PARTS[1].draws(), pytest.raises(TypeError, match=r"torch\.rand"):
        torch.randperm(4, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", AUGMENT.names())
def test_every_augmentation_of_parts_is_that_of_the_whole(name: str) -> None:
    samples = batch()
    whole = apply([name], samples.samples, 0.6, torch.Generator().manual_seed(2))
    for part in PARTS:
        with part.draws():
            own = apply([name], part.of(samples).samples, 0.6, torch.Generator().manual_seed(2))
        torch.testing.assert_close(own, whole[part.number :: 4])


def test_parts_of_parts_are_parts_of_the_whole() -> None:
    """A process's part, learned in parts."""
    for process in (Part(0, 2), Part(1, 2)):
        for number in range(3):
            inner = Part(number, 3)
            own = inner.of(process.of(Batch(torch.zeros(12, 1), torch.arange(12)))).ids
            assert torch.equal(own, inner.within(process).of(Batch(torch.zeros(12, 1), torch.arange(12))).ids)


def test_the_loaders_of_processes_share_out_each_batch(tiny_dataset: Path) -> None:
    dataset = Dataset.open(tiny_dataset)
    whole = Loader(dataset, batch_size=12, seed=3)
    shares = [Loader(dataset, batch_size=12, seed=3, part=(number, 3)) for number in range(3)]
    for step in (0, 7):
        for number, share in enumerate(shares):
            assert torch.equal(share.batch(step).samples, whole.batch(step).samples[number::3])
            assert torch.equal(share.batch(step).conditions["label"], whole.batch(step).conditions["label"][number::3])


def test_a_batch_that_cannot_be_divided_is_refused_before_anything_is_written(
    tmp_path: Path, tiny_dataset: Path
) -> None:
    with pytest.raises(UserError, match="cannot be divided into 3 equal parts") as told:
        command.train(str(tiny_dataset), tmp_path / "run", "16", [*TINY_GAN, *LOOP, PIXELS, "training.accumulate=3"])
    assert "training.batch_size=9" in told.value.remedy
    assert not (tmp_path / "run").exists()
    with pytest.raises(UserError, match="4 processes"):
        check_division(load(RunConfig, {}, ["training.batch_size=6"]), Group(Part(0, 4)))


def test_what_is_a_parts_own_is_said_where_a_batch_is_learned_in_parts(tmp_path: Path, tiny_dataset: Path) -> None:
    def plan(*changes: str) -> str:
        config = load(RunConfig, {"budget": {"images": 16}}, [*LOOP, PIXELS, "training.ticks=1", *changes])
        said: list[str] = []
        loop.train(
            runs.create(tmp_path / str(len(list(tmp_path.iterdir()))), config, Dataset.open(tiny_dataset)), said.append
        )
        return said[0]

    alone = (*TINY_GAN, "condition=none")
    tiny_vae = ("method=vae", "method.encoder.width=8", "method.decoder.width=8")
    assert "in parts" not in plan(*alone)
    whole, split = "training.batch_size=16", "training.accumulate=2"
    asked = plan(*TINY_GAN, whole, split)
    assert "in parts: batch normalisation and the pairs that do not match are each part's own" in asked
    assert "in parts: batch normalisation is each part's own" in plan(*alone, whole, split)
    assert "batch normalisation and each score's opponents are each part's own" in plan(*alone, split)
    assert "in parts: batch normalisation, the best σ" in plan(*tiny_vae, "training.accumulate=2")
    assert "in parts" not in plan(*alone, "method.generator.normalisation=none", whole, split)
