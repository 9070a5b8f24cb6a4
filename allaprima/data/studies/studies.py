"""Studies: pictures that can be drawn without end, each with its exact factors and a true caption.

A subject of a plug-in joins the deck, and so changes which picture an index means; nothing else does.

Use: ``picture, factors = study(seed=0, index=7, size=(64, 64)); factors.caption``.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from allaprima.core.errors import UserError
from allaprima.core.seeds import derive, numpy_stream
from allaprima.data.studies.canvas import Canvas, coverage
from allaprima.data.studies.geometry import pick
from allaprima.data.studies.palette import BACKGROUNDS, COLOURS, backgrounds_for
from allaprima.data.studies.scene import SUBJECTS, Factors, compose, style_file, subject_file

__all__ = [
    "BACKGROUNDS",
    "COLOURS",
    "STUDIES_SUBJECTS",
    "STYLES",
    "Factors",
    "factors",
    "render",
    "study",
    "subject_mask",
]

STYLES = ("paper-cut", "oil", "pen")
STUDIES_SUBJECTS: tuple[str, ...] = tuple(SUBJECTS.names())  # lists a folder; the drawings are imported when drawn
MIN_SIDE, MAX_SIDE = 16, 512  # pixels


@lru_cache(maxsize=8)
def _deck(seed: int, block: int) -> NDArray[np.int64]:
    """A shuffled deck with every subject × style × colour once: any whole deck is exactly balanced."""
    return numpy_stream(seed, "studies/deck", block).permutation(len(STUDIES_SUBJECTS) * len(STYLES) * len(COLOURS))


def factors(seed: int, index: int) -> Factors:
    """The factors of picture ``index`` (0 or more) of the endless set ``seed``."""
    cards = len(STUDIES_SUBJECTS) * len(STYLES) * len(COLOURS)
    block, place = divmod(index, cards)
    card = int(_deck(seed, block)[place])
    rest, subject = divmod(card, len(STUDIES_SUBJECTS))
    style, tint = divmod(rest, len(COLOURS))
    name, colour = STUDIES_SUBJECTS[subject], tuple(COLOURS)[tint]
    grounds, settings = backgrounds_for(colour), subject_file(name).SETTINGS
    u = numpy_stream(seed, "studies/factors", index).random(18).round(6).tolist()
    scale, sway = 0.66 + 0.16 * u[2], subject_file(name).SWAY
    return Factors(
        seed=seed,
        index=index,
        subject=name,
        style=STYLES[style],
        colour=colour,
        # deck after deck, a card meets each of its colour's backgrounds in turn
        background=grounds[(card * 7 + block) % len(grounds)],
        setting=settings[pick(u[3], len(settings))],
        x=round(0.24 * (u[0] - 0.5), 6),
        y=round(0.16 * (u[1] - 0.5), 6),
        scale=round(scale, 6),
        rotation=round(sway * (2 * u[4] - 1), 4),
        flip=u[5] < 0.5,
        light=round((-150.0 if u[6] < 0.5 else -60.0) + 30 * u[7], 4),
        variation=tuple(u[8:14]),
        surround=tuple(u[14:18]),
        texture=derive(seed, "studies/texture", index) & 0xFFFFFFFF,
    )


def render(factors: Factors, size: tuple[int, int]) -> NDArray[np.uint8]:
    """The picture of ``factors``, uint8 [H, W, 3], for a ``size`` of (width, height), each 16 … 512 pixels.

    The same factors and size give the same bytes; another size gives the same composition.
    """
    canvas = _canvas(size)
    picture: NDArray[np.uint8] = style_file(factors.style).paint(compose(factors, canvas.extent), canvas)
    return picture


def subject_mask(factors: Factors, size: tuple[int, int]) -> NDArray[np.float32]:
    """How much of each pixel the visible subject covers, float32 [H, W] in [0, 1]."""
    canvas = _canvas(size)
    scene = compose(factors, canvas.extent)
    shapes = [(p.points, 255) for p in scene.subject] + [(p.points, 0) for p in scene.front]
    return coverage(canvas.mask(shapes))


def study(seed: int, index: int, size: tuple[int, int]) -> tuple[NDArray[np.uint8], Factors]:
    """Picture ``index`` of the set ``seed``, uint8 [H, W, 3], and its factors."""
    f = factors(seed, index)
    return render(f, size), f


def _canvas(size: tuple[int, int]) -> Canvas:
    width, height = size
    if not (MIN_SIDE <= width <= MAX_SIDE and MIN_SIDE <= height <= MAX_SIDE):
        raise UserError(f"Studies cannot be {width} × {height} pixels", f"choose sides from {MIN_SIDE} to {MAX_SIDE}")
    return Canvas((int(width), int(height)))
