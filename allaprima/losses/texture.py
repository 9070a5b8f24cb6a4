"""How much of each frequency the pictures of a batch have, block by block."""

from __future__ import annotations

import math

import torch

BLOCK = 8
QUIET = 4 / 255


def spectrum_distance(real: torch.Tensor, fake: torch.Tensor, random: torch.Generator, power: int = 2) -> torch.Tensor:
    """The squared Wasserstein distance between the batches' block spectra, coefficient by coefficient; a scalar.

    ``[N, C, H, W]`` both. Blocks of 8x8 of a random offset and a random colour axis go through the DCT.
    """
    sides = [min(BLOCK, side) for side in real.shape[2:]]
    offsets = torch.stack([torch.randint(side, (), generator=random, device=real.device) for side in sides])
    axis = torch.randn(1, real.shape[1], 1, 1, generator=random, device=real.device)
    axis = axis / axis.norm()
    spectra = [_spectra((samples.float() * axis).sum(1), offsets, sides) for samples in (real, fake)]
    one, other = (torch.asinh(spectrum.abs() / QUIET).sort(-1).values for spectrum in spectra)
    return (one - other).square().mean()


def _spectra(plane: torch.Tensor, offsets: torch.Tensor, sides: list[int]) -> torch.Tensor:
    """``[N, H, W]`` → ``[frequencies, N x blocks]``."""
    for dim, side in enumerate(sides):
        length = plane.shape[dim + 1]
        places = torch.arange(length - side if length > side else side, device=plane.device) + offsets[dim] * (
            length > side
        )
        plane = plane.index_select(dim + 1, places)
    n, height, width = plane.shape
    rows, columns = height // sides[0], width // sides[1]
    blocks = plane.reshape(n, rows, sides[0], columns, sides[1]).permute(0, 1, 3, 2, 4).reshape(-1, sides[0], sides[1])
    spectra = _dct(sides[0], plane) @ blocks @ _dct(sides[1], plane).T
    return spectra.flatten(1).T[1:]


def _dct(size: int, like: torch.Tensor) -> torch.Tensor:
    """The orthonormal DCT-II matrix."""
    k = torch.arange(size, device=like.device, dtype=torch.float32)
    matrix = math.sqrt(2 / size) * torch.cos(math.pi / size * (k[None] + 0.5) * k[:, None])
    matrix[0] /= math.sqrt(2)
    return matrix
