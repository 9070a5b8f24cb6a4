"""Ranks runs by one figure, and says which of their differences are more than noise.

How differences are judged stands in ``differences``, where the figures come from in ``contestants``.

Use: ``compare([Path("runs/a"), Path("runs/b")], Asked(), Device.choose()).table()``.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import allaprima
from allaprima.core.device import Device
from allaprima.core.errors import UserError, suggest
from allaprima.core.files import plain_disk_errors, write_atomic, write_json
from allaprima.evaluation import differences
from allaprima.evaluation.contestants import Asked, Contestant, gather, plain
from allaprima.evaluation.differences import Spread
from allaprima.evaluation.metrics import Figure
from allaprima.evaluation.report import number

FORMAT = "allaprima-compare"
VERSION = 1
BEST = "best"


@dataclass(frozen=True)
class Place:
    """A run in the ranking. ``ranks``: first and last that it may have. ``p``: against the best, None where unknown."""

    run: Contestant
    figure: Figure
    ranks: tuple[int, int]
    p: float | None
    verdict: str  # best, told apart, noise, unknown


@dataclass(frozen=True)
class Comparison:
    """What was found. ``p_values``, by places in ``places``, allow for all pairs; ``spread`` is None where errors alone
    count, and ``is_default`` where it is none of these runs’."""

    asked: Asked
    places: list[Place]
    p_values: dict[tuple[int, int], float | None]
    spread: Spread | None
    is_default: bool
    groups: list[str]
    notes: list[str]

    @property
    def how(self) -> str:
        """One sentence: what counts as more than noise."""
        pairs = f" after Tukey for {len(self.places)} runs" if len(self.p_values) > 1 else ""
        counting = f"More than noise: p < {differences.LEVEL}{pairs}, counting each figure's error"
        if self.spread is None:
            return (
                f"{counting} alone: what real pictures get is not known, and the spread between seeds never measured, "
                "so that other seeds may rank the recipes otherwise."
            )
        is_other = {
            "figures": self.asked.by not in differences.MEASURED,
            "features": self.features.split(":")[0] != differences.MEASURED_ON,
        }
        others = " and ".join(what for what, other in is_other.items() if other)
        source = f"for other {others} " if others else ""
        source += "on another set" + ("" if self.is_default else " and with the seeds of one recipe among these runs")
        return (
            f"{counting}, and that training seeds alone move a run's distance by about "
            f"{100 * self.spread.relative:.0f} % (measured {source})."
        )

    @property
    def features(self) -> str:
        """What the figure was measured on; empty for one that needs no features."""
        return self.places[0].figure.features

    @property
    def scope(self) -> str:
        """What was compared with what, in words: ``kernel distance (lower is better) on …: … samples against …``."""
        first = self.places[0]
        report = first.run.report
        on = f" on {self.features}" if self.features else ""
        return (
            f"{self.asked.by} ({first.figure.better} is better){on}: {report['samples']:,} samples of each run against "
            f"{report['held_out_pictures']:,} pictures of the {report['split']} split"
        )

    def table(self) -> str:
        """For a terminal."""
        cells = [("rank", "run", self.asked.by, "95 % interval", "against the best")]
        for place in self.places:
            interval = place.figure.interval
            between = "unknown" if interval is None else " … ".join(map(number, interval))
            cells.append((rank(place), place.run.name, number(place.figure.value), between, against(place)))
        widths = [max(len(row[column]) for row in cells) for column in range(5)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
        ]
        notes = [*self.groups, *(f"mind: {note}" for note in self.notes)]
        return "\n".join([self.scope, "", lines[0], "-" * len(lines[0]), *lines[1:], "", self.how, *notes])

    def to_json(self) -> dict[str, Any]:
        """Everything that the table and the page say."""
        report, spread = self.places[0].run.report, self.spread
        return {
            "format": FORMAT,
            "version": VERSION,
            "program": f"allaprima {allaprima.__version__}",
            "by": self.asked.by,
            "features": self.features,
            **{key: report[key] for key in ("features_identity", "split", "held_out_pictures", "samples", "seed")},
            "dataset_fingerprint": report["dataset_fingerprint"],
            "spread": None if spread is None else {**asdict(spread), "is_default": self.is_default},
            "ranking": [
                {
                    "run": str(place.run.run),
                    "ranks": list(place.ranks),
                    "value": place.figure.value,
                    "interval": place.figure.interval,
                    "p_against_best": place.p,
                    "verdict": place.verdict,
                    "weights_sha256": place.run.report["weights_sha256"],
                }
                for place in self.places
            ],
            "pairs": [
                {
                    "runs": [str(self.places[i].run.run) for i in pair],
                    "p": p,
                    "told_apart": differences.is_told_apart(p),
                }
                for pair, p in self.p_values.items()
            ],
            "groups": self.groups,
            "notes": self.notes,
        }


def rank(place: Place) -> str:
    """``1``, or ``1–2`` where others may be as good."""
    first, last = place.ranks
    return str(first) if first == last else f"{first}–{last}"


def against(place: Place) -> str:
    """The verdict with its p-value, in words."""
    if place.p is None:
        return BEST if place.verdict == BEST else f"{place.verdict}: no interval"
    words = "p < 0.001" if place.p < 0.001 else f"p = {place.p:.2g}"
    return f"{place.verdict} ({words})"


def compare(
    runs: Sequence[Path], asked: Asked, device: Device, say: Callable[[str], None] = lambda words: None
) -> Comparison:
    """Measure what is not measured yet, rank, test. Nothing is written but reports beside runs that lack one.

    Raises UserError as ``contestants.gather`` does, and for a figure that cannot be ranked by or is missing in a run.
    """
    return judge(gather(runs, asked, device, say), asked)


def judge(contestants: Sequence[Contestant], asked: Asked) -> Comparison:
    """Rank and test what was measured."""
    by = find_figure(asked.by, contestants)
    figures = [one.figures[by] for one in contestants]
    sign = 1 if figures[0].better == "lower" else -1
    order = sorted(range(len(contestants)), key=lambda i: sign * figures[i].value)
    contestants, figures = [contestants[i] for i in order], [figures[i] for i in order]
    groups = _groups(contestants)
    judged = differences.judge(by, figures, groups)
    p_values = judged.p_values
    # in order: of two that are told apart, the first is the better one
    ranks = differences.ranks(len(order), {pair: differences.is_told_apart(p) for pair, p in p_values.items()})
    places = [
        Place(one, figure, ranks[i], p_values.get((0, i)), _verdict(i, p_values.get((0, i))))
        for i, (one, figure) in enumerate(zip(contestants, figures, strict=True))
    ]
    words = [_describe([contestants[i].name for i in group], [figures[i].value for i in group]) for group in groups]
    notes = _notes(contestants, by, judged)
    return Comparison(replace(asked, by=by), places, p_values, judged.spread, not judged.is_own, words, notes)


def find_figure(by: str, contestants: Sequence[Contestant]) -> str:
    """The figure that is meant, whatever its case and accents, that every run has.

    Raises UserError for one that is unknown, has no better end, or is missing in a run: with the reason, if one is known.
    """
    known = {name: figure.better for one in contestants for name, figure in one.figures.items()}
    rankable = [name for name, better in known.items() if better != "neither"]
    meant = next((name for name in known if plain(name) == plain(by)), None)
    lacking = [one for one in contestants if meant not in one.figures]
    if meant is not None and not lacking and meant in rankable:
        return meant
    if meant in known and meant not in rankable:
        raise UserError(f"Neither end of {meant} is the better one", suggest(by, rankable))
    reasons = (one.why_not(meant or by) for one in lacking)
    unknown = f"'{lacking[0].name}' has no {meant}" if meant else f"There is no figure '{by}'"
    common = [name for name in rankable if all(name in one.figures for one in contestants)]
    raise next(filter(None, reasons), None) or UserError(unknown, suggest(by, common))


def _groups(contestants: Sequence[Contestant]) -> list[list[int]]:
    """Places of runs that share a recipe, two or more each."""
    found: dict[str, list[int]] = {}
    for place, one in enumerate(contestants):
        if one.recipe is not None:
            found.setdefault(one.recipe, []).append(place)
    return [group for group in found.values() if len(group) > 1]


def _describe(names: list[str], values: list[float]) -> str:
    mean, deviation = statistics.fmean(values), statistics.stdev(values)
    share = f", {100 * deviation / abs(mean):.0f} % of it" if mean else ""
    return f"one recipe, {len(names)} seeds: {', '.join(names)}; mean {number(mean)}, spread {number(deviation)}{share}"


def _verdict(place: int, p: float | None) -> str:
    if place == 0:
        return BEST
    if p is None:
        return "unknown"
    return "told apart" if differences.is_told_apart(p) else "noise"


def _notes(contestants: Sequence[Contestant], by: str, judged: differences.Judged) -> list[str]:
    found = []
    if judged.spread is not None and not judged.is_own and by not in differences.MEASURED:
        found.append(
            f"the spread of {by} between seeds was never measured, so the largest known one is taken; "
            f"compare {differences.FEWEST_SEEDS} seeds of a recipe to measure it"
        )
    if strangers := [one.name for one in contestants if one.is_stranger]:
        found.append(
            f"{', '.join(strangers)}: trained on other pictures than these, perhaps on some that are held out here"
        )
    if warning := contestants[0].report.get("warning"):
        found.append(str(warning))
    return found


def write(found: Comparison, target: Path, page: str) -> Path:
    """``target`` (JSON) and the page beside it. Raises UserError where another file stands there. Returns the page's path."""
    refuse_taken(target)
    with plain_disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    write_json(target, found.to_json())
    beside = target.with_suffix(".html")
    write_atomic(beside, page)
    return beside


def refuse_taken(target: Path) -> None:
    """Raises UserError where ``target`` is a folder, or a file that is no earlier comparison."""
    if target.suffix != ".json":
        raise UserError(f"'{target}' is no name for the comparison", "give --out a name that ends with .json")
    if not target.exists() and not target.with_suffix(".html").exists():
        return
    try:
        ours = json.loads(target.read_text(encoding="utf-8"))["format"] == FORMAT
    except (OSError, ValueError, KeyError, TypeError):
        ours = False
    if not ours:
        raise UserError(f"'{target}' or the page beside it is no earlier comparison", "give --out another name")
