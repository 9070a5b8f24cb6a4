"""The published nets see what their papers' code sees: layouts, results and resizing against recorded references.

The references were computed on the checkpoints of ``_published_nets`` by torch-fidelity 0.4.0 (Inception, which repeats
TensorFlow's graph) and transformers 4.57.6 (DINOv2 and CLIP), both of which loaded these layouts strictly.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from allaprima.core.device import Device
from allaprima.core.errors import UserError
from allaprima.data.dataset import Dataset
from allaprima.domains.image import Config as ImageConfig
from allaprima.evaluation.features import FEATURES, Weights, inception
from allaprima.evaluation.features._pictures import NetFeatures, bicubic, bilinear_2015, to_rgb
from allaprima.models.pretrained import PRETRAINED, clip, dinov2
from allaprima.models.pretrained import inception as inception_net
from allaprima.models.pretrained._inception import Inception, _e, folded
from allaprima.models.pretrained._vit import build, from_clip, from_dinov2
from allaprima.models.pretrained._weights import PinnedFile, read
from tests.unit._published_nets import (
    Tensors,
    clip_checkpoint,
    dinov2_checkpoint,
    inception_checkpoint,
    layout_digest,
    picture,
    standard,
)

DEVICE = Device(torch.device("cpu"), "fp32")


@pytest.fixture(scope="module")
def checkpoint() -> Tensors:
    return inception_checkpoint()


@pytest.fixture(scope="module")
def tiny(tiny_dataset: Path) -> Dataset:
    return Dataset.open(tiny_dataset)


def load(name: str, tensors: Tensors, dataset: Dataset, folder: Path, monkeypatch: pytest.MonkeyPatch) -> NetFeatures:
    """The features as a person loads them, from a file that passes for the published one."""
    file = folder / f"{name}.pth"
    torch.save(tensors, file)
    pinned = PinnedFile(
        file.name, "https://host.invalid/w", hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_size
    )
    monkeypatch.setattr(PRETRAINED.get(name), "FILES", (pinned,))
    features: NetFeatures = FEATURES.get(name).load_or_train(dataset, DEVICE, 0.0, Weights(file=file))
    return features


def test_inception_has_the_published_layout_and_number_of_weights(checkpoint: Tensors) -> None:
    assert layout_digest(checkpoint) == "d84f693f2abd7fea"
    backbone = {name: value for name, value in checkpoint.items() if "running" not in name and "fc" not in name}
    assert sum(value.numel() for value in backbone.values()) == 21_785_568
    # The published file is these tensors as float32 and a little more than a hundred bytes of name for each.
    spare = inception_net.FILES[0].num_bytes - 4 * sum(value.numel() for value in checkpoint.values())
    assert 100 * len(checkpoint) < spare < 300 * len(checkpoint)


def test_inception_equals_the_reference(
    checkpoint: Tensors, tiny: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    features = load("inception", checkpoint, tiny, tmp_path, monkeypatch)
    found = features.extract(picture(20, 28).float() / 127.5 - 1)
    assert found.shape == (1, features.dim)
    expected = torch.tensor([0.0, 0.28761, 0.0, 3.15667, 0.67117, 1.08206])
    torch.testing.assert_close(found[0, :6], expected, atol=1e-4, rtol=1e-4)
    assert float(found.norm()) == pytest.approx(243.17139, rel=1e-5)


def test_every_tensor_of_inception_is_used_but_the_classifier(checkpoint: Tensors) -> None:
    found = dict(folded(checkpoint))
    assert found.keys() == Inception().state_dict().keys()
    short = {name: value for name, value in checkpoint.items() if name != "Mixed_7c.branch_pool.bn.bias"}
    with pytest.raises(KeyError, match="branch_pool"):
        dict(folded(short))


def test_folded_batch_norm_is_the_batch_norm(checkpoint: Tensors) -> None:
    conv = torch.nn.Conv2d(3, 32, 3, 2, bias=False)
    norm = torch.nn.BatchNorm2d(32, eps=1e-3)
    layer = "Conv2d_1a_3x3."
    conv.load_state_dict({"weight": checkpoint[f"{layer}conv.weight"]})
    parts = ("weight", "bias", "running_mean", "running_var")
    norm.load_state_dict({part: checkpoint[f"{layer}bn.{part}"] for part in parts}, strict=False)
    x = standard(17)
    bias, weight = (dict(folded(checkpoint))[layer + kind] for kind in ("bias", "weight"))
    torch.testing.assert_close(torch.conv2d(x, weight, bias, 2), norm.eval()(conv(x)), atol=1e-5, rtol=1e-5)


def test_pools_leave_the_padding_out_and_the_last_takes_the_maximum() -> None:
    x = torch.zeros(1, 4, 8, 8)
    x[:, :, 0, 0] = 12.0
    for pool, expected in (("average", 3.0), ("maximum", 12.0)):  # a corner has four neighbours with itself, not nine
        block = _e(4, pool)
        with torch.no_grad():
            block.get_submodule("branch_pool").weight.fill_(0.25)
            block.get_submodule("branch_pool").bias.zero_()
            assert float(block(x)[0, -1, 0, 0]) == pytest.approx(expected)
    net = Inception()
    assert [net.Mixed_7b.pool, net.Mixed_7c.pool] == ["average", "maximum"]


def test_dinov2_and_clip_equal_the_reference() -> None:
    for tensors, net, side, digest, expected, norm in (
        (
            dinov2_checkpoint(),
            build(from_dinov2(dinov2_checkpoint()), 4, epsilon=1e-6, quick=False),
            56,
            "cc2fae01e73962d4",
            [-0.19238, 2.26578, -0.0173, 2.66074, 1.50442, -2.46669],
            12.724134,
        ),
        (
            {name: value for name, value in clip_checkpoint().items() if name.startswith("vis")},
            build(from_clip(clip_checkpoint()), 4, epsilon=1e-5, quick=True),
            128,
            "a3e73ea274a2386c",
            [-1.24935, -0.21026, -1.02795, -1.1727, 2.65249, 0.42262],
            10.123722,
        ),
    ):
        assert layout_digest(tensors) == digest
        with torch.no_grad():
            found = net.eval()(standard(side))[0]
        assert len(found) == net.dim
        torch.testing.assert_close(found[:6], torch.tensor(expected), atol=1e-4, rtol=1e-4)
        assert float(found.norm()) == pytest.approx(norm, rel=1e-5)


def test_the_authors_layout_of_dinov2_gives_the_same_net() -> None:
    hub = dinov2_checkpoint()
    theirs = {
        "cls_token": hub["embeddings.cls_token"],
        "mask_token": hub["embeddings.mask_token"],
        "pos_embed": hub["embeddings.position_embeddings"],
        "patch_embed.proj.weight": hub["embeddings.patch_embeddings.projection.weight"],
        "patch_embed.proj.bias": hub["embeddings.patch_embeddings.projection.bias"],
        "norm.weight": hub["layernorm.weight"],
        "norm.bias": hub["layernorm.bias"],
    }
    for n in range(2):
        layer, block = f"encoder.layer.{n}.", f"blocks.{n}."
        for part in ("weight", "bias"):
            qkv = [hub[f"{layer}attention.attention.{name}.{part}"] for name in ("query", "key", "value")]
            theirs[f"{block}attn.qkv.{part}"] = torch.cat(qkv)
            theirs[f"{block}attn.proj.{part}"] = hub[f"{layer}attention.output.dense.{part}"]
            for name in ("norm1", "norm2", "mlp.fc1", "mlp.fc2"):
                theirs[f"{block}{name}.{part}"] = hub[f"{layer}{name}.{part}"]
        for number in "12":
            theirs[f"{block}ls{number}.gamma"] = hub[f"{layer}layer_scale{number}.lambda1"]
    ours, same = from_dinov2(hub), from_dinov2(theirs)
    assert ours.keys() == same.keys()
    for name, value in ours.items():
        torch.testing.assert_close(same[name], value, rtol=0, atol=0)


def test_the_published_sizes_of_both_transformers_are_met() -> None:
    """Counted from the papers' sizes: ViT-L/14 at 518 px with a mask token, ViT-B/32 with its projection."""
    with torch.device("meta"):
        large = from_dinov2(_sizes(1024, 24, 14, 37, scaled=True))
        base = from_dinov2(_sizes(768, 12, 32, 7, scaled=False))
    assert sum(value.numel() for value in large.values()) + 1024 == 304_368_640
    text_free = (
        sum(value.numel() for value in base.values()) - 768 + 4 * 384 + 512 * 768
    )  # patch bias out, first norm in
    assert text_free == 87_849_216
    assert 0 < dinov2.FILES[0].num_bytes - 4 * 304_368_640 < 10**5
    assert 0 < clip.FILES[0].num_bytes - 4 * 151_277_313 < 10**6  # both towers


def _sizes(width: int, depth: int, patch: int, grid: int, scaled: bool) -> Tensors:
    shapes = {
        "cls_token": (1, 1, width),
        "pos_embed": (1, 1 + grid**2, width),
        "patch_embed.proj.weight": (width, 3, patch, patch),
        "patch_embed.proj.bias": (width,),
        "norm.weight": (width,),
        "norm.bias": (width,),
    }
    for n in range(depth):
        for name, size in (("norm1", ()), ("norm2", ()), ("attn.qkv", (3, 1)), ("attn.proj", (1, 1))):
            shapes[f"blocks.{n}.{name}.weight"] = (size[0] * width, width) if size else (width,)
            shapes[f"blocks.{n}.{name}.bias"] = (size[0] * width if size else width,)
        for name, out, into in (("mlp.fc1", 4, 1), ("mlp.fc2", 1, 4)):
            shapes[f"blocks.{n}.{name}.weight"] = (out * width, into * width)
            shapes[f"blocks.{n}.{name}.bias"] = (out * width,)
        if scaled:
            shapes |= {f"blocks.{n}.ls{number}.gamma": (width,) for number in "12"}
    return {name: torch.empty(shape) for name, shape in shapes.items()}


def test_positions_are_resampled_as_by_the_authors_of_dinov2() -> None:
    """A cubic convolution (A = -3/4) at (i + ½)·G/(g + 0.1) - ½, edges repeated."""
    known, grid = 9, 4
    tensors = from_dinov2(dinov2_checkpoint(grid=known))
    square = tensors["positions"][1:, 0].view(known, known).double().numpy()

    def kernel(t: float) -> float:
        t = abs(t)
        if t <= 1:
            return 1.25 * t**3 - 2.25 * t**2 + 1
        return -0.75 * (t**3 - 5 * t**2 + 8 * t - 4) if t < 2 else 0.0

    weights = np.zeros((grid, known))
    for i in range(grid):
        place = (i + 0.5) * known / (grid + 0.1) - 0.5
        for tap in range(math.floor(place) - 1, math.floor(place) + 3):
            weights[i, min(max(tap, 0), known - 1)] += kernel(place - tap)
    expected = weights @ square @ weights.T
    found = build(tensors, grid, epsilon=1e-6, quick=False).positions[1:, 0].view(grid, grid)
    np.testing.assert_allclose(found.detach().numpy(), expected, atol=1e-5)


def test_published_features_of_any_picture_are_finite_repeatable_and_bear_their_names(
    tiny: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = torch.rand(3, 4, 20, 36, generator=torch.Generator().manual_seed(0)) * 2 - 1
    for name, tensors, published in (
        ("dinov2", dinov2_checkpoint(), {"Fréchet distance": "FD-DINOv2"}),
        ("clip", clip_checkpoint(), {}),
    ):
        features = load(name, tensors, tiny, tmp_path, monkeypatch)
        assert features.name.startswith(name)
        assert features.published_names == published
        assert features.extract(samples[:0]).shape == (0, features.dim)
        for channels in (1, 3, 4):
            found = features.extract(samples[:, :channels])
            assert found.shape == (3, features.dim)
            assert found.isfinite().all()
            torch.testing.assert_close(features.extract(samples[1:2, :channels])[0], found[1], atol=1e-4, rtol=1e-4)
        broken = samples[:, :3].clone()
        broken[0] = math.nan
        found = features.extract(broken)
        assert found[0].isnan().all()
        assert found[1:].isfinite().all()


def test_only_inception_features_are_called_fid() -> None:
    named = {name: getattr(FEATURES.get(name), "PUBLISHED_NAMES", {}) for name in FEATURES.names()}
    assert [name for name, published in named.items() if {"FID", "KID"} & set(published.values())] == ["inception"]
    assert named["inception"] == {"Fréchet distance": "FID", "kernel distance": "KID"}
    assert "50,000" in inception.NOTE


def test_features_refuse_samples_that_are_no_pictures(tiny: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    from allaprima.domains import Shape

    for shape in (Shape(2, (16, 16)), Shape(1, (16, 16, 16))):
        monkeypatch.setattr(tiny.domain, "shape", shape)
        with pytest.raises(UserError, match="16 × 16") as error:
            inception.load_or_train(tiny, DEVICE)
        assert "--features domain" in error.value.remedy


def test_transparency_shows_white_and_grey_is_repeated() -> None:
    draw = np.random.default_rng(0)
    stored = draw.integers(0, 256, (2, 9, 8, 4), dtype=np.uint8)
    found = to_rgb(ImageConfig(height=9, width=8, channels=4).build().to_tensor(stored))
    for seen, rgba in zip(found, stored, strict=True):
        paper = Image.new("RGBA", (8, 9), "white")
        flat = np.asarray(Image.alpha_composite(paper, Image.fromarray(rgba)).convert("RGB"))
        assert np.abs(seen.permute(1, 2, 0).numpy() - flat).max() <= 1
    grey = draw.integers(0, 256, (1, 9, 8, 1), dtype=np.uint8)
    found = to_rgb(ImageConfig(height=9, width=8, channels=1).build().to_tensor(grey))
    np.testing.assert_array_equal(found[0].permute(1, 2, 0), np.repeat(grey[0], 3, axis=2))


def test_samples_beyond_the_range_are_seen_as_they_would_be_saved() -> None:
    assert to_rgb(torch.tensor([-1.5, 0.001, 1.2]).view(1, 3, 1, 1)).flatten().tolist() == [0.0, 128.0, 255.0]


@pytest.mark.parametrize("shape", [(3, 7), (40, 20)])
def test_the_resize_of_2015_follows_its_definition(shape: tuple[int, int]) -> None:
    rgb, side = picture(*shape)[:, :1].float(), 13
    found = bilinear_2015(rgb, side)
    assert found.shape == (1, 1, side, side)
    values = rgb[0, 0].numpy()
    for i in range(side):
        for j in range(side):
            y, x = i * shape[0] / side, j * shape[1] / side
            top, left = int(y), int(x)
            bottom, right = min(top + 1, shape[0] - 1), min(left + 1, shape[1] - 1)
            upper = values[top, left] + (values[top, right] - values[top, left]) * (x - left)
            lower = values[bottom, left] + (values[bottom, right] - values[bottom, left]) * (x - left)
            assert float(found[0, 0, i, j]) == pytest.approx(upper + (lower - upper) * (y - top), abs=1e-3)


@pytest.mark.parametrize("shape", [(32, 32), (300, 300), (100, 300)])
def test_the_bicubic_resize_is_pillows(shape: tuple[int, int]) -> None:
    rgb = picture(*shape)
    found = bicubic(rgb.float(), 224, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)).mul(255)[0].permute(1, 2, 0)
    whole = Image.fromarray(rgb[0].permute(1, 2, 0).numpy()).resize((224, 224), Image.Resampling.BICUBIC)
    difference = np.abs(found.numpy() - np.asarray(whole, np.float32))
    assert difference.max() < 1.01
    assert difference.mean() < 0.01


def test_inception_sees_the_range_of_the_graph() -> None:
    rgb = torch.stack([torch.zeros(3, 8, 8), torch.full((3, 8, 8), 255.0)])
    seen = inception.look(rgb)
    assert seen.shape == (2, 3, 299, 299)
    assert (float(seen.min()), float(seen.max())) == (-1.0, 127 / 128)


def test_reading_weights_executes_nothing(tmp_path: Path) -> None:
    import pickle

    class Payload:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (str(tmp_path / "executed"),))

    torch.save({"weight": Payload()}, tmp_path / "bad.pth")
    with pytest.raises(pickle.UnpicklingError):
        read(tmp_path / "bad.pth")
    assert not (tmp_path / "executed").exists()
