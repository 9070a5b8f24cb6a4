"""A fitted prior from training to the studio: whose posteriors it learns, what is painted from it, and what is kept."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import allaprima
from allaprima.bundle.bundle import Bundle
from allaprima.bundle.untrained import save, untrained
from allaprima.core.config import load
from allaprima.core.device import Device
from allaprima.data.dataset import Dataset
from allaprima.models.priors import Posteriors
from allaprima.models.priors.gmm import Config, expectation_maximisation, log_densities
from allaprima.runtime.engine import Engine
from allaprima.runtime.session import Point, State, latent, noise
from allaprima.training import aggregate, loop, publish
from allaprima.training import run as runs
from allaprima.training.config import RunConfig
from allaprima.training.learner import Learner
from tests.unit._runs import LOOP, PIXELS, one_thread

__all__ = ["one_thread"]

CONV = {"name": "conv", "width": 8, "max_width": 16}
DIM = 8
TINY_VAE = [
    "method=vae",
    *(
        f"method.{net}.{key}={value}"
        for net in ("encoder", "decoder")
        for key, value in (("width", 8), ("max_width", 16))
    ),
    "method.prior.components=4",
    "training.ticks=2",
]


def posteriors(classes: int = 2, count: int = 400) -> Posteriors:
    """Two clouds, one a class, of the conditions that ``bundle`` embeds."""
    draw = torch.Generator().manual_seed(1)
    labels = torch.arange(count) % 2
    mean = torch.randn(count, DIM, generator=draw) * 0.5 + torch.where(labels == 1, 1.0, -1.0)[:, None]
    return Posteriors(mean, torch.full_like(mean, 0.1), labels, torch.zeros(classes, 16))


@pytest.fixture(scope="module")
def vae() -> Bundle:
    """A bundle of two classes whose prior is fitted."""
    bundle = untrained(16, classes=["low", "high"], latent_dim=DIM, generator=CONV, encoder=CONV, prior="gmm")
    data = posteriors()
    embedded = bundle.condition(torch.arange(2))
    bundle.prior.fit(Posteriors(data.mean, data.deviation, data.labels, embedded), 0)  # type: ignore[union-attr, operator]
    return bundle


def test_pictures_are_painted_from_the_prior(vae: Bundle) -> None:
    low, high = torch.zeros(200, dtype=torch.int64), torch.ones(200, dtype=torch.int64)
    assert vae.latents(200, asked=low).mean() == pytest.approx(-1, abs=0.2)
    assert vae.latents(200, asked=high).mean() == pytest.approx(1, abs=0.2)
    painted = vae.sample(5, seed=3, label="high", as_="tensor")
    assert torch.equal(painted, vae.decode(vae.latents(5, 3, asked=high[:5]), high[:5]))


@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_a_picture_from_a_prior_depends_on_its_seed_alone(vae: Bundle, batch_size: int) -> None:
    whole = vae.sample(19, seed=5, as_="tensor")
    assert torch.equal(vae.sample(19, seed=5, batch_size=batch_size, as_="tensor"), whole)
    assert torch.equal(vae.sample(4, seed=5, as_="tensor"), whole[:4])


def test_truncation_scales_the_noise_and_not_the_latent(vae: Bundle) -> None:
    still = vae.sample(3, label="high", truncation=0, as_="tensor")
    assert (still == still[0]).all()
    middle = vae.from_noise(torch.zeros(1, DIM), torch.tensor([1]))
    assert middle.mean() > 0.5, "the middle of the class, not of the space"


def test_a_state_of_the_studio_shows_what_the_prior_makes_of_its_noise(vae: Bundle) -> None:
    for state in (State(seed=7, label="high"), State(seed=7, x=0.4, y=-0.2, truncation=0.6, label="low")):
        wanted = vae.from_noise(noise(state, vae)[None], vae.asked(1, label=state.label))[0]
        torch.testing.assert_close(latent(state, vae), wanted)
    torch.testing.assert_close(latent(State(seed=7, label="low"), vae), vae.latents(1, 7, asked=torch.tensor([0]))[0])


def test_between_two_pins_noise_is_mixed_and_frames_stay_apart(vae: Bundle) -> None:
    a, b = Point(seed=1, label="low"), Point(seed=2, label="high")
    states = [State(a=a, b=b, mix=mix) for mix in (0.0, 0.5, 1.0)]
    assert latent(states[0], vae).mean() < 0 < latent(states[2], vae).mean()
    engine = Engine(vae)
    together = engine.render(states)
    for place, state in enumerate(states):
        assert np.array_equal(engine.render([state])[0], together[place])


def test_a_bundle_with_a_prior_survives_the_way_to_disk(vae: Bundle, tmp_path: Path) -> None:
    save(vae, tmp_path)
    assert json.loads((tmp_path / "bundle.json").read_text(encoding="utf-8"))["version"] == 2
    again = allaprima.load(tmp_path)
    assert torch.equal(again.sample(3, as_="tensor"), vae.sample(3, as_="tensor"))


def test_a_bundle_of_version_1_is_read_and_has_no_prior(tmp_path: Path) -> None:
    gan = untrained(16, latent_dim=DIM, generator=CONV)
    save(gan, tmp_path)
    values = json.loads((tmp_path / "bundle.json").read_text(encoding="utf-8"))
    del values["prior"]
    (tmp_path / "bundle.json").write_text(json.dumps({**values, "version": 1}), encoding="utf-8")
    again = allaprima.load(tmp_path)
    assert again.prior is None
    assert torch.equal(again.latents(3, seed=2), again.noise(3, seed=2))
    assert torch.equal(again.sample(3, as_="tensor"), gan.sample(3, as_="tensor"))


def test_encoding_and_reconstructing_do_not_go_through_the_prior(vae: Bundle) -> None:
    pictures = vae.sample(2, label=["low", "high"])
    bare = Bundle(vae.description, {name: net for name, net in vae.nets.items() if name != "prior"})
    for same in ("encode", "reconstruct"):
        one, other = (getattr(bundle, same)(pictures, label=["low", "high"]) for bundle in (vae, bare))
        assert all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in zip(one, other, strict=True))


def test_a_trained_vae_leaves_a_bundle_whose_prior_knows_the_training_pictures_alone(
    tmp_path: Path, tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def remember(places: np.ndarray, *rest: object) -> np.ndarray:
        seen.extend(places.tolist())
        return places

    monkeypatch.setattr(aggregate, "choose", remember)
    config = load(RunConfig, {"budget": {"images": 480}}, [*LOOP, PIXELS, *TINY_VAE])
    run = runs.create(tmp_path / "run", config, Dataset.open(tiny_dataset))
    loop.train(run)
    assert set(seen) == set(run.dataset.indices("train").tolist())
    bundle = allaprima.load(run.folder)
    assert bundle.prior is not None
    assert not torch.equal(bundle.latents(4), bundle.noise(4))


def test_the_same_learner_gives_the_same_prior_whenever_it_is_asked(tmp_path: Path, tiny_dataset: Path) -> None:
    config = load(RunConfig, {"budget": {"images": 480}}, [*LOOP, PIXELS, *TINY_VAE])
    run = runs.create(tmp_path / "run", config, Dataset.open(tiny_dataset))
    learner = Learner.of(run, Device.choose("fp32"))
    one, again = (publish.as_bundle(run, learner, {})[0].nets["prior"].state_dict() for _ in range(2))
    assert all(torch.equal(one[key], again[key]) for key in one)


def test_densities_are_those_of_torchs_own_distribution() -> None:
    draw = torch.Generator().manual_seed(2)
    z, means = torch.randn(5, 3, generator=draw), torch.randn(2, 3, generator=draw)
    roots = torch.randn(2, 3, 3, generator=draw)
    covariances = roots @ roots.mT + torch.eye(3)
    wanted = torch.distributions.MultivariateNormal(means, covariances).log_prob(z[:, None])
    torch.testing.assert_close(log_densities(z, means, covariances), wanted)


def test_expectation_maximisation_finds_what_scikit_learn_finds() -> None:
    mixture = pytest.importorskip("sklearn.mixture", reason="the comparison needs scikit-learn")
    data = posteriors(classes=1)
    sharp = Posteriors(data.mean, torch.zeros_like(data.mean), torch.zeros_like(data.labels), torch.zeros(1, 0))
    _, means, covariances = expectation_maximisation(sharp, 1, 2, 50, 0.0, 0)
    peer = mixture.GaussianMixture(2, n_init=3, random_state=0).fit(data.mean.numpy())
    order = np.argsort(peer.means_[:, 0])
    ours = means[:, 0].argsort()
    np.testing.assert_allclose(means[ours], peer.means_[order], atol=0.02)
    np.testing.assert_allclose(covariances[ours], peer.covariances_[order], atol=0.02)


def test_the_velocity_of_one_component_carries_noise_to_it_as_the_closed_form_says() -> None:
    """With one Gaussian the flow has x₁ = μ + Σ^½ x₀."""
    draw = torch.Generator().manual_seed(3)
    root = torch.randn(DIM, DIM, generator=draw) * 0.3 + torch.eye(DIM)
    mean = torch.randn(3000, DIM, generator=draw) @ root + 2
    data = Posteriors(mean, torch.zeros_like(mean), torch.zeros(3000, dtype=torch.int64), torch.zeros(1, 0))
    prior = Config(components=1, steps=64).build(DIM, 0, 0)
    prior.fit(data, 0)
    values, axes = torch.linalg.eigh(torch.cov(mean.T, correction=0))
    x0 = torch.randn(50, DIM, generator=draw)
    wanted = mean.mean(0) + x0 @ (axes * values.sqrt()) @ axes.T
    torch.testing.assert_close(prior(x0, torch.zeros(50, 0)), wanted, atol=0.02, rtol=0.02)
