"""Faces are filled before anything of a picture is stored: with one flat colour from beside them, which nothing can undo.

A detector misses faces. So a picture is *doubtful* where it is not sure (a score between two thresholds) or where a face is near
the least that it can see: then the picture is refused, or kept with those places filled too. What is said of it is never more
than: faces that the detector found were filled.

A detector sees faces of about 10 to 300 pixels (opencv_zoo), so each picture is looked at small, at the canvas's size, and,
where what is stored shows more than that, in overlapping tiles.

Use: ``picture, seen = fill(picture, faces, scale)``.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from allaprima.core.errors import UserError
from allaprima.core.files import sha256_file
from allaprima.data import yunet
from allaprima.data.refused import Refused

CHECK = "doubtful_faces"
VARIABLE = "ALLAPRIMA_FACE_DETECTOR"
SMALL_VIEW = 320  # pixels: in it the face that fills a picture is one of 300 or less
SMALLEST = 10  # pixels of a view: smaller faces are not seen reliably
ENLARGED = 1.3  # times the box: it ends at brows and chin
OVERLAPPING = 0.25  # of a tile
RING = 0.15  # of a box: how far around it its colour is taken from


@dataclass(frozen=True)
class Faces:
    """A detector's file, its SHA-256, and two lines: a score of ``certain`` is a face, one from ``doubtful_from`` on may be."""

    path: str
    sha256: str
    certain: float
    doubtful_from: float
    refuse_doubtful: bool


class Seen(NamedTuple):
    """How many faces were filled, and in words why there may be more, or None."""

    faces: int
    doubt: str | None


def choose(path: str, certain: float, doubtful_from: float, doubtful: str) -> Faces:
    """The detector at ``path``, else the one that the environment names. Raises UserError where there is none that works."""
    path = path or os.environ.get(VARIABLE, "")
    if not path:
        raise UserError("Faces cannot be found: no face detector is given", yunet.REMEDY)
    if doubtful_from > certain:
        raise UserError(
            f"A face is doubtful from a score of {doubtful_from:g} on and certain from {certain:g} on, which is less",
            "give a --face-doubt below --face-threshold, such as 0.3 and 0.6",
        )
    yunet.load(path)
    return Faces(os.path.abspath(path), sha256_file(Path(path)), certain, doubtful_from, doubtful == "refuse")


@lru_cache(maxsize=1)
def _net(path: str, sha256: str) -> yunet.Net:
    return yunet.load(path, sha256)


def let_go() -> None:
    """Forget the loaded detector (where pictures were examined in the calling process itself)."""
    _net.cache_clear()


def needed_size(size: tuple[int, int], fitted: tuple[int, int]) -> tuple[int, int]:
    """How large a picture of ``size`` must be decoded to look for faces, and for ``fitted`` too."""
    scale = min(1.0, 2 * yunet.SIDE / max(size))
    return max(fitted[0], math.ceil(scale * size[0])), max(fitted[1], math.ceil(scale * size[1]))


def fill(picture: Image.Image, faces: Faces, scale: float) -> tuple[Image.Image, Seen]:
    """An upright picture of mode L, RGB or RGBA with its faces filled, and what was seen.

    ``scale``: stored pixels to one of ``picture``. Raises Refused where the detector fails, or the picture is doubtful and
    that is not wanted.
    """
    try:
        net = _net(faces.path, faces.sha256)
        boxes, scores, smallest = _find(picture, net, faces.doubtful_from, scale)
    except Exception as error:  # whatever happens: a picture that was not looked at is not stored
        words = error.problem if isinstance(error, UserError) else str(error).strip() or type(error).__name__
        raise Refused(CHECK, f"could not be searched for faces: {words.splitlines()[0][:120]}") from error
    certain = scores >= faces.certain
    doubt = _doubt(boxes, scores, certain, smallest)
    if doubt and faces.refuse_doubtful:
        raise Refused(CHECK, doubt)
    return _filled(picture, [enlarged(box, picture.size) for box in boxes]), Seen(int(certain.sum()), doubt)


def _find(picture: Image.Image, net: yunet.Net, at_least: float, scale: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Boxes ``[N, 4]`` in the picture's pixels, their scores, and the least side of a face that can be seen, in pixels."""
    found: list[tuple[np.ndarray, np.ndarray]] = [(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))]
    finest = 0.0
    for sight in _sights(picture):
        for box, shrunk in _views(sight.size, net.canvas, scale):
            size = max(1, round((box[2] - box[0]) * shrunk)), max(1, round((box[3] - box[1]) * shrunk))
            view = sight.resize(size, Image.Resampling.BILINEAR, box, reducing_gap=2.0)
            boxes, scores = net.find(np.asarray(view)[..., ::-1], at_least)
            found.append((boxes / shrunk + np.array([box[0], box[1]] * 2, np.float32), scores))
            finest = max(finest, shrunk)
    boxes, scores = yunet.distinct(*(np.concatenate(part) for part in zip(*found, strict=True)))
    return boxes, scores, SMALLEST / finest


def _sights(picture: Image.Image) -> Iterator[Image.Image]:
    """RGB as it is, and, where it is transparent, as it looks on white: either may show a face."""
    if picture.mode == "RGBA" and int(np.asarray(picture)[..., 3].min()) < 255:
        paper = Image.new("RGBA", picture.size, "white")
        yield Image.alpha_composite(paper, picture).convert("RGB")
    yield picture.convert("RGB")


def _views(
    size: tuple[int, int], canvas: tuple[int, int], scale: float
) -> Iterator[tuple[tuple[int, int, int, int], float]]:
    """Parts of the picture and how much each is made smaller; never larger than it is."""
    whole = (0, 0, *size)
    widest = min(1.0, canvas[0] / size[0], canvas[1] / size[1])
    small = min(1.0, SMALL_VIEW / max(size))
    yield whole, min(small, widest)
    if widest > small:
        yield whole, widest
    wanted = min(1.0, scale)
    if wanted <= widest:
        return
    across, down = (max(1, int(side / wanted)) for side in canvas)
    for top in _starts(size[1], down):
        for left in _starts(size[0], across):
            yield (left, top, min(size[0], left + across), min(size[1], top + down)), wanted


def _starts(length: int, tile: int) -> list[int]:
    """Where tiles of a side begin, evenly, each over ``OVERLAPPING`` of the one before."""
    if length <= tile:
        return [0]
    count = math.ceil((length - tile) / (tile * (1 - OVERLAPPING))) + 1
    return [round(place * (length - tile) / (count - 1)) for place in range(count)]


def _doubt(boxes: np.ndarray, scores: np.ndarray, certain: np.ndarray, smallest: float) -> str | None:
    unsure = scores[~certain]
    if len(unsure):
        return f"may show {len(unsure):,} more face{'s' * (len(unsure) != 1)}: score {float(unsure.max()):.2f}"
    sides = (boxes[:, 2:] - boxes[:, :2]).min(axis=1, initial=math.inf) if len(boxes) else np.empty(0)
    small = sides[sides < smallest]
    return f"faces too small to find all: one of {float(small.min()):.0f} pixels" if len(small) else None


def enlarged(box: np.ndarray, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The box (left, top, right, bottom) ``ENLARGED`` times about its middle, in whole pixels within a picture of ``size``."""
    middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2 * ENLARGED
    left, top = (max(0, math.floor(value)) for value in middle - half)
    right, bottom = (min(most, math.ceil(value)) for most, value in zip(size, middle + half, strict=True))
    return left, top, right, bottom


def _filled(picture: Image.Image, boxes: list[tuple[int, int, int, int]]) -> Image.Image:
    """Each box in the middle colour of what lies around it and is in no box; opaque, so that no outline stays."""
    boxes = [box for box in boxes if box[0] < box[2] and box[1] < box[3]]
    if not boxes:
        return picture
    pixels = np.asarray(picture)
    outside = np.ones(pixels.shape[:2], bool)
    for left, top, right, bottom in boxes:
        outside[top:bottom, left:right] = False
    filled = picture.copy()
    draw = ImageDraw.Draw(filled)
    for left, top, right, bottom in boxes:
        draw.rectangle((left, top, right - 1, bottom - 1), _colour_around(pixels, outside, (left, top, right, bottom)))
    return filled


def _colour_around(pixels: np.ndarray, outside: np.ndarray, box: tuple[int, int, int, int]) -> tuple[int, ...] | int:
    left, top, right, bottom = box
    reach = max(2, round(RING * max(right - left, bottom - top)))
    rows, columns = slice(max(0, top - reach), bottom + reach), slice(max(0, left - reach), right + reach)
    around = pixels[rows, columns][outside[rows, columns]]
    if not len(around):
        around = np.full((1, *pixels.shape[2:]), 128, np.uint8)  # the boxes leave nothing of the picture
    middle = np.median(around, axis=0)
    if middle.ndim == 0:
        return int(middle)
    colour = [int(value) for value in middle]
    return (*colour[:3], 255) if len(colour) == 4 else tuple(colour)
