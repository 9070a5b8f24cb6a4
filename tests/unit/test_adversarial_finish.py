"""A VAE's decoder meets an opponent late in the run: nothing is different before, without it, or in what is published."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from allaprima.bundle.bundle import Bundle
from allaprima.core.config import load
from allaprima.core.device import Device
from allaprima.data.batch import Batch
from allaprima.data.dataset import Dataset
from allaprima.data.loader import Loader
from allaprima.domains import Shape
from allaprima.methods import METHODS, Moment
from allaprima.methods.vae import between
from allaprima.models.conditions import CONDITIONS
from allaprima.training import loop
from allaprima.training import run as runs
from allaprima.training.config import RunConfig
from allaprima.training.faults import RUNAWAY, Watch
from allaprima.training.learner import Learner
from tests.contracts.tiny import small
from tests.unit._runs import LOOP, PIXELS, one_thread

__all__ = ["one_thread"]

IMAGES = 160
JOINS = 80
TINY = [
    "method=vae",
    *(
        f"method.{net}.{key}"
        for net in ("encoder", "decoder", "opponent.discriminator")
        for key in ("width=8", "max_width=16")
    ),
    "method.prior.components=4",
    *LOOP,
    PIXELS,
]
WITHOUT, WITH = "method.adversarial=0", "method.adversarial=0.1"


def begin(folder: Path, dataset: Path, *changes: str) -> runs.Run:
    config = load(RunConfig, {"budget": {"images": IMAGES}}, [*TINY, *changes])
    return runs.create(folder, config, Dataset.open(dataset))


class Learning:
    """A learner and its pictures."""

    def __init__(self, folder: Path, dataset: Path, *changes: str) -> None:
        run = begin(folder, dataset, *changes)
        self.learner: Any = Learner(
            run.config, run.dataset.domain.shape, run.condition, Device(torch.device("cpu"), "fp32"), 0
        )
        self.loader = Loader(run.dataset, "train", 8)

    def until(self, images: int) -> dict[str, torch.Tensor]:
        """The last step's losses."""
        losses: dict[str, torch.Tensor] = {}
        while self.learner.num_images_seen < images:
            losses = self.learner.step(self.loader.batch(self.learner.step_number), IMAGES)
        return losses


@pytest.fixture
def pair(tmp_path: Path, tiny_dataset: Path) -> tuple[Learning, Learning]:
    """Two that differ in whether there is an opponent."""
    one, other = (Learning(tmp_path / word, tiny_dataset, word) for word in (WITHOUT, WITH))
    return one, other


def shared(learning: Learning) -> dict[str, torch.Tensor]:
    """Everything but the opponent's."""
    tensors = learning.learner.tensors()
    return {
        key: value.clone()
        for key, value in tensors.items()
        if not key.startswith(("method.opponent.", "optimizer.discriminator."))
    }


def opponent(learning: Learning) -> list[torch.Tensor]:
    return [value.clone() for key, value in learning.learner.tensors().items() if key.startswith("method.opponent.")]


def same(one: Any, other: Any) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_without_an_opponent_no_discriminator_is_built() -> None:
    config: Any = small(METHODS, "vae", adversarial=0)
    method = config.build(Shape(3, (16, 16)), CONDITIONS.get("none").Config())
    assert method.phases == ("autoencoder",)
    assert {name.partition(".")[0] for name, _ in method.named_parameters()} <= {"encoder", "generator", "condition"}


def test_until_its_time_the_opponent_rests_and_the_run_is_the_one_without(pair: tuple[Learning, Learning]) -> None:
    without, with_one = pair
    fresh = opponent(with_one)
    assert fresh
    losses = [one.until(JOINS) for one in pair]
    assert losses[0].keys() == losses[1].keys()
    assert same(losses[0].values(), losses[1].values())
    assert shared(without).keys() == shared(with_one).keys()
    assert same(shared(without).values(), shared(with_one).values())
    assert same(fresh, opponent(with_one))


def test_from_its_time_on_it_learns_and_teaches(pair: tuple[Learning, Learning]) -> None:
    without, with_one = pair
    for one in pair:
        one.until(JOINS)
    fresh = opponent(with_one)
    plain, judged = (one.until(JOINS + 8) for one in pair)
    assert {"adversarial", "discriminator", "gap"} <= judged.keys() - plain.keys()
    assert torch.equal(plain["mse"], judged["mse"]), "the likelihood asks what it asked"
    assert not same(fresh, opponent(with_one))
    assert not same(without.learner.method.generator.parameters(), with_one.learner.method.generator.parameters())
    # the encoder learns from the likelihood alone: after one step from equal weights it is what it would have been
    assert same(without.learner.method.encoder.parameters(), with_one.learner.method.encoder.parameters())


def test_a_phase_that_joins_late_is_watched_from_its_first_loss_on() -> None:
    watch, norm = Watch(["late"], torch.device("cpu")), torch.tensor(1.0)

    def judged(loss: float) -> list[bool]:
        return [bool(watch.judge("late", torch.tensor(loss), norm, 5000 + step)) for step in range(10)]

    assert all(judged(1.4))
    assert not all(judged(1.4 * 3 * RUNAWAY))
    assert watch.ran_away()


def test_a_bundle_holds_nothing_of_the_opponent(tmp_path: Path, tiny_dataset: Path) -> None:
    sizes = []
    for word in (WITHOUT, WITH):
        run = begin(tmp_path / word, tiny_dataset, word)
        loop.train(run)
        bundle = Bundle.load(run.folder)
        assert set(bundle.nets) == {"generator", "condition", "encoder", "prior"}
        sizes.append({name: [tuple(p.shape) for p in net.state_dict().values()] for name, net in bundle.nets.items()})
    assert sizes[0] == sizes[1]


def test_a_batch_in_parts_is_judged_part_by_part_each_on_what_was_painted_for_it(
    tmp_path: Path, tiny_dataset: Path
) -> None:
    learning = Learning(tmp_path / "run", tiny_dataset, WITH, "training.accumulate=2", "method.adversarial_from=0")
    losses = learning.until(16)
    assert all(value.isfinite() for value in losses.values())
    assert not learning.learner.method._painted


def test_settings_of_the_opponent_survive_being_written_and_read(tmp_path: Path, tiny_dataset: Path) -> None:
    run = begin(tmp_path / "run", tiny_dataset, WITH, "method.opponent.spread=0.7", "method.opponent.loss=hinge")
    assert runs.read_config(run.folder).method == run.config.method
    assert "_adversary" not in (run.folder / "run.yaml").read_text()


def test_latents_between_others_keep_the_mean_and_the_covariance_of_them_all() -> None:
    draw = torch.Generator().manual_seed(0)
    z = torch.randn(20_000, 3, generator=draw) @ torch.tensor([[1.0, 0.5, 0.0], [0.0, 2.0, -1.0], [0.0, 0.0, 0.3]]) + 4
    for spread in (0.3, 1.0):
        moved = between(z, spread)
        torch.testing.assert_close(moved.mean(0), z.mean(0), rtol=0, atol=0.05)
        torch.testing.assert_close(torch.cov(moved.T), torch.cov(z.T), rtol=0.05, atol=0.05)
    assert torch.allclose(between(z, 0.0), z, atol=1e-5)
    assert torch.equal(between(z[:1], 0.5), z[:1])


@pytest.mark.parametrize("share", [0.01, 0.25, 1.0])
def test_the_opponent_sees_its_share_of_the_batch(share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    settings: Any = small(METHODS, "vae", adversarial=0.1)
    method: Any = settings.build(Shape(3, (16, 16)), CONDITIONS.get("none").Config())
    config = method.config.model_copy(update={"opponent": method.config.opponent.model_copy(update={"share": share})})
    monkeypatch.setattr(method, "config", config)
    seen: list[int] = []
    learn = method.opponent.learn

    def noted(real: torch.Tensor, fake: torch.Tensor, *rest: Any) -> Any:
        seen.extend([len(real), len(fake)])
        return learn(real, fake, *rest)

    monkeypatch.setattr(method.opponent, "learn", noted)
    batch = Batch(torch.rand(8, 3, 16, 16) * 2 - 1, torch.arange(8))
    for phase in method.phases:
        method.step(phase, batch, Moment(0.9, torch.Generator().manual_seed(0)))
    assert seen == [max(1, round(8 * share))] * 2
