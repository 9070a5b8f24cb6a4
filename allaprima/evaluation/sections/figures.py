"""What was measured, in plain words: each figure with its interval, its floor and which way is better."""

from __future__ import annotations

from allaprima.evaluation.material import Material
from allaprima.evaluation.metrics import Figure, warning
from allaprima.evaluation.report import block, escape, number

PLACE = 10


def section(material: Material) -> str:
    words = (
        f"{len(material.fake):,} samples against {len(material.real):,} pictures of the {material.split} split, which "
        f"training never saw, on the features “{escape(material.features.name)}”. Figures compare generators of this "
        "dataset on these features, and nothing else. "
        '<span class="floor-word">Real against real</span> is what training pictures get in the samples’ place: no '
        "generator is expected to do better. The bar holds 95 % of what a repetition with other pictures would give."
    )
    cards = "".join(_card(figure) for figure in material.figures)
    few = warning(len(material.real))
    banner = f'<p class="warning" role="note"><strong>{escape(few)}.</strong></p>' if few else ""
    return block("What was measured", f'{banner}<div class="figures">{cards}</div>', words)


def _card(figure: Figure) -> str:
    way = "lower is better ↓" if figure.better == "lower" else "higher is better ↑"
    between = (
        "too few pictures for an interval"
        if figure.interval is None
        else " … ".join(number(end) for end in figure.interval)
    )
    floor = ""
    if figure.floor is not None:
        floor = f'<br><span class="floor-word">real against real {number(figure.floor)}</span>'
    return (
        f'<div class="figure"><div class="name">{escape(figure.name)}<span class="way">{way}</span></div>'
        f'<div class="value">{number(figure.value)}</div><div class="between">{between}{floor}</div>{_gauge(figure)}'
        f"<p>{escape(figure.meaning)}</p>"
        f"<small>{escape(figure.note)}; features “{escape(figure.features)}”</small></div>\n"
    )


def _gauge(figure: Figure) -> str:
    """Value, interval and floor on a line that begins at 0, or below if one of them does."""
    low, high = figure.interval or (figure.value, figure.value)
    floor = figure.value if figure.floor is None else figure.floor
    least = min(0.0, low, floor)
    most = max(high, floor, 1.0 if figure.better == "higher" else 1e-9)

    def place(value: float) -> str:
        return f"{2 + 96 * (value - least) / (most - least):.1f}%"

    tick = whisker = ""
    if figure.interval is not None:
        whisker = f'<line class="whisker" x1="{place(low)}" x2="{place(high)}" y1="11" y2="11"/>'
    if figure.floor is not None:
        tick = f'<line class="floor" x1="{place(floor)}" x2="{place(floor)}" y1="2" y2="20"/>'
    return (
        f'<svg class="gauge" role="img" '
        f'aria-label="{escape(figure.name)} {number(figure.value)}">'
        '<line class="track" x1="1%" x2="99%" y1="11" y2="11"/>'
        f"{whisker}{tick}"
        f'<circle class="dot" cx="{place(figure.value)}" cy="11" r="5.5"/></svg>'
    )
