"""Published networks that teach: frozen, differentiable in what they see, never part of a checkpoint, found as in evaluation."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch

from allaprima.core.errors import UserError
from allaprima.data.batch import Batch
from allaprima.domains import Shape
from allaprima.methods import METHODS, Moment
from allaprima.models.conditions import CONDITIONS
from allaprima.models.discriminators import DISCRIMINATORS
from allaprima.models.pretrained import PRETRAINED, Weights, _frozen
from allaprima.models.pretrained._frozen import Frozen, to_rgb
from allaprima.models.pretrained._weights import PinnedFile
from tests.contracts.tiny import SHAPES, small
from tests.unit._published_nets import Tensors, clip_checkpoint, dinov2_checkpoint, inception_checkpoint

RGB = SHAPES["rgb"]
CHECKPOINTS = {"clip": clip_checkpoint, "dinov2": dinov2_checkpoint, "inception": inception_checkpoint}


@pytest.fixture(autouse=True)
def _nothing_on_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("ALLAPRIMA_CACHE", "TORCH_HOME", "HF_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "empty"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    _frozen._loaded.cache_clear()


def published(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, tensors: Tensors | None = None) -> Path:
    """A file of random numbers that passes for the published one."""
    file = folder / f"{name}.pth"
    torch.save(CHECKPOINTS[name]() if tensors is None else tensors, file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    pinned = PinnedFile(file.name, "https://host.invalid/w", digest, file.stat().st_size)
    monkeypatch.setattr(PRETRAINED.get(name), "FILES", (pinned,))
    return file


def samples(shape: Shape = RGB, count: int = 2) -> torch.Tensor:
    draw = torch.Generator().manual_seed(0)
    return torch.rand(count, shape.channels, *shape.spatial, generator=draw) * 2 - 1


@pytest.mark.parametrize(
    ("name", "size", "widths", "sides"),
    [
        ("inception", 75, [64, 288, 768, 2048], [17, 7, 3, 1]),
        ("dinov2", 56, [128] * 4, [4] * 4),
        ("clip", 64, [128] * 4, [2] * 4),
        ("untrained", 32, [32, 64, 128, 256], [16, 8, 4, 2]),
    ],
)
def test_every_network_gives_four_maps_with_a_gradient_in_the_picture(
    name: str, size: int, widths: list[int], sides: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = published(name, tmp_path, monkeypatch) if name in CHECKPOINTS else None
    net = Frozen(name, RGB, Weights(file), size)
    x = samples().requires_grad_()
    found = net(x)
    assert [tuple(grid.shape) for grid in found] == [(2, f, s, s) for f, s in zip(widths, sides, strict=True)]
    assert net.widths() == widths
    (gradient,) = torch.autograd.grad(sum(grid.square().mean() for grid in found), x)
    assert gradient.isfinite().all()
    assert (gradient.flatten(1).abs().amax(1) > 0).all()


def test_what_is_frozen_has_no_parameters_no_state_and_still_moves_with_its_owner() -> None:
    net = Frozen("untrained", RGB, Weights())
    assert list(net.parameters()) == []
    assert net.state_dict() == {}
    owner = torch.nn.Sequential(net)
    owner.to(torch.float64)
    hidden = next(net._hidden[0].parameters())
    assert hidden.dtype == torch.float64
    assert not hidden.requires_grad
    owner.to(torch.float32)
    assert net(samples())[0].dtype == torch.float32


def test_a_second_derivative_exists_for_gradient_penalties(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = Frozen("clip", RGB, Weights(published("clip", tmp_path, monkeypatch)), 64)
    x = samples().requires_grad_()
    (first,) = torch.autograd.grad(net(x)[-1].square().sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), x)
    assert second.isfinite().all()
    assert second.abs().max() > 0


def test_equal_pictures_of_any_kind_are_seen_alike() -> None:
    grey = samples(Shape(1, (16, 16)))
    opaque = torch.cat([grey.expand(-1, 3, -1, -1), torch.ones_like(grey)], 1)
    torch.testing.assert_close(to_rgb(grey), to_rgb(opaque))
    transparent = -torch.ones(1, 4, 2, 2)  # premultiplied black that nothing of is there
    assert (to_rgb(transparent) == 1).all()


def test_the_maps_are_those_of_the_net_that_measures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tensors = inception_checkpoint()
    file = published("inception", tmp_path, monkeypatch, tensors)
    net: Any = PRETRAINED.get("inception").load(Weights(file))
    x = torch.randn(1, 3, 75, 75, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(net.grids(x)[-1].mean((2, 3)), net(x))
    vit: Any = PRETRAINED.get("clip").load(Weights(published("clip", tmp_path, monkeypatch)), 128)
    with torch.no_grad():
        pictures = torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
        tokens = vit.layers(vit._tokens(pictures))
        last = vit.grids(pictures)[-1]
    torch.testing.assert_close(last.flatten(2).transpose(1, 2), tokens[:, 1:])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"discriminator": {"name": "projected", "features": "clip"}}, "method.discriminator.download=true"),
        ({"perceptual": 0.1, "perceptual_features": "dinov2"}, "method.perceptual_download=true"),
    ],
)
def test_missing_weights_are_told_with_the_settings_that_help(changes: dict[str, Any], words: str) -> None:
    config = METHODS.get("gan").Config(**changes)
    with pytest.raises(UserError, match="are not on this machine") as error:
        config.build(RGB, CONDITIONS.get("none").Config())
    assert words in error.value.remedy


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(b"something else")
    with pytest.raises(UserError, match="is another file than"):
        Frozen("clip", RGB, Weights(tmp_path / "w.pth"))


@pytest.mark.parametrize(("name", "size"), [("dinov2", 30), ("clip", 16), ("inception", 64)])
def test_a_size_that_a_network_cannot_see_is_refused_with_those_that_it_can(name: str, size: int) -> None:
    with pytest.raises(UserError, match=f"{size} px") as error:
        Frozen(name, RGB, Weights(), size)
    assert "or 0 for" in error.value.remedy


@pytest.mark.parametrize("shape", [Shape(2, (16, 16)), Shape(1, (8, 8, 8))])
def test_samples_that_are_no_pictures_are_refused(shape: Shape) -> None:
    with pytest.raises(UserError, match="sees grey, RGB and RGBA"):
        Frozen("untrained", shape, Weights())


def last_weight(generator: torch.nn.Module) -> Any:
    """Next to the picture, where every gradient arrives from the first step on."""
    return [parameter for parameter in generator.parameters() if parameter.dim() > 1][-1]


def projected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    file = published("clip", tmp_path, monkeypatch)
    return {"features": "clip", "weights": str(file), "size": 64, "mixed": 8, "width": 8}


def test_a_projected_discriminator_learns_from_a_published_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    method: Any = small(METHODS, "gan", discriminator={"name": "projected", **projected(tmp_path, monkeypatch)}).build(
        RGB, CONDITIONS.get("none").Config()
    )
    assert method.adversary.penalty.WEIGHT == 0, "a penalty would go back through the network twice"
    assert not any("frozen" in key for key in method.state_dict())
    draw = torch.Generator().manual_seed(1)
    batch = Batch(torch.rand(8, 3, 16, 16, generator=draw), torch.arange(8))
    optimiser = torch.optim.Adam(method.parameters_of("discriminator"), 2e-3)
    found = []
    for _ in range(12):
        losses = method.step("discriminator", batch, Moment(0.5, torch.Generator().manual_seed(3)))
        optimiser.zero_grad()
        losses["discriminator"].backward()
        optimiser.step()
        found.append(float(losses["discriminator"].detach()))
    assert found[-1] < found[0]
    method.zero_grad(set_to_none=True)
    method.step("generator", batch, Moment(0.5, torch.Generator().manual_seed(3)))["generator"].backward()
    assert last_weight(method.generator).grad.abs().max() > 0


def test_the_random_projections_are_the_same_after_a_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = small(DISCRIMINATORS, "projected", **projected(tmp_path, monkeypatch))
    one, other = config.build(RGB, 0), config.build(RGB, 0)  # type: ignore[attr-defined]
    other.load_state_dict(one.state_dict())
    y = torch.zeros(2, 0)
    with torch.no_grad():
        torch.testing.assert_close(one.eval()(samples(), y), other.eval()(samples(), y), rtol=0, atol=0)


def test_every_depth_reaches_the_score(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net: Any = small(DISCRIMINATORS, "projected", **projected(tmp_path, monkeypatch)).build(RGB, 0)  # type: ignore[attr-defined]
    with torch.no_grad():
        grids, y = net.eval().grids(samples()), torch.zeros(2, 0)
        whole = net.judge(grids, y)
        for depth in range(4):
            less = [torch.zeros_like(grid) if number == depth else grid for number, grid in enumerate(grids)]
            assert (net.judge(less, y) - whole).abs().max() > 1e-6, depth


@pytest.mark.parametrize(
    "name", [one for one in METHODS.names() if "perceptual" in METHODS.get(one).Config.model_fields]
)
@pytest.mark.parametrize("features", ["own", "clip"])
def test_a_perceptual_loss_teaches_what_paints_and_not_what_looks(
    name: str, features: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes: dict[str, Any] = {"perceptual": 0.5, "perceptual_features": features}
    if features == "clip":
        changes |= {"perceptual_weights": str(published("clip", tmp_path, monkeypatch)), "perceptual_size": 64}
    torch.manual_seed(0)
    method: Any = small(METHODS, name, **changes).build(RGB, CONDITIONS.get("none").Config())
    batch = Batch(samples(count=4), torch.arange(4))
    losses: dict[str, torch.Tensor] = {}
    for phase in method.phases:
        losses |= method.step(phase, batch, Moment(0.5, torch.Generator().manual_seed(3)))
    assert losses["perceptual"] > 0
    method.zero_grad(set_to_none=True)
    losses["perceptual"].backward()
    assert last_weight(method.generator).grad.abs().max() > 0
    looking = method.adversary.discriminator if name == "gan" else None
    if looking is not None:
        assert all(p.grad is None for p in looking.parameters())
        assert all(p.requires_grad for p in looking.parameters())


def test_the_encoder_cannot_please_by_seeing_less() -> None:
    """Its own features move the decoder; its weights learn from latents alone."""
    torch.manual_seed(0)
    method: Any = small(METHODS, "vae", perceptual=1.0, adversarial=0).build(RGB, CONDITIONS.get("none").Config())
    x = samples()
    decoded = x.clone().add(0.1).requires_grad_()
    sum(grid.sum() for grid in method.perceptual.maps(decoded)).backward()
    assert decoded.grad is not None
    assert all(p.grad is None and p.requires_grad for p in method.encoder.parameters())


def test_unknown_features_are_refused_with_all_that_there_are() -> None:
    with pytest.raises(UserError, match="Unknown features 'clap'") as error:
        METHODS.get("gan").Config(perceptual_features="clap")
    assert "did you mean 'clip'" in error.value.remedy
    assert "own" in error.value.remedy
