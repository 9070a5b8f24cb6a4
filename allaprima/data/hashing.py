"""Two names for a picture: one that any change of a pixel changes, and one that survives small changes.

The second is the perceptual hash of Zauner 2010 ("Implementation and Benchmarking of Perceptual Image Hash Functions"):
the signs of the lowest frequencies of a small grey copy.
"""

from __future__ import annotations

import hashlib

import numpy as np
from PIL import Image

SIDE = 32  # of the grey copy, pixels
LOW = 8  # frequencies in each direction
OBVIOUS = 16  # levels between channels: this is no grey picture with rounding errors


def _cosines() -> np.ndarray:
    """The first LOW rows of the DCT-II of SIDE points: ``cos(π/SIDE · (n + ½) · k)``."""
    k, n = np.arange(LOW)[:, None], np.arange(SIDE)[None, :]
    return np.cos(np.pi / SIDE * (n + 0.5) * k).astype(np.float32)


COSINES = _cosines()


def digest(stored: np.ndarray) -> bytes:
    """16 bytes that name uint8 ``[H, W, C]`` exactly; grey and RGB copies of the same picture are the same."""
    if stored.shape[2] == 3 and channels_differ(stored) == 0:
        stored = stored[..., :1]
    return hashlib.blake2b(stored.tobytes(), digest_size=16, person=b"allaprima").digest()


def channels_differ(stored: np.ndarray) -> int:
    """By how many levels colour channels of uint8 ``[H, W, C]`` differ at most, or any number above ``OBVIOUS``."""
    for some in (stored[::8, ::8], stored):
        colours = some[..., :3]
        most = int((colours.max(axis=2) - colours.min(axis=2)).max())
        if most > OBVIOUS:
            break
    return most


def perceptual(picture: Image.Image) -> int:
    """64 bits of a picture of mode L, RGB or RGBA; near pictures differ in few of them."""
    if picture.mode == "RGBA":
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    small = picture.convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    low = COSINES @ np.asarray(small, np.float32) @ COSINES.T  # [LOW, LOW] coefficients
    flat = low.ravel()
    middle = np.sort(flat[1:])[len(flat) // 2]  # the first is the mean brightness, which says nothing of the form
    bits = flat > middle
    return int(np.packbits(bits).view(">u8")[0])
