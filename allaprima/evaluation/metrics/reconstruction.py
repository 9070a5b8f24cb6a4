"""What is left of a picture that goes through an autoencoder and back, by the mean of its posterior.

Both are taken of each picture and then averaged, on values in [0, 1], colour premultiplied by alpha:

    PSNR = -10 log₁₀ MSE, in dB
    SSIM = mean of (2 μ_x μ_y + c₁)(2 σ_xy + c₂) / ((μ_x² + μ_y² + c₁)(σ_x² + σ_y² + c₂)), c₁ = 0.01², c₂ = 0.03²

(Wang, Bovik, Sheikh, Simoncelli 2004, eq. 13; Gaussian window of 11 × 11 with σ = 1.5, borders reflected, as torchmetrics.)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F

from allaprima.evaluation.material import Material
from allaprima.evaluation.metrics import Figure
from allaprima.evaluation.metrics._autoencoder import Encoded, encode
from allaprima.evaluation.metrics._bootstrap import interval_of_mean

GROUP = "Autoencoder"
FIGURES = ("PSNR, dB", "SSIM")
MOST_PICTURES = 500
LEAST_ERROR = 1 / (12 * 255**2)  # rounding to 8 bits: an exact copy gets 58.9 dB, not infinity
WINDOW, SIGMA = 11, 1.5


def measure(material: Material) -> Iterator[Figure]:
    """PSNR and SSIM of held-out pictures; the floor is the mean training picture in the reconstruction's place.

    Yields nothing for a generator without an encoder.
    """
    painter: Any = material.painter
    if painter.encoder is None:
        return
    held_out = encode(painter, material.dataset, material.real_places, MOST_PICTURES)
    train = encode(painter, material.dataset, material.searched_places, MOST_PICTURES)
    real, copies = unit(held_out.samples), reconstructed(painter, held_out)
    mean = unit(train.samples).mean(0, keepdim=True).expand_as(real)
    few = f"{len(held_out)} pictures, the mean of each one's"
    for name, score, ceiling, meaning in (
        ("PSNR, dB", psnr, None, "How exactly pictures that it never saw come back through the autoencoder."),
        ("SSIM", ssim, 1.0, "How much of the structure of unseen pictures comes back through the autoencoder."),
    ):
        scores = score(copies, real)
        yield Figure(
            name=name,
            value=float(scores.mean()),
            interval=interval_of_mean(scores, material.seed, name),
            better="higher",
            meaning=meaning,
            note=f"{few}; floor: the mean training picture" + ("" if ceiling is None else "; ceiling: an exact copy"),
            floor=float(score(mean, real).mean()),
            ceiling=ceiling,
        )


def reconstructed(painter: Any, pictures: Encoded) -> torch.Tensor:
    """The decoded posterior means: float32 ``[N,C,H,W]`` in [0, 1]."""
    return unit(painter.decode(pictures.mean, pictures.labels))


def unit(samples: torch.Tensor) -> torch.Tensor:
    """[-1, 1] → [0, 1], clipped."""
    return samples.add(1).div(2).clamp(0, 1)


def psnr(copies: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Peak signal-to-noise ratio of each of ``[N,C,H,W]`` in [0, 1]: ``[N]``, in dB."""
    return -10 * (copies - real).square().flatten(1).mean(1).clamp_min(LEAST_ERROR).log10()


def ssim(copies: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Structural similarity of each of ``[N,C,H,W]`` in [0, 1]: ``[N]``, at most 1. Pictures below 11 px: smaller windows."""
    return torch.cat([_ssim(x, y) for x, y in zip(copies.split(64), real.split(64), strict=True)])


def _ssim(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    channels, side = x.shape[1], min(WINDOW, *x.shape[-2:])
    reach = (side - 1) // 2
    offsets = torch.arange(-reach, reach + 1)
    bell = torch.exp(-(offsets**2) / (2 * (SIGMA * reach / (WINDOW // 2)) ** 2))
    bell = (bell / bell.sum()).to(x)

    def blur(z: torch.Tensor) -> torch.Tensor:  # the window is the product of two bells
        z = F.pad(z, [reach] * 4, mode="reflect")
        across = F.conv2d(z, bell.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)
        return F.conv2d(across, bell.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)

    mx, my = blur(x), blur(y)
    vx, vy = (blur(x * x) - mx**2).clamp_min(0), (blur(y * y) - my**2).clamp_min(0)
    covariance = blur(x * y) - mx * my
    c1, c2 = 0.01**2, 0.03**2
    similar = (2 * mx * my + c1) * (2 * covariance + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    return similar.flatten(1).mean(1)
