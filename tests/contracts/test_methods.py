"""Every method learns, phase by phase, and what it exports is what a bundle can be rebuilt from."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from allaprima.core.config import Choice
from allaprima.core.errors import UserError
from allaprima.data.batch import Batch
from allaprima.domains import Shape
from allaprima.methods import METHODS, Method, Moment
from allaprima.models.conditions import CONDITIONS
from tests.contracts.tiny import SHAPES, asked, small

CLASSES = ["cat", "fish"]
N = 8
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {"vae without an opponent": ("vae", {"adversarial": 0.0})}
# untrained nets paint nearly the same for any noise: a narrow kernel sees the difference
OWN: dict[str, dict[str, Any]] = {
    "dp_merf": {"bandwidth": 1e-4},
    "dp_gan": {"discriminator": {"name": "residual", "width": 8, "max_width": 16}},
}
every_method = pytest.mark.parametrize("name", [*METHODS.names(), *VARIANTS])


def settings(name: str, **changes: Any) -> Any:
    """The Config of a method, small, or of a variant of one."""
    method, own = VARIANTS.get(name, (name, {}))
    return small(METHODS, method, **OWN.get(name, {}), **own, **changes)


def condition(name: str) -> Any:
    return asked(name, CLASSES)[0]


def method(name: str, shape: Shape = SHAPES["rgb"], of: str = "label", **changes: Any) -> Method:
    torch.manual_seed(0)
    return settings(name, **changes).build(shape, condition(of)).train()


def batch(shape: Shape = SHAPES["rgb"], of: str = "label") -> Batch:
    """Flat colours: something that a tiny net can learn in a few steps."""
    draw = torch.Generator().manual_seed(1)
    samples = torch.rand(N, shape.channels, *[1] * len(shape.spatial), generator=draw).mul(2).sub(1)
    samples = samples.expand(N, shape.channels, *shape.spatial).contiguous()
    config, raw, _ = asked(of, CLASSES)
    prepared = config.prepare(raw)[torch.arange(N) % len(CLASSES)]
    return Batch(samples, torch.arange(N), {of: prepared})


def descend(learner: Method, phase: str, samples: Batch, seed: int = 3, progress: float = 0.5) -> torch.Tensor:
    """What the phase's parameters go down: the sum of everything that is not only shown."""
    losses = learner.step(phase, samples, Moment(progress, torch.Generator().manual_seed(seed)))
    assert all(value.dim() == 0 and value.isfinite() for value in losses.values()), losses
    assert losses.keys() - learner.watched, "nothing to descend"
    return torch.stack([value for key, value in losses.items() if key not in learner.watched]).sum()


@every_method
@pytest.mark.parametrize("of", CONDITIONS.names())
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_each_phase_moves_its_own_parameters(name: str, shape: Shape, of: str) -> None:
    if of not in getattr(settings(name), "FOLLOWS", CONDITIONS.names()):
        with pytest.raises(UserError, match="condition"):
            method(name, shape, of)
        return
    learner = method(name, shape, of)
    assert learner.phases
    for phase in learner.phases:
        learner.zero_grad(set_to_none=True)
        descend(learner, phase, batch(shape, of)).backward()
        own = [p for p in learner.parameters_of(phase) if p.numel()]
        assert own
        assert all(p.grad is not None and p.grad.isfinite().all() for p in own)


@every_method
def test_all_parameters_belong_to_some_phase(name: str) -> None:
    learner = method(name)
    moved = {id(parameter) for phase in learner.phases for parameter in learner.parameters_of(phase)}
    assert {id(parameter) for parameter in learner.parameters()} <= moved


@every_method
def test_a_phase_that_is_repeated_lowers_its_own_loss(name: str) -> None:
    for phase in method(name).phases:
        learner = method(name)
        optimiser = torch.optim.Adam(list(learner.parameters_of(phase)), lr=2e-3)
        first = last = None
        for _ in range(12):
            optimiser.zero_grad()
            last = descend(learner, phase, batch())
            first = last.item() if first is None else first
            last.backward()
            optimiser.step()
        assert last.item() < first, f"{phase}: {first} → {last.item()}"


@every_method
def test_a_step_is_a_function_of_its_random_stream(name: str) -> None:
    learner = method(name).eval()
    for phase in learner.phases:
        one, same, other = (descend(learner, phase, batch(), seed).item() for seed in (3, 3, 4))
        assert one == same
        assert one != other


@every_method
def test_the_first_and_the_last_moment_of_a_run_give_finite_losses(name: str) -> None:
    learner = method(name)
    for phase in learner.phases:
        for progress in (0.0, 1.0):
            assert descend(learner, phase, batch(), progress=progress).isfinite()


@every_method
def test_a_batch_of_one_is_learnt_from(name: str) -> None:
    learner = method(name)
    single = Batch(batch().samples[:1], torch.zeros(1, dtype=torch.int64), {"label": torch.zeros(1, dtype=torch.int64)})
    for phase in learner.phases:
        descend(learner, phase, single).backward()


@every_method
def test_what_is_exported_paints_without_the_rest_of_the_method(name: str) -> None:
    learner = method(name).eval()
    nets = learner.exported()
    assert {"generator", "condition"} <= nets.keys() <= {"generator", "condition", "encoder"}
    shape = SHAPES["rgb"]
    with torch.no_grad():
        z = torch.randn(2, learner.latent_dim, generator=torch.Generator().manual_seed(0))
        painted = nets["generator"](z, nets["condition"](torch.tensor([0, 1])))
        assert painted.shape == (2, shape.channels, *shape.spatial)
        if "encoder" in nets:
            mean, log_variance = nets["encoder"](painted, nets["condition"](torch.tensor([0, 1])))
            assert mean.shape == log_variance.shape == (2, learner.latent_dim)


@every_method
def test_settings_survive_being_written_and_read(name: str) -> None:
    config = settings(name)
    assert Choice(METHODS).resolve(config.model_dump(mode="json")) == config
