"""The generator for live use: a small trunk, and a head that enlarges its picture without a lattice."""

from __future__ import annotations

import pytest
import torch

from allaprima.bundle.graph import painted
from allaprima.core.errors import UserError
from allaprima.domains import Shape
from allaprima.domains import image as images
from allaprima.models.blocks import Pyramid
from allaprima.models.generators.live import Config, Enlarger, cell_of


@pytest.mark.parametrize(("size", "cell"), [(8, 2), (32, 2), (64, 2), (128, 2), (256, 4), (512, 4), (1024, 8)])
def test_the_trunk_ends_at_64_pixels_and_at_128_of_large_pictures(size: int, cell: int) -> None:
    assert cell_of(0, Pyramid((size, size))) == cell


def test_a_cell_that_was_asked_for_is_taken_as_far_as_a_grid_remains() -> None:
    assert cell_of(8, Pyramid((256, 256))) == 8
    assert cell_of(16, Pyramid((16, 16))) == 4


def an_enlarger(channels: int, cell: int) -> Enlarger:
    torch.manual_seed(0)
    return Enlarger(channels, 6, cell, torch.nn.LeakyReLU(0.2))


@pytest.mark.parametrize("cell", [2, 4, 8])
def test_it_begins_as_linear_upsampling_to_the_border(cell: int) -> None:
    enlarger = an_enlarger(3, cell)
    small = torch.rand(1, 3, 6, 7) * 2 - 1
    wanted = torch.nn.functional.interpolate(small, scale_factor=cell, mode="bilinear", align_corners=False)
    torch.testing.assert_close(enlarger.lay(enlarger(small)), wanted, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("cell", [2, 4])
def test_a_constant_picture_gets_no_lattice_whatever_was_learned(cell: int) -> None:
    enlarger = an_enlarger(3, cell)
    with torch.no_grad():
        for parameter in enlarger.parameters():
            parameter.normal_()
    enlarger.to(memory_format=torch.channels_last)  # as training has it
    small = torch.tensor([0.5, -0.2, 0.9]).view(1, 3, 1, 1).expand(1, 3, 9, 9)
    inner = (..., slice(2 * cell, -2 * cell), slice(2 * cell, -2 * cell))  # the second convolution pads with zeros
    before = enlarger.lay(enlarger(small))[inner]
    assert before.flatten(2).std(2).min() > 0.1
    enlarger.constrain_()
    after = enlarger.lay(enlarger(small))[inner]
    assert after.flatten(2).std(2).max() < 1e-4
    torch.testing.assert_close(after.mean((2, 3)), before.mean((2, 3)))  # the projection keeps the mean
    kept = enlarger.detail.weight.clone()
    enlarger.constrain_()
    torch.testing.assert_close(enlarger.detail.weight, kept)


def test_it_learns_to_enlarge_from_pictures_alone() -> None:
    enlarger = an_enlarger(1, 2)
    random = torch.Generator().manual_seed(1)
    optimizer = torch.optim.Adam(enlarger.parameters(), 1e-2)

    def discs(count: int) -> torch.Tensor:
        centre = torch.rand(count, 2, 1, 1, generator=random) * 16 + 4
        y, x = torch.meshgrid(torch.arange(24.0), torch.arange(24.0), indexing="ij")
        return (((x - centre[:, 0]).square() + (y - centre[:, 1]).square()).sqrt() < 5)[:, None].float() * 2 - 1

    def distance(pictures: torch.Tensor) -> torch.Tensor:
        small = torch.nn.functional.avg_pool2d(pictures, 2)
        return (enlarger.lay(enlarger(small)) - pictures).abs().mean()

    others = discs(64)
    begun = distance(others).item()
    for _ in range(150):
        optimizer.zero_grad()
        distance(discs(16)).backward()
        optimizer.step()
        enlarger.constrain_()
    assert distance(others).item() < 0.85 * begun


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
