"""The page of a comparison: one file that needs nothing else. It shows samples and no training picture."""

from __future__ import annotations

from allaprima.evaluation import differences
from allaprima.evaluation.compare import Comparison, Place, against, rank
from allaprima.evaluation.report import block, document, escape, number, wall

NUM_SAMPLES = 8


def page(found: Comparison) -> str:
    """The whole document; paints a few samples with every run, of the same seeds."""
    words = (
        f"By {escape(found.scope)}. The bars hold 95 % of what a repetition with other pictures would give. "
        f"{escape(found.how)}"
    )
    notes = "".join(f'<p class="warning" role="note">{escape(note)}.</p>' for note in found.notes)
    groups = "".join(f"<li>{escape(group)}</li>" for group in found.groups)
    ranking = notes + _ranking(found) + (f"<h3>One recipe, several seeds</h3><ul>{groups}</ul>" if groups else "")
    parts = [
        block("The ranking", ranking, words),
        block("Samples", _samples(found), f"The first of seed {found.asked.seed} of each run: nothing was picked."),
        block(
            "Each against each",
            _pairs(found),
            "How often, of as many runs of one recipe, some two would differ so much.",
        ),
        block("All figures", _figures(found)),
    ]
    return document(" · ".join(place.run.name for place in found.places), "comparison", "".join(parts))


def _ranking(found: Comparison) -> str:
    ends = [end for place in found.places for end in (place.figure.interval or (place.figure.value,))]
    low, high = min(0.0, *ends), max(*ends, 1e-9)
    lines = []
    for place in found.places:
        interval = place.figure.interval
        between = "no interval" if interval is None else " … ".join(map(number, interval))
        lines.append(
            f"<tr><td>{rank(place)}</td><td><strong>{escape(place.run.name)}</strong>{_bar(place, low, high)}</td>"
            f"<td>{number(place.figure.value)}<br><small>{between}<br>{escape(against(place))}</small></td></tr>\n"
        )
    heads = f'<th>rank</th><th style="width:60%">run</th><th>{escape(found.asked.by)}, against the best</th>'
    return f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'


def _bar(place: Place, low: float, high: float) -> str:
    """Value and interval on a line from ``low`` to ``high``, the same for all runs."""

    def at(value: float) -> str:
        return f"{2 + 96 * (value - low) / (high - low):.1f}%"

    whisker = ""
    if place.figure.interval is not None:
        left, right = map(at, place.figure.interval)
        whisker = f'<line class="whisker" x1="{left}" x2="{right}" y1="11" y2="11"/>'
    label = f"{place.run.name}: {number(place.figure.value)}"
    return (
        f'<svg class="gauge" style="min-width:7rem" role="img" aria-label="{escape(label)}">'
        f'<line class="track" x1="1%" x2="99%" y1="11" y2="11"/>{whisker}'
        f'<circle class="dot" cx="{at(place.figure.value)}" cy="11" r="5.5"/></svg>'
    )


def _samples(found: Comparison) -> str:
    rows = []
    for place in found.places:
        pictures = place.run.bundle.sample(NUM_SAMPLES, found.asked.seed)
        rows.append(
            f'<div class="class"><div class="word">{escape(place.run.name)}</div>'
            f"{wall(pictures, f'{place.run.name}, sample', 'strip')}</div>\n"
        )
    return f'<div class="classes">{"".join(rows)}</div>'


def _pairs(found: Comparison) -> str:
    lines = []
    for (i, j), p in found.p_values.items():
        one, other = (found.places[k].run.name for k in (i, j))
        words = "unknown: no interval" if p is None else ("&lt; 0.001" if p < 0.001 else f"{p:.2g}")
        verdict = "unknown" if p is None else (f"{one} is better" if differences.is_told_apart(p) else "noise")
        lines.append(
            f"<tr><td>{escape(one)}</td><td>{escape(other)}</td><td>{words}</td><td>{escape(verdict)}</td></tr>\n"
        )
    heads = "<th>run</th><th>and run</th><th>p, after Tukey</th><th>verdict</th>"
    return f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'


def _figures(found: Comparison) -> str:
    """Every figure that any run has, a run a column: for reading, not for ranking."""
    runs = [place.run for place in found.places]
    names = list(dict.fromkeys(name for run in runs for name in run.figures))
    lines = []
    for name in names:
        figures = [run.figures.get(name) for run in runs]
        better = next(figure.better for figure in figures if figure is not None)
        way = {"lower": "↓", "higher": "↑"}.get(better, "")
        cells = "".join(f"<td>{'–' if figure is None else number(figure.value)}</td>" for figure in figures)
        lines.append(f"<tr><td>{escape(name)} {way}</td>{cells}</tr>\n")
    heads = "<th>figure</th>" + "".join(f"<th>{escape(run.name)}</th>" for run in runs)
    return f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'
