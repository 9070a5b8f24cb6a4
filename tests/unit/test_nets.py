"""Nets: the article's architectures layer by layer, sizes of every proportion, settings that do what they say."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from allaprima.domains import Shape
from allaprima.models import blocks
from allaprima.models.blocks import Pyramid, ResidualBlock
from allaprima.models.discriminators import dcgan as dcgan_discriminator
from allaprima.models.discriminators import residual as residual_discriminator
from allaprima.models.encoders import conv as conv_encoder
from allaprima.models.generators import conv as conv_decoder
from allaprima.models.generators import dcgan as dcgan_generator
from allaprima.models.generators import residual as residual_generator

PICTURE = Shape(3, (64, 64))


def summary(net: nn.Module) -> list[tuple[object, ...]]:
    """The layers that compute, in order: kind, and for convolutions channels, kernel and stride."""
    found: list[tuple[object, ...]] = []
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            found.append(
                (type(layer).__name__, layer.in_channels, layer.out_channels, *layer.kernel_size, layer.stride[0])
            )
        elif isinstance(layer, nn.BatchNorm2d | nn.LeakyReLU | nn.Tanh):
            found.append((type(layer).__name__,))
        elif isinstance(layer, nn.Linear):
            found.append(("Linear", layer.in_features, layer.out_features))
    return found


def test_the_dcgan_generator_is_the_articles() -> None:
    net = dcgan_generator.Config().build(PICTURE, 100, 0)
    norm, act = ("BatchNorm2d",), ("LeakyReLU",)
    assert summary(net) == [
        ("Linear", 100, 4 * 4 * 512),
        norm,
        act,
        ("ConvTranspose2d", 512, 256, 4, 4, 2),
        norm,
        act,
        ("ConvTranspose2d", 256, 128, 4, 4, 2),
        norm,
        act,
        ("ConvTranspose2d", 128, 64, 4, 4, 2),
        norm,
        act,
        ("ConvTranspose2d", 64, 3, 4, 4, 2),
        ("Tanh",),
    ]


def test_the_dcgan_discriminator_is_the_articles() -> None:
    layers = summary(dcgan_discriminator.Config().build(PICTURE, 0))
    norm, act = ("BatchNorm2d",), ("LeakyReLU",)
    assert layers[:-1] == [
        ("Conv2d", 3, 64, 4, 4, 2),
        act,
        ("Conv2d", 64, 128, 4, 4, 2),
        norm,
        act,
        ("Conv2d", 128, 256, 4, 4, 2),
        norm,
        act,
        ("Conv2d", 256, 512, 4, 4, 1),
        norm,
        act,
    ]
    assert (layers[-1][0], layers[-1][2]) == ("Linear", 1)


def test_the_conv_encoder_and_decoder_mirror_each_other() -> None:
    encoder = conv_encoder.Config().build(PICTURE, 32, 0)
    decoder = conv_decoder.Config().build(PICTURE, 32, 0)
    down = [(layer[1], layer[2]) for layer in summary(encoder) if layer[0] == "Conv2d"]
    up = [(layer[2], layer[1]) for layer in summary(decoder) if layer[0] == "ConvTranspose2d"]
    assert down == up[::-1] == [(3, 32), (32, 64), (64, 128), (128, 256)]


@pytest.mark.parametrize("side", [8, 9, 15, 16, 28, 31, 32, 48, 50, 64, 96, 100, 127, 128, 256, 512])
def test_a_pyramid_reaches_every_size_from_a_base_of_four_to_seven_cells(side: int) -> None:
    pyramid = Pyramid((side, side))
    assert 4 <= pyramid.base[0] <= 8
    assert pyramid.padded[0] >= side
    assert pyramid.padded[0] - side < 2**pyramid.levels
    x = torch.randn(1, 2, side, side)
    assert torch.equal(pyramid.crop(pyramid.pad(x)), x)


@pytest.mark.parametrize("spatial", [(8, 8), (28, 28), (24, 16), (30, 50), (96, 64)])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_the_default_pair_takes_any_size_and_channels(spatial: tuple[int, int], channels: int) -> None:
    shape = Shape(channels, spatial)
    generator = residual_generator.Config(width=8, max_width=16).build(shape, 5, 3)
    discriminator = residual_discriminator.Config(width=8, max_width=16).build(shape, 3)
    y = torch.randn(2, 3)
    x = generator(torch.randn(2, 5), y)
    assert x.shape == (2, channels, *spatial)
    assert discriminator(x, y).shape == (2,)


@pytest.mark.parametrize("spatial", [(16,), (8, 16, 8)])
def test_the_default_pair_is_built_for_one_and_three_dimensions_too(spatial: tuple[int, ...]) -> None:
    shape = Shape(2, spatial)
    generator = residual_generator.Config(width=8, max_width=16).build(shape, 5, 0)
    discriminator = residual_discriminator.Config(width=8, max_width=16).build(shape, 0)
    x = generator(torch.randn(2, 5), torch.zeros(2, 0))
    assert x.shape == (2, 2, *spatial)
    assert discriminator(x, torch.zeros(2, 0)).isfinite().all()


@pytest.mark.parametrize("activation", ["leaky_relu", "prelu", "relu", "silu"])
@pytest.mark.parametrize("norm", ["batch", "instance", "group", "none"])
def test_every_activation_and_normalisation_is_used_where_it_is_asked_for(activation: str, norm: str) -> None:
    kinds = {"leaky_relu": nn.LeakyReLU, "prelu": nn.PReLU, "relu": nn.ReLU, "silu": nn.SiLU}
    norms = {"batch": nn.BatchNorm2d, "instance": nn.GroupNorm, "group": nn.GroupNorm, "none": nn.Identity}
    config = residual_generator.Config.model_validate(
        {"width": 16, "max_width": 32, "activation": activation, "normalisation": norm}
    )
    net = config.build(Shape(3, (16, 16)), 4, 0)
    assert any(isinstance(layer, kinds[activation]) for layer in net.modules())
    assert any(isinstance(layer, norms[norm]) for layer in net.modules())
    assert net(torch.randn(3, 4), torch.zeros(3, 0)).isfinite().all()


def test_a_residual_block_starts_as_the_identity() -> None:
    block = ResidualBlock(8, 2, "leaky_relu", "none", blocks=4, style_dim=6)
    x = torch.randn(2, 8, 5, 5)
    assert torch.equal(block(x, torch.randn(2, 6)), x)


def test_depth_and_width_are_settings() -> None:
    def size(**settings: int) -> int:
        net = residual_generator.Config(**settings).build(PICTURE, 8, 0)
        return sum(parameter.numel() for parameter in net.parameters())

    assert size(width=16, depth=1) < size(width=16, depth=2) < size(width=32, depth=2)


def test_an_instance_normalisation_is_a_group_for_each_channel() -> None:
    x = torch.randn(2, 6, 4, 4)
    expected = nn.InstanceNorm2d(6)(x)
    assert torch.allclose(blocks.normalisation("instance", 6, 2)(x), expected, atol=1e-5)
