"""How training went: the curves of ``stats.jsonl``, drawn as SVG."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from pathlib import Path

from allaprima.evaluation.material import Material
from allaprima.evaluation.report import block, escape, number

PLACE = 60
WIDTH, HEIGHT, LEFT, BOTTOM = 420, 200, 46, 22
MOST_POINTS = 240
COLOURS = 6
FIRST = ("validation", "loss")  # the others follow by name
LEFT_OUT = ("time",)
SHARES = ("precision", "recall", "density", "coverage")  # one chart: all are shares, or near 1

Curve = list[tuple[float, float]]


def section(material: Material) -> str:
    panels = read_curves(material.run / "stats.jsonl")
    if not panels:
        return ""
    charts = "".join(_chart(title, curves) for title, curves in charts_of(panels).items())
    words = (
        "Against the number of training images seen. Single extremes are cut off at the frame. Validation figures are taken "
        "on pictures that are neither trained on nor part of the test split; one of them chose the moment that was kept."
    )
    return block("Training", f'<div class="charts">{charts}</div>', words)


def read_curves(path: Path) -> dict[str, dict[str, Curve]]:
    """Panel → name → points, from lines such as ``{"num_images_seen": 512, "loss/generator": 0.7}``.

    A panel holds the names of one prefix. Torn lines, missing values and numbers that are not finite are passed over;
    so are names without a prefix, and curves of fewer than two points.
    """
    panels: dict[str, dict[str, Curve]] = defaultdict(lambda: defaultdict(list))
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else ():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        seen = line.get("num_images_seen") if isinstance(line, dict) else None
        if seen is None or not _is_number(seen):
            continue
        for key, value in line.items():
            panel, slash, name = key.partition("/")
            if slash and _is_number(value):
                panels[panel][name].append((float(seen), float(value)))
    kept = {panel: {name: c for name, c in curves.items() if len(c) > 1} for panel, curves in panels.items()}
    order = sorted(kept, key=lambda panel: (FIRST.index(panel) if panel in FIRST else len(FIRST), panel))
    return {panel: kept[panel] for panel in order if kept[panel] and panel not in LEFT_OUT}


def charts_of(panels: dict[str, dict[str, Curve]]) -> dict[str, dict[str, Curve]]:
    """Title → curves of one chart: a panel each, but a chart for each validation figure, which have no scale in common."""
    found: dict[str, dict[str, Curve]] = {}
    for panel, curves in panels.items():
        for name, curve in curves.items():
            alone = panel == "validation" and name not in SHARES
            title = f"{panel}: {name.replace('_', ' ')}" if alone else panel
            found.setdefault(title, {})[name] = curve
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _chart(title: str, curves: dict[str, Curve]) -> str:
    names = list(curves)[:COLOURS]
    thin = {name: curves[name][:: max(1, math.ceil(len(curves[name]) / MOST_POINTS))] for name in names}
    xs = [x for curve in thin.values() for x, _ in curve]
    ys = sorted(y for curve in thin.values() for _, y in curve)
    left, right = min(xs), max(max(xs), min(xs) + 1)
    low, high = ys[int(0.01 * (len(ys) - 1))], ys[math.ceil(0.99 * (len(ys) - 1))]
    if high - low < 1e-12:
        low, high = low - 0.5, high + 0.5

    def at(x: float, y: float) -> str:
        y = min(max(y, low), high)
        across = LEFT + (WIDTH - LEFT - 4) * (x - left) / (right - left)
        return f"{across:.1f},{8 + (HEIGHT - BOTTOM - 8) * (high - y) / (high - low):.1f}"

    lines = "".join(
        f'<polyline style="stroke:var(--c{i})" points="{" ".join(at(x, y) for x, y in thin[name])}"/>'
        for i, name in enumerate(names)
    )
    bottom = HEIGHT - BOTTOM
    frame = (
        f'<line class="axis" x1="{LEFT}" x2="{WIDTH}" y1="{bottom}" y2="{bottom}"/>'
        f'<line class="axis" x1="{LEFT}" x2="{WIDTH}" y1="8" y2="8"/>'
        f'<text x="{LEFT - 6}" y="12" text-anchor="end">{number(high)}</text>'
        f'<text x="{LEFT - 6}" y="{bottom + 4}" text-anchor="end">{number(low)}</text>'
        f'<text x="{LEFT}" y="{HEIGHT - 4}">{_images(left)}</text>'
        f'<text x="{WIDTH - 4}" y="{HEIGHT - 4}" text-anchor="end">{_images(right)} images</text>'
    )
    legend = "".join(
        f'<span><i style="background:var(--c{i})"></i>{escape(name.replace("_", " "))} '
        f"{number(curves[name][-1][1])}</span>"
        for i, name in enumerate(names)
    )
    return (
        f'<figure class="chart"><h3>{escape(title)}</h3><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(title)}">{frame}{lines}</svg><div class="legend">{legend}</div></figure>\n'
    )


def _images(count: float) -> str:
    return f"{count / 1000:,.0f}k" if count >= 10_000 else f"{count:,.0f}"
