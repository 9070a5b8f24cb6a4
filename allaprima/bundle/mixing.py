"""Between two latents, between two wishes.

Use: ``y = mixed(bundle.embed(red), bundle.embed(blue), 0.3); bundle.decode(latents, y)``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Embedded:
    """What is asked of N pictures, as the nets take it: ``y`` float32 ``[N, condition_dim]``, on the CPU."""

    y: torch.Tensor

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, rows: slice) -> Embedded:
        return Embedded(self.y[rows])


def mixed(start: Embedded, end: Embedded, share: float) -> Embedded:
    """``share`` of the way from one to the other, by slerp: half of both is no weaker a wish than either."""
    return Embedded(torch.stack([slerp(a, b, share) for a, b in zip(start.y, end.y, strict=True)]))


def slerp(start: torch.Tensor, end: torch.Tensor, t: float) -> torch.Tensor:
    """Spherical interpolation of two vectors (Shoemake 1985), lengths interpolated linearly; ``t`` in [0, 1].

    A straight line would pass nearer to the origin than samples of N(0, I) ever lie.
    """
    a, b = start / start.norm().clamp_min(1e-8), end / end.norm().clamp_min(1e-8)
    angle = torch.arccos((a * b).sum().clamp(-1, 1))
    if angle.sin() < 1e-3:  # parallel or opposite: no arc is defined
        return start * (1 - t) + end * t
    direction = (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / angle.sin()
    return direction * (start.norm() * (1 - t) + end.norm() * t)
