"""A toadstool with spots, at times with a small companion, in the grass."""

from __future__ import annotations

from allaprima.data.studies.geometry import Part, between, disc, join, mark, pick, place, ribbon, sheet, spline

SETTINGS = ("hills", "rays", "arch")
SWAY = 6.0
GROUNDED = True


def draw(v: tuple[float, ...]) -> list[Part]:
    """v: breadth of the cap, its height, stem, spots, companion, lean."""
    parts: list[Part] = []
    if v[4] > 0.45:
        small = _one((v[1], v[4], v[2], v[3], 0.0, 1 - v[5]), 4)
        parts += [Part(place(p.points, -0.56, 0.56, 0.42), p.tone, p.raised) for p in small]
    parts += [Part(place(p.points, 0.08 if v[4] > 0.45 else 0.0, 0.0), p.tone, p.raised) for p in _one(v, 7)]
    blade = spline([(-0.05, 0.0), (0.0, -0.2), (0.09, -0.34), (0.06, -0.12), (0.05, 0.0)], closed=True, n=4)
    for x, s in ((-0.34, -1), (-0.22, 1), (0.34, 1), (0.46, -1), (0.24, -1)):
        parts.append(sheet(place(blade * (s, 1), x, 0.98, between(0.7, 1.1, (v[5] * 9 + x) % 1)), "stem"))
    return parts


def _one(v: tuple[float, ...], spots: int) -> list[Part]:
    wide, top, thick = between(0.66, 0.86, v[0]), between(-0.62, -0.92, v[1]), between(0.15, 0.26, v[2])
    lean = between(-0.1, 0.1, v[5])
    left = spline([(lean - thick * 0.8, 0.0), (-thick * 0.8, 0.4), (-thick * 1.3, 0.84), (-thick * 0.9, 0.96)])
    right = spline([(thick * 0.9, 0.96), (thick * 1.3, 0.84), (thick * 0.8, 0.4), (lean + thick * 0.8, 0.0)])
    dome = spline(
        [
            (-wide, 0.06),
            (-wide * 0.96, -0.2),
            (-wide * 0.62, top * 0.78),
            (lean, top),
            (wide * 0.62, top * 0.78),
            (wide * 0.96, -0.2),
            (wide, 0.06),
        ]
    )
    rim = spline([(wide, 0.06), (wide * 0.5, 0.17), (0, 0.2), (-wide * 0.5, 0.17), (-wide, 0.06)])
    gills = join(
        rim[::-1] * (0.98, 1),
        spline([(wide * 0.9, 0.08), (wide * 0.4, 0.0), (0, -0.02), (-wide * 0.4, 0.0), (-wide * 0.9, 0.08)]),
    )
    skirt = spline(
        [(-thick * 0.95, 0.26), (0, 0.2), (thick * 0.95, 0.26), (thick * 1.3, 0.42), (0, 0.48), (-thick * 1.3, 0.42)],
        closed=True,
    )
    shade = join(right[:-4], (right[:-4] - (thick * 0.75, 0))[::-1])
    parts = [sheet(join(left, right), "pale"), mark(shade, "shade")]
    if v[2] > 0.4:
        parts.append(sheet(skirt, "pale"))
    parts += [sheet(join(dome, rim)), mark(gills, "deep")]
    band = join(
        spline([(-wide * 0.98, 0.02), (0, 0.1), (wide * 0.98, 0.02)]),
        spline([(wide * 0.97, -0.14), (wide * 0.4, 0.0), (-wide * 0.4, 0.0), (-wide * 0.97, -0.14)]),
    )
    places = [
        (0.0, 0.42, 0.17),
        (-0.46, 0.5, 0.12),
        (0.48, 0.46, 0.13),
        (-0.7, 0.12, 0.09),
        (0.76, 0.1, 0.08),
        (-0.24, 0.12, 0.11),
        (0.28, 0.1, 0.1),
        (0.16, 0.82, 0.09),
    ]
    parts += [mark(band, "dark")]
    shift = between(-0.06, 0.06, v[3])
    for x, y, r in places[: spots - 2 + pick(v[3], 4)]:
        parts.append(mark(disc((x + shift) * wide, y * top, r * between(0.75, 1.15, v[3]), r * 0.82, n=16), "pale"))
    line = ribbon([(-thick * 0.3, 0.52), (-thick * 0.35, 0.84)], 0.012, 0.03)
    return [*parts, mark(line, "shade")]
