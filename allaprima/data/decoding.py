"""An encoded picture of any kind → a PIL picture of mode L, RGB or RGBA, upright.

Only the formats below are opened: rarely used decoders are where the holes are (such as CVE-2026-40192).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

import numpy as np
from PIL import Image

from allaprima.data.refused import Refused

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "AVIF")
ORIENTATION = 0x0112  # EXIF tag
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip


def open_picture(content: BinaryIO | np.ndarray) -> Image.Image:
    """Size and mode of a picture, not yet its pixels. Raises what Pillow raises."""
    if isinstance(content, np.ndarray):
        return Image.fromarray(content[..., 0] if content.ndim == 3 and content.shape[2] == 1 else content)
    return Image.open(content, formats=FORMATS)


def decode(picture: Image.Image, needed: Callable[[tuple[int, int]], tuple[int, int]] | None = None) -> Image.Image:
    """The pixels, upright, as L, RGB or RGBA; the first frame of an animation.

    ``needed`` (upright size → size that suffices) lets JPEG leave out detail that would be lost anyway: it is decoded
    at 1/2, 1/4 or 1/8, never below what suffices. Raises Refused for pixels that mean no picture.
    """
    orientation = _orientation(picture)
    turn = TURNS.get(orientation)
    if needed is not None and picture.format == "JPEG":
        width, height = picture.size
        if orientation >= 5:  # 5 to 8 lie on their side
            height, width = needed((height, width))
        else:
            width, height = needed((width, height))
        picture.draft(None, (width, height))
    picture.load()
    plain = _plain(picture)
    return plain.transpose(turn) if turn is not None else plain


def _orientation(picture: Image.Image) -> int:
    if picture.format == "TIFF":
        return 1  # Pillow turns these itself
    if "exif" in picture.info or picture.format == "PNG":  # a PNG's may stand behind its pixels
        value = picture.getexif().get(ORIENTATION, 1)
        return value if isinstance(value, int) and value in TURNS else 1
    return 1


def _plain(picture: Image.Image) -> Image.Image:
    mode = picture.mode
    if mode in ("I", "F") or mode.startswith("I;"):
        return _scaled(picture)
    if picture.has_transparency_data or mode in ("LA", "La", "PA", "RGBa"):
        return picture if mode == "RGBA" else picture.convert("RGBA")
    if mode in ("L", "RGB"):
        return picture
    return picture.convert("L" if mode == "1" else "RGB")


def _scaled(picture: Image.Image) -> Image.Image:
    """Grey of more than 8 bits: 16-bit from its whole range; others from [0, 1], [0, 255] or their own range."""
    values = np.asarray(picture)
    if values.dtype == np.bool_ or not np.isfinite(values).all():
        raise Refused("unreadable", "holds values that are not numbers")
    low, high = float(values.min()), float(values.max())
    if picture.mode.startswith("I") and low >= 0 and high <= 65535:
        low, high = 0.0, 65535.0
    elif low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    elif low >= 0 and high <= 255:
        low, high = 0.0, 255.0
    unit = (values.astype(np.float64) - low) / (high - low or 1.0)
    return Image.fromarray((unit * 255).round().astype(np.uint8))
