"""Random views of a picture, from which a net learns what stays the same: SimCLR's augmentations, without blur."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def random_views(samples: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """A crop, shift, stretch, slight turn and perhaps a mirror image of each picture, in other colours.

    ``[N,C,H,W]`` in about [-1, 1] → the same shape. ``generator`` is on the CPU.
    """
    views = _move(samples, generator)
    if samples.shape[1] == 4:
        return torch.cat([_recolour(views[:, :3], generator), views[:, 3:]], dim=1)
    return _recolour(views, generator)


def _draw(like: torch.Tensor, low: float, high: float, generator: torch.Generator) -> torch.Tensor:
    """One number a picture."""
    return (torch.rand(len(like), generator=generator) * (high - low) + low).to(like.device)


def _move(samples: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    zoom = _draw(samples, 0.45, 1.0, generator)
    stretch = _draw(samples, -0.25, 0.25, generator).exp()
    turn = _draw(samples, -0.2, 0.2, generator)
    mirror = _draw(samples, -1, 1, generator).sign()
    slack = 1.05 - zoom
    across, down = (_draw(samples, -1, 1, generator) * slack for _ in range(2))
    aspect = samples.shape[-2] / samples.shape[-1]
    # float32 [N,2,3]: where each pixel of the view comes from, in grid_sample's coordinates
    rows = [
        torch.stack([zoom * stretch * turn.cos() * mirror, -zoom * turn.sin() * aspect, across], dim=1),
        torch.stack([zoom * turn.sin() / aspect * mirror, zoom / stretch * turn.cos(), down], dim=1),
    ]
    grid = F.affine_grid(torch.stack(rows, dim=1), list(samples.shape), align_corners=False)
    return F.grid_sample(samples, grid, padding_mode="border", align_corners=False)


def _recolour(colours: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Channels mixed a little, saturation, contrast and brightness changed: ``[N,1 or 3,H,W]``."""
    count, channels = colours.shape[:2]
    if channels == 3:
        mix = torch.eye(3) + 0.25 * torch.randn(count, 3, 3, generator=generator)
        mix = mix / mix.sum(2, keepdim=True).clamp_min(0.3)
        colours = (mix.to(colours.device) @ colours.flatten(2)).view_as(colours)
        grey = colours.mean(1, keepdim=True)
        colours = grey + (colours - grey) * _draw(colours, 0, 1.6, generator)[:, None, None, None]
    middle = colours.mean((1, 2, 3), keepdim=True)
    contrast, brightness = (_draw(colours, *span, generator)[:, None, None, None] for span in ((0.5, 1.5), (-0.5, 0.5)))
    return middle + (colours - middle) * contrast + brightness
