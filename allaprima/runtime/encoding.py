"""A frame as image bytes: JPEG for opaque live frames, WebP or PNG where there is alpha, PNG for keeping.

All are marked as generated; what is kept is signed too, which live frames have no time for.

Use: ``kind, data = encode_live(frame)``; ``data = encode_png(frame)``.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
from enum import IntEnum
from functools import cache
from types import ModuleType

import numpy as np
from PIL import Image

from allaprima.marks import marked, watermarked

QUALITY = 90
SMALL = 128 * 128  # up to here a quick PNG of an RGBA frame costs less time than a WebP


class Kind(IntEnum):
    """The image format's number on the wire."""

    JPEG = 1
    WEBP = 2
    PNG = 3


def encode_live(frame: np.ndarray) -> tuple[Kind, bytes]:
    """uint8 ``[H, W, C]``, C 1, 3 or 4 → the quickest format that shows it well."""
    if frame.shape[-1] != 4:
        return Kind.JPEG, encode_jpeg(frame)
    if frame.shape[0] * frame.shape[1] <= SMALL:
        return Kind.PNG, marked(_save(frame, "PNG", compress_level=1), "image/png", sign=False)
    return Kind.WEBP, marked(_save(frame, "WEBP", quality=QUALITY, method=0), "image/webp", sign=False)


def encode_jpeg(frame: np.ndarray, quality: int = QUALITY) -> bytes:
    """uint8 ``[H, W, 1 or 3]`` → JPEG. Colours at full resolution: small frames are shown enlarged."""
    return marked(_jpeg(frame, quality), "image/jpeg", sign=False)


def _jpeg(frame: np.ndarray, quality: int) -> bytes:
    turbo = _simplejpeg()
    if turbo is not None:
        frame = watermarked(frame)
        space = "GRAY" if frame.shape[-1] == 1 else "RGB"
        sampling = "Gray" if frame.shape[-1] == 1 else "444"
        made: bytes = turbo.encode_jpeg(
            np.ascontiguousarray(frame), quality=quality, colorspace=space, colorsubsampling=sampling
        )
        return made
    return _save(frame, "JPEG", quality=quality, subsampling=0)


def encode_png(frame: np.ndarray, sign: bool = True) -> bytes:
    """uint8 ``[H, W, C]`` → PNG, lossless."""
    return marked(_save(frame, "PNG"), "image/png", sign)


def resized(frame: np.ndarray, width: int, height: int, crisp: bool = False) -> np.ndarray:
    """uint8 ``[H, W, C]`` → ``[height, width, C]``; ``crisp`` keeps pixels as squares."""
    how = Image.Resampling.NEAREST if crisp else Image.Resampling.LANCZOS
    return np.asarray(_picture(frame).resize((width, height), how)).reshape(height, width, -1)


def _save(frame: np.ndarray, kind: str, **options: int) -> bytes:
    buffer = io.BytesIO()
    _picture(watermarked(frame)).save(buffer, kind, **options)
    return buffer.getvalue()


def _picture(frame: np.ndarray) -> Image.Image:
    return Image.fromarray(frame[..., 0] if frame.shape[-1] == 1 else frame)


@cache
def _simplejpeg() -> ModuleType | None:
    """libjpeg-turbo, if it is installed: some tenths of a millisecond less a frame than Pillow."""
    return importlib.import_module("simplejpeg") if importlib.util.find_spec("simplejpeg") else None
