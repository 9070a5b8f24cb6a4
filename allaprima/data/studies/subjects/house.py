"""A cottage: gable front, roof, chimney with smoke, windows and a door."""

from __future__ import annotations

from allaprima.data.studies.geometry import Part, between, disc, join, mark, pick, polygon, ribbon, sheet, spline

SETTINGS = ("hills", "clouds", "arch")
SWAY = 3.0
GROUNDED = True


def draw(v: tuple[float, ...]) -> list[Part]:
    """v: height of the walls, pitch of the roof, side of the chimney, windows, door, smoke."""
    eave, ridge = between(0.0, -0.16, v[0]), between(-0.62, -0.82, v[1])
    end = 0.82  # where the long side ends
    front = polygon((-0.78, 0.92), (-0.78, eave), (-0.43, ridge + 0.08), (-0.08, eave), (-0.08, 0.92))
    side = polygon((-0.1, 0.92), (-0.1, eave), (end, eave), (end, 0.92))
    roof = polygon((-0.43, ridge), (0.62, ridge), (end + 0.1, eave + 0.06), (-0.04, eave + 0.06))
    verge = polygon((-0.43, ridge), (-0.43 + 0.02, ridge + 0.14), (-0.86, eave + 0.16), (-0.93, eave + 0.08))
    verge2 = polygon((-0.43, ridge), (-0.43, ridge + 0.15), (-0.07, eave + 0.14), (-0.02, eave + 0.05))
    parts = [*_chimney(v, ridge), sheet(side, "base"), sheet(front, "light"), sheet(roof, "dark")]
    for i in range(1, 3):
        y = ridge + (eave + 0.06 - ridge) * i / 3
        x = -0.43 + 0.39 * i / 3
        parts.append(mark(ribbon([(x + 0.06, y), (0.6 + 0.1 * i, y)], 0.03, n=2), "deep"))
    parts += [sheet(verge, "deep"), sheet(verge2, "deep")]
    parts += _door(v[4]) if v[4] < 0.65 else _window(-0.43, 0.3, 0.3, 0.34)
    n = 1 + pick(v[3], 3)
    wide = min(0.24, 0.62 / n)
    for i in range(n):
        parts += _window(0.36 + (i - (n - 1) / 2) * 0.82 / n, 0.4, wide, 0.32)
    parts.append(mark(disc(-0.43, ridge + 0.42, 0.075, n=14), "accent"))
    return parts


def _chimney(v: tuple[float, ...], ridge: float) -> list[Part]:
    x = between(0.1, 0.44, v[2])
    puffs = [disc(x + 0.1, ridge - 0.24, 0.07), disc(x + 0.2, ridge - 0.34, 0.085)] if v[5] > 0.4 else []
    stack = polygon((x, ridge + 0.16), (x, ridge - 0.12), (x + 0.18, ridge - 0.12), (x + 0.18, ridge + 0.16))
    cap = polygon(
        (x - 0.03, ridge - 0.12), (x - 0.03, ridge - 0.19), (x + 0.21, ridge - 0.19), (x + 0.21, ridge - 0.12)
    )
    return [*(sheet(puff, "glow") for puff in puffs), sheet(stack, "dark"), sheet(cap, "deep")]


def _door(v: float) -> list[Part]:
    arch = join(
        spline([(-0.58, 0.4), (-0.54, 0.26), (-0.43, 0.2), (-0.32, 0.26), (-0.28, 0.4)]),
        polygon((-0.28, 0.92), (-0.58, 0.92)),
    )
    return [sheet(arch, "deep"), mark(disc(-0.34, 0.6, 0.035, n=8), "accent")]


def _window(x: float, y: float, w: float, h: float) -> list[Part]:
    x0, x1, y0, y1 = x - w / 2, x + w / 2, y - h / 2, y + h / 2
    frame = polygon(
        (x0 - 0.035, y0 - 0.035), (x1 + 0.035, y0 - 0.035), (x1 + 0.035, y1 + 0.035), (x0 - 0.035, y1 + 0.035)
    )
    glass = polygon((x0, y0), (x1, y0), (x1, y1), (x0, y1))
    bars = [ribbon([(x, y0), (x, y1)], 0.03, n=1), ribbon([(x0, y), (x1, y)], 0.03, n=1)]
    return [mark(frame, "deep"), mark(glass, "accent"), *(mark(b, "deep") for b in bars)]
