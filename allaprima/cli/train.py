"""``allaprima train DATASET RUN``: learn to paint like a prepared dataset, or go on with a run."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer


def train(
    dataset: Annotated[str, typer.Argument(help="A prepared dataset, or a source, which is then prepared first.")],
    run: Annotated[Path, typer.Argument(help="The run's folder. A run that stands there goes on where it stopped.")],
    recipe: Annotated[str | None, typer.Option(help="Settings to begin from: gan, vae, …, or a YAML file.")] = None,
    method: Annotated[str | None, typer.Option(help="gan (the default) or vae; dp_merf or dp_gan: private.")] = None,
    condition: Annotated[
        str | None, typer.Option(help="What is asked of pictures: class, text, sound, attributes, several, or none.")
    ] = None,
    minutes: Annotated[float | None, typer.Option(help="Wall-clock budget in minutes (the default is 10).")] = None,
    images: Annotated[str | None, typer.Option(help="Budget in images shown, such as 400k or 2M.")] = None,
    seed: Annotated[int | None, typer.Option(help="Everything random follows from it.")] = None,
    size: Annotated[str, typer.Option(help="Pixels, where a source is prepared first: 64 or 96x64.")] = "64",
    live: Annotated[
        int | None, typer.Option(help="256, 512 or 1024: a generator that is quick to paint at that size.")
    ] = None,
    private: Annotated[
        str | None,
        typer.Option(
            help="Differential privacy, such as 1 or epsilon=1,delta=1e-6: how little one picture may tell."
            " Also with --method dp_gan."
        ),
    ] = None,
    begin_from: Annotated[
        Path | None,
        typer.Option("--from", help="A run or bundle to fine-tune: its nets and weights are the beginning."),
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(
            help="How long to keep the run, such as 90d or 6m; then: allaprima forget --expired; none for no end"
            " [default: as the dataset]"
        ),
    ] = None,
    encrypt: Annotated[
        str | None,
        typer.Option(
            help="Encrypt a new run's checkpoints and generator. Its key: passphrase, file=PATH, keyring; none for no"
            " encryption [default: as the dataset]"
        ),
    ] = None,
    change: Annotated[list[str] | None, typer.Option("--set", help="Any setting: key=value. Repeatable.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the whole configuration and stop.")] = False,
) -> None:
    """Train a generator on a dataset within a budget of minutes or images."""
    began = time.monotonic()  # what is imported now counts too

    from allaprima.recipes import config_of
    from allaprima.training import command

    base = config_of(recipe) if recipe is not None else None
    changes = command.as_changes(method, minutes, images, seed, change or [], condition, live, private)
    if dry_run:
        typer.echo(command.dry_run(run, changes, base, begin_from), nl=False)
        return
    outcome = command.train(dataset, run, size, changes, typer.echo, base, begin_from, began, live, keep, encrypt)
    if outcome.leads:
        typer.echo(command.describe(outcome, run))
