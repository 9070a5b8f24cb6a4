"""What a search found: a line a trial while it goes on, then as a table, as JSON and as a page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from allaprima.bundle.bundle import Bundle
from allaprima.core.errors import UserError
from allaprima.evaluation.report import block, document, escape, wall
from allaprima.evaluation.validation import BETTER
from allaprima.training.tuning.trials import Space, importance, values_of

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

WIDTH, HEIGHT, LEFT, BOTTOM = 640, 240, 52, 22
NUM_SAMPLES = 8
LUCK = (
    "The best of many trials is so partly by luck: its figure from the search promises too much. The second column, from "
    "another seed, is the one to believe; it is one run of each, no proof."
)
GUESS = "from so few trials, a guess"


@dataclass(frozen=True)
class Row:
    """A trial that is over: ``figure`` None where it was cut short or never learned, ``share`` of its images it came to."""

    number: int
    figure: float | None
    share: float
    seconds: float
    settings: dict[str, Any]


@dataclass(frozen=True)
class Found:
    """``best``: number of the best trial but for the defaults'. ``again``: the runs at the end, by ``defaults`` and ``best``."""

    name: str
    watch: str
    better: str
    rows: list[Row]
    best: int | None
    again: dict[str, dict[str, Any]]
    importance: dict[str, float]
    plan: dict[str, Any]

    @property
    def changes(self) -> list[str]:
        """The best trial's settings as ``key=value``."""
        return [f"{key}={value}" for key, value in self._row(self.best).settings.items()] if self.best else []

    @property
    def holds(self) -> bool:
        """Whether the best other settings beat the defaults in the search and again with another seed."""
        return self.best is not None and all(self._is_less(*pair) for pair in self._pairs())

    def to_json(self) -> dict[str, Any]:
        """Everything that is on the page, but for its pictures."""
        return {**asdict(self), "changes": self.changes, "holds": self.holds}

    def words(self) -> list[str]:
        """What came of it."""
        trials = len(self.rows)
        if self.best is None:
            return [f"none of {trials} trials came to its end but the defaults"]
        once, again = self._pairs()
        figures = [
            f"{'':>10}  {'search':>9}  {'again':>9}",
            f"{'defaults':>10}  {_figure(once[1]):>9}  {_figure(again[1]):>9}",
            f"{f'trial {self.best}':>10}  {_figure(once[0]):>9}  {_figure(again[0]):>9}",
        ]
        if self.holds:
            said = f"trial {self.best} is better than the defaults in the search and again with another seed"
        elif self._is_less(*once):
            said = "what was better in the search was not so with another seed: keep the defaults"
        else:
            said = f"none of {trials} trials was better than the defaults: keep them"
        return [f"{self.watch.replace('_', ' ')}, {self.better} is better", *figures, "", said]

    def table(self, folder: Path, dataset: str) -> str:
        """For a terminal, with what to do next."""
        lines = self.words()
        if self.best is not None:
            lines += ["", LUCK]
        if self.importance:
            shares = "  ".join(f"{name.rpartition('.')[2]} {share:.0%}" for name, share in self.importance.items())
            lines += ["", f"what the figures vary by ({GUESS}): {shares}"]
        if self.best is not None:
            lines += ["", f"trial {self.best}: " + " ".join(f"--set {change}" for change in self.changes)]
        if self.holds:
            lines.append(f"next: allaprima train {dataset} RUN --recipe {folder / 'best.yaml'} --minutes 30")
        else:
            lines.append(f"'{folder / 'best.yaml'}' holds the defaults")
        images = max(self.plan["images"].values())
        lines.append(f"mind: found in runs of {images:,} images; it holds best for runs not many times longer")
        return "\n".join([*lines, str(folder / "tune.html")])

    def _row(self, number: int | None) -> Row:
        return next(row for row in self.rows if row.number == number)

    def _pairs(self) -> list[tuple[float | None, float | None]]:
        """(best, defaults) in the search, and again."""
        again = [self.again.get(name, {}).get("figure") for name in ("best", "defaults")]
        return [(self._row(self.best).figure, self._row(0).figure), (again[0], again[1])]

    def _is_less(self, one: float | None, other: float | None) -> bool:
        """Whether ``one`` is the better figure; any is better than none."""
        if one is None or other is None:
            return one is not None
        return one < other if self.better == "lower" else one > other


def gather(study: Study, watch: str, space: Space, name: str, plan: Any) -> Found:
    """From the study's record."""
    better = BETTER[watch]  # type: ignore[index]  # of a checked configuration
    over = [trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()]
    rows = [row_of(trial, space) for trial in over]
    sign = 1 if better == "lower" else -1
    others = [row for row in rows if row.number and row.figure is not None]
    best = min(others, key=lambda row: sign * (row.figure or 0.0), default=None)
    final = dict(study.user_attrs.get("final") or {})
    again = {key: final[key] for key in ("defaults", "best") if key in final}
    number = None if best is None else best.number
    return Found(name, watch, better, rows, number, again, importance(study), plan.to_json())


def row_of(trial: FrozenTrial, space: Space) -> Row:
    """A trial that is over."""
    from optuna.trial import TrialState

    figure = trial.value if trial.state == TrialState.COMPLETE else None
    known = trial.user_attrs
    return Row(trial.number, figure, known.get("share", 0.0), known.get("seconds", 0.0), values_of(trial, space))


# -- for a terminal -------------------------------------------------------------------------------------------------------


def heading(watch: str) -> str:
    """Above the lines."""
    return f"\ntrial  {watch.replace('_', ' '):>15}  seconds  settings"


def line(trial: FrozenTrial, space: Space, is_best: bool) -> str:
    """A trial that is over."""
    row = row_of(trial, space)
    return f"{row.number:>5}  {_came_to(row):>15}  {row.seconds:>7.0f}  {_settings(row)}{'  ← best' if is_best else ''}"


def _came_to(row: Row) -> str:
    if row.figure is not None:
        return _figure(row.figure)
    return f"cut at {row.share:.0%}" if row.share else "diverged"


def _settings(row: Row) -> str:
    if row.number == 0:
        return "the defaults"
    return " ".join(f"{name.rpartition('.')[2]}={value}" for name, value in row.settings.items())


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


# -- the page -------------------------------------------------------------------------------------------------------------


def page(found: Found, folder: Path) -> str:
    """``tune.html``: whole in itself, without a training picture."""
    lines = found.words()
    said = escape(lines[-1][0].upper() + lines[-1][1:])
    verdict = f"<p><strong>{said}.</strong></p>"
    if found.best is not None:
        verdict = f"<pre>{escape(chr(10).join(lines[:-2]))}</pre>" + verdict
        words = " ".join(f"--set {change}" for change in found.changes)
        verdict += f"<p>Trial {found.best}: <code>{escape(words)}</code></p>"
    way = f"{found.watch.replace('_', ' ')}, {found.better} is better"
    parts = [
        block("What was found", verdict, f"Figures of the validation split. {LUCK}" if found.best else ""),
        block("Samples", _samples(found, folder), "The first of each: nothing was picked.") if found.again else "",
        block("The trials", _history(found) + _rows(found), f"{way.capitalize()}; hollow: cut short."),
        block("What the figures vary by", _shares(found.importance), f"By fANOVA; {GUESS}.")
        if found.importance
        else "",
    ]
    return document(f"{found.name}: {len(found.rows)} trials", "search", "".join(parts))


def _samples(found: Found, folder: Path) -> str:
    shown = []
    for name, word in (("defaults", "the defaults"), ("best", f"trial {found.best}")):
        try:
            pictures = Bundle.load(folder / "again" / name).sample(NUM_SAMPLES, 0)
        except UserError:
            continue
        shown.append(
            f'<div class="class"><div class="word">{escape(word)}, again</div>{wall(pictures, word, "strip")}</div>\n'
        )
    return f'<div class="classes">{"".join(shown)}</div>'


def _rows(found: Found) -> str:
    names = list(found.rows[0].settings)
    heads = "".join(f"<th>{escape(name)}</th>" for name in names)
    lines = "".join(
        f"<tr><td>{row.number}{' (defaults)' if row.number == 0 else ''}</td><td><strong>{_came_to(row)}</strong></td>"
        f"<td>{row.seconds:,.0f}</td>{''.join(f'<td>{escape(row.settings[name])}</td>' for name in names)}</tr>\n"
        for row in found.rows
    )
    return (
        '<div class="scroll"><table style="white-space:nowrap"><thead><tr><th>trial</th><th>figure</th><th>seconds</th>'
        f"{heads}</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def _shares(shares: Mapping[str, float]) -> str:
    lines = "".join(
        f'<tr><td>{escape(name)}</td><td style="width:60%"><div style="background:var(--c1);height:.7rem;'
        f'border-radius:3px;width:{100 * share:.1f}%"></div></td><td>{share:.0%}</td></tr>\n'
        for name, share in shares.items()
    )
    return f'<div class="scroll"><table><tbody>{lines}</tbody></table></div>'


def _history(found: Found) -> str:
    """Figure by trial, and the best so far as a line; the logarithm where all are above zero."""
    whole = [(row.number, row.figure) for row in found.rows if row.figure is not None]
    if len(whole) < 2:
        return ""
    logarithmic = all(figure > 0 for _, figure in whole)
    heights = {number: math.log(figure) if logarithmic else figure for number, figure in whole}
    low, high = min(heights.values()), max(heights.values())
    span, last = max(high - low, 1e-12), max(1, max(row.number for row in found.rows))

    def x(number: int) -> float:
        return LEFT + 12 + (WIDTH - LEFT - 24) * number / last

    def y(height: float) -> float:
        return 10 + (HEIGHT - BOTTOM - 20) * (high - height) / span

    dots, steps, best = [], [], None
    for row in found.rows:
        if row.figure is None:  # at the edge of the worse ones: it was cut short for that
            edge = 10 if found.better == "lower" else HEIGHT - BOTTOM - 10
            dots.append(f'<circle cx="{x(row.number):.1f}" cy="{edge}" r="4" fill="none" stroke="var(--soft)"/>')
            continue
        height = heights[row.number]
        better = best is None or (height < best if found.better == "lower" else height > best)
        best = height if better else best
        steps.append(f"{x(row.number):.1f},{y(best if best is not None else height):.1f}")
        colour = "var(--c1)" if row.number == 0 else "var(--accent)"
        dots.append(
            f'<circle cx="{x(row.number):.1f}" cy="{y(height):.1f}" r="4.5" fill="{colour}">'
            f"<title>trial {row.number}: {_figure(row.figure)}</title></circle>"
        )
    ends = sorted(figure for _, figure in whole)
    bottom = HEIGHT - BOTTOM
    frame = (
        f'<line class="axis" x1="{LEFT}" x2="{WIDTH}" y1="{bottom}" y2="{bottom}"/>'
        f'<text x="{LEFT - 6}" y="14" text-anchor="end">{_figure(ends[-1])}</text>'
        f'<text x="{LEFT - 6}" y="{bottom - 6}" text-anchor="end">{_figure(ends[0])}</text>'
        f'<text x="{x(0):.0f}" y="{HEIGHT - 4}" text-anchor="middle">defaults</text>'
        f'<text x="{x(last):.0f}" y="{HEIGHT - 4}" text-anchor="end">trial {last}</text>'
    )
    line_so_far = f'<polyline style="stroke:var(--c1);opacity:.6" points="{" ".join(steps)}"/>'
    return (
        f'<figure class="chart"><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="figure of each trial">'
        f"{frame}{line_so_far}{''.join(dots)}</svg></figure>\n"
    )
