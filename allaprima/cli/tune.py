"""``allaprima tune DATASET FOLDER``: search the settings that suit these pictures, within a budget of minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def tune(
    dataset: Annotated[str, typer.Argument(help="A prepared dataset, or a source, which is then prepared first.")],
    folder: Annotated[Path, typer.Argument(help="The search's folder. A search that stands there goes on.")],
    minutes: Annotated[
        float | None, typer.Option(help="Wall-clock budget of the whole search (the default is 60).")
    ] = None,
    trials: Annotated[int | None, typer.Option(help="At most so many trials. Default: what suits the minutes.")] = None,
    images: Annotated[
        str | None, typer.Option(help="Images shown in each trial, such as 50k. Default: as above.")
    ] = None,
    recipe: Annotated[str | None, typer.Option(help="Settings to begin from: gan, vae, …, or a YAML file.")] = None,
    method: Annotated[str | None, typer.Option(help="gan or vae (the default is gan).")] = None,
    seed: Annotated[int | None, typer.Option(help="Everything random follows from it.")] = None,
    size: Annotated[str, typer.Option(help="Pixels, where a source is prepared first: 64 or 96x64.")] = "64",
    change: Annotated[
        list[str] | None, typer.Option("--set", help="Any setting, key=value: it is fixed. Repeatable.")
    ] = None,
) -> None:
    """Search for better settings by short runs, judged on the validation split; write best.yaml and tune.html.

    With --trials and --images but no --minutes the clock does not count, and the search can be repeated exactly.
    """
    from allaprima.core.config import load, validate
    from allaprima.recipes import config_of
    from allaprima.training import command
    from allaprima.training.config import RunConfig
    from allaprima.training.tuning.asked import Asked, fixed_keys
    from allaprima.training.tuning.trials import require_optuna
    from allaprima.training.tuning.tune import tune as search

    require_optuna()  # told before pictures are read
    fixed = change or []
    base = config_of(recipe).model_dump(mode="json") if recipe is not None else {}
    config = load(RunConfig, base, command.as_changes(method, None, None, seed, fixed))
    if minutes is None and (trials is None or images is None):
        minutes = 60.0
    each = None if images is None else command.parse_count(images)
    values = {"config": config, "fixed": fixed_keys(fixed), "minutes": minutes, "trials": trials, "images": each}
    asked = validate(Asked, values)
    found = search(command.open_or_prepare(dataset, size, typer.echo), folder, asked, typer.echo)
    if found is None:
        typer.echo(f"stopped and saved in '{folder}'; the same command goes on")
        return
    typer.echo(f"\n{found.table(folder, dataset)}")
