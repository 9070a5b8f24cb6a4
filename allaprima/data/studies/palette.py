"""Colours by name, and the tones that a style paints with.

Use: ``tones("red", "cream")["dark"]`` is the shadow tone of a red subject, as (r, g, b) in 0 … 255.
"""

from __future__ import annotations

import math
from functools import lru_cache

RGB = tuple[int, int, int]

_ROLES = ("light", "base", "dark", "deep", "accent")
# Every ramp is mixed by eye, not by formula: shadows turn towards a cooler or deeper hue, lights towards warm paper.
_RAMPS: dict[str, tuple[RGB, RGB, RGB, RGB, RGB]] = {
    "red": ((234, 108, 84), (207, 56, 46), (160, 34, 42), (92, 20, 36), (250, 212, 130)),
    "orange": ((250, 172, 92), (235, 128, 38), (194, 90, 26), (112, 46, 24), (253, 232, 184)),
    "yellow": ((253, 226, 126), (243, 195, 48), (214, 150, 30), (132, 82, 24), (208, 92, 50)),
    "green": ((124, 184, 104), (60, 142, 74), (32, 102, 62), (14, 60, 46), (247, 214, 108)),
    "blue": ((112, 170, 232), (46, 112, 206), (28, 74, 156), (14, 36, 88), (251, 206, 108)),
    "violet": ((186, 148, 224), (136, 88, 190), (98, 58, 148), (46, 26, 80), (251, 202, 128)),
    "pink": ((253, 176, 194), (238, 118, 156), (200, 78, 122), (118, 36, 80), (255, 232, 188)),
    "white": ((255, 254, 249), (246, 240, 229), (212, 205, 198), (118, 114, 124), (236, 168, 78)),
}

COLOURS: dict[str, RGB] = {name: ramp[1] for name, ramp in _RAMPS.items()}
BACKGROUNDS: dict[str, RGB] = {
    "cream": (243, 229, 202),
    "sky": (156, 204, 232),
    "sage": (163, 187, 145),
    "blush": (243, 194, 178),
    "night": (30, 38, 78),
    "pine": (24, 68, 64),
}
INK: RGB = (34, 28, 38)
PAPER: RGB = (255, 250, 236)
MIN_CONTRAST = 214.0  # of `contrast`, chosen by looking: below it, a subject sinks into its background


def mix(a: RGB, b: RGB, t: float) -> RGB:
    """The colour a fraction ``t`` of the way from a to b."""
    return (round(a[0] + (b[0] - a[0]) * t), round(a[1] + (b[1] - a[1]) * t), round(a[2] + (b[2] - a[2]) * t))


def luminance(rgb: RGB) -> float:
    """Perceived brightness, 0 … 255 (Rec. 601 weights)."""
    return 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]


def contrast(a: RGB, b: RGB) -> float:
    """Perceived distance of two colours: 'redmean' (T. Riemersma, CompuPhase), 0 … about 765."""
    mean, (r, g, bl) = (a[0] + b[0]) / 2, (a[0] - b[0], a[1] - b[1], a[2] - b[2])
    squares: float = (2 + mean / 256) * r * r + 4 * g * g + (2 + (255 - mean) / 256) * bl * bl
    return math.sqrt(squares)


@lru_cache(maxsize=64)
def backgrounds_for(colour: str) -> tuple[str, ...]:
    """The backgrounds on which a subject of ``colour`` stands out."""
    return tuple(name for name, rgb in BACKGROUNDS.items() if contrast(COLOURS[colour], rgb) >= MIN_CONTRAST)


def is_dark(background: str) -> bool:
    """Whether a light line shows better on this background than a dark one."""
    return luminance(BACKGROUNDS[background]) < 110


@lru_cache(maxsize=128)
def tones(colour: str, background: str) -> dict[str, RGB]:
    """Every tone of a scene: of the subject, and of the setting around it."""
    ramp: dict[str, RGB] = dict(zip(_ROLES, _RAMPS[colour], strict=True))
    ground = BACKGROUNDS[background]
    # the setting keeps the background's hue, so that the caption stays true of it
    if is_dark(background):
        bright = 255 / max(ground)
        paper = mix((round(ground[0] * bright), round(ground[1] * bright), round(ground[2] * bright)), PAPER, 0.4)
        glow, towards = 0.14, paper
        wood, stem = (156, 110, 78), (116, 160, 94)
    else:
        paper, glow, towards = PAPER, 0.4, mix(mix((0, 0, 0), ground, 0.4), (104, 84, 110), 0.25)
        wood, stem = (110, 70, 48), (66, 110, 68)
    subject = ramp | {
        "pale": mix(ramp["light"], PAPER, 0.8),
        "shade": mix(mix(ramp["light"], PAPER, 0.8), ramp["deep"], 0.2),
        "ink": mix(INK, ramp["deep"], 0.25),
        "wood": mix(wood, ramp["deep"], 0.2),
        "stem": mix(stem, ramp["deep"], 0.2),
    }
    step = 0.75 if is_dark(background) else 1.0
    return subject | {
        "back": ground,
        "glow": mix(ground, paper, glow),
        "far": mix(ground, towards, 0.09 * step),
        "near": mix(ground, towards, 0.18 * step),
        "front": mix(ground, towards, 0.28 * step),
    }
