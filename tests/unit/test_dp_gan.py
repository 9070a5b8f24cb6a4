"""A GAN trained with DP-SGD: its account, its clipping and its chances are what was promised, whatever happens to the run."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import allaprima
from allaprima.core.config import load
from allaprima.core.device import Device
from allaprima.core.errors import UserError
from allaprima.data.batch import Batch
from allaprima.data.dataset import Dataset
from allaprima.domains import Shape
from allaprima.losses.adversarial import non_saturating
from allaprima.methods import Moment, _gaussian, _subsampled, dp_gan
from allaprima.methods._clipping import Critic, clipped_sum, is_known
from allaprima.methods._promise import Promise
from allaprima.models.conditions import attributes, label
from allaprima.models.discriminators import dcgan, residual
from allaprima.training import promise as promises
from allaprima.training.command import as_changes
from allaprima.training.config import RunConfig
from allaprima.training.distributed import ALONE
from allaprima.training.learner import Learner
from allaprima.training.loop import train
from allaprima.training.run import create, open_run
from tests.unit._runs import one_thread

__all__ = ["one_thread"]  # used by pytest

SMALL = {
    "name": "dp_gan",
    "latent_dim": 4,
    "painted": 6,
    "discriminator_steps": 2,
    "generator": {"name": "dcgan", "width": 8},
    "discriminator": {"name": "dcgan", "width": 8, "normalisation": "none"},
}
CLASSES = ["a", "b", "c"]
SHAPE = Shape(1, (8, 8))
# reliability.md: Poisson sampling, add or remove, by privacy loss distributions
ANCHORS = [
    (256 / 60000, 1.1, 14_100, 1e-5, 2.385),
    (0.01, 1.0, 10_000, 1e-5, 6.188),
    (1.0, 5.0, 1, 1e-5, 0.726),
]
MORE = [(0.001, 0.6, 3_000, 1e-6), (0.1, 4.0, 500, 1e-5), (0.3, 1.0, 3, 1e-3), (0.05, 10.0, 5_000, 1e-8)]


def config(images: int = 96, training: dict[str, Any] | None = None, **changes: Any) -> RunConfig:
    usual = {"batch_size": 12, "precision": "fp32", "threads": 1, "ticks": 2}
    return load(
        RunConfig, {"method": SMALL | changes, "training": usual | (training or {}), "budget": {"images": images}}
    )


def method(**changes: Any) -> Any:
    torch.manual_seed(0)
    chosen: Any = config(**changes).method
    return chosen.build(SHAPE, label.Config(classes=CLASSES))


def pictures(count: int, seed: int = 0) -> Batch:
    random = torch.Generator().manual_seed(seed)
    samples = torch.rand(count, 1, 8, 8, generator=random) * 2 - 1
    return Batch(samples, torch.arange(count), {"label": torch.randint(3, (count,), generator=random)})


def moment(seed: int = 0) -> Moment:
    return Moment(0.5, torch.Generator().manual_seed(seed))


# -- the account --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rate", "sigma", "steps", "delta", "epsilon"), ANCHORS)
def test_epsilon_is_within_a_hundredth_of_the_anchors(
    rate: float, sigma: float, steps: int, delta: float, epsilon: float
) -> None:
    assert _subsampled.epsilon_of(sigma, delta, rate, steps) == pytest.approx(epsilon, rel=0.01)


@pytest.mark.parametrize(("rate", "sigma", "steps", "delta"), [*(anchor[:4] for anchor in ANCHORS), *MORE])
def test_epsilon_is_within_a_thousandth_of_a_second_accountants(
    rate: float, sigma: float, steps: int, delta: float
) -> None:
    accounting = pytest.importorskip("dp_accounting", reason="dp-accounting comes with the extra 'dev'")
    from dp_accounting import pld

    account = pld.PLDAccountant()
    event = accounting.GaussianDpEvent(sigma)
    account.compose(accounting.PoissonSampledDpEvent(rate, event) if rate < 1 else event, steps)
    assert _subsampled.epsilon_of(sigma, delta, rate, steps) == pytest.approx(account.get_epsilon(delta), rel=1e-3)


def test_without_sampling_the_account_is_that_of_one_gaussian_release() -> None:
    """n releases with σ are one with σ/√n: the other accountant knows that exactly."""
    for sigma, steps, delta in ((5.0, 1, 1e-5), (20.0, 100, 1e-5), (3.0, 4, 1e-3)):
        exact = _gaussian.epsilon_of(sigma / math.sqrt(steps), delta)
        assert exact <= _subsampled.epsilon_of(sigma, delta, 1.0, steps) * (1 + 1e-6)
        assert _subsampled.epsilon_of(sigma, delta, 1.0, steps) == pytest.approx(exact, rel=1e-3)


def test_one_release_is_what_its_two_distributions_say() -> None:
    """The divergence by integration, both ways round, which knows nothing of grids and transforms."""
    rate, sigma, epsilon = 0.2, 0.9, 0.7
    x = np.linspace(-20, 20, 2_000_001)
    step = x[1] - x[0]

    def density(mean: float) -> np.ndarray:
        return np.exp(-((x - mean) ** 2) / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi))

    without = density(0.0)
    with_it = (1 - rate) * without + rate * density(1.0)
    ways = [(with_it, without), (without, with_it)]
    most = max(np.maximum(p - math.exp(epsilon) * q, 0).sum() * step for p, q in ways)
    assert most <= _subsampled.delta_of(epsilon, sigma, rate, 1) <= most * (1 + 1e-3) + 1e-8


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 8.0])
def test_the_noise_keeps_the_promise_and_hardly_more(epsilon: float) -> None:
    for rate, steps in ((0.01, 1_000), (0.2, 7), (1.0, 1)):
        sigma = _subsampled.noise_for(epsilon, 1e-5, rate, steps)
        assert 0.98 * epsilon < _subsampled.epsilon_of(sigma, 1e-5, rate, steps) <= epsilon * (1 + 1e-6)


def test_a_promise_that_no_noise_can_keep_is_refused() -> None:
    with pytest.raises(UserError, match="fewer steps"):
        _subsampled.noise_for(1.0, 1e-13, 0.5, 1_000)


# -- clipping -----------------------------------------------------------------------------------------------------------


def critics() -> dict[str, Critic]:
    torch.manual_seed(0)
    nets = {
        "no normalisation": dcgan.Config(width=8, normalisation="none").build(SHAPE, 4),
        "in groups": dcgan.Config(width=8, normalisation="group").build(SHAPE, 4),
        "learned slopes": dcgan.Config(width=8, normalisation="none", activation="prelu").build(SHAPE, 4),
        "residual": residual.Config(width=8, max_width=16).build(SHAPE, 4),
    }
    found = {name: Critic(net, nn.Embedding(3, 4)) for name, net in nets.items()}
    with torch.no_grad():
        for critic in found.values():
            for parameter in critic.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return found


@pytest.mark.parametrize("name", ["no normalisation", "in groups", "learned slopes", "residual"])
@pytest.mark.parametrize("automatic", [False, True])
def test_the_sum_is_that_of_gradients_clipped_one_by_one(name: str, automatic: bool) -> None:
    critic, real, fake = critics()[name], pictures(5), pictures(5, seed=1)
    asked = real.conditions["label"]
    clip, expected = 0.3, [torch.zeros_like(p) for p in critic.parameters()]
    shortened = 0
    for i in range(5):
        scores = critic(real.samples[i : i + 1], fake.samples[i : i + 1], asked[i : i + 1])
        gradients = torch.autograd.grad(non_saturating.discriminator(*scores).sum(), list(critic.parameters()))
        norm = math.sqrt(sum(float(g.square().sum()) for g in gradients))
        factor = clip / (norm + 0.01) if automatic else min(1.0, clip / norm)
        shortened += factor < 1
        for total, g in zip(expected, gradients, strict=True):
            total += factor * g
    assert shortened, "nothing was clipped: this would test nothing"
    sums = clipped_sum(critic, non_saturating.discriminator, (real.samples, fake.samples, asked), clip, automatic)
    for found, wanted in zip(sums, expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=4e-3, atol=1e-5)  # TF32's slack is left


def test_plain_nets_are_clipped_by_layer_and_others_sample_by_sample() -> None:
    assert {name: is_known(critic) for name, critic in critics().items()} == {
        "no normalisation": True,
        "in groups": True,
        "learned slopes": False,
        "residual": False,
    }


@pytest.mark.parametrize("name", ["no normalisation", "residual"])
def test_one_picture_moves_the_sum_by_the_clip_at_most(name: str) -> None:
    critic, real, fake = critics()[name], pictures(6), pictures(6, seed=1)
    inputs = [real.samples * 1.0, fake.samples, real.conditions["label"]]
    inputs[0][0] *= 1e3
    sums, without = (
        clipped_sum(critic, non_saturating.discriminator, tuple(part[start:] for part in inputs), 0.5, False)
        for start in (0, 1)
    )
    moved = math.sqrt(sum(float((a - b).square().sum()) for a, b in zip(sums, without, strict=True)))
    assert 0.4 < moved <= 0.5


# -- chance -------------------------------------------------------------------------------------------------------------


def test_everybody_takes_part_with_the_same_chance_on_their_own() -> None:
    made = Promise("00" * 32, 400, 0.1, steps=2_000, noise=1.0)
    drawn = []
    for made.spent in range(2_000):
        drawn.append(made.draw())
    chosen = np.stack(drawn)
    assert chosen.mean() == pytest.approx(0.1, abs=0.001)
    assert abs(chosen.mean(0) - 0.1).max() < 0.035, "five standard deviations"
    assert chosen.sum(1).std() == pytest.approx(math.sqrt(400 * 0.1 * 0.9), rel=0.06), (
        "batches of one size are no chance"
    )
    assert abs(np.corrcoef(chosen[:, 0], chosen[:, 1])[0, 1]) < 0.1


def test_rate_one_takes_everybody() -> None:
    assert Promise.made(1.0, 1e-5, pictures=30, batch_size=30, steps=1).draw().all()


def test_chance_follows_from_the_secret_and_the_release_and_nothing_else() -> None:
    one, same = (Promise("ab" * 32, 50, 0.5, 10, 2.0) for _ in range(2))
    other = Promise("ac" * 32, 50, 0.5, 10, 2.0)
    first = one.draw()
    assert np.array_equal(first, same.draw())
    assert not np.array_equal(first, other.draw())
    noise = one.spend(int(first.sum()), 5)
    assert np.array_equal(noise, same.spend(int(first.sum()), 5))
    assert not np.array_equal(first, one.draw()), "the next release has others"
    assert Promise.made(1.0, 1e-5, 9, 3, 2).secret != Promise.made(1.0, 1e-5, 9, 3, 2).secret


def test_noise_is_normal_and_as_large_as_promised() -> None:
    made = Promise("cd" * 32, 10, 0.5, 10, noise=3.0)
    noise = made.spend(int(made.draw().sum()), 100_001)
    assert noise.shape == (100_001,)
    assert noise.std() == pytest.approx(3.0, rel=0.01)
    assert abs(noise.mean()) < 0.05
    for sigmas, share in ((1, 0.6827), (2, 0.9545), (3, 0.9973)):
        assert (abs(noise) < 3.0 * sigmas).mean() == pytest.approx(share, abs=0.005)


def test_pictures_that_were_not_drawn_by_chance_are_an_error() -> None:
    learner = method()
    learner.promise = Promise("01" * 32, 60, 0.2, 5, 1.0)
    with pytest.raises(RuntimeError, match="by chance"):
        learner.step("discriminator", pictures(12), moment())
    chosen = int(learner.promise.draw().sum())
    learner.step("discriminator", pictures(chosen), moment())
    with pytest.raises(RuntimeError, match="by chance"):
        learner.step("discriminator", pictures(chosen), moment())  # the same batch once more


def test_the_step_after_the_last_is_refused() -> None:
    made = Promise("01" * 32, 6, 0.5, steps=2, noise=1.0)
    for _ in range(2):
        made.spend(int(made.draw().sum()), 1)
    with pytest.raises(UserError, match="break"):
        made.draw()


def test_a_step_that_nobody_takes_part_in_is_noise_alone() -> None:
    learner = method(clip=0.5)
    learner.promise = made = Promise("02" * 32, 60, 0.2, 5, noise=2.0)
    made.drawn = (0, 0)
    learner.step("discriminator", pictures(0), moment())["discriminator"].backward()
    found = torch.cat([p.grad.flatten() for p in learner.parameters_of("discriminator")])
    assert float(found.std()) == pytest.approx(0.5 * 2.0 / 12, rel=0.05)


def test_the_generator_learns_from_no_picture() -> None:
    """Other pictures, fewer of them, other classes: the same loss and gradient to the bit."""

    def learned(batch: Batch) -> list[torch.Tensor]:
        learner = method()
        loss = learner.step("generator", batch, moment())["generator"]
        return [loss, *torch.autograd.grad(loss, list(learner.parameters_of("generator")))]

    one, other = learned(pictures(12)), learned(pictures(3, seed=1))
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_what_stands_beside_a_picture_follows_from_the_secret_alone() -> None:
    """From the public seed one could tell by it who takes part before whom."""

    def gradient(secret: str, seed: int) -> torch.Tensor:
        learner = method()
        learner.promise = made = Promise(secret * 32, 60, 0.2, 5, noise=1e-9)
        made.drawn = (0, 5)
        learner.step("discriminator", pictures(5), moment(seed))["discriminator"].backward()
        return torch.cat([p.grad.flatten() for p in learner.parameters_of("discriminator")])

    one = gradient("02", 0)
    assert torch.equal(one, gradient("02", 1))
    assert not torch.allclose(one, gradient("03", 0), atol=1e-6)


def test_a_picture_whose_gradient_is_not_finite_leaves_the_others_alone() -> None:
    for critic in (critics()["no normalisation"], critics()["residual"]):
        real, fake = pictures(4).samples * 1.0, pictures(4, seed=1).samples
        asked = torch.zeros(4, dtype=torch.int64)
        real[0] = torch.inf
        sums, without = (
            clipped_sum(critic, non_saturating.discriminator, (real[n:], fake[n:], asked[n:]), 0.5, False)
            for n in (0, 1)
        )
        for one, other in zip(sums, without, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_what_is_shown_of_a_step_does_not_depend_on_pictures() -> None:
    one, other = (method().step("discriminator", pictures(5, seed), moment())["discriminator"] for seed in (0, 1))
    assert torch.equal(one, other)


# -- what is refused ----------------------------------------------------------------------------------------------------


def test_what_would_look_past_the_noise_is_refused_in_plain_words() -> None:
    with pytest.raises(UserError, match="normalisation=group"):
        method(discriminator={"name": "dcgan", "width": 8, "normalisation": "batch"})
    with pytest.raises(UserError, match="pass by the noise"):
        config(penalty="r1")
    for loss in ("relativistic", "wasserstein"):
        with pytest.raises(UserError, match="choose one of: hinge, least_squares, non_saturating"):
            config(loss=loss)
    chosen: Any = config().method
    with pytest.raises(UserError, match="condition=label"):
        chosen.build(SHAPE, attributes.Config())


def test_what_the_account_does_not_cover_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    promises.check(config(), ALONE)
    with pytest.raises(UserError, match="mirror=off"):
        promises.check(config(training={"augment": ["flip"]}), ALONE)
    with pytest.raises(UserError, match="accumulate"):
        promises.check(config(training={"accumulate": 2}), ALONE)
    by_clock = config(training={"lr_end": 0.1}).model_copy(update={"budget": load(RunConfig, {}).budget})
    with pytest.raises(UserError, match="--images"):
        promises.check(by_clock, ALONE)
    with pytest.raises(UserError, match="drawn in batches"):
        Promise.made(1.0, 1e-5, pictures=10, batch_size=11, steps=1)
    monkeypatch.setattr(dp_gan.Config, "SAMPLER", "shuffled")
    with pytest.raises(UserError, match="poisson"):
        promises.check(config(), ALONE)


def test_a_private_method_is_asked_for_by_name() -> None:
    found: Any = load(RunConfig, {}, as_changes("dp_gan", 1.0, None, None, [], private="3")).method
    assert (found.component_name(), found.epsilon) == ("dp_gan", 3.0)
    with pytest.raises(UserError, match="--method dp_gan or dp_merf"):
        as_changes("gan", 1.0, None, None, [], private="3")


# -- a whole run --------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """The machine stops: nothing is saved any more."""


def weights(run_folder: Path) -> dict[str, torch.Tensor]:
    nets = allaprima.load(run_folder).nets
    return {f"{net}.{key}": value for net, own in nets.items() for key, value in own.state_dict().items()}


def begun(folder: Path, dataset: Path, images: int = 96, **changes: Any) -> Any:
    return create(folder, config(images, **changes), Dataset.open(dataset))


@pytest.fixture
def one_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("allaprima.methods._promise.secrets.token_hex", lambda count: "5a" * count)


def last_promise(folder: Path) -> Promise:
    from allaprima.training import checkpoint

    newest, _ = checkpoint.newest(folder / "checkpoints")
    assert newest is not None
    return Promise.of_tensor(checkpoint.load(newest)[0]["method._extra_state"])


def test_twenty_kills_change_neither_the_weights_nor_what_is_spent(
    tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_secret: None
) -> None:
    images, kept_often = 30 * 12, {"checkpoint_seconds": 1e-6, "ticks": 1}
    whole = begun(tmp_path / "whole", tiny_dataset, images, training=kept_often)
    train(whole, lambda words: None)
    monkeypatch.setattr("allaprima.training.session.SAVING", 0)
    steps, step, kills = 0, Learner.step, 0

    def dying(learner: Learner, batch: Any, total_images: int) -> Any:
        nonlocal steps
        steps += 1
        found = step(learner, batch, total_images)
        if steps % 2 == 0 and kills < 20:
            raise Killed
        return found

    run = begun(tmp_path / "killed", tiny_dataset, images, training=kept_often)
    monkeypatch.setattr(Learner, "step", dying)
    while True:
        try:
            outcome = train(run, lambda words: None)
            break
        except Killed:
            kills += 1
            run = open_run(tmp_path / "killed")
    assert (kills, outcome.ending) == (20, "finished")
    one, other = weights(tmp_path / "whole"), weights(tmp_path / "killed")
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert last_promise(tmp_path / "killed") == last_promise(tmp_path / "whole")
    made = last_promise(tmp_path / "killed")
    assert (made.spent, made.left) == (30, 0)
    spent = _subsampled.epsilon_of(made.noise, 1e-5, made.rate, made.spent)
    assert 0.98 * 8 < spent <= 8 * (1 + 1e-6)


def test_a_larger_budget_goes_on_to_the_promise_and_no_further(tiny_dataset: Path, tmp_path: Path) -> None:
    run = begun(tmp_path / "run", tiny_dataset, 48)
    train(run, lambda words: None)
    more = run.config.model_copy(update={"budget": config(480).budget})
    outcome = train(type(run)(run.folder, more, run.dataset), lambda words: None)
    assert outcome.num_images_seen == 48
    assert last_promise(tmp_path / "run").spent == 4


def test_where_the_step_falls_the_budget_stays(tiny_dataset: Path, tmp_path: Path) -> None:
    """With another end the same noise would lie on other gradients: their difference would be told."""
    run = begun(tmp_path / "run", tiny_dataset, 50, training={"lr_end": 0.5})
    train(run, lambda words: None)
    assert train(open_run(run.folder), lambda words: None).ending == "standing"
    more = run.config.model_copy(update={"budget": config(480).budget})
    with pytest.raises(UserError, match="same budget"):
        train(type(run)(run.folder, more, run.dataset), lambda words: None)


def test_without_its_checkpoints_a_run_is_over(tiny_dataset: Path, tmp_path: Path) -> None:
    run = begun(tmp_path / "run", tiny_dataset, 24)
    train(run, lambda words: None)
    shutil.rmtree(run.checkpoints)
    with pytest.raises(UserError, match="ε of its own"):
        train(open_run(run.folder), lambda words: None)


def test_a_return_to_an_earlier_moment_makes_no_release_twice_and_ends_sooner(
    tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from allaprima.training.faults import Watch

    made, looks, stream = [], 0, Promise._stream

    def noted(promise: Promise, name: str, size: int) -> bytes:
        if name == "noise":
            made.append(promise.spent)
        return stream(promise, name, size)

    def faulty(watch: Watch) -> int:
        nonlocal looks
        looks += 1
        return 3 if looks == 5 else 0

    monkeypatch.setattr(Promise, "_stream", noted)
    monkeypatch.setattr(Watch, "look", faulty)
    said: list[str] = []
    outcome = train(begun(tmp_path / "run", tiny_dataset, 120), said.append)
    assert any("back to 0" in words for words in said)
    assert made == list(range(10)), "ten steps were promised, five of them before the return"
    assert outcome.num_images_seen == 60


def test_nothing_but_checkpoints_knows_the_secret_and_nothing_looks_at_pictures_again(
    tiny_dataset: Path, tmp_path: Path
) -> None:
    run = begun(tmp_path / "run", tiny_dataset)
    said: list[str] = []
    train(run, said.append)
    made = last_promise(tmp_path / "run")
    secret = bytes.fromhex(made.secret)
    shown = [path for path in run.folder.rglob("*") if path.is_file() and "checkpoints" not in path.parts]
    assert {"run.yaml", "bundle.json", "card.md", "stats.jsonl"} <= {path.name for path in shown}
    for path in shown:
        content = path.read_bytes()
        assert secret not in content, path
        assert made.secret.encode() not in content, path
    assert made.secret not in "".join(said) + repr(made)
    told = allaprima.load(run.folder).description
    assert told.provenance["privacy"]["epsilon"] == 8.0
    assert told.provenance["dataset_fingerprint"] is None
    assert len(set(told.condition_weights)) == 1, "how frequent classes are was not promised to be told"
    card = (run.folder / "bundle" / "card.md").read_text()
    assert "ε = 8, δ = 1e-05" in card
    assert "added or left out" in card
    assert run.config.training.mirror == "off", "to look whether pictures are symmetric would tell something"
    for line in (run.folder / "stats.jsonl").read_text().splitlines():
        assert not [key for key in json.loads(line) if key.startswith("validation/")]


def test_nothing_leaves_training_without_a_promise(tiny_dataset: Path, tmp_path: Path) -> None:
    from allaprima.training import publish

    run = begun(tmp_path / "run", tiny_dataset)
    learner = Learner.of(run, Device(torch.device("cpu"), "fp32"))
    with pytest.raises(RuntimeError, match="without a promise"):
        publish.write_now(run, learner, 1.0)
    assert not (run.folder / "bundle").exists()
