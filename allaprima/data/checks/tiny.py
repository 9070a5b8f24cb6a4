"""Too few pixels to make a picture of the wanted size from."""

from __future__ import annotations

from PIL import Image

from allaprima.data.checks import Limits


def header(picture: Image.Image, limits: Limits) -> str | None:
    """A side shorter than ``min_side``."""
    if min(picture.size) < limits.min_side:
        return f"only {picture.width} × {picture.height} pixels"
    return None
