"""The runs of a comparison, each with its report: one that stands beside it if it fits, else measured now.

Use: ``gather(paths, Asked(), Device.choose())``.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from allaprima.bundle.bundle import Bundle
from allaprima.core.device import Device
from allaprima.core.errors import UserError, suggest
from allaprima.data.dataset import Dataset
from allaprima.data.split import HELD_OUT
from allaprima.evaluation import evaluate as evaluation
from allaprima.evaluation.differences import student
from allaprima.evaluation.features import FEATURES, Weights
from allaprima.evaluation.metrics import METRICS, Figure


@dataclass(frozen=True)
class Asked:
    """How runs are measured and ranked. ``dataset`` is the prepared folder to measure all of them on, their own if None;
    ``weights``: where those of published features come from."""

    by: str = "kernel distance"
    count: int = 5_000
    split: str = "test"
    features: str = "domain"
    seed: int = 0
    dataset: Path | None = None
    weights: Weights = field(default_factory=Weights)


@dataclass(frozen=True)
class Contestant:
    """A run, its report, and its recipe: all of ``run.yaml`` but the seed, with the pictures it was trained on."""

    name: str
    run: Path
    report: dict[str, Any]
    figures: dict[str, Figure]
    recipe: str | None
    is_stranger: bool  # trained on other pictures than those it is measured on
    bundle: Bundle

    def why_not(self, figure: str) -> UserError | None:
        """The reason that its report gives for not having a figure; None where it gives none."""
        missing: dict[str, Any] = self.report.get("not_measured") or {}
        why = next((why for metric, why in missing.items() if plain(figure) in map(plain, _figures_of(metric))), None)
        return None if why is None else UserError(f"'{self.name}' has no {figure}: {why['problem']}", why["remedy"])


def gather(
    runs: Sequence[Path], asked: Asked, device: Device, say: Callable[[str], None] = lambda words: None
) -> list[Contestant]:
    """Every run with a report that was made as ``asked``. ``say`` hears which ones are measured now.

    Raises UserError for fewer than two runs, one given twice, runs without a bundle, of different pictures or sizes, an
    unknown figure, and features that come out another net each time.
    """
    check(runs, asked)
    bundles = [Bundle.load(run, device.torch) for run in runs]
    dataset = common_dataset(runs, asked.dataset)
    named = list(zip(_names(runs), runs, bundles, strict=True))

    def reports(**wanted: str) -> list[dict[str, Any]]:
        return [_report(*one, dataset, asked, device, say, wanted) for one in named]

    found = reports()
    if not _of_one_net(found):  # some are of an earlier net: its distances are those of another space
        net = FEATURES.get(asked.features).load_or_train(dataset, device, weights=asked.weights)
        found = reports(features_identity=net.identity)
    if not _of_one_net(found):
        raise UserError(
            f"The '{asked.features}' features came out another net for each run, so the figures cannot be compared",
            f"make '{dataset.folder}' writable, where the net is kept, and compare again",
        )
    return [_contestant(*one, report, dataset) for one, report in zip(named, found, strict=True)]


def check(runs: Sequence[Path], asked: Asked) -> None:
    """What can be refused before anything is read."""
    if len(runs) < 2:
        raise UserError("One run cannot be compared", "give two runs or more: allaprima compare RUN RUN")
    seen: dict[Path, Path] = {}
    for run in runs:
        own = run.resolve()
        own = own.parent if own.name == "bundle" else own
        if own in seen:
            raise UserError(f"'{seen[own]}' and '{run}' are the same run", "give each run once")
        seen[own] = run
    if asked.split not in HELD_OUT:
        raise UserError(f"There is no held-out split '{asked.split}'", suggest(asked.split, HELD_OUT))
    FEATURES.get(asked.features)
    check_figure(asked.by)
    student()  # its absence is told before anything is measured


def check_figure(by: str) -> None:
    """Raises UserError for a figure that no metric yields: before hours of measuring, not after."""
    metrics = [METRICS.get(name) for name in METRICS.names()]
    known = [figure for metric in metrics for figure in getattr(metric, "FIGURES", ())]
    # the figures of a plug-in that does not name them are found out by measuring
    if plain(by) not in map(plain, known) and all(hasattr(metric, "FIGURES") for metric in metrics):
        for features in FEATURES.names():
            for ours, theirs in getattr(FEATURES.get(features), "PUBLISHED_NAMES", {}).items():
                if plain(theirs) == plain(by):
                    remedy = f"compare with --by '{ours}' --features {features}"
                    raise UserError(f"{by} is a figure on published features", remedy)
        raise UserError(f"There is no figure '{by}'", suggest(by, known))


def _figures_of(metric: str) -> tuple[str, ...]:
    """What a metric that reports call so, such as ``frechet distance``, yields; its own name where it does not say."""
    try:
        return tuple(getattr(METRICS.get(metric.replace(" ", "_")), "FIGURES", (metric,)))
    except UserError:  # a plug-in's, of another machine
        return (metric,)


def _of_one_net(reports: Sequence[dict[str, Any]]) -> bool:
    return len({report["features_identity"] for report in reports}) == 1


def common_dataset(runs: Sequence[Path], named: Path | None) -> Dataset:
    """The prepared dataset that all runs are measured on. Raises UserError where they were trained on different ones."""
    found = [evaluation.find_dataset(run, named) for run in runs]
    for run, dataset in zip(runs, found, strict=True):
        if dataset.manifest.fingerprint != found[0].manifest.fingerprint:
            raise UserError(
                f"'{runs[0]}' and '{run}' were trained on different pictures ('{found[0].folder}', '{dataset.folder}')",
                "compare runs of one dataset, or name the one to measure all of them on: --dataset DATASET",
            )
    return found[0]


def _names(runs: Sequence[Path]) -> list[str]:
    """Each run's folder name, or its path where two folders have the same."""
    short = [run.resolve().name for run in runs]
    return [str(run) if short.count(name) > 1 else name for run, name in zip(runs, short, strict=True)]


def _report(
    name: str,
    run: Path,
    bundle: Bundle,
    dataset: Dataset,
    asked: Asked,
    device: Device,
    say: Callable[[str], None],
    also: dict[str, str],
) -> dict[str, Any]:
    """The one that stands and was made as ``asked``, with what is ``also`` wanted; else a new one."""
    sha256 = evaluation.weights_sha256(bundle)
    count = min(asked.count, len(dataset.indices("train")))
    wanted: dict[str, Any] = {"dataset_fingerprint": dataset.manifest.fingerprint, "weights_sha256": sha256}
    wanted |= {"split": asked.split, "seed": asked.seed, "samples": count, "version": evaluation.VERSION, **also}
    own = evaluation.report_folder(run)
    beside = own.with_name(f"{own.name}-compare")
    report = next((found for found in (read(own, wanted, asked), read(beside, wanted, asked)) if found), None)
    if report is None:
        say(f"measuring '{name}'")
        # a report of these weights that was asked for in another way is the person's own: it stays
        folder = own if not read(own, {"weights_sha256": sha256}, None) else beside
        evaluation.evaluate(
            run, dataset, bundle, device, asked.count, asked.split, asked.seed, asked.features,
            out=folder, weights=asked.weights,
        )  # fmt: skip
        report = read(folder, {}, None)
        assert report is not None, "evaluate writes one or raises"
    return report


def _contestant(name: str, run: Path, bundle: Bundle, report: dict[str, Any], dataset: Dataset) -> Contestant:
    figures = {figure["name"]: as_figure(figure) for figure in report["figures"] if figure["value"] is not None}
    trained = bundle.description.provenance.get("dataset_fingerprint")
    return Contestant(
        name, run, report, figures, _recipe(run, trained), trained != dataset.manifest.fingerprint, bundle
    )


def read(folder: Path, wanted: dict[str, Any], asked: Asked | None) -> dict[str, Any] | None:
    """The report that stands in ``folder``, if it has all that is ``wanted`` and the features that were ``asked`` for."""
    try:
        found = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        if found["format"] != evaluation.FORMAT or any(found.get(key) != value for key, value in wanted.items()):
            return None
        # names such as 'domain: 10 classes' and 'inception (2015, FID)'
        if asked is not None and found["features"].split()[0].rstrip(":") != asked.features:
            return None
        if asked is not None and not found["features_identity"]:
            return None
        return dict(found)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def as_figure(values: dict[str, Any]) -> Figure:
    """The reverse of ``Figure.to_json``."""
    interval = values.get("interval")
    return Figure(**{**values, "interval": None if interval is None else (interval[0], interval[1])})


def _recipe(run: Path, trained: Any) -> str | None:
    """What runs that differ in nothing but the seed have in common; None for a bundle without its run."""
    folder = run if (run / "run.yaml").is_file() else run.resolve().parent
    try:
        settings = yaml.safe_load((folder / "run.yaml").read_text(encoding="utf-8"))
        settings.pop("seed", None)
        return json.dumps([settings, trained], sort_keys=True)
    except (OSError, ValueError, yaml.YAMLError, AttributeError):
        return None


def plain(words: str) -> str:
    """Lower case without accents: ``Fréchet`` is found as ``frechet``."""
    letters = unicodedata.normalize("NFKD", words.casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter)).replace("_", " ").strip()
