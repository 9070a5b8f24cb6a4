"""How much of each frequency pictures have, block by block: what gives a generator's weave away when eyes see it at once.

    W = E_k ∫ (F⁻¹_k(q) - F̂⁻¹_k(q))² dq,    F_k the distribution of asinh(|c_k| / s) over all 8×8 blocks of a batch,

where c_k is the k-th coefficient of a block's cosine transform (DCT-II, Ahmed et al. 1974) on a random colour axis. It is the
squared Wasserstein distance of each coefficient, which in one dimension only takes sorting (as in sliced Wasserstein distances,
Bonneel et al. 2015). Transposed convolutions fail to reproduce spectra, and a discriminator overlooks it (Durall et al. 2020,
"Watch your up-convolution"); theirs is the mean spectrum of whole pictures, which a wave that comes and goes escapes.
"""

from __future__ import annotations

import math

import torch

BLOCK = 8
WINDOW = 128  # px: a part of a large picture has as much to say about its texture
QUIET = 4 / 255  # of the value range: below it a coefficient counts by its size, above it by its order of magnitude


def spectrum_distance(real: torch.Tensor, fake: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """The distance between two batches of ``[N, C, H, W]``, equal in shape; a scalar, 0 for the same pictures.

    The place of the blocks' grid and the colour axis are drawn from ``random``; of large pictures, a window too.
    """
    for dim, side in enumerate(real.shape[2:], start=2):
        if side > WINDOW:
            places = torch.arange(WINDOW, device=real.device)
            places = places + torch.randint(side - WINDOW + 1, (), generator=random, device=real.device)
            real, fake = real.index_select(dim, places), fake.index_select(dim, places)
    sides = [min(BLOCK, side) for side in real.shape[2:]]
    offsets = [torch.randint(side, (), generator=random, device=real.device) for side in sides]
    axis = torch.randn(1, real.shape[1], 1, 1, generator=random, device=real.device)
    axis = axis / axis.norm()
    spectra = (_spectra((samples.float() * axis).sum(1), offsets, sides) for samples in (real, fake))
    one, other = (torch.asinh(spectrum.abs() / QUIET).sort(-1).values for spectrum in spectra)
    return (one - other).square().mean()


def _spectra(plane: torch.Tensor, offsets: list[torch.Tensor], sides: list[int]) -> torch.Tensor:
    """``[N, H, W]`` → ``[coefficients but the mean, N x blocks]``."""
    for dim, (side, offset) in enumerate(zip(sides, offsets, strict=True), start=1):
        length = plane.shape[dim]
        if length > side:  # a row of blocks less leaves room to shift the grid
            covered = (length - 1) // side * side
            places = torch.arange(covered, device=plane.device) + offset % (length - covered + 1)
            plane = plane.index_select(dim, places)
    height, width = sides
    blocks = plane.unflatten(2, (-1, width)).unflatten(1, (-1, height)).transpose(2, 3).reshape(-1, height, width)
    spectra = _dct(height, plane) @ blocks @ _dct(width, plane).T
    return spectra.flatten(1).T[1:]


def _dct(size: int, like: torch.Tensor) -> torch.Tensor:
    """The orthonormal DCT-II, ``[size, size]``."""
    k = torch.arange(size, device=like.device, dtype=torch.float32)
    matrix = math.sqrt(2 / size) * torch.cos(math.pi / size * (k[None] + 0.5) * k[:, None])
    matrix[0] /= math.sqrt(2)
    return matrix
