"""The bundle: what it paints, and that it depends on nothing but its arguments."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import allaprima
from allaprima.bundle.bundle import Bundle
from allaprima.bundle.mixing import slerp
from allaprima.bundle.untrained import save, untrained
from allaprima.core.errors import UserError

RESIDUAL = {"name": "residual", "width": 16, "max_width": 32, "head_width": 8}
CONV = {"name": "conv", "width": 8, "max_width": 16}


@pytest.fixture(scope="module")
def gan() -> Bundle:
    return untrained(32, classes=["cat", "fish", "tree"], generator=RESIDUAL)


@pytest.fixture(scope="module")
def vae() -> Bundle:
    return untrained(16, latent_dim=8, generator=CONV, encoder=CONV)


@pytest.mark.parametrize("batch_size", [1, 3, 7, 16, 21])
@pytest.mark.parametrize("generator", [RESIDUAL, CONV, {"name": "residual"}], ids=["small", "conv", "default"])
def test_the_same_seed_gives_the_same_picture_on_any_batch_size(generator: dict, batch_size: int) -> None:
    bundle = untrained(32, generator=generator)
    whole = bundle.sample(21, seed=5, as_="tensor")
    assert torch.equal(bundle.sample(21, seed=5, batch_size=batch_size, as_="tensor"), whole)
    assert torch.equal(bundle.sample(4, seed=5, as_="tensor"), whole[:4])


def test_another_seed_or_class_or_truncation_gives_another_picture(gan: Bundle) -> None:
    first = gan.sample(1, seed=1, label="cat", as_="array")
    for other in (
        {"seed": 2, "label": "cat"},
        {"seed": 1, "label": "fish"},
        {"seed": 1, "label": "cat", "truncation": 0.5},
    ):
        assert (gan.sample(1, as_="array", **other) != first).any()


def test_truncation_zero_makes_all_alike(gan: Bundle) -> None:
    pictures = gan.sample(3, label="cat", truncation=0, as_="array")
    assert (pictures == pictures[0]).all()


def test_labels_are_drawn_as_often_as_in_training(gan: Bundle) -> None:
    description = gan.description.model_copy(update={"condition_weights": [0.7, 0.3, 0.0]})
    drawn = Bundle(description, gan.nets).asked(2000, seed=1)
    shares = np.bincount(drawn, minlength=3) / 2000
    assert shares == pytest.approx([0.7, 0.3, 0.0], abs=0.04)


def test_pictures_come_as_asked_for(gan: Bundle) -> None:
    assert [picture.size for picture in gan.sample(2)] == [(32, 32)] * 2
    assert gan.sample(2, as_="tensor").shape == (2, 3, 32, 32)
    array = gan.sample(0, as_="array")
    assert array.shape == (0, 32, 32, 3)
    assert array.dtype == np.uint8


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"count": -1}, "-1"),
        ({"count": 1, "batch_size": 0}, "batch"),
        ({"count": 1, "truncation": float("nan")}, "Truncation"),
        ({"count": 1, "label": "fosh"}, "fosh"),
        ({"count": 2, "label": ["cat"]}, "1 labels for 2"),
    ],
)
def test_bad_arguments_are_refused_at_once_in_plain_words(gan: Bundle, arguments: dict, word: str) -> None:
    with pytest.raises(UserError) as refused:
        gan.stream(**arguments)
    assert word in refused.value.problem


def test_an_unknown_class_is_answered_with_the_nearest(gan: Bundle) -> None:
    with pytest.raises(UserError) as refused:
        gan.sample(1, label="fosh")
    assert "did you mean 'fish'" in refused.value.remedy


def test_a_bundle_survives_the_way_to_disk_bit_for_bit(gan: Bundle, tmp_path: Path) -> None:
    save(gan, tmp_path / "run" / "bundle")
    again = allaprima.load(tmp_path / "run")
    assert torch.equal(again.sample(3, as_="tensor"), gan.sample(3, as_="tensor"))
    assert again.classes == ["cat", "fish", "tree"]


def test_a_damaged_bundle_is_refused_by_its_hash(gan: Bundle, tmp_path: Path) -> None:
    save(gan, tmp_path)
    weights = next(tmp_path.glob("weights-*.safetensors"))
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(UserError, match="damaged"):
        allaprima.load(tmp_path)


def test_a_weights_path_cannot_lead_out_of_the_bundle(gan: Bundle, tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "weights-outside.safetensors"
    save(gan, inside)
    weights = next(inside.glob("weights-*.safetensors"))
    weights.rename(outside)
    description = json.loads((inside / "bundle.json").read_text())
    description["weights"]["file"] = "../weights-outside.safetensors"
    (inside / "bundle.json").write_text(json.dumps(description))
    with pytest.raises(UserError, match="missing"):
        allaprima.load(inside)


def test_a_vae_reconstructs_and_encodes_pictures_of_any_size(vae: Bundle) -> None:
    pictures = untrained(24, generator=CONV).sample(3)
    latents = vae.encode(pictures)
    assert latents.shape == (3, 8)
    assert vae.reconstruct(pictures, as_="array").shape == (3, 16, 16, 3)
    assert torch.equal(vae.reconstruct(pictures, as_="tensor"), vae.decode(latents))


def test_without_a_label_each_picture_comes_back_as_of_the_class_that_suits_it_best() -> None:
    classes = ["cat", "fish", "tree", "vase"]
    vae = untrained(16, classes=classes, latent_dim=8, generator=CONV, encoder=CONV)
    # untrained classes are all alike: pull them apart, so that the class matters
    for parameter in vae.condition.parameters():
        parameter.mul_(20)
    pictures = torch.cat([vae.sample(6, seed=place, label=name, as_="tensor") for place, name in enumerate(classes)])

    def errors(label: str | None) -> torch.Tensor:
        return (vae.reconstruct(pictures, label, as_="tensor") - pictures).square().flatten(1).sum(1)

    fixed = torch.stack([errors(name) for name in classes])
    assert len(fixed.argmin(0).unique()) > 1  # or else one fixed label would do
    torch.testing.assert_close(errors(None), fixed.min(0).values)
    assert torch.equal(vae.likeliest(pictures), fixed.argmin(0))
    chosen = [classes[place] for place in vae.likeliest(pictures)]
    torch.testing.assert_close(vae.encode(pictures), vae.encode(pictures, chosen))
    assert len(vae.reconstruct(vae.domain.to_pictures(vae.domain.to_array(pictures)))) == len(pictures)


def test_among_too_many_classes_a_label_is_asked_for() -> None:
    vae = untrained(16, classes=[f"c{i}" for i in range(65)], latent_dim=8, generator=CONV, encoder=CONV)
    pictures = vae.sample(2, as_="tensor")
    for ask in (vae.encode, vae.reconstruct):
        with pytest.raises(UserError, match="65 classes") as error:
            ask(pictures)
        assert "label=" in error.value.remedy
        assert len(ask(pictures, "c3")) == 2


def test_interpolation_begins_and_ends_with_its_ends(vae: Bundle) -> None:
    start, end = vae.latents(2, seed=3)
    way = vae.interpolate(start, end, steps=5, as_="tensor")
    assert len(way) == 5
    ends = vae.decode(torch.stack([start, end]))
    torch.testing.assert_close(way[[0, -1]], ends, atol=1e-5, rtol=0)
    assert not torch.equal(way[2], way[0])


def test_a_gan_says_that_it_cannot_encode(gan: Bundle) -> None:
    with pytest.raises(UserError, match="no encoder"):
        gan.encode(gan.sample(1))


def test_slerp_stays_as_far_from_the_origin_as_its_ends() -> None:
    a, b = torch.randn(2, 64, generator=torch.Generator().manual_seed(0))
    lengths = [slerp(a, b, t / 10).norm() for t in range(11)]
    assert min(lengths) >= min(a.norm(), b.norm()) - 1e-3
    torch.testing.assert_close(slerp(a, b, 0.0), a)
    torch.testing.assert_close(slerp(a, b, 1.0), b)
    torch.testing.assert_close(slerp(a, a, 0.5), a)


def test_one_picture_alone_is_a_list_of_one(vae: Bundle) -> None:
    picture = untrained(24, generator=CONV).sample(1)[0]
    assert torch.equal(vae.encode(picture), vae.encode([picture]))
    assert len(vae.reconstruct(picture)) == 1


def test_an_unknown_form_of_pictures_is_refused_by_name(vae: Bundle) -> None:
    start, end = vae.latents(2)
    for ask in (
        lambda: vae.sample(1, as_="numpy"),  # type: ignore[arg-type]
        lambda: vae.reconstruct(vae.sample(1), as_="numpy"),  # type: ignore[arg-type]
        lambda: vae.interpolate(start, end, as_="numpy"),  # type: ignore[arg-type]
    ):
        with pytest.raises(UserError, match="numpy") as refused:
            ask()
        assert all(form in refused.value.remedy for form in ("pil", "tensor", "array"))


@pytest.mark.parametrize("steps", [-1, 0, 1])
def test_a_way_has_two_ends(vae: Bundle, steps: int) -> None:
    with pytest.raises(UserError, match="2 steps or more"):
        vae.interpolate(*vae.latents(2), steps=steps)


def test_a_bundle_says_what_it_is(gan: Bundle, vae: Bundle) -> None:
    assert repr(gan).startswith("<Bundle 32x32 px, 3 channels, 3 classes, generator residual, latent_dim ")
    assert repr(vae) == "<Bundle 16x16 px, 3 channels, no classes, generator conv, latent_dim 8>"
