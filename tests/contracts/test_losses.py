"""Every loss and penalty: one finite value a sample, with a gradient that pulls the right way."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from allaprima.losses.adversarial import ADVERSARIAL
from allaprima.losses.penalties import PENALTIES
from allaprima.losses.reconstruction import RECONSTRUCTION

N = 8


def scores(seed: int) -> torch.Tensor:
    return torch.randn(N, generator=torch.Generator().manual_seed(seed)).requires_grad_()


@pytest.mark.parametrize("name", ADVERSARIAL.names())
def test_the_discriminator_is_better_off_when_real_scores_rise_and_fake_ones_fall(name: str) -> None:
    real, fake = scores(0), scores(1)
    values = ADVERSARIAL.get(name).discriminator(real, fake)
    assert values.shape == (N,)
    assert values.isfinite().all()
    values.sum().backward()
    with torch.no_grad():
        better = ADVERSARIAL.get(name).discriminator(real - 1e-3 * real.grad, fake - 1e-3 * fake.grad)
    assert better.sum() < values.sum()
    told_apart = ADVERSARIAL.get(name).discriminator(torch.ones(N), -torch.ones(N))
    fooled = ADVERSARIAL.get(name).discriminator(-torch.ones(N), torch.ones(N))
    assert told_apart.mean() < fooled.mean()


@pytest.mark.parametrize("name", ADVERSARIAL.names())
def test_the_generator_is_better_off_when_its_samples_score_higher(name: str) -> None:
    real, fake = scores(0), scores(1).detach().sub(1).requires_grad_()
    values = ADVERSARIAL.get(name).generator(real, fake)
    assert values.shape == (N,)
    assert values.isfinite().all()
    values.sum().backward()
    assert fake.grad is not None
    assert fake.grad.sum() < 0


@pytest.mark.parametrize("name", ADVERSARIAL.names())
def test_enormous_scores_give_finite_losses_and_gradients(name: str) -> None:
    loss = ADVERSARIAL.get(name)
    for play in (loss.discriminator, loss.generator):
        real, fake = torch.full((2,), 1e4, requires_grad=True), torch.full((2,), -1e4, requires_grad=True)
        for values in (play(real, fake), play(fake, real)):
            assert values.isfinite().all()
            (gradient,) = torch.autograd.grad(values.sum() + 0 * (real + fake).sum(), fake)
            assert gradient.isfinite().all()


@pytest.mark.parametrize("name", ADVERSARIAL.names())
def test_a_loss_names_a_penalty_that_exists(name: str) -> None:
    assert ADVERSARIAL.get(name).PENALTY in PENALTIES.names()


@pytest.mark.parametrize("spatial", [(8, 8), (12, 8)])
@pytest.mark.parametrize("name", PENALTIES.names())
def test_a_penalty_is_one_value_a_sample_and_moves_the_discriminator(name: str, spatial: tuple[int, int]) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.SiLU(), nn.Flatten(), nn.LazyLinear(1))
    real, fake, mix = torch.randn(N, 3, *spatial), torch.randn(N, 3, *spatial), torch.rand(N)
    module = PENALTIES.get(name)
    values = module.penalty(lambda x: net(x).squeeze(1), real, fake, mix)
    assert values.shape == (N,)
    assert values.isfinite().all()
    assert (values >= 0).all()
    assert module.WEIGHT >= 0
    if module.WEIGHT:
        values.mean().backward()
        assert net[0].weight.grad.isfinite().all()
        assert net[0].weight.grad.abs().max() > 0


@pytest.mark.parametrize("name", PENALTIES.names())
def test_a_penalty_of_a_discriminator_that_ignores_its_input_is_finite(name: str) -> None:
    constant = nn.Parameter(torch.zeros(3 * 8 * 8))
    samples = torch.randn(N, 3, 8, 8)
    values = PENALTIES.get(name).penalty(lambda x: x.flatten(1) @ constant, samples, -samples, torch.rand(N))
    assert values.isfinite().all()
    if values.requires_grad:
        values.sum().backward()
        assert constant.grad.isfinite().all()


@pytest.mark.parametrize("name", RECONSTRUCTION.names())
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_reconstruction_loss_is_least_where_nothing_was_lost(name: str, channels: int) -> None:
    draw = torch.Generator().manual_seed(0)
    samples = torch.rand(N, channels, 8, 8, generator=draw) * 2 - 1
    noise = torch.randn(samples.shape, generator=draw)
    reconstruction = RECONSTRUCTION.get(name).reconstruction
    decoded = (samples + 0.1 * noise).requires_grad_()
    values = reconstruction(samples, decoded)
    assert values.shape == (N,)
    perfect, worse = reconstruction(samples, samples), reconstruction(samples, samples + 0.5 * noise)
    assert perfect.isfinite().all()
    assert perfect.mean() < values.mean() < worse.mean()
    values.mean().backward()
    assert decoded.grad is not None
    assert (decoded.grad * noise).sum() > 0, "descending does not lead back to the sample"
