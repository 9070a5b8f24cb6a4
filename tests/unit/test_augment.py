"""Augmentations: of the named strength, differentiable, drawn from the given stream alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from allaprima.core.seeds import torch_stream
from allaprima.data.augment import AUGMENT, apply, colour, cutout, flip, rotation, scaling, translation
from allaprima.data.dataset import Dataset
from allaprima.data.mirror import looks_mirrored


def stream(index: int = 0) -> torch.Generator:
    return torch_stream(0, "test", index)


def test_a_probability_of_zero_leaves_samples_alone_and_one_changes_them_all() -> None:
    samples = torch.rand(64, 3, 16, 16) * 2 - 1
    assert apply(["colour"], samples, 0.0, stream()) is samples
    assert ((apply(["colour"], samples, 1.0, stream()) - samples).flatten(1).abs().amax(1) > 0).all()
    changed = ((apply(["colour"], samples, 0.5, stream()) - samples).flatten(1).abs().amax(1) > 0).float().mean()
    assert 0.2 < changed < 0.8


@pytest.mark.parametrize("name", AUGMENT.names())
def test_the_same_stream_gives_the_same_change_whatever_was_drawn_before(name: str) -> None:
    samples = torch.rand(4, 3, 16, 24) * 2 - 1
    first = apply([name], samples, 1.0, stream(3))
    torch.rand(7)
    assert torch.equal(first, apply([name], samples, 1.0, stream(3)))


def test_colour_moves_brightness_by_at_most_a_half_and_spares_alpha() -> None:
    grey = torch.zeros(256, 3, 4, 4)
    moved = colour.augment(grey, stream())
    assert moved.abs().max() <= 0.5
    assert moved.flatten(1).mean(1).std() > 0.2
    rgba = torch.cat([torch.full((8, 3, 4, 4), -0.5), torch.full((8, 1, 4, 4), 0.2)], dim=1)
    changed = colour.augment(rgba, stream())
    assert torch.equal(changed[:, 3], rgba[:, 3])
    assert (changed[:, :3] <= changed[:, 3:]).all()


def test_translation_shifts_by_an_eighth_at_most_and_leaves_grey_behind() -> None:
    samples = torch.zeros(512, 1, 16, 16)
    samples[:, :, 8, 8] = 1
    moved = translation.augment(samples, stream())
    y, x = np.nonzero(moved[:, 0].sum(0).numpy())
    assert (y.min(), y.max(), x.min(), x.max()) == (6, 10, 6, 10)
    assert torch.equal(moved.flatten(1).sum(1), torch.ones(512))


def test_cutout_blanks_up_to_a_quarter_of_the_picture() -> None:
    holes = (cutout.augment(torch.ones(256, 3, 16, 16), stream())[:, 0] == 0).flatten(1).float().mean(1)
    assert holes.max() <= 0.25 + 1e-6
    assert holes.min() > 0
    assert holes.max() > 0.2


def test_a_flip_mirrors_about_half_of_the_samples() -> None:
    samples = torch.arange(4.0).expand(400, 1, 2, 4)
    mirrored = (flip.augment(samples, stream())[:, 0, 0, 0] == 3).float().mean()
    assert 0.4 < mirrored < 0.6


def test_a_rotation_keeps_the_shape_of_a_disc_in_a_picture_that_is_not_square() -> None:
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(64.0), indexing="ij")
    disc = (((y - 15.5) ** 2 + (x - 31.5) ** 2) < 10**2).float().expand(16, 1, -1, -1)
    turned = rotation.augment(disc, stream())
    assert (turned - disc).abs().mean() < 0.01
    bar = ((y - 15.5).abs() < 1.5).float().expand(16, 1, -1, -1)
    assert (rotation.augment(bar, stream()) - bar).abs().mean() > 0.02


def test_a_scaling_keeps_the_centre_and_changes_the_size_by_a_fifth_at_most() -> None:
    y, x = torch.meshgrid(torch.arange(33.0), torch.arange(33.0), indexing="ij")
    disc = (((y - 16) ** 2 + (x - 16) ** 2) < 10**2).float().expand(64, 1, -1, -1)
    areas = scaling.augment(disc, stream()).flatten(1).sum(1) / disc[0].sum()
    assert 1 / 1.2**2 - 0.05 < areas.min() < 0.9
    assert 1.1 < areas.max() < 1.2**2 + 0.05


def test_mirroring_is_allowed_for_symmetric_pictures_and_refused_for_letters(tmp_path: Path) -> None:
    from tests.conftest import write_tiny_dataset

    write_tiny_dataset(tmp_path / "squares", count=400)
    squares = np.load(tmp_path / "squares" / "images.npy", mmap_mode="r+")
    turned = np.random.default_rng(0).permutation(400)[:200]  # every other one to the left: no side is preferred
    squares[turned] = squares[turned, :, ::-1]
    squares.flush()
    assert looks_mirrored(Dataset.open(tmp_path / "squares"))
    write_tiny_dataset(tmp_path / "letters", count=200)
    images = np.load(tmp_path / "letters" / "images.npy", mmap_mode="r+")
    images[:] = 0
    images[:, 2:14, 3:5] = 255  # an L leaning left, somewhat moved and shaded
    images[:, 12:14, 3:11] = 255
    draw = np.random.default_rng(0)
    for i in range(len(images)):
        images[i] = np.roll(images[i], int(draw.integers(-1, 2)), axis=0) // 255 * int(draw.integers(150, 255))
    images.flush()
    assert not looks_mirrored(Dataset.open(tmp_path / "letters"))
