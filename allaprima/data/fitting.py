"""A decoded picture → exactly the size and mode that is stored.

Pillow resizes RGBA premultiplied, so no colour creeps in from under transparent pixels.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

FITS = ("crop", "pad", "stretch")
# Whole-number averaging down to 1.5 × the size, then Lanczos: twice as fast as Lanczos alone, and on photographs as near
# to it (43 dB) as bicubic resampling is.
REDUCING_GAP = 1.5
PIXEL_ART_SIDE = 64  # larger pictures are no pixel art
PIXEL_ART_COLOURS = 64


def needed_size(size: tuple[int, int], target: tuple[int, int], how: str) -> tuple[int, int]:
    """How large the whole picture of ``size`` must be decoded so that ``fit`` to ``target`` loses nothing to speak of.

    Twice the final scale, as in Pillow's own ``thumbnail`` (its ``reducing_gap`` of 2).
    """
    scale = fitted_scale(size, target, how)
    return max(1, math.ceil(2 * scale * size[0])), max(1, math.ceil(2 * scale * size[1]))


def fitted_scale(size: tuple[int, int], target: tuple[int, int], how: str) -> float:
    """Pixels of ``fit``'s answer to one of a picture of ``size``; where it stretches, the larger of the two."""
    across, down = target[0] / size[0], target[1] / size[1]
    return min(across, down) if how == "pad" else max(across, down)


def fit(picture: Image.Image, target: tuple[int, int], how: str = "crop", mode: str = "RGB") -> Image.Image:
    """Mode L, RGB or RGBA of any size → ``mode`` of size ``target`` (width, height).

    ``crop`` keeps the middle, ``pad`` adds white (transparent for RGBA), ``stretch`` ignores the proportions.
    Transparent parts become white unless ``mode`` is RGBA.
    """
    width, height = picture.size
    across, down = target[0] / width, target[1] / height
    if how == "pad":
        left, top, right, bottom = inner_box(picture.size, target)
        return _on_paper(_resize(picture, (right - left, bottom - top), None, mode), target, mode)
    box = None
    if how == "crop" and across != down:
        scale = max(across, down)
        cut = ((width - target[0] / scale) / 2, (height - target[1] / scale) / 2)
        box = (max(0.0, cut[0]), max(0.0, cut[1]), min(width, width - cut[0]), min(height, height - cut[1]))
    return _flatten(_resize(picture, target, box, mode), mode)


def inner_box(size: tuple[int, int], target: tuple[int, int]) -> tuple[int, int, int, int]:
    """Where ``pad`` puts a picture of ``size`` within ``target``: left, top, right, bottom; the rest is border."""
    scale = min(target[0] / size[0], target[1] / size[1])
    width, height = max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
    left, top = (target[0] - width) // 2, (target[1] - height) // 2
    return left, top, left + width, top + height


def stored(picture: Image.Image) -> np.ndarray:
    """Mode L, RGB or RGBA → uint8 ``[H, W, C]``; what lies under fully transparent pixels becomes 0."""
    array = np.array(picture)
    if array.ndim == 2:
        return array[..., None]
    if array.shape[2] == 4:
        array[array[..., 3] == 0] = 0
    return array


def _resize(
    picture: Image.Image, size: tuple[int, int], box: tuple[float, float, float, float] | None, mode: str
) -> Image.Image:
    if picture.mode == "RGB" and mode == "L":
        picture = picture.convert("L")
    if box is None and picture.size == size:
        return picture
    across = size[0] / (picture.width if box is None else box[2] - box[0])
    if across <= 1:
        return picture.resize(size, Image.Resampling.LANCZOS, box, reducing_gap=REDUCING_GAP)
    if _is_pixel_art(picture):  # whole pixels first, so that edges stay edges
        times = math.ceil(across)
        picture = picture.resize((picture.width * times, picture.height * times), Image.Resampling.NEAREST)
        box = None if box is None else (box[0] * times, box[1] * times, box[2] * times, box[3] * times)
        return picture.resize(size, Image.Resampling.BOX, box)
    return picture.resize(size, Image.Resampling.BICUBIC, box)


def _is_pixel_art(picture: Image.Image) -> bool:
    """Small, with few colours. Grey scans such as handwritten digits have few levels too, but are no pixel art."""
    if max(picture.size) > PIXEL_ART_SIDE:
        return False
    colours = picture.getcolors(16 if picture.mode == "L" else PIXEL_ART_COLOURS)
    return colours is not None


def _flatten(picture: Image.Image, mode: str) -> Image.Image:
    if picture.mode == "RGBA" and mode != "RGBA":
        paper = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(paper, picture).convert("RGB")
    return picture if picture.mode == mode else picture.convert(mode)


def _on_paper(picture: Image.Image, target: tuple[int, int], mode: str) -> Image.Image:
    flat = _flatten(picture, mode)
    if flat.size == target:
        return flat
    sheet = Image.new(mode, target, (0, 0, 0, 0) if mode == "RGBA" else "white")
    sheet.paste(flat, ((target[0] - flat.width) // 2, (target[1] - flat.height) // 2))
    return sheet
