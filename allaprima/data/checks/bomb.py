"""A small file that would fill the memory when decoded."""

from __future__ import annotations

from PIL import Image

from allaprima.data.checks import Limits


def header(picture: Image.Image, limits: Limits) -> str | None:
    """More pixels than ``max_pixels``, as the file's header says."""
    if picture.width * picture.height > limits.max_pixels:
        return f"{picture.width:,} × {picture.height:,} pixels, more than {limits.max_pixels / 1e6:,.0f} million"
    return None


def explain(error: Exception, name: str) -> str | None:
    """Pillow's own guards: too many pixels, or text blocks that unpack without end."""
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return "more pixels than any picture that a person means to use"
    if isinstance(error, MemoryError):
        return "needs more memory than there is"
    if isinstance(error, ValueError) and "text chunk" in str(error).lower():
        return "its text blocks unpack to more than any caption"
    return None
