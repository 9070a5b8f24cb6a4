"""The race on one data set as a picture: distance against minutes, logarithmic, the legend in the order of the finish."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from benchmarks._race.report import ranked

SCALE = 2  # drawn twice as large, then reduced: lines without steps
WIDTH, MARGIN, PLOT_WIDTH, PLOT_HEIGHT, TOP, ROW = 1680, 70, 500, 560, 112, 27
LEGEND = 2 * (MARGIN + PLOT_WIDTH) + 50
INK, PALE, GRID = (40, 40, 40), (120, 120, 120), (228, 228, 228)
OURS = ((196, 30, 36), (232, 120, 20), (150, 20, 90))
# one hue a package, lighter for each further line of it
HUES = ((38, 84, 160), (40, 128, 70), (110, 72, 160), (0, 130, 140), (128, 96, 48), (96, 112, 128))
# without its accent: the font that Pillow carries has none
PANELS = (("frechet_distance", "Frechet distance"), ("kernel_distance", "kernel distance"))
Colour = tuple[int, int, int]


class Board:
    """A white picture to draw on in final pixels."""

    def __init__(self, width: int, height: int) -> None:
        self.picture = Image.new("RGB", (width * SCALE, height * SCALE), "white")
        self.draw = ImageDraw.Draw(self.picture)
        self.fonts: dict[int, Any] = {}

    def text(self, at: tuple[float, float], words: str, size: int = 14, fill: Colour = INK, anchor: str = "lm") -> None:
        font = self.fonts.setdefault(size, ImageFont.load_default(size * SCALE))
        self.draw.text(_scaled(at), words, fill, font, anchor)

    def width_of(self, words: str, size: int = 14) -> float:
        font = self.fonts.setdefault(size, ImageFont.load_default(size * SCALE))
        return float(self.draw.textlength(words, font)) / SCALE

    def line(self, points: Sequence[tuple[float, float]], fill: Colour, width: float, dash: float = 0) -> None:
        """A line through ``points``; with ``dash``, strokes and gaps of that many pixels."""
        for start, end in pairwise(points):
            length = math.dist(start, end)
            pieces = [(0.0, length)] if not dash else _dashes(length, dash)
            for a, b in pieces:
                ends = [_between(start, end, place / length if length else 0) for place in (a, b)]
                self.draw.line([_scaled(one) for one in ends], fill, round(width * SCALE))

    def dot(self, at: tuple[float, float], radius: float, fill: Colour) -> None:
        x, y = _scaled(at)
        r = radius * SCALE
        self.draw.ellipse((x - r, y - r, x + r, y + r), fill, "white", SCALE)

    def save(self, path: Path) -> None:
        width, height = self.picture.size
        self.picture.resize((width // SCALE, height // SCALE), Image.Resampling.LANCZOS).save(path)


def draw(path: Path, title: str, found: dict[str, Any], minutes: float) -> None:
    """Write the PNG of ``found``, which ``report.of_data`` made."""
    lines = ranked(found["lines"])
    looks = styles(found["lines"])
    height = max(TOP + PLOT_HEIGHT + 70, TOP + ROW * (len(lines) + 3))
    board = Board(WIDTH, height)
    board.text((MARGIN, 34), title, 22)
    words = (
        f"{found['training_pictures']:,} training pictures · judged on {found['test_pictures']:,} test pictures "
        f"by features “{found['features']}” · lower is better"
    )
    board.text((MARGIN, 62), words, 14, PALE)
    for place, (key, name) in enumerate(PANELS):
        left = MARGIN + place * (PLOT_WIDTH + MARGIN + 10)
        _panel(board, left, key, name, lines, looks, found["floor"][key], minutes)
    _legend(board, lines, looks, found["final_floor"])
    board.save(path)


def styles(lines: Sequence[dict[str, Any]]) -> dict[str, tuple[Colour, float, float]]:
    """Line → colour, width, dash. Ours are strong; a package's lines share a hue, every second one is dashed."""
    packages = list(dict.fromkeys(_family(line) for line in lines if not line["ours"]))
    seen: dict[str, int] = {}
    looks: dict[str, tuple[Colour, float, float]] = {}
    for line in lines:
        family = "ours" if line["ours"] else _family(line)
        number = seen[family] = seen.get(family, -1) + 1
        if line["ours"]:
            looks[line["line"]] = (OURS[number % len(OURS)], 3.4, 0)
        else:
            hue = HUES[packages.index(family) % len(HUES)]
            fade = min(0.6, 0.2 * (number // 2))
            looks[line["line"]] = (_faded(hue, fade), 1.6, 5 if number % 2 else 0)
    return looks


def _family(line: dict[str, Any]) -> str:
    return str(line["contestant"]).split("-")[0]


def _panel(
    board: Board,
    left: float,
    key: str,
    name: str,
    lines: Sequence[dict[str, Any]],
    looks: dict[str, tuple[Colour, float, float]],
    floor: float,
    minutes: float,
) -> None:
    values = [point[key] for line in lines for point in line["curve"] if _shows(point[key])]
    low, high = _limits([*values, *([floor] if _shows(floor) else [])])
    late = max([minutes, *(point["minutes"] for line in lines for point in line["curve"])]) * 1.06

    def at(x: float, y: float) -> tuple[float, float]:
        share = (math.log(max(y, low)) - math.log(low)) / (math.log(high) - math.log(low))
        return left + x / late * PLOT_WIDTH, TOP + (1 - share) * PLOT_HEIGHT

    for tick in ticks(low, high):
        y = at(0, tick)[1]
        board.line([(left, y), (left + PLOT_WIDTH, y)], GRID, 1)
        board.text((left - 8, y), f"{tick:g}", 13, PALE, "rm")
    step = next(step for step in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 1e9) if late / step <= 8)
    for number in range(int(late / step) + 1):
        x = at(number * step, low)[0]
        board.text((x, TOP + PLOT_HEIGHT + 16), f"{number * step:g}", 13, PALE, "mm")
    board.line([(left, TOP), (left, TOP + PLOT_HEIGHT), (left + PLOT_WIDTH, TOP + PLOT_HEIGHT)], PALE, 1)
    board.text((left + 4, TOP - 14), name, 16)
    board.text((left + PLOT_WIDTH / 2, TOP + PLOT_HEIGHT + 42), "minutes", 14, PALE, "mm")
    if _shows(floor):
        y = at(0, floor)[1]
        board.line([(left, y), (left + PLOT_WIDTH, y)], PALE, 1, 2)
        board.text((left + 6, y - 10), "real training pictures", 12, PALE)
    ends = []
    for number, line in reversed(list(enumerate(lines, 1))):  # the best last, on top
        colour, width, dash = looks[line["line"]]
        points = [at(point["minutes"], point[key]) for point in line["curve"] if _finite(point[key])]
        board.line(points, colour, width, dash)
        for point in points:
            board.dot(point, 5 if line["ours"] else 3.2, colour)
        if points:
            ends.append((points[-1], str(number), colour))
    for (x, y), number, colour in spread(ends):
        board.text((x + 10, y), number, 12, colour)


def spread(ends: list[Any], gap: float = 13) -> list[Any]:
    """``((x, y), …)`` in order of y, each moved down from those beside it as far as it takes to be legible."""
    moved: list[Any] = []
    for (x, y), *rest in sorted(ends, key=lambda end: end[0][1]):
        beside = [other_y for (other_x, other_y), *_ in moved if abs(other_x - x) < 2 * gap]
        moved.append(((x, max([y, *(other_y + gap for other_y in beside[-1:])])), *rest))
    return moved


def _legend(
    board: Board,
    lines: Sequence[dict[str, Any]],
    looks: dict[str, tuple[Colour, float, float]],
    floor: dict[str, Any],
) -> None:
    right = WIDTH - 24
    board.text((right, TOP - 14), "Frechet distance at the end", 13, PALE, "rm")
    y = float(TOP + 10)
    for number, line in enumerate(lines, 1):
        colour, width, dash = looks[line["line"]]
        final = line["final"]["frechet_distance"] if line["final"] else None
        board.text((LEGEND, y), str(number), 13, colour, "rm")
        if line["curve"]:
            board.line([(LEGEND + 8, y), (LEGEND + 40, y)], colour, width, dash)
        board.text((LEGEND + 50, y), line["words"], 15, INK if line["ours"] or line["curve"] else PALE)
        if final is not None and _finite(final):
            board.text((right, y), f"{final:.2f}", 15, INK, "rm")
        else:
            told = f"did not run: {line['reason']}" if not line["curve"] else f"failed: {line['reason']}"
            told = told if line["reason"] else "no figure"
            board.text(
                (right, y),
                _fitting(board, told, right - LEGEND - 70 - board.width_of(line["words"], 15)),
                12,
                PALE,
                "rm",
            )
        y += ROW
    board.text((LEGEND + 50, y), "real training pictures (the floor)", 15, PALE)
    board.text((right, y), f"{floor['frechet_distance']:.2f}", 15, PALE, "rm")


def _fitting(board: Board, words: str, width: float, size: int = 12) -> str:
    while board.width_of(words, size) > width and len(words) > 4:
        words = words[:-2].rstrip("… ") + "…"
    return words


def ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten between the two; all multiples where those are too few, the powers where too many."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = tuple(range(1, 10)) if high / low < 8 else (1, 2, 5) if high / low < 5000 else (1,)
    return [factor * 10.0**power for power in powers for factor in factors if low <= factor * 10.0**power <= high]


def _limits(values: Sequence[float]) -> tuple[float, float]:
    return (min(values) / 1.3, max(values) * 1.3) if values else (0.1, 10.0)


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _shows(value: float | None) -> bool:
    return _finite(value) and float(value or 0) > 0


def _faded(colour: Colour, share: float) -> Colour:
    r, g, b = (round(one + (255 - one) * share) for one in colour)
    return r, g, b


def _scaled(at: tuple[float, float]) -> tuple[float, float]:
    return at[0] * SCALE, at[1] * SCALE


def _between(start: tuple[float, float], end: tuple[float, float], share: float) -> tuple[float, float]:
    return start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share


def _dashes(length: float, dash: float) -> list[tuple[float, float]]:
    count = max(1, math.ceil(length / (2 * dash)))
    return [(place * 2 * dash, min(length, (place * 2 + 1) * dash)) for place in range(count)]
