"""The exact factors of one picture, and the drawing that follows from them."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from allaprima.core.catalog import Catalog
from allaprima.data.studies.geometry import Part
from allaprima.data.studies.palette import RGB, tones

SUBJECTS = Catalog("subject", "allaprima.data.studies.subjects")
SETTINGS = Catalog("setting", "allaprima.data.studies.settings")
STYLE_FILES = Catalog("style", "allaprima.data.studies.styles")


@dataclass(frozen=True, slots=True)
class Factors:
    """Everything that makes one picture; two equal ones give the same picture."""

    seed: int
    index: int
    subject: str
    style: str
    colour: str
    background: str
    setting: str
    x: float  # centre of the subject, units (the picture's shorter side spans -1 … 1)
    y: float  # units, downwards
    scale: float  # size of the subject, 1 fills the shorter side
    rotation: float  # degrees, clockwise
    flip: bool  # whether the subject faces left
    light: float  # where the light comes from, degrees (0 right, -90 above)
    variation: tuple[float, ...]  # six shape parameters of the subject, in [0, 1]
    surround: tuple[float, ...]  # four shape parameters of the setting, in [0, 1]
    texture: int  # seed of the grain, the strokes or the hand

    @property
    def caption(self) -> str:
        """What the picture shows, in words: 'a red paper-cut fish on cream'."""
        article = "an" if self.colour[0] in "aeiou" else "a"
        return f"{article} {self.colour} {style_file(self.style).WORD} {self.subject} on {self.background}"

    @property
    def label(self) -> str:
        """The subject's name."""
        return self.subject

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON, with the caption."""
        lists = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        return lists | {"caption": self.caption}


@dataclass(frozen=True, slots=True)
class Scene:
    """A drawing: placed parts from back to front, and the palette to paint them with."""

    factors: Factors
    behind: list[Part]
    subject: list[Part]
    front: list[Part]
    tones: dict[str, RGB]


@lru_cache(maxsize=64)
def subject_file(name: str) -> ModuleType:
    """The module that draws a subject."""
    return SUBJECTS.get(name)


@lru_cache(maxsize=16)
def style_file(name: str) -> ModuleType:
    """The module that paints in a style."""
    return STYLE_FILES.get(name.replace("-", "_"))


def compose(f: Factors, extent: tuple[float, float]) -> Scene:
    """The drawing of ``f`` for a picture of ``extent`` (half width, half height in units)."""
    module = subject_file(f.subject)
    subject = _placed(module.draw(f.variation), f)
    # a standing subject sets the ground; a floating one leaves it low
    ground = f.y + 0.93 * f.scale if getattr(module, "GROUNDED", False) else 0.78
    behind, front = SETTINGS.get(f.setting).surround(extent, ground, f.surround)
    return Scene(f, behind, subject, front, tones(f.colour, f.background))


def _placed(parts: list[Part], f: Factors) -> list[Part]:
    """The subject's parts, flipped, turned, scaled and moved: one product for all points."""
    a, s = math.radians(f.rotation), f.scale
    matrix = np.array([[math.cos(a) * s, math.sin(a) * s], [-math.sin(a) * s, math.cos(a) * s]])
    if f.flip:
        matrix[0] = -matrix[0]
    ends = np.cumsum([len(p.points) for p in parts])[:-1]
    points = np.split(np.concatenate([p.points for p in parts]) @ matrix + (f.x, f.y), ends)
    return [Part(q, p.tone, p.raised) for p, q in zip(parts, points, strict=True)]
