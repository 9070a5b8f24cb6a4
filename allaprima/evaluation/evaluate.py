"""Measures a generator against held-out pictures and writes ``report.json`` and ``report.html``.

Use: ``report = evaluate(Path("runs/cats"), dataset, Bundle.load("runs/cats"), device=Device.choose())``.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import allaprima
from allaprima.bundle.format import DESCRIPTION
from allaprima.core.device import Device
from allaprima.core.errors import UserError, suggest
from allaprima.core.files import plain_disk_errors, write_atomic, write_json
from allaprima.core.progress import progress
from allaprima.data.dataset import Dataset
from allaprima.data.split import HELD_OUT
from allaprima.evaluation import report as html
from allaprima.evaluation import withheld
from allaprima.evaluation.features import FEATURES, Features, Weights
from allaprima.evaluation.material import Material, Painter, gather
from allaprima.evaluation.metrics import METRICS, Figure, measure_all, warning
from allaprima.evaluation.report import number

FORMAT = "allaprima-report"
VERSION = 3


@dataclass(frozen=True)
class Report:
    """What was found and where it was written. ``facts`` are words for people, by their heading.

    ``warning`` says that the held-out pictures are too few for figures that tell much; empty when they suffice.
    ``left_out``: why a metric could not be measured, by its name.
    """

    folder: Path
    figures: list[Figure]
    facts: dict[str, str]
    warning: str = ""
    left_out: dict[str, UserError] = field(default_factory=dict)

    def table(self) -> str:
        """The figures as text, a line each, for a terminal; the warning, if there is one, comes first."""
        rows: list[tuple[str, ...]] = [
            ("figure", "value", "95 % interval", "floor", "ceiling", "better", "measured on")
        ]
        for figure in self.figures:
            between = "{} … {}".format(*map(number, figure.interval)) if figure.interval else "unknown"
            ends = ["" if end is None else number(end) for end in (figure.floor, figure.ceiling)]
            rows.append((figure.name, number(figure.value), between, *ends, figure.better, figure.features))
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        head = [f"warning: {self.warning}", ""] if self.warning else []
        if "mind" in self.facts:
            head = [f"mind: {self.facts['mind']}", "", *head]
        missing = [f"not measured: {name}: {error}" for name, error in self.left_out.items()]
        return "\n".join([*head, lines[0], "-" * len(lines[0]), *lines[1:], *(["", *missing] if missing else [])])


def evaluate(
    run: Path,
    dataset: Dataset,
    painter: Painter,
    device: Device,
    count: int = 5_000,
    split: str = "test",
    seed: int = 0,
    features: str = "domain",
    out: Path | None = None,
    weights: Weights | None = None,
) -> Report:
    """Measure ``painter``, a Bundle, on the ``split`` of ``dataset``; write into ``out``, or ``run/report``.

    The page shows real pictures, so where ``run`` is a bundle, a folder to be shared, the report goes beside it: into
    the report folder of the run that holds the bundle, or into ``<bundle>-report``. A metric that cannot be measured is
    named with its reason, and the others still run.

    Raises UserError when the pictures are of another size or number of channels, too few, or cannot be written,
    and when ``out`` is a folder of other things.
    """
    if split not in HELD_OUT:
        raise UserError(f"There is no held-out split '{split}'", suggest(split, HELD_OUT))
    _check_shapes(dataset, painter)
    folder = out or report_folder(run)
    if out is not None:
        _refuse_taken(out)
    kind = FEATURES.get(features)
    with plain_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    chosen = kind.load_or_train(dataset, device, weights=weights or Weights())
    material = measured(gather(run, dataset, painter, chosen, device, count, split, seed))
    material = material.with_results(facts=_facts(material))
    write_json(folder / "report.json", _as_json(material))
    write_atomic(folder / "report.html", html.page(material))
    return Report(folder, list(material.figures), material.facts, _warning(material), dict(material.left_out))


def measured(material: Material) -> Material:
    """The same with every figure of the catalogue, and the reasons for those that are missing. Shows progress."""
    figures: list[Figure] = []
    left_out: dict[str, UserError] = {}
    with progress("measuring", len(METRICS.names()), "metrics") as advance:
        for name, found in measure_all(material):
            if isinstance(found, UserError):
                left_out[name.replace("_", " ")] = found
            else:
                figures += [_published(figure, material.features) for figure in found]
            advance(1, note=name.replace("_", " "))
    if material.withheld:
        classes = material.dataset.classes
        figures = [withheld.nameless(figure, classes) for figure in figures]
        left_out = {name: withheld.reason(error, classes) for name, error in left_out.items()}
    return material.with_results(figures=figures, left_out=left_out)


def _published(figure: Figure, features: Features) -> Figure:
    """With a note of the name that papers give this figure on these features, if they do."""
    name = features.published_names.get(figure.name) if figure.features == features.name else None
    if name is None:
        return figure
    note = "; ".join(part for part in (f"published as {name}", figure.note, features.published_note) if part)
    return replace(figure, note=note)


def _warning(material: Material) -> str:
    return warning(len(material.real), len(material.fake))


def _as_json(material: Material) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "program": f"allaprima {allaprima.__version__}",
        "features": material.features.name,
        "features_identity": material.features.identity,
        "split": material.split,
        "held_out_pictures": len(material.real),
        "samples": len(material.fake),
        "seed": material.seed,
        "dataset_fingerprint": material.dataset.manifest.fingerprint,
        "weights_sha256": weights_sha256(material.painter),
        "figures": [figure.to_json() for figure in material.figures],
        "not_measured": {
            name: {"problem": error.problem, "remedy": error.remedy} for name, error in material.left_out.items()
        },
        "facts": material.facts,
        "warning": _warning(material) or None,
    }


def weights_sha256(painter: Any) -> str | None:
    """Which weights were measured: the digest that ``bundle.json`` gives; None for what is no bundle on disk."""
    return getattr(getattr(getattr(painter, "description", None), "weights", None), "sha256", None)


def _refuse_taken(folder: Path) -> None:
    """Raises UserError where a folder holds other things, and no earlier report that this one may replace."""
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    try:
        found = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise UserError(
            f"'{folder}' holds other files and no earlier report", "give --out a new folder; nothing there is touched"
        )


def report_folder(run: Path) -> Path:
    """Where the report of a run or bundle belongs."""
    if not (run / DESCRIPTION).is_file():
        return run / "report"
    bundle = Path(os.path.abspath(run))  # that '.' has a name and a parent
    within_run = (bundle.parent / "run.json").is_file()
    return bundle.with_name("report" if within_run else f"{bundle.name}-report")


def find_dataset(run: Path, named: Path | None) -> Dataset:
    """The dataset to measure on: ``named``, or the one of ``run/run.json``. Raises UserError when there is none."""
    if named is not None:
        return Dataset.open(named)
    try:
        folder = Path(json.loads((run / "run.json").read_text(encoding="utf-8"))["dataset"])
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(
            f"'{run}' does not say which dataset it was trained on", "add --dataset DATASET, the prepared folder"
        ) from None
    if not folder.is_dir():
        raise UserError(
            f"The dataset of '{run}' is gone: there is no '{folder}'", "say where it is now: --dataset DATASET"
        )
    return Dataset.open(folder)


def _check_shapes(dataset: Dataset, painter: Painter) -> None:
    ours, theirs = painter.domain.shape, dataset.domain.shape
    if ours != theirs:
        raise UserError(
            f"The generator paints {_words(ours)}, but '{dataset.folder}' holds {_words(theirs)}",
            "give the dataset that it was trained on, or prepare one of the same size",
        )


def _words(shape: Any) -> str:
    return (
        f"{shape.spatial[1]}×{shape.spatial[0]} px pictures with {shape.channels} channel{'s' * (shape.channels > 1)}"
    )


def _facts(material: Material) -> dict[str, str]:
    description = getattr(material.painter, "description", None)
    made: dict[str, Any] = dict(getattr(description, "provenance", {}) or {})
    dataset = material.dataset
    facts = {
        "dataset": f"{dataset.folder.name}: {len(dataset):,} pictures, {_words(dataset.domain.shape)}",
        "classes": (f"{len(dataset.classes):,}" if material.withheld else ", ".join(dataset.classes))
        if dataset.classes
        else "none",
        "held out": f"{len(material.real):,} pictures of the {material.split} split",
        "samples": f"{len(material.fake):,}, seed {material.seed}",
        "features": material.features.name,
    }
    if description is not None:
        facts["generator"] = f"{description.generator.component_name()}, {description.latent_dim} latent dimensions"
    for key, value in made.items():
        if isinstance(value, str | int | float) and "fingerprint" not in key:
            facts[key.replace("_", " ")] = f"{value:,}" if isinstance(value, int) and key != "seed" else str(value)
    if made.get("dataset_fingerprint") not in (None, dataset.manifest.fingerprint):
        facts["mind"] = "trained on other pictures than this dataset: some held-out pictures may not be new to it"
    return facts
