"""``allaprima evaluate RUN``: how good is it? And ``allaprima evaluate DATASET --folds 5``: how good is the recipe?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    run: Annotated[Path, typer.Argument(help="A run or bundle folder; with --folds, a prepared dataset.")],
    dataset: Annotated[Path | None, typer.Option(help="Prepared dataset. Default: the run's own.")] = None,
    count: Annotated[int, typer.Option(help="Samples to paint, at most as many as training pictures.")] = 5000,
    split: Annotated[str, typer.Option(help="Held-out pictures to compare with: test or validation.")] = "test",
    seed: Annotated[int, typer.Option(help="Seed of the samples, and of the folds and their runs.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the report, new or of an earlier one. "
            "Default: RUN/report, BUNDLE-report, or DATASET-folds-RECIPE."
        ),
    ] = None,
    features: Annotated[
        str, typer.Option(help="What figures see of pictures: domain, pixels, inception, dinov2, clip.")
    ] = "domain",
    weights: Annotated[Path | None, typer.Option(help="File with the weights of published features.")] = None,
    download: Annotated[bool, typer.Option("--download", help="Fetch those weights if they are not here.")] = False,
    engine: Annotated[
        str | None, typer.Option(help="Measure what this engine paints, such as int8; by default the nets themselves.")
    ] = None,
    folds: Annotated[
        int | None, typer.Option(help="Train a recipe anew on so many folds of a dataset, and measure each.")
    ] = None,
    recipe: Annotated[str | None, typer.Option(help="With --folds: gan (the default), vae, …")] = None,
    minutes: Annotated[float | None, typer.Option(help="With --folds: training minutes of each fold.")] = None,
    images: Annotated[str | None, typer.Option(help="With --folds: or images shown in each, such as 400k.")] = None,
    change: Annotated[list[str] | None, typer.Option("--set", help="With --folds: any setting, key=value.")] = None,
) -> None:
    """Measure samples against held-out pictures; write report.json and report.html."""
    if folds is not None:
        _refuse({"--dataset": dataset is not None, "--split": split != "test"}, "with", "each fold holds out its own")
        of_seed = any(one.partition("=")[0].strip() == "seed" for one in change or [])
        _refuse({"--set seed=…": of_seed}, "with", "fold n has the seed of --seed, plus n", "give --seed instead")
        _refuse({"--engine": engine is not None}, "with", "the nets themselves are measured")
        changes = _changes(minutes, images, change or [])
        _folds(run, folds, recipe or "gan", changes, seed, count, out, features, weights, download)
        return
    only = {"--recipe": recipe, "--minutes": minutes, "--images": images, "--set": change}
    _refuse({name: bool(value) for name, value in only.items()}, "without", "nothing is trained then")
    _run(run, dataset, count, split, seed, out, features, weights, download, engine)


def _run(
    run: Path,
    dataset: Path | None,
    count: int,
    split: str,
    seed: int,
    out: Path | None,
    features: str,
    weights: Path | None,
    download: bool,
    engine: str | None,
) -> None:
    from allaprima.bundle.bundle import Bundle
    from allaprima.core.device import Device
    from allaprima.core.errors import UserError
    from allaprima.data.dataset import is_dataset
    from allaprima.evaluation.evaluate import evaluate as measure
    from allaprima.evaluation.evaluate import find_dataset
    from allaprima.evaluation.features import Weights
    from allaprima.runtime.engine import painted_by

    if is_dataset(run):
        raise UserError(
            f"'{run}' is a prepared dataset, not a run",
            f"to measure a run on it: allaprima evaluate RUN --dataset {run}\n"
            f"  → to train and measure a recipe in folds: allaprima evaluate {run} --folds 5",
        )
    device = Device.choose()
    bundle = Bundle.load(run, device.torch)
    data = find_dataset(run, dataset)
    if engine is not None:
        bundle = painted_by(bundle, engine)
        out = out or run / f"report-{engine}"
        print(f"painted by {bundle.painter.name}")
    report = measure(run, data, bundle, device, count, split, seed, features, out, Weights(weights, download))
    print(report.table())
    print(f"\nfeatures: {report.facts['features']}\n{report.folder / 'report.html'}")


def _folds(
    source: Path,
    folds: int,
    recipe: str,
    changes: list[str],
    seed: int,
    count: int,
    out: Path | None,
    features: str,
    weights: Path | None,
    download: bool,
) -> None:
    from allaprima.core.config import load
    from allaprima.core.errors import UserError
    from allaprima.data.dataset import Dataset
    from allaprima.evaluation.features import Weights
    from allaprima.recipes import config_of
    from allaprima.training.config import RunConfig
    from allaprima.training.crossval import Plan, cross_validate, default_folder

    if (source / "run.json").is_file() or (source / "bundle.json").is_file():
        raise UserError(
            f"'{source}' is trained already: folds train anew, from a prepared dataset",
            "give the dataset with --folds, or leave out --folds to measure this run",
        )
    data = Dataset.open(source)
    base = config_of(recipe).model_dump(mode="json")
    config = load(RunConfig, base, changes)
    folder = out or default_folder(source, recipe)
    plan = Plan(config=config, recipe=recipe, folds=folds, seed=seed, count=count, features=features)
    found = cross_validate(data, folder, plan, typer.echo, Weights(weights, download))
    if found is None:
        typer.echo(f"stopped and saved in '{folder}'; the same command goes on")
        return
    print(f"\n{found.table()}\n\n{folder / 'crossval.html'}")


def _changes(minutes: float | None, images: str | None, changes: list[str]) -> list[str]:
    from allaprima.training.command import as_changes

    return as_changes(None, minutes, images, None, changes)


def _refuse(given: dict[str, bool], when: str, why: str, remedy: str = "") -> None:
    """Raises UserError for options that say nothing ``when`` (with, without) folds are asked for."""
    from allaprima.core.errors import UserError

    for option, is_given in given.items():
        if is_given:
            raise UserError(f"{option} means nothing {when} --folds: {why}", remedy or f"leave out {option}")
