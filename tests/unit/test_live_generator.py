"""The generator for live use: a small trunk, and a head that lays no lattice over the picture."""

from __future__ import annotations

import pytest
import torch

from allaprima.bundle.graph import painted
from allaprima.core.errors import UserError
from allaprima.domains import Shape
from allaprima.domains import image as images
from allaprima.models.blocks import Pyramid
from allaprima.models.generators.live import Config, SubPixel, cell_of


@pytest.mark.parametrize(("size", "cell"), [(8, 2), (32, 2), (64, 2), (128, 2), (256, 4), (512, 4), (1024, 8)])
def test_the_trunk_ends_at_64_pixels_and_at_128_of_large_pictures(size: int, cell: int) -> None:
    assert cell_of(0, Pyramid((size, size))) == cell


def test_a_cell_that_was_asked_for_is_taken_as_far_as_a_grid_remains() -> None:
    assert cell_of(8, Pyramid((256, 256))) == 8
    assert cell_of(16, Pyramid((16, 16))) == 4


@pytest.mark.parametrize("cell", [2, 4, 8])
def test_the_head_begins_as_linear_upsampling(cell: int) -> None:
    torch.manual_seed(0)
    head = SubPixel(3, 2, cell)
    x = torch.randn(1, 3, 6, 6)
    wanted = torch.nn.functional.interpolate(head.coarse(x), scale_factor=cell, mode="bilinear", align_corners=False)
    inner = slice(cell, -cell)  # at the border one pads with zeros, the other repeats
    torch.testing.assert_close(head.lay(head(x))[..., inner, inner], wanted[..., inner, inner], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("cell", [2, 4])
def test_a_constant_map_stays_constant_whatever_was_learned(cell: int) -> None:
    torch.manual_seed(0)
    head = SubPixel(5, 3, cell)
    with torch.no_grad():
        head.detail.normal_(std=10)
        head.bias.normal_()
    head.to(memory_format=torch.channels_last)  # as training has it
    x = torch.randn(1, 5, 1, 1).expand(1, 5, 8, 8)
    inner = slice(cell, -cell)
    before = head.lay(head(x))[..., inner, inner]
    assert before.flatten(2).std(2).min() > 0.1
    head.constrain_()
    after = head.lay(head(x))[..., inner, inner]
    assert after.flatten(2).std(2).max() < 1e-4
    torch.testing.assert_close(after.mean((2, 3)), before.mean((2, 3)))  # the projection keeps the mean
    kept = head.detail.clone()
    head.constrain_()
    torch.testing.assert_close(head.detail, kept)


def test_it_paints_pictures_alone() -> None:
    with pytest.raises(UserError, match="residual"):
        Config().build(Shape(1, (16, 16, 16)), 8, 0)


@pytest.mark.parametrize("spatial", [(256, 256), (192, 256), (100, 75)])
def test_any_proportion_is_painted(spatial: tuple[int, int]) -> None:
    net = Config(width=8, max_width=16).build(Shape(3, spatial), 8, 4).eval()
    assert net(torch.randn(2, 8), torch.randn(2, 4)).shape == (2, 3, *spatial)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_painters_lay_out_bytes_and_get_the_same_picture(channels: int) -> None:
    torch.manual_seed(0)
    domain = images.Config(height=40, width=56, channels=channels).build()
    net = Config(width=8).build(domain.shape, 8, 0).eval()
    z, y = torch.randn(3, 8), torch.zeros(3, 0)
    with torch.no_grad():
        made = painted(domain, net, z, y)
        assert torch.equal(made, domain.to_stored(net(z, y)))
    assert made.shape == (3, 40, 56, channels)
    assert made.float().std() > 1
