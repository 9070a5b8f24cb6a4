"""Every figure with its interval, floor and ceiling, and what it means; the headline is in ``figures``."""

from __future__ import annotations

from allaprima.evaluation.material import Material
from allaprima.evaluation.metrics import Figure
from allaprima.evaluation.report import WAY, block, escape, number

PLACE = 65
FIRST = ("Distance", "Quality and variety", "Classes", "Memorisation")  # other groups follow in the catalogue's order


def section(material: Material) -> str:
    groups: dict[str, list[Figure]] = {name: [] for name in FIRST}
    for figure in material.figures:
        groups.setdefault(figure.group, []).append(figure)
    words = (
        "Floor and ceiling are the least and the most that make sense: where they come from stands in each note. The "
        "interval holds 95 % of what a repetition with other pictures would give; where only some of them would be "
        "others, the note says so."
    )
    return block("Every figure", "".join(_table(name, rows) for name, rows in groups.items() if rows), words)


def _table(group: str, figures: list[Figure]) -> str:
    head = "<tr><th>figure</th><th>value</th><th>95 % interval</th><th>floor</th><th>ceiling</th><th></th></tr>"
    rows = "".join(_row(figure) for figure in figures)
    return (
        f"<h3>{escape(group)}</h3><div class='scroll'><table class='all'><thead>{head}</thead>"
        f"<tbody>{rows}</tbody></table></div>"
    )


def _row(figure: Figure) -> str:
    between = "–" if figure.interval is None else " … ".join(number(end) for end in figure.interval)
    cells = {"interval": between}
    cells |= {name: "–" if end is None else number(end) for name, end in _ends(figure).items()}
    small = "; ".join(part for part in (figure.note, figure.features and f"features “{figure.features}”") if part)
    return (
        f"<tr><td><strong>{escape(figure.name)}</strong><small>{escape(figure.meaning)}</small>"
        f"<small>{escape(small)}</small></td><td class='value'>{number(figure.value)}</td>"
        + "".join(f"<td data-label='{name}'>{text}</td>" for name, text in cells.items())
        + f"<td class='way'>{WAY[figure.better]}</td></tr>\n"
    )


def _ends(figure: Figure) -> dict[str, float | None]:
    return {"floor": figure.floor, "ceiling": figure.ceiling}
