"""What came of it: one JSON of everything, and a table to read."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks._race.judge import Judge, judge_result
from benchmarks._race.lanes import Contestant, Settings, result_of

UNRACED = "it has not raced"


def of_data(
    judge: Judge,
    entered: Iterable[Contestant],
    settings: Settings,
    folder: Path,
    key_of: Callable[[Contestant], dict[str, Any]],
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Everything about the race on one data set, whose results lie in ``folder/<contestant>/``.

    A line that could not run is there with its reason and an empty curve. ``stale`` marks a result of other settings.
    """
    lines = []
    for contestant in entered:
        result = result_of(folder / contestant.name) or {"status": "failed", "reason": UNRACED, "shown": []}
        judged = (
            judge_result(judge, folder / contestant.name, result["shown"], settings.samples, say)
            if result["shown"]
            else []
        )
        for line, words in contestant.lines.items():
            own = [one for one in judged if one["line"] == line]
            ended = own and own[-1]["minutes"] == settings.marks[-1]
            lines.append(
                {
                    "line": line,
                    "words": words,
                    "contestant": contestant.name,
                    "ours": contestant.ours,
                    "settings": contestant.settings,
                    "status": result["status"],
                    "reason": result["reason"],
                    "stale": "key" in result and result["key"] != key_of(contestant),
                    "num_images_seen": result.get("num_images_seen", 0),
                    "images_per_second": result.get("images_per_second", 0.0),
                    "seconds_over": result.get("seconds_over", 0.0),
                    "processor_share": result.get("processor_share"),
                    "curve": [_point(one) for one in own],
                    "final": {**own[-1]["all_figures"], "count": own[-1]["count"]} if ended else None,
                }
            )
    return {
        "features": judge.features.name,
        "training_pictures": len(judge.dataset.indices("train")),
        "test_pictures": len(judge.places),
        "floor": judge.floor(settings.samples),
        "final_floor": judge.floor(settings.final_samples),
        "lines": lines,
    }


def _point(one: dict[str, Any]) -> dict[str, Any]:
    return {
        "minutes": round(one["seconds"] / 60, 3),
        "num_images_seen": one["num_images_seen"],
        **one["figures"],
    }


def without_nan(value: Any) -> Any:
    """``value`` as JSON can say it: None for a number that is not finite."""
    if isinstance(value, dict):
        return {key: without_nan(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def ranked(lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The best at the end first; then those without an end, as they were entered."""
    return sorted(lines, key=lambda line: _finite(line["final"]["frechet_distance"]) if line["final"] else math.inf)


def _finite(value: float | None) -> float:
    return value if value is not None and math.isfinite(value) else 1e300


def table(name: str, found: dict[str, Any]) -> str:
    """The race on one data set as text, every contestant with its figures or its reason."""
    floor = found["final_floor"]
    rows = [
        f"{name}: {found['training_pictures']:,} training pictures, {found['test_pictures']:,} test pictures, "
        f"features {found['features']}",
        f"  {'':<46} {'Fréchet':>8} {'kernel':>8} {'prec.':>6} {'recall':>6} {'cover.':>6} {'images':>9} {'per s':>7}",
    ]
    real = f"{floor['count']:,} real training pictures (the floor)"
    rows.append(f"  {real:<46} {_figures(floor)}")
    for line in ranked(found["lines"]):
        words = ("* " if line["ours"] else "  ") + line["words"]
        if line["final"] is None:
            rows.append(f"{words:<48} did not finish: {line['reason']}")
            continue
        pace = f"{line['num_images_seen']:>9,} {line['images_per_second']:>7,.0f}"
        rows.append(f"{words:<48} {_figures(line['final'])} {pace}{_remarks(line)}")
    return "\n".join(rows)


def _figures(of: dict[str, Any]) -> str:
    values = [of[key] for key in ("frechet_distance", "kernel_distance", "precision", "recall", "coverage")]
    formats = ("8.2f", "8.4f", "6.2f", "6.2f", "6.2f")
    return " ".join(
        f"{value:>{form}}" if value is not None and math.isfinite(value) else f"{'—':>{form.split('.')[0]}}"
        for value, form in zip(values, formats, strict=True)
    )


def _remarks(line: dict[str, Any]) -> str:
    remarks = []
    if line["processor_share"] is not None and line["processor_share"] < 0.9:
        remarks.append(f"had only {line['processor_share']:.0%} of its cores")
    if line["seconds_over"] > 1:
        remarks.append(f"ended {line['seconds_over']:.0f} s late")
    if line["stale"]:
        remarks.append("raced under other settings")
    return f"  ({'; '.join(remarks)})" if remarks else ""
