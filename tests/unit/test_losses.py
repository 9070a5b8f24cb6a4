"""Losses against their equations, worked out another way: by probabilities, by distributions, by finite differences."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from allaprima.losses.adversarial import ADVERSARIAL, relativistic
from allaprima.losses.divergence import kl_to_standard_normal
from allaprima.losses.penalties import interpolated, r1, r1_r2
from allaprima.losses.reconstruction import optimal_sigma, squared_error

REAL, FAKE = torch.tensor([2.0, -1.0, 0.3]), torch.tensor([-0.5, 1.5, 0.0])


def test_the_non_saturating_loss_is_binary_cross_entropy_on_logits() -> None:
    loss, ones, zeros = ADVERSARIAL.get("non_saturating"), torch.ones(3), torch.zeros(3)
    expected = bce(REAL, ones, reduction="none") + bce(FAKE, zeros, reduction="none")
    assert torch.allclose(loss.discriminator(REAL, FAKE), expected)
    assert torch.allclose(loss.generator(REAL, FAKE), bce(FAKE, ones, reduction="none"))


def test_hinge_stops_where_the_margin_is_reached() -> None:
    loss = ADVERSARIAL.get("hinge")
    assert loss.discriminator(torch.tensor([1.0]), torch.tensor([-1.0])).item() == 0
    assert torch.allclose(loss.discriminator(REAL, FAKE), torch.tensor([0.0 + 0.5, 2.0 + 2.5, 0.7 + 1.0]))
    assert torch.allclose(loss.generator(REAL, FAKE), -FAKE)


def test_least_squares_pulls_real_to_one_and_fake_to_zero() -> None:
    loss = ADVERSARIAL.get("least_squares")
    assert loss.discriminator(torch.tensor([1.0]), torch.tensor([0.0])).item() == 0
    assert torch.allclose(loss.discriminator(REAL, FAKE), 0.5 * ((REAL - 1) ** 2 + FAKE**2))
    assert torch.allclose(loss.generator(REAL, FAKE), 0.5 * (FAKE - 1) ** 2)


def test_the_relativistic_loss_sees_differences_only() -> None:
    loss = ADVERSARIAL.get("relativistic")
    assert torch.allclose(loss.discriminator(REAL, FAKE), -torch.sigmoid(REAL - FAKE).log())
    assert torch.allclose(loss.generator(REAL, FAKE), -torch.sigmoid(FAKE - REAL).log())
    assert torch.allclose(loss.discriminator(REAL + 7, FAKE + 7), loss.discriminator(REAL, FAKE), atol=1e-6)


def test_the_relativistic_loss_compares_each_score_with_a_group_of_others() -> None:
    loss, groups = ADVERSARIAL.get("relativistic"), 3
    real, fake = torch.randn(2, groups * relativistic.GROUP, generator=torch.Generator().manual_seed(0))
    for play, own, other in ((loss.discriminator, real, fake), (loss.generator, fake, real)):
        expected = [
            torch.stack([-torch.sigmoid(own[i] - other[j]).log() for j in range(i % groups, len(other), groups)]).mean()
            for i in range(len(own))
        ]
        assert torch.allclose(play(real, fake), torch.stack(expected), atol=1e-6)


@pytest.mark.parametrize("name", ADVERSARIAL.names())
def test_descending_each_loss_helps_the_one_who_descends(name: str) -> None:
    loss = ADVERSARIAL.get(name)
    real, fake = torch.tensor([0.2], requires_grad=True), torch.tensor([0.1], requires_grad=True)
    loss.discriminator(real, fake).sum().backward()
    assert real.grad is not None
    assert fake.grad is not None
    assert real.grad.item() < 0 < fake.grad.item()  # the discriminator raises real scores and lowers fake ones
    fake.grad = None
    loss.generator(real.detach(), fake).sum().backward()
    assert fake.grad.item() < 0  # the generator raises its own


def quadratic(x: torch.Tensor) -> torch.Tensor:
    """D(x) = Σ x² / 2, whose gradient is x."""
    return 0.5 * x.square().flatten(1).sum(1)


def test_gradient_penalties_are_those_of_a_score_whose_gradient_is_known() -> None:
    real, fake, mix = torch.randn(4, 3, 5, 5), torch.randn(4, 3, 5, 5), torch.rand(4)
    of_real, of_fake = real.square().flatten(1).sum(1), fake.square().flatten(1).sum(1)
    assert torch.allclose(r1.penalty(quadratic, real, fake, mix), 0.5 * of_real)
    assert torch.allclose(r1_r2.penalty(quadratic, real, fake, mix), 0.5 * (of_real + of_fake))
    between = mix.view(-1, 1, 1, 1) * real + (1 - mix.view(-1, 1, 1, 1)) * fake
    expected = (between.square().flatten(1).sum(1).sqrt() - 1) ** 2
    assert torch.allclose(interpolated.penalty(quadratic, real, fake, mix), expected, rtol=1e-4)


def test_a_penalty_reaches_the_weights_of_the_discriminator() -> None:
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 4), torch.nn.LeakyReLU(), torch.nn.Linear(4, 1))
    samples = torch.randn(2, 3, 2, 2)
    r1_r2.penalty(lambda x: net(x).squeeze(1), samples, samples, torch.rand(2)).sum().backward()
    assert net[1].weight.grad is not None
    assert net[1].weight.grad.abs().sum() > 0


def test_the_kl_is_that_of_the_distributions() -> None:
    mean, log_variance = torch.randn(5, 7), torch.randn(5, 7)
    expected = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0)).sum(1)
    assert torch.allclose(kl_to_standard_normal(mean, log_variance), expected, rtol=1e-4, atol=1e-5)


def test_free_bits_cost_a_constant_and_pull_at_nothing() -> None:
    mean = torch.full((4, 2), 0.01, requires_grad=True)
    total = kl_to_standard_normal(mean, torch.zeros(4, 2), free_bits=0.5)
    assert torch.allclose(total, torch.full((4,), 1.0))
    big = torch.full((4, 2), 3.0)
    assert torch.allclose(kl_to_standard_normal(big, torch.zeros(4, 2), 0.5), torch.full((4,), 9.0))


def test_the_squared_error_is_a_sum_and_not_a_mean() -> None:
    samples, decoded = torch.zeros(2, 3, 4, 4), torch.full((2, 3, 4, 4), 0.5)
    assert torch.allclose(squared_error.reconstruction(samples, decoded), torch.full((2,), 48 * 0.25))


def test_optimal_sigma_is_the_gaussian_likelihood_at_the_best_sigma() -> None:
    samples = torch.randn(6, 1, 8, 8)
    decoded = samples + 0.3 * torch.randn_like(samples)
    found = optimal_sigma.reconstruction(samples, decoded).mean()
    sigma = (samples - decoded).square().mean().sqrt()
    expected = -Normal(decoded, sigma).log_prob(samples).flatten(1).sum(1).mean()
    # the soft clip at σ = e^-6 lifts log σ by less than 0.01 here
    assert found.item() == pytest.approx(expected.item(), rel=0.02)
    for other in (0.5, 2.0):
        worse = -Normal(decoded, sigma * other).log_prob(samples).flatten(1).sum(1).mean()
        assert found < worse


def test_optimal_sigma_stays_finite_for_a_perfect_reconstruction() -> None:
    samples = torch.zeros(2, 1, 4, 4, requires_grad=True)
    loss = optimal_sigma.reconstruction(samples.detach(), samples).mean()
    loss.backward()
    assert math.isfinite(loss.item())
    assert samples.grad is not None
    assert samples.grad.isfinite().all()
