"""Every prior maps noise to the latents that it was fitted to, each from its own noise and class alone, continuously."""

from __future__ import annotations

import pytest
import torch

from allaprima.core.config import Choice, Component
from allaprima.models.priors import PRIORS, Posteriors, Prior
from tests.contracts.tiny import BATCH, CONDITION_DIM, LATENT_DIM, assert_survives_disk, small

every_prior = pytest.mark.parametrize("name", PRIORS.names())
every_fitted_prior = pytest.mark.parametrize("name", [name for name in PRIORS.names() if name != "standard"])
CLASSES = 2


def posteriors(count: int = 600, classes: int = CLASSES, apart: float = 2.0) -> Posteriors:
    """Two clouds apart from each other, one a class; the second is stretched."""
    draw = torch.Generator().manual_seed(1)
    labels = torch.arange(count) % 2
    upper = labels == 1
    mean = torch.randn(count, LATENT_DIM, generator=draw) * 0.4
    mean[:, 0] *= torch.where(upper, 2.0, 1.0)
    mean += torch.where(upper, apart, -apart)[:, None]
    deviation = torch.full_like(mean, 0.1)
    embedded = torch.randn(classes, CONDITION_DIM, generator=draw) if classes else torch.zeros(1, 0)
    return Posteriors(mean, deviation, labels if classes else torch.zeros_like(labels), embedded)


def quick(name: str) -> Component:
    """The Config of one prior that is fitted within seconds, and still finds two clouds."""
    changes = {"width": 64, "updates": 600, "batch_size": 256}
    return small(
        PRIORS, name, **{key: changes[key] for key in changes.keys() & PRIORS.get(name).Config.model_fields.keys()}
    )


def fitted(name: str, data: Posteriors, seed: int = 0) -> Prior:
    prior: Prior = quick(name).build(LATENT_DIM, data.embedded.shape[1], data.embedded.shape[1] and CLASSES)
    prior.fit(data, seed)
    return prior.eval()


def noise(count: int = BATCH) -> torch.Tensor:
    return torch.randn(count, LATENT_DIM, generator=torch.Generator().manual_seed(2))


def conditions(data: Posteriors, place: int, count: int = BATCH) -> torch.Tensor:
    return data.embedded[place].expand(count, -1)


@every_prior
def test_noise_becomes_finite_latents_of_the_promised_shape(name: str) -> None:
    data = posteriors()
    with torch.no_grad():
        for prior in (small(PRIORS, name).build(LATENT_DIM, CONDITION_DIM, CLASSES), fitted(name, data)):
            made = prior(noise(), conditions(data, 0))
            assert made.shape == (BATCH, LATENT_DIM)
            assert made.isfinite().all()


@every_prior
def test_a_latent_does_not_depend_on_its_neighbours(name: str) -> None:
    data = posteriors()
    prior = fitted(name, data)
    with torch.no_grad():
        together, alone = prior(noise(), conditions(data, 1)), prior(noise()[:1], conditions(data, 1, 1))
    torch.testing.assert_close(together[:1], alone, rtol=1e-4, atol=1e-4)


@every_fitted_prior
def test_it_draws_the_distribution_that_it_was_fitted_to(name: str) -> None:
    data = posteriors(classes=0)
    with torch.no_grad():
        made = fitted(name, data)(noise(2000), torch.zeros(2000, 0))
    wanted = data.draw(0)
    upper = made[:, 1] > 0
    assert 0.4 < upper.float().mean() < 0.6, "both clouds are drawn alike often"
    for here, there in ((made[upper], wanted[data.mean[:, 1] > 0]), (made[~upper], wanted[data.mean[:, 1] < 0])):
        torch.testing.assert_close(here.mean(0), there.mean(0), atol=0.35, rtol=0.1)
        assert (here.std(0) < 2.5 * there.std(0)).all()


@every_fitted_prior
def test_each_class_has_its_own_latents(name: str) -> None:
    data = posteriors()
    prior = fitted(name, data)
    for place, sign in ((0, -1), (1, 1)):
        with torch.no_grad():
            made = prior(noise(200), conditions(data, place, 200))
        assert (sign * made[:, 1] > 0).float().mean() > 0.95


@every_prior
def test_the_map_is_continuous_in_the_noise(name: str) -> None:
    # farther apart it is continuous too, but so steep between the clouds that float32 has no numbers for it
    prior = fitted(name, posteriors(classes=0, apart=0.4))
    start, end = -torch.ones(LATENT_DIM), torch.ones(LATENT_DIM)

    def longest_step(count: int) -> float:
        steps = torch.lerp(start, end, torch.linspace(0, 1, count + 1, dtype=torch.float64)[:, None].float())
        with torch.no_grad():
            way = prior(steps, torch.zeros(len(steps), 0))
        return float((way[1:] - way[:-1]).norm(dim=1).max())

    assert longest_step(8000) < 0.3 * longest_step(1000), "a jump would stay as long as it is"


@every_prior
def test_fitting_again_gives_the_very_same_prior_and_leaves_torchs_own_generator_alone(name: str) -> None:
    priors = [quick(name).build(LATENT_DIM, CONDITION_DIM, CLASSES) for _ in range(2)]
    before = torch.random.get_rng_state()
    for prior in priors:
        prior.fit(posteriors(), seed=3)
    assert torch.equal(torch.random.get_rng_state(), before)
    one, same = (prior.state_dict() for prior in priors)
    assert all(torch.equal(one[key], same[key]) for key in one)


@every_prior
def test_a_prior_survives_the_round_trip_to_disk(name: str) -> None:
    data = posteriors()
    config = small(PRIORS, name)

    def run(net: torch.nn.Module) -> torch.Tensor:
        return net(noise(), conditions(data, 0))

    assert_survives_disk(lambda: config.build(LATENT_DIM, CONDITION_DIM, CLASSES), run)


@every_prior
def test_two_pictures_are_enough_to_fit(name: str) -> None:
    few = posteriors(2)
    with torch.no_grad():
        made = fitted(name, few)(noise(), conditions(few, 0))
    assert made.isfinite().all()


@every_prior
def test_settings_survive_being_written_and_read(name: str) -> None:
    config = small(PRIORS, name)
    assert Choice(PRIORS).resolve(config.model_dump(mode="json")) == config
