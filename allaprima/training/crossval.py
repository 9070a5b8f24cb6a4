"""Cross-validation: a recipe trained anew on each fold of a dataset and measured on the pictures that the fold holds out.

One run says how good one generator is; this says how good the recipe is, how much that depends on which pictures it was
shown, and whether it lies nearer to those than to others. It lives beside training because it trains.

    settings.json         what was asked: the same folder goes on only with the same settings
    folds/1/dataset/      the fold as a dataset: linked pictures, own splits
    folds/1/run/          its run, as any other
    folds/1/result.json   its figures: there when the fold is done
    crossval.json, crossval.html

All folds are measured with one kind of features, by default a net trained once on the whole dataset's training split: each
fold training its own would compare distances in different spaces. It has seen a fold's held-out and training pictures in
the same proportion, so it favours neither. What the runs themselves choose their best moment with is trained on the fold.

Use: ``cross_validate(dataset, Path("runs/cats-folds"), Plan(config, folds=5))``.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import allaprima
from allaprima.bundle.bundle import Bundle
from allaprima.core.config import Config, differences, validate
from allaprima.core.device import Device
from allaprima.core.errors import UserError
from allaprima.core.files import claim_folder, write_atomic, write_json
from allaprima.data.dataset import Dataset
from allaprima.evaluation.differences import student
from allaprima.evaluation.evaluate import measured
from allaprima.evaluation.features import FEATURES, Features, Weights
from allaprima.evaluation.material import Material, gather
from allaprima.evaluation.metrics import Figure, NotMeasuredError
from allaprima.evaluation.metrics._sets import check
from allaprima.evaluation.metrics.frechet_distance import frechet_distance
from allaprima.evaluation.metrics.kernel_distance import mmd2
from allaprima.training import loop
from allaprima.training import run as runs
from allaprima.training.config import RunConfig
from allaprima.training.crossval_report import Finding, page, summarise
from allaprima.training.folds import fold_splits, warnings, write_fold
from allaprima.training.signals import StoppedEarlyError, StopRequest

FORMAT = "allaprima-crossval"
VERSION = 1
SETTINGS, RESULT = "settings.json", "result.json"
GAP = "held-out minus training"


class Plan(Config):
    """What is asked. ``config`` is that of every run, but for its seed: fold ``n`` of 1, 2, … has ``seed`` + n.

    ``count`` samples a fold; ``features`` measure them; ``recipe`` is the name that the reader knows.
    """

    config: RunConfig
    recipe: str = "gan"
    folds: int = 5
    seed: int = 0
    count: int = 5_000
    features: str = "domain"

    def run_config(self, fold: int) -> RunConfig:
        """The configuration of the run of ``fold``."""
        return self.config.model_copy(update={"seed": self.seed + fold})


def cross_validate(
    dataset: Dataset, folder: Path, plan: Plan, say: Callable[[str], None] = print, weights: Weights = Weights()
) -> Finding | None:
    """Train and measure every fold that is not done yet; write ``crossval.json`` and ``crossval.html``.

    None after Ctrl-C or SIGTERM: nothing is lost, and the same call goes on. Raises UserError, before anything is written,
    where dataset, recipe and folds do not go together, or ``folder`` holds something else or other settings.
    """
    student()  # its absence is told now
    splits = fold_splits(dataset, plan.folds, plan.seed)
    FEATURES.get(plan.features)
    runs.check(plan.config, dataset)
    if plan.count < 2:
        raise UserError(f"{plan.count} samples are too few to compare", "ask for at least 2 with --count, better 1000")
    settings = _settings(dataset, plan)
    standing = _standing(folder)
    if standing is not None:
        _check_same(folder, standing, settings)
        settings = standing
    with claim_folder(folder), StopRequest():
        try:
            if standing is None:
                write_json(folder / SETTINGS, settings)
            found = list(_results(dataset, folder, plan, settings, splits, say, weights))
            results = [result for result in found if result is not None]
            if len(results) < len(splits):
                return None
            finding = summarise(settings, dataset.folder.resolve().name, results, warnings(dataset, plan.folds))
            write_json(folder / "crossval.json", {"program": f"allaprima {allaprima.__version__}", **finding.to_json()})
            write_atomic(folder / "crossval.html", page(finding, _samples(folder, plan)))
            return finding
        except StoppedEarlyError:
            return None


def default_folder(dataset: Path, recipe: str) -> Path:
    """Beside the dataset: ``<dataset>-folds-<recipe>``."""
    folder = Path(os.path.abspath(dataset))  # that '.' has a name and a parent
    return folder.with_name(f"{folder.name}-folds-{Path(recipe).stem}")


def _settings(dataset: Dataset, plan: Plan) -> dict[str, Any]:
    fingerprint = dataset.manifest.fingerprint
    return {"format": FORMAT, "version": VERSION, "dataset_fingerprint": fingerprint, **_plain(plan)}


def _plain(plan: Plan) -> dict[str, Any]:
    values = plan.model_dump(mode="json")
    values["config"].pop("seed")  # the plan's seed decides
    return values


def _standing(folder: Path) -> dict[str, Any] | None:
    """The settings of the folds that stand in ``folder``; None for a new one. Raises UserError where it is something else."""
    path = folder / SETTINGS
    if not path.is_file():
        strangers = [one.name for one in folder.iterdir() if not one.name.startswith(".")] if folder.is_dir() else []
        if strangers or folder.is_file():
            raise UserError(
                f"'{folder}' exists and holds no cross-validation", "give --out a new folder; nothing there is touched"
            )
        return None
    try:
        found = dict(json.loads(path.read_text(encoding="utf-8")))
        if found["format"] != FORMAT:
            raise ValueError("another program wrote it")
        if found["version"] > VERSION:
            raise UserError(f"'{folder}' was written by a newer allaprima", "upgrade: pip install -U allaprima")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"'{path}' cannot be read: {error}", "give --out a new folder") from None
    return found


def _check_same(folder: Path, standing: dict[str, Any], settings: dict[str, Any]) -> None:
    """Raises UserError, naming what differs, where the folds were begun with other settings."""
    plan = {key: value for key, value in standing.items() if key in Plan.model_fields}
    then = {**standing, **_plain(validate(Plan, plan))}  # what a newer program can set besides had its default then
    if then != settings:
        raise UserError(
            f"'{folder}' was begun with other settings: {'; '.join(differences(then, settings))}",
            "give the settings it was begun with to go on, or --out another folder",
        )


def _results(
    dataset: Dataset,
    folder: Path,
    plan: Plan,
    settings: dict[str, Any],
    splits: list[np.ndarray],
    say: Callable[[str], None],
    weights: Weights,
) -> Iterator[dict[str, Any] | None]:
    """What each fold's ``result.json`` says; stops after a fold whose training was stopped, which gives None."""
    device = Device.choose(plan.config.training.precision, plan.config.training.threads)
    features = FEATURES.get(plan.features).load_or_train(dataset, device, weights=weights)
    for fold in range(1, plan.folds + 1):
        own = folder / "folds" / str(fold)
        data = write_fold(dataset, splits[fold - 1], own / "dataset")
        digest = _digest(data, settings, fold, features)
        result = _finished(own / RESULT, digest)
        counts = data.manifest.split_counts
        words = f"fold {fold} of {plan.folds}: {counts['train']:,} pictures to learn from, {counts['test']:,} held out"
        if result is not None:
            say(f"{words}; done already")
            yield result
            continue
        say(words)
        run = _train(data, own / "run", plan, fold, say)
        if run is None:
            yield None
            return
        result = {"digest": digest, "fold": fold, "pictures": counts, **_measure(data, run, plan, features, device)}
        write_json(own / RESULT, result)
        yield result


def _digest(data: Dataset, settings: dict[str, Any], fold: int, features: Features) -> str:
    """Which fold of which pictures was trained and measured how: folds measured by different nets are never averaged."""
    asked = {"fold": fold, "fingerprint": data.manifest.fingerprint, "settings": settings}
    return hashlib.sha256(json.dumps({**asked, "features": features.identity}, sort_keys=True).encode()).hexdigest()


def _finished(path: Path, digest: str) -> dict[str, Any] | None:
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
        return dict(result) if result["digest"] == digest else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _train(data: Dataset, folder: Path, plan: Plan, fold: int, say: Callable[[str], None]) -> Path | None:
    """The finished run of a fold, begun or gone on with; None when it was asked to stop."""
    run = runs.open_run(folder, data) if runs.exists(folder) else runs.create(folder, plan.run_config(fold), data)
    outcome = loop.train(run, say)
    return None if outcome.ending in ("stopped", "before") else folder


def _measure(data: Dataset, run: Path, plan: Plan, features: Features, device: Device) -> dict[str, Any]:
    bundle = Bundle.load(run, device.torch)
    material = measured(gather(run, data, bundle, features, device, plan.count, "test", plan.seed))
    made = bundle.description.provenance
    left_out, between = dict(material.left_out), []
    try:
        between = list(gaps(material))
    except NotMeasuredError as error:
        left_out[f"distances, {GAP}"] = error
    return {
        "features": features.name,
        "features_identity": features.identity,
        "samples": len(material.fake),
        "images_seen": made.get("images_seen"),
        "minutes": made.get("minutes"),
        "figures": [figure.to_json() for figure in [*between, *material.figures]],
        "not_measured": {name: {"problem": error.problem, "remedy": error.remedy} for name, error in left_out.items()},
    }


def gaps(material: Material) -> Iterator[Figure]:
    """Distance of the samples to held-out pictures minus that to as many training pictures, of each kind of distance.

    The Fréchet distance needs more pictures of each kind than features, and is left out otherwise. Raises
    NotMeasuredError for fewer than two of a kind, and for features that are not finite.
    """
    pictures = min(len(material.real), len(material.searched))
    held_out, train = material.real[:pictures], material.searched[:pictures]
    for vectors, what in ((held_out, "held-out pictures"), (train, "training pictures"), (material.fake, "samples")):
        check(vectors, what)
    enough = min(pictures, len(material.fake)) > material.features.dim
    for name, distance in (("kernel distance", mmd2), ("Fréchet distance", frechet_distance)):
        if distance is frechet_distance and not enough:
            continue
        to_held_out, to_train = distance(held_out, material.fake), distance(train, material.fake)
        yield Figure(
            name=f"{name}, {GAP}",
            value=to_held_out - to_train,
            interval=None,
            better="lower",
            meaning="How much nearer the samples lie to the pictures that they were trained on than to new ones; "
            "0 is right, and clearly above 0 they repeat what they were shown.",
            features=material.features.name,
            floor=0.0,
            details={"to held-out pictures": to_held_out, "to training pictures": to_train, "pictures": pictures},
        )


def _samples(folder: Path, plan: Plan, count: int = 8) -> list[list[Any]]:
    """A few pictures of each fold's generator; none where its run is gone."""
    shown = []
    for fold in range(1, plan.folds + 1):
        try:
            shown.append(Bundle.load(folder / "folds" / str(fold) / "run").sample(count, plan.seed))
        except UserError:
            shown.append([])
    return shown
