"""A private run: its noise is what was promised, and nothing else of the pictures gets through."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

import allaprima
from allaprima.core.config import load
from allaprima.core.device import Device
from allaprima.core.errors import UserError
from allaprima.data.batch import Batch
from allaprima.data.dataset import Dataset
from allaprima.domains import Shape
from allaprima.methods import _gaussian
from allaprima.models.conditions import label, none
from allaprima.training import survey
from allaprima.training.command import as_changes
from allaprima.training.config import RunConfig
from allaprima.training.learner import Learner
from allaprima.training.loop import train
from allaprima.training.run import create, open_run
from tests.unit._runs import one_thread

__all__ = ["one_thread"]  # used by pytest

SMALL = {"name": "dp_merf", "frequencies": 64, "latent_dim": 4, "generator": {"name": "dcgan", "width": 8}}


def config(**changes: Any) -> RunConfig:
    training = {"batch_size": 12, "precision": "fp32", "threads": 1, "ticks": 2}
    return load(RunConfig, {"method": SMALL | changes, "training": training, "budget": {"images": 96}})


@pytest.mark.parametrize(
    ("epsilon", "sigma", "delta"),
    # reliability.md's anchor (q = 1, σ = 5, one step), by privacy loss distributions; ours is exact
    [(0.726, 5.0, 1e-5)],
)
def test_epsilon_is_within_a_hundredth_of_another_accountants(epsilon: float, sigma: float, delta: float) -> None:
    assert _gaussian.epsilon_of(sigma, delta) == pytest.approx(epsilon, rel=0.01)


@pytest.mark.parametrize("epsilon", [0.01, 0.1, 1.0, 8.0, 50.0])
@pytest.mark.parametrize("delta", [1e-10, 1e-5, 1e-3])
def test_noise_and_epsilon_are_each_others_reverse(epsilon: float, delta: float) -> None:
    sigma = _gaussian.noise_for(epsilon, delta)
    assert _gaussian.delta_of(epsilon, sigma) <= delta * (1 + 1e-6)
    assert _gaussian.epsilon_of(sigma, delta) == pytest.approx(epsilon, rel=1e-6)
    classic = math.sqrt(2 * math.log(1.25 / delta)) / epsilon  # Dwork, Roth 2014, theorem A.1: more than is needed
    assert epsilon > 1 or sigma < classic


def test_delta_is_what_the_two_normal_distributions_say() -> None:
    """The divergence by integration, which knows nothing of the theorem."""
    sigma, epsilon = 1.7, 0.9
    x = np.linspace(-30, 30, 2_000_001)

    def density(mean: float) -> np.ndarray:
        return np.exp(-((x - mean) ** 2) / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi))

    divergence = np.maximum(density(1.0) - math.exp(epsilon) * density(0.0), 0).sum() * (x[1] - x[0])
    assert _gaussian.delta_of(epsilon, sigma) == pytest.approx(divergence, rel=1e-4)


def surveyed(samples: torch.Tensor, labels: torch.Tensor, **changes: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """The means and shares of these pictures; the noise is left out by a promise that promises nothing much."""
    chosen = config(**changes).method
    torch.manual_seed(0)
    method = chosen.build(Shape(1, (8, 8)), label.Config(classes=["a", "b", "c"]))
    method.survey([Batch(samples, torch.arange(len(samples)), {"label": labels})])
    return method.target, method.shares


def test_one_picture_moves_the_release_by_its_sensitivity_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("allaprima.methods.dp_merf.noise_for", lambda epsilon, delta: 0.0)
    random = torch.Generator().manual_seed(0)
    most = 0.0
    for trial in range(60):
        samples = torch.rand(9, 1, 8, 8, generator=random) * 2 - 1
        labels = torch.randint(3, (9,), generator=random)
        others, names = samples.clone(), labels.clone()
        others[0] = -samples[0] if trial % 2 else torch.rand(1, 8, 8, generator=random) * 20 - 10
        names[0] = torch.randint(3, (), generator=random)
        one, other = surveyed(samples, labels), surveyed(others, names)
        # shares are clamped afterwards, which costs nothing; the counts before are what has a sensitivity
        counts = [torch.bincount(each, minlength=3) / 9.0 for each in (labels, names)]
        moved = (one[0] - other[0]).square().sum() + (counts[0] - counts[1]).square().sum()
        most = max(most, 9 * float(moved.sqrt()))
    assert 1.0 < most <= 2.0 + 1e-5


def test_the_noise_is_as_large_as_promised_and_never_the_same() -> None:
    samples, labels = torch.zeros(30, 1, 8, 8), torch.arange(30) % 3
    exact = surveyed(samples, labels, epsilon=100.0)[0]
    found = torch.stack([surveyed(samples, labels, epsilon=0.5)[0] - exact for _ in range(20)])
    assert float(found.std()) * 30 == pytest.approx(2 * _gaussian.noise_for(0.5, 1e-5), rel=0.1)
    assert len({float(one[0, 0]) for one in found}) == 20, "a seed that somebody knows would take the noise away"


def test_steps_look_at_no_picture() -> None:
    """Other pictures and other classes, the same survey: the same weights to the bit."""

    def learned(seed: int) -> dict[str, torch.Tensor]:
        condition = label.Config(classes=["a", "b", "c"])
        learner = Learner(config(), Shape(1, (8, 8)), condition, Device(torch.device("cpu"), "fp32"), seed=0)
        learner.method.target.normal_(generator=torch.Generator().manual_seed(7))
        random = torch.Generator().manual_seed(seed)
        for _ in range(4):
            samples = torch.rand(12, 1, 8, 8, generator=random) * 2 - 1
            labels = torch.randint(3, (12,), generator=random)
            learner.step(Batch(samples, torch.arange(12), {"label": labels}), 96)
        return learner.tensors()

    one, other = learned(1), learned(2)
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_a_run_is_surveyed_once_and_leaves_nothing_but_the_promise(tiny_dataset: Path, tmp_path: Path) -> None:
    run = create(tmp_path / "run", config(), Dataset.open(tiny_dataset))
    said: list[str] = []
    train(run, said.append)
    assert sum("private: ε = " in line for line in said) == 1
    released = (tmp_path / "run" / survey.FILE).read_bytes()
    learner = Learner.of(open_run(tmp_path / "run"), Device(torch.device("cpu"), "fp32"))
    survey.take(run, learner)
    assert (tmp_path / "run" / survey.FILE).read_bytes() == released, "a second release would double what is told"
    kept = safetensors.torch.load(released)
    assert torch.equal(learner.method.target, kept["target"])  # type: ignore[arg-type]  # a buffer
    made = allaprima.load(tmp_path / "run").description.provenance
    assert made["privacy"]["epsilon"] == 1.0
    assert made["dataset_fingerprint"] is None
    card = (tmp_path / "run" / "bundle" / "card.md").read_text()
    assert "ε = 1, δ = 1e-05" in card
    assert "Not covered" in card
    assert run.dataset.manifest.fingerprint not in card
    for line in (tmp_path / "run" / "stats.jsonl").read_text().splitlines():
        assert not [key for key in json.loads(line) if key.startswith("validation/")], (
            "that would look at real pictures"
        )
    weights = allaprima.load(tmp_path / "run").description.condition_weights
    exact = np.bincount(run.dataset.labels[run.dataset.indices("train")]) / len(run.dataset.indices("train"))
    assert not np.allclose(weights, exact, atol=1e-4), "shares are released with noise"


def test_a_killed_survey_is_taken_again_and_a_kept_one_is_not(tiny_dataset: Path, tmp_path: Path) -> None:
    run = create(tmp_path / "run", config(), Dataset.open(tiny_dataset))
    device = Device(torch.device("cpu"), "fp32")
    first, second = Learner.of(run, device), Learner.of(run, device)
    survey.take(run, first)
    survey.take(run, second)
    assert torch.equal(first.method.target, second.method.target)  # type: ignore[arg-type]  # buffers


def test_what_is_not_covered_is_refused() -> None:
    from allaprima.models.conditions import attributes

    with pytest.raises(UserError, match="condition=label"):
        config().method.build(Shape(1, (8, 8)), attributes.Config())
    config().method.build(Shape(1, (8, 8)), none.Config())


def test_the_promise_is_read_in_words() -> None:
    for words, epsilon, delta in (("2", 2.0, 1e-5), ("epsilon=3", 3.0, 1e-5), ("epsilon=1,delta=1e-6", 1.0, 1e-6)):
        method = load(RunConfig, {}, as_changes(None, 1.0, None, None, [], private=words)).method
        assert (method.component_name(), method.epsilon, method.delta) == ("dp_merf", epsilon, delta)
    for wrong in ("delta=1", "alpha=2", "epsilon=1,sigma=2"):
        with pytest.raises(UserError, match="--private 1"):
            as_changes(None, 1.0, None, None, [], private=wrong)
    with pytest.raises(UserError, match="--method"):
        as_changes("vae", 1.0, None, None, [], private="1")
