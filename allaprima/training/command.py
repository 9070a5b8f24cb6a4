"""What ``allaprima train`` does, from Python: settings from words, a dataset from a source, a run begun or gone on with."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from allaprima.core.config import load, to_yaml, validate
from allaprima.core.errors import UserError
from allaprima.core.files import write_atomic
from allaprima.data.dataset import Dataset, is_dataset
from allaprima.training import run as runs
from allaprima.training.config import RunConfig
from allaprima.training.loop import Outcome
from allaprima.training.loop import train as train_run


def parse_count(text: str) -> int:
    """``400k`` → 400000, ``2M`` → 2000000. Raises UserError otherwise."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kKmM]?)", text.strip())
    if not match or float(match[1]) <= 0:
        raise UserError(f"'{text}' is not a number of images", "write it like 50000, 400k or 2M")
    return round(float(match[1]) * {"": 1, "k": 1_000, "m": 1_000_000}[match[2].lower()])


def as_changes(
    method: str | None, minutes: float | None, images: str | None, seed: int | None, changes: Sequence[str]
) -> list[str]:
    """The verb's options as ``key=value`` changes, before those of ``--set``."""
    if minutes is not None and images is not None:
        raise UserError("Both --minutes and --images are given", "give one of them")
    found = [f"method={method}"] if method is not None else []
    if minutes is not None:
        found.append(f"budget={{minutes: {minutes}}}")
    if images is not None:
        found.append(f"budget={{images: {parse_count(images)}}}")
    if seed is not None:
        found.append(f"seed={seed}")
    return [*found, *changes]


def dry_run(folder: Path, changes: Sequence[str]) -> str:
    """The whole configuration as YAML: of the run that stands, or of the one that would be begun."""
    base = {}
    if runs.exists(folder):
        import yaml

        base = yaml.safe_load((folder / "run.yaml").read_text(encoding="utf-8"))
    return to_yaml(load(RunConfig, base, changes))


def train(source: Path, folder: Path, size: str, changes: Sequence[str], say: Callable[[str], None] = print) -> Outcome:
    """Begin a run or go on with one. Raises UserError before anything is written when something does not fit."""
    standing = runs.exists(folder)
    config = load(RunConfig, {}, changes)  # a wrong key is told before pictures are read
    dataset = open_or_prepare(source, size, say)
    if standing:
        run = _go_on(folder, dataset, changes)
    else:
        config.method.build(dataset.domain.shape, runs.condition_of(config, dataset))  # nets that do not fit, likewise
        run = runs.create(folder, config, dataset)
    return train_run(run, say)


def open_or_prepare(source: Path, size: str, say: Callable[[str], None]) -> Dataset:
    """A prepared dataset as it is; anything else is prepared into ``datasets/`` first."""
    if is_dataset(source):
        return Dataset.open(source)
    from allaprima.data.prepare import PrepareConfig, prepare

    config = validate(PrepareConfig, {"size": size})
    target = Path("datasets") / f"{source.stem or 'pictures'}-{'x'.join(str(side) for side in config.size)}"
    say(f"preparing '{source}' as '{target}'")
    return prepare(source, target, config)


def _go_on(folder: Path, dataset: Dataset, changes: Sequence[str]) -> runs.Run:
    """The run that stands; of its settings only the budget may change now."""
    run = runs.open_run(folder, dataset)
    asked = load(RunConfig, run.config.model_dump(mode="json"), changes)
    kept = asked.model_copy(update={"budget": run.config.budget})
    if kept != run.config:
        changed = [change for change in changes if not change.startswith("budget")]
        raise UserError(
            f"'{folder}' was begun with other settings than {', '.join(changed)}",
            "leave them out to go on with it, or choose another folder for a new run",
        )
    if asked.budget != run.config.budget:
        write_atomic(folder / "run.yaml", to_yaml(asked))
        run = runs.Run(folder, asked, dataset)
    return run


def describe(outcome: Outcome, folder: Path) -> str:
    """The closing words."""
    figure = "" if outcome.best_figure is None else f", best kernel distance {outcome.best_figure:.4f}"
    words = {
        "finished": f"finished: {outcome.num_images_seen:,} images{figure}",
        "early": f"stopped early, nothing better came: {outcome.num_images_seen:,} images{figure}",
        "stopped": f"stopped and saved at {outcome.num_images_seen:,} images; the same command goes on",
        "standing": f"the run has seen its {outcome.num_images_seen:,} images already; ask for more minutes or images to go on",
    }
    return f"{words[outcome.ending]}\nnext: allaprima sample {folder}  ·  allaprima studio {folder}"
