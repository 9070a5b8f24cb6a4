"""Measures a generator against held-out pictures and writes ``report.json`` and ``report.html``.

Use: ``report = evaluate(Path("runs/cats"), dataset, Bundle.load("runs/cats"), device=Device.choose())``.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import allaprima
from allaprima.bundle.format import DESCRIPTION
from allaprima.core.device import Device
from allaprima.core.errors import UserError, suggest
from allaprima.core.files import plain_disk_errors, write_atomic, write_json
from allaprima.data.dataset import Dataset
from allaprima.data.split import SPLITS
from allaprima.evaluation import report as html
from allaprima.evaluation.features import FEATURES
from allaprima.evaluation.material import Material, Painter, gather
from allaprima.evaluation.metrics import Figure, warning

FORMAT = "allaprima-report"
VERSION = 1


@dataclass(frozen=True)
class Report:
    """What was found and where it was written. ``facts`` are words for people, by their heading.

    ``warning`` says that the held-out pictures are too few for figures that tell much; empty when they suffice.
    """

    folder: Path
    figures: list[Figure]
    facts: dict[str, str]
    warning: str = ""

    def table(self) -> str:
        """The figures as text, a line each, for a terminal; the warning, if there is one, comes first."""
        rows = [("figure", "value", "95 % interval", "real against real", "better")]
        for figure in self.figures:
            between = "{:.3f} … {:.3f}".format(*figure.interval) if figure.interval else "too few pictures"
            floor = "" if figure.floor is None else f"{figure.floor:.3f}"
            rows.append((figure.name, f"{figure.value:.3f}", between, floor, figure.better))
        widths = [max(len(row[column]) for row in rows) for column in range(5)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        head = [f"warning: {self.warning}", ""] if self.warning else []
        return "\n".join([*head, lines[0], "-" * len(lines[0]), *lines[1:]])


def evaluate(
    run: Path,
    dataset: Dataset,
    painter: Painter,
    device: Device,
    count: int = 2000,
    split: str = "test",
    seed: int = 0,
    features: str = "domain",
    out: Path | None = None,
) -> Report:
    """Measure ``painter``, a Bundle, on the ``split`` of ``dataset``; write into ``out``, or ``run/report``.

    The page shows real pictures, so where ``run`` is a bundle, a folder to be shared, the report goes beside it: into
    the report folder of the run that holds the bundle, or into ``<bundle>-report``.

    Raises UserError when the pictures are of another size or number of channels, too few, or cannot be written,
    and when ``out`` is a folder of other things.
    """
    if split not in SPLITS[1:]:
        raise UserError(f"There is no held-out split '{split}'", suggest(split, SPLITS[1:]))
    _check_shapes(dataset, painter)
    folder = out or _report_folder(run)
    if out is not None:
        _refuse_taken(out)
    with plain_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    chosen = FEATURES.get(features).load_or_train(dataset, device)
    material = gather(run, dataset, painter, chosen, count, split, seed)
    material = replace(material, facts=_facts(material))
    write_json(
        folder / "report.json",
        {
            "format": FORMAT,
            "version": VERSION,
            "program": f"allaprima {allaprima.__version__}",
            "features": chosen.name,
            "split": split,
            "held_out_pictures": len(material.real),
            "samples": len(material.fake),
            "seed": seed,
            "dataset_fingerprint": dataset.manifest.fingerprint,
            "figures": [figure.to_json() for figure in material.figures],
            "facts": material.facts,
            "warning": warning(len(material.real)) or None,
        },
    )
    write_atomic(folder / "report.html", html.page(material))
    return Report(folder, list(material.figures), material.facts, warning(len(material.real)))


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


def _report_folder(run: Path) -> Path:
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
        "classes": ", ".join(dataset.classes) or "none",
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
