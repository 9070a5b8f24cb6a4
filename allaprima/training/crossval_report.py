"""What a cross-validation found: each figure over the folds, as a table, as JSON and as a page."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from allaprima.evaluation.differences import t_interval
from allaprima.evaluation.report import WAY, block, document, escape, number, wall

LAST_LOOK = (
    "The dataset’s own test pictures were neither trained nor measured on: they are for the last look, once the recipe is "
    "chosen."
)
INTERVAL = (
    "The interval is Student’s t over the folds, for the mean. Folds share most of their training pictures, so their spread "
    "is, if anything, too small (Bengio & Grandvalet 2004); with few folds the interval is wide, and rightly so."
)


@dataclass(frozen=True)
class Row:
    """A figure over the folds. ``values`` holds one a fold, None where it could not be measured; ``spread`` is s, n - 1."""

    name: str
    features: str
    better: str
    meaning: str
    values: list[float | None]
    mean: float
    spread: float | None
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Finding:
    """All rows, what each fold was, and what to keep in mind. ``left_out``: reasons why a fold lacks a metric, by its name."""

    name: str
    settings: dict[str, Any]
    rows: list[Row]
    folds: list[dict[str, Any]]
    left_out: dict[str, str]
    warnings: list[str]

    def to_json(self) -> dict[str, Any]:
        """Everything that is on the page, but for its pictures."""
        return {**self.settings, **{key: value for key, value in asdict(self).items() if key != "settings"}}

    def table(self) -> str:
        """For a terminal."""
        cells = [("figure", "mean", "spread", "95 % interval", "better", "features")]
        cells += [(row.name, number(row.mean), *_scatter(row), row.better, row.features) for row in self.rows]
        widths = [max(len(row[column]) for row in cells) for column in range(6)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
        ]
        notes = [f"mind: {text}" for text in self.warnings]
        notes += [f"not measured: {name}: {reason}" for name, reason in self.left_out.items()]
        return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:], "", *notes, LAST_LOOK])


def summarise(settings: dict[str, Any], name: str, results: Sequence[dict[str, Any]], warnings: list[str]) -> Finding:
    """Every figure that at least one of the folds has, in the order in which they were measured."""
    known: dict[str, dict[str, Any]] = {}
    for result in results:
        for figure in result["figures"]:
            known.setdefault(figure["name"], figure)
    rows = []
    for figure in known.values():
        values = [_value_of(result, figure["name"]) for result in results]
        there = [value for value in values if value is not None]
        if there:
            spread = statistics.stdev(there) if len(there) > 1 else None
            told = {key: figure[key] for key in ("name", "features", "better", "meaning")}
            rows.append(
                Row(**told, values=values, mean=statistics.fmean(there), spread=spread, interval=t_interval(there))
            )
    left_out: dict[str, str] = {}
    for result in results:
        for metric, why in result["not_measured"].items():
            left_out.setdefault(metric, f"{why['problem']}; {why['remedy']}")
    folds = [
        {key: result[key] for key in ("fold", "pictures", "samples", "images_seen", "minutes")} for result in results
    ]
    return Finding(name, settings, rows, folds, left_out, warnings)


def _value_of(result: dict[str, Any], name: str) -> float | None:
    """A fold's figure; None where it is missing or not finite."""
    for figure in result["figures"]:
        if figure["name"] == name and figure["value"] is not None and math.isfinite(figure["value"]):
            return float(figure["value"])
    return None


def _scatter(row: Row) -> tuple[str, str]:
    """Spread and interval in words."""
    spread = "unknown" if row.spread is None else number(row.spread)
    return spread, "unknown" if row.interval is None else " … ".join(map(number, row.interval))


def page(found: Finding, samples: Sequence[Sequence[Any]]) -> str:
    """``crossval.html``: whole in itself, without a training picture. ``samples``: a few of each fold, or none."""
    asked = found.settings
    words = (
        f"The recipe “{escape(asked['recipe'])}” was trained anew {asked['folds']} times on “{escape(found.name)}”, each time "
        "without one fold of its training and validation pictures, and measured on that fold. " + LAST_LOOK
    )
    warned = "".join(f'<p class="warning" role="note">{escape(text)}.</p>' for text in found.warnings)
    missing = "".join(f"<li>{escape(name)}: {escape(reason)}</li>" for name, reason in found.left_out.items())
    body = warned + _table(found) + (f"<h3>Not measured</h3><ul>{missing}</ul>" if missing else "")
    shown = "".join(
        f'<div class="class"><div class="word">fold {fold}</div>{wall(pictures, f"fold {fold}, sample", "strip")}</div>\n'
        for fold, pictures in enumerate(samples, 1)
        if pictures
    )
    parts = [
        block("Over the folds", body, f"{words} {INTERVAL}"),
        block("Samples", f'<div class="classes">{shown}</div>', "The first of each fold’s generator.") if shown else "",
        block("The folds", _folds(found)),
    ]
    return document(f"{found.name}: {asked['recipe']} in {asked['folds']} folds", "cross-validation", "".join(parts))


def _table(found: Finding) -> str:
    heads = "".join(f"<th>fold {fold['fold']}</th>" for fold in found.folds)
    lines = []
    for row in found.rows:
        spread, between = _scatter(row)
        values = "".join(f"<td>{'–' if value is None else number(value)}</td>" for value in row.values)
        way = WAY[row.better].rstrip(" ↓↑")
        seen = f" On {escape(row.features)}." if row.features else ""
        lines.append(
            f'<tr><td style="min-width:13rem;white-space:normal">{escape(row.name)}<br>'
            f"<small>{escape(row.meaning)} {way.capitalize()}.{seen}</small></td>"
            f"<td><strong>{number(row.mean)}</strong></td><td>{spread}</td><td>{between}</td>{values}</tr>\n"
        )
    return (
        '<div class="scroll"><table style="white-space:nowrap"><thead><tr><th>figure</th><th>mean</th><th>spread</th>'
        f"<th>95 % interval</th>{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def _folds(found: Finding) -> str:
    lines = "".join(
        f"<tr><td>{fold['fold']}</td><td>{fold['pictures']['train']:,}</td><td>{fold['pictures']['validation']:,}</td>"
        f"<td>{fold['pictures']['test']:,}</td><td>{fold['samples']:,}</td><td>{_or_dash(fold['images_seen'])}</td>"
        f"<td>{_or_dash(fold['minutes'])}</td></tr>"
        for fold in found.folds
    )
    heads = ("fold", "to learn from", "to choose by", "held out", "samples", "images seen by the one kept", "minutes")
    return (
        f'<div class="scroll"><table><thead><tr>{"".join(f"<th>{head}</th>" for head in heads)}</tr></thead>'
        f"<tbody>{lines}</tbody></table></div>"
    )


def _or_dash(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int | float) else "–"
