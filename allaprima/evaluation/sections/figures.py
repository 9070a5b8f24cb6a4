"""What was measured, at a glance: the headline on cards, and what could not be measured."""

from __future__ import annotations

from allaprima.evaluation.material import Material
from allaprima.evaluation.metrics import Figure, warning
from allaprima.evaluation.report import WAY, block, escape, number

PLACE = 10
HEADLINE = (
    "kernel distance",
    "Fréchet distance, extrapolated",
    "precision",
    "recall",
    "coverage",
    "following accuracy",
    "copy rate",
    "likelihood, bits/dim",
)


def section(material: Material) -> str:
    words = (
        f"{len(material.fake):,} samples against {len(material.real):,} pictures of the {material.split} split, which "
        f"training never saw, on the features “{escape(material.features.name)}”. {_comparable(material)} "
        'What <span class="floor-word">real pictures</span> get stands below each figure: no generator should beat all of '
        "them. The bar holds 95 % of what a repetition with other pictures would give. Which real pictures those are, "
        "and what a bar leaves out, stands in each note under “Every figure”."
    )
    by_name = {figure.name: figure for figure in material.figures}
    cards = "".join(_card(by_name[name]) for name in HEADLINE if name in by_name)
    few = warning(len(material.real), len(material.fake))
    banner = f'<p class="warning" role="note"><strong>{escape(few)}.</strong></p>' if few else ""
    return block("What was measured", f'{banner}<div class="figures">{cards}</div>{_missing(material)}', words)


def _comparable(material: Material) -> str:
    """What the figures may be compared with."""
    names = material.features.published_names
    if not names:
        return "Figures compare generators of this dataset on these features, and nothing else."
    known = ", ".join(f"the {escape(ours)} as {escape(theirs)}" for ours, theirs in names.items())
    note = f" ({escape(material.features.published_note)})" if material.features.published_note else ""
    return (
        f"On these features papers publish {known}{note}; everything else compares generators of this dataset on these "
        "features only."
    )


def _card(figure: Figure) -> str:
    between = "no interval" if figure.interval is None else " … ".join(number(end) for end in figure.interval)
    return (
        f'<div class="figure"><div class="name">{escape(figure.name)}<span class="way">{WAY[figure.better]}</span></div>'
        f'<div class="value">{number(figure.value)}</div><div class="between">{between}{_ends(figure)}</div>'
        f"{_gauge(figure)}<p>{escape(figure.meaning)}</p></div>\n"
    )


def _ends(figure: Figure) -> str:
    """What real pictures get, and what chance gets."""
    ends = ""
    if figure.real is not None:
        ends = f'<br><span class="floor-word">real pictures {number(figure.real)}</span>'
    if figure.better == "higher" and figure.floor is not None:
        ends += f" · chance {number(figure.floor)}"
    return ends


def _missing(material: Material) -> str:
    """Metrics that could not be measured, each with what would help."""
    rows = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(error.problem)}: {escape(error.remedy)}.</dd>"
        for name, error in material.left_out.items()
    )
    return f"<h3>Not measured</h3><dl>{rows}</dl>" if rows else ""


def _gauge(figure: Figure) -> str:
    """Value, interval and the real pictures' own on a line that begins at 0, or below if one of them does."""
    low, high = figure.interval or (figure.value, figure.value)
    real = figure.value if figure.real is None else figure.real
    least = min(0.0, low, real)
    most = max(high, real, 1.0 if figure.better == "higher" else 1e-9)

    def place(value: float) -> str:
        return f"{2 + 96 * (value - least) / (most - least):.1f}%"

    tick = whisker = ""
    if figure.interval is not None:
        whisker = f'<line class="whisker" x1="{place(low)}" x2="{place(high)}" y1="11" y2="11"/>'
    if figure.real is not None:
        tick = f'<line class="floor" x1="{place(real)}" x2="{place(real)}" y1="2" y2="20"/>'
    return (
        f'<svg class="gauge" role="img" '
        f'aria-label="{escape(figure.name)} {number(figure.value)}">'
        '<line class="track" x1="1%" x2="99%" y1="11" y2="11"/>'
        f"{whisker}{tick}"
        f'<circle class="dot" cx="{place(figure.value)}" cy="11" r="5.5"/></svg>'
    )
