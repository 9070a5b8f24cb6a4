"""Files that are empty, broken, cut short, or no pictures at all."""

from __future__ import annotations

import os

from PIL import Image, UnidentifiedImageError

SUFFIXES = {".png", ".jpg", ".jpeg", ".jpe", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif"}
UNSUPPORTED = {
    ".heic",
    ".heif",
    ".svg",
    ".psd",
    ".dcm",
    ".eps",
    ".ico",
    ".jp2",
    ".jxl",
    ".exr",
    ".cr2",
    ".nef",
    ".arw",
    ".dng",
}


def explain(error: Exception, name: str) -> str:
    """Every failure that no other check knows."""
    suffix = os.path.splitext(name)[1].lower()
    words = str(error).strip() or type(error).__name__
    if isinstance(error, EOFError) and "empty" in words:
        return "the file is empty"
    if isinstance(error, UnidentifiedImageError):
        if suffix in UNSUPPORTED:
            return f"{suffix[1:].upper()} files cannot be read; convert it to PNG or JPEG"
        return "broken: its content is no picture" if suffix in SUFFIXES else "not a picture"
    if isinstance(error, OSError) and error.errno is not None:
        return f"cannot be opened: {error.strerror}"
    if "truncated" in words.lower() or isinstance(error, EOFError | IndexError):
        return "cut short: its end is missing"
    if isinstance(error, Image.DecompressionBombError | MemoryError):
        return "too large"
    return f"broken: {words.splitlines()[0][:120]}"
