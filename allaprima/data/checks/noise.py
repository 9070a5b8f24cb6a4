"""Pure random noise: no pixel knows anything of its neighbours, anywhere in the picture.

A picture's neighbours are alike (or, in a fine pattern, opposite), so its autocorrelation at small lags is far from
0; that of white noise is 0 within about 1/√n. Sparse dots on a plain ground have none either, but leave most of the
ground calm; and a painter's sand or gravel has none, but is gentle: its brightness varies little.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from allaprima.data.checks import Limits, Sight

PATCH = 64  # pixels: the middle of the picture says enough
LAGS = ((0, 1), (1, 0), (1, 1), (0, 2), (2, 0))
CORRELATION = 0.12
DEVIATION = 30.0  # levels: uniform noise has 74; averaged over k × k pixels it has 1/k of that
CALM = 0.4  # of the mean block's deviation: a calmer block is ground, not noise
BLOCK = 8
SMOOTH = 0.7
FEWEST_PIXELS = 256


def pixels(sight: Sight, limits: Limits) -> str | None:
    """The middle of the decoded picture is uncorrelated at every small lag, and equally restless everywhere."""
    if limits.keep_noise:
        return None
    if sight.decoded.width >= sight.stored.shape[1] and _is_smooth(sight.stored):
        return None
    grey = _middle(sight.decoded)
    height, width = grey.shape
    if height * width < FEWEST_PIXELS:
        return None
    grey -= grey.mean()
    power = float((grey * grey).mean())
    if power < (DEVIATION * sight.scale) ** 2:
        return None
    most = max(CORRELATION, 4 / (height * width) ** 0.5)
    for down, right in LAGS:
        shifted = grey[down:, right:] * grey[: height - down, : width - right]
        if abs(float(shifted.mean())) > most * power:
            return None
    blocks = grey[: height // BLOCK * BLOCK, : width // BLOCK * BLOCK]
    blocks = blocks.reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK).std(axis=(1, 3))
    return "random noise" if blocks.min() > CALM * blocks.mean() else None


def _is_smooth(stored: np.ndarray) -> bool:
    """Whether neighbours of a picture that was not enlarged are much alike, as noise made smaller never is: cheap."""
    rows = stored[::4, :, 0].astype(np.float32)
    rows -= rows.mean()
    return float((rows[:, 1:] * rows[:, :-1]).mean()) > SMOOTH * float((rows * rows).mean()) > 0


def _middle(picture: Image.Image) -> np.ndarray:
    width, height = min(PATCH, picture.width), min(PATCH, picture.height)
    left, top = (picture.width - width) // 2, (picture.height - height) // 2
    patch = picture.crop((left, top, left + width, top + height))
    if patch.mode == "RGBA":
        patch = Image.alpha_composite(Image.new("RGBA", patch.size, "white"), patch)
    return np.array(patch.convert("L"), np.float32)
