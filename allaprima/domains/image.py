"""Pictures: 1 (grey), 3 (RGB) or 4 (RGBA) channels, two spatial dimensions.

Stored: uint8 ``[N, H, W, C]``, straight alpha. In the nets: float32 ``[N, C, H, W]`` in [-1, 1]; with an alpha channel
the colours are premultiplied, because what hides under a transparent pixel means nothing and should cost nothing.

Use: ``domain = Config(height=64, width=64, channels=3).build()``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image
from pydantic import Field

from allaprima.core.config import Component
from allaprima.domains import Shape

MODES = {1: "L", 3: "RGB", 4: "RGBA"}


class Config(Component):
    """Size in pixels; channels 1, 3 or 4."""

    height: int = Field(64, ge=8, le=2048)
    width: int = Field(64, ge=8, le=2048)
    channels: int = 3

    def build(self) -> ImageDomain:
        return ImageDomain(self)


class ImageDomain:
    """bytes ↔ stored array ↔ tensor ↔ a picture to look at."""

    def __init__(self, config: Config) -> None:
        if config.channels not in MODES:
            raise ValueError(f"channels must be 1, 3 or 4, not {config.channels}")
        self.config = config
        self.shape = Shape(config.channels, (config.height, config.width))

    def to_tensor(self, stored: np.ndarray | torch.Tensor) -> torch.Tensor:
        """uint8 ``[N,H,W,C]`` → float32 ``[N,C,H,W]`` in [-1, 1], premultiplied if there is alpha."""
        # uint8 [N,H,W,C] → float32 [N,C,H,W] in [0,1]; a copy, so that read-only memory maps are fine
        unit = torch.as_tensor(np.array(stored) if isinstance(stored, np.ndarray) else stored)
        unit = unit.permute(0, 3, 1, 2).float().div_(255)
        if self.shape.channels == 4:
            unit = torch.cat([unit[:, :3] * unit[:, 3:], unit[:, 3:]], dim=1)
        return unit.mul_(2).sub_(1)

    def to_array(self, samples: torch.Tensor) -> np.ndarray:
        """float ``[N,C,H,W]`` in [-1, 1] → uint8 ``[N,H,W,C]``; values outside are clipped."""
        return self.to_stored(samples.detach()).cpu().numpy()

    def to_stored(
        self, samples: torch.Tensor, lay: Callable[[torch.Tensor], torch.Tensor] | None = None
    ) -> torch.Tensor:
        """The same as a tensor where it is: nothing but torch's arithmetic, so that it can be a part of an exported graph.

        With ``lay``, ``samples`` are ``[N, C k, h, w]``, the k pixels of each cell of a channel, and ``lay`` makes
        ``[N, C, H, W]`` of their bytes: to move a byte costs a quarter of what moving a float costs.
        """
        unit = samples.float().add(1).div(2).clamp(0, 1)
        if self.shape.channels == 4:
            unit = unit.unflatten(1, (4, -1))
            alpha = unit[:, 3:]
            colours = (unit[:, :3] / alpha.clamp_min(1e-6)).clamp(0, 1) * (alpha > 1 / 255)
            unit = torch.cat([colours, alpha], dim=1).flatten(1, 2)
        bytes_ = unit.mul(255).round().to(torch.uint8)
        # uint8 [N,C,H,W] → [N,H,W,C]
        return (bytes_ if lay is None else lay(bytes_)).permute(0, 2, 3, 1).contiguous()

    def to_pictures(self, stored: np.ndarray) -> list[Image.Image]:
        """uint8 ``[N,H,W,C]`` → one PIL picture each, of mode L, RGB or RGBA."""
        return [Image.fromarray(one[..., 0] if one.shape[-1] == 1 else one) for one in np.ascontiguousarray(stored)]

    def from_picture(self, picture: Image.Image) -> np.ndarray:
        """A picture of any mode and size → uint8 ``[H,W,C]`` of this domain, cropped about its centre to fit."""
        from PIL import ImageOps

        fitted = ImageOps.fit(
            ImageOps.exif_transpose(picture).convert("RGBA"),
            (self.config.width, self.config.height),
            Image.Resampling.LANCZOS,
        )
        if self.shape.channels != 4:  # transparent parts become white, as on paper
            paper = Image.new("RGBA", fitted.size, "white")
            fitted = Image.alpha_composite(paper, fitted).convert(MODES[self.shape.channels])
        array = np.asarray(fitted)
        return array.reshape(self.config.height, self.config.width, self.shape.channels)

    def to_grid(self, stored: np.ndarray, columns: int | None = None, gap: int = 2, scale: int = 1) -> Image.Image:
        """Pictures side by side, row by row, on white; transparency shows as a chequerboard. ``scale`` repeats pixels."""
        return grid(self.to_pictures(stored), columns, gap, scale)


def grid(pictures: Sequence[Image.Image], columns: int | None = None, gap: int = 2, scale: int = 1) -> Image.Image:
    """An RGB contact sheet of equally large pictures."""
    if not pictures:
        raise ValueError("a grid needs at least one picture")
    columns = columns or max(1, round(len(pictures) ** 0.5))
    rows = -(-len(pictures) // columns)
    width, height = pictures[0].width * scale, pictures[0].height * scale
    sheet = Image.new("RGB", (columns * (width + gap) - gap, rows * (height + gap) - gap), "white")
    for place, picture in enumerate(pictures):
        shown = picture.resize((width, height), Image.Resampling.NEAREST) if scale > 1 else picture
        corner = ((place % columns) * (width + gap), (place // columns) * (height + gap))
        if shown.mode == "RGBA":
            board = _chequerboard(width, height)
            board.paste(shown, (0, 0), shown)
            shown = board
        sheet.paste(shown.convert("RGB"), corner)
    return sheet


def _chequerboard(width: int, height: int, cell: int = 8) -> Image.Image:
    y, x = np.indices((height, width)) // cell
    shade = np.where((x + y) % 2 == 0, 255, 225).astype(np.uint8)
    return Image.fromarray(np.repeat(shade[..., None], 3, axis=2))
