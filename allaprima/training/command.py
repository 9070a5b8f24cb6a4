"""What ``allaprima train`` does, from Python: settings from words, a dataset from a source, a run begun or gone on with."""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from allaprima import vault
from allaprima.core.config import load, to_yaml, validate
from allaprima.core.errors import UserError
from allaprima.core.files import claim_folder
from allaprima.core.retention import FOR_EVER, Kept, stamp
from allaprima.data.dataset import Dataset, is_dataset
from allaprima.methods import METHODS
from allaprima.training import planner, transfer
from allaprima.training import run as runs
from allaprima.training.config import RunConfig
from allaprima.training.distributed import Group, joined
from allaprima.training.learner import check_division
from allaprima.training.loop import Outcome, follow, train_claimed

BEGIN_AT = {256: 64, 512: 128, 1024: 128}  # px that a run for live use begins with: the live generator's last grid
LIVE_SIZES = tuple(BEGIN_AT)
BEGIN_SMALL = 0.8  # of such a run
STEM_UP_TO = 32  # px
PRIVATE_METHOD = "dp_merf"  # where none is asked for: better up to ε = 8 in a quarter of an hour (``LOG.md``)
UNSETTLED = "# auto: chosen when the run begins, for its budget, pictures and machine, and written into run.yaml\n"


def parse_count(text: str) -> int:
    """``400k`` → 400000, ``2M`` → 2000000. Raises UserError otherwise."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kKmM]?)", text.strip())
    if not match or float(match[1]) <= 0:
        raise UserError(f"'{text}' is not a number of images", "write it like 50000, 400k or 2M")
    return round(float(match[1]) * {"": 1, "k": 1_000, "m": 1_000_000}[match[2].lower()])


def as_changes(
    method: str | None,
    minutes: float | None,
    images: str | None,
    seed: int | None,
    changes: Sequence[str],
    condition: str | None = None,
    live: int | None = None,
    private: str | None = None,
) -> list[str]:
    """The verb's options as ``key=value`` changes, before those of ``--set``."""
    if minutes is not None and images is not None:
        raise UserError("Both --minutes and --images are given", "give one of them")
    found = [f"method={method}"] if method is not None else []
    if private is not None:
        found = _privately(private, method, live)
    if minutes is not None:
        found.append(f"budget={{minutes: {minutes}}}")
    if images is not None:
        found.append(f"budget={{images: {parse_count(images)}}}")
    if seed is not None:
        found.append(f"seed={seed}")
    if condition is not None:
        found.append(f"condition={condition}")
    if live is not None:
        found += _for_live_use(live, method)
    return [*found, *changes]


def _privately(promise: str, method: str | None, live: int | None) -> list[str]:
    """A private method with what was promised: ``1``, ``epsilon=1`` or ``epsilon=1,delta=1e-6``."""
    able = [name for name in METHODS.names() if getattr(METHODS.get(name).Config, "PRIVATE", False)]
    method = PRIVATE_METHOD if method is None else method
    if method not in able or live is not None:
        raise UserError(
            "A private run has a method of its own",
            f"leave out --live and --method, or choose a private one: --method {' or '.join(able)}",
        )
    words = promise if "=" in promise else f"epsilon={promise}"
    values = dict(part.strip().partition("=")[::2] for part in words.split(","))
    if "epsilon" not in values or values.keys() - {"epsilon", "delta"}:
        raise UserError(f"'{promise}' promises nothing that is known", "write --private 1, or epsilon=1,delta=1e-6")
    return [f"method={{name: {method}, {', '.join(f'{key}: {value}' for key, value in values.items())}}}"]


def _for_live_use(size: int, method: str | None) -> list[str]:
    """A generator that is quick at ``size`` px, and an opponent that looks at so many pixels through a stem up to 32 px."""
    if size not in LIVE_SIZES:
        raise UserError(f"There is no live generator of {size} px", f"--live takes {', '.join(map(str, LIVE_SIZES))}")
    if method == "vae":
        return ["method.decoder=live"]
    stem = round(math.log2(size / STEM_UP_TO))
    skipped = round(math.log2(size / BEGIN_AT[size]))
    discriminator = f"method.discriminator={{name: residual, stem_levels: {stem}, skipped_levels: {skipped}}}"
    return ["method.generator=live", discriminator, f"method.begin_small={BEGIN_SMALL}", "method.enlarging=100"]


def dry_run(
    folder: Path, changes: Sequence[str], recipe: RunConfig | None = None, begin_from: Path | None = None
) -> str:
    """The whole configuration as YAML: of the run that stands, or of the one that would be begun.

    What the planner chooses from pictures, budget and machine is ``auto`` there, and a comment says so.
    """
    standing = runs.exists(folder)
    origin = transfer.open_origin(begin_from) if begin_from is not None and not standing else None
    config = _asked(folder, changes, recipe, standing, origin)[0]
    return ("" if planner.is_settled(config) else UNSETTLED) + to_yaml(config)


def train(
    source: str,
    folder: Path,
    size: str,
    changes: Sequence[str],
    say: Callable[[str], None] = print,
    recipe: RunConfig | None = None,
    begin_from: Path | None = None,
    began: float | None = None,
    live: int | None = None,
    keep: str | None = None,
    encrypt: str | None = None,
) -> Outcome:
    """Begin a run or go on with one. ``changes`` are made to the ``recipe``, else to the run that stands, else to defaults.

    A run that is begun with ``begin_from``, a run or a bundle, takes nets and weights from there (training.transfer).
    Processes that ``torchrun`` has started learn it together (training.distributed). A budget in minutes counts from
    ``began`` on, a moment of ``time.monotonic`` (by default now), and without the time in which a source is prepared. Raises
    UserError before anything is written when something does not fit. ``live``: the pictures must have so many pixels to a side.
    ``keep``: how long the run is to be kept, such as ``90d``, or ``none`` for no end; by default a new
    run ends with its dataset. ``encrypt``: how the key of a new run is kept (training.run.lock).
    """
    began = time.monotonic() if began is None else began
    with joined() as group:
        if not group.leads:
            return follow(group)
        return _lead(source, folder, size, changes, say, recipe, begin_from, group, began, live, keep, encrypt)


def _lead(
    source: str,
    folder: Path,
    size: str,
    changes: Sequence[str],
    say: Callable[[str], None],
    recipe: RunConfig | None,
    begin_from: Path | None,
    group: Group,
    began: float,
    live: int | None,
    keep: str | None,
    encrypt: str | None,
) -> Outcome:
    kept = Kept.for_span(keep) if keep not in (None, FOR_EVER) else None  # what cannot be read is told first
    standing, origin, start = runs.exists(folder), None, None
    if begin_from is not None:
        if standing:
            transfer.check_standing(folder, begin_from)
        else:
            origin = transfer.open_origin(begin_from)
    config, along = _asked(folder, changes, recipe, standing, origin)  # a wrong key is told before pictures are read
    check_division(config, group)
    before = time.monotonic()
    dataset = open_or_prepare(source, size if live is None else str(live), say, encrypt)
    _check_live(live, dataset, source)
    began += time.monotonic() - before
    if standing:
        run = _go_on(runs.open_run(folder, dataset), config, changes)
    else:
        runs.check(config, dataset)
        run = runs.Run(folder, runs.resolve(config, dataset), dataset)
        start = transfer.prepare(origin, run.config, dataset, along) if origin is not None else None
    if standing and encrypt not in (None, "none") and not (folder / vault.FILE).is_file():
        raise UserError(f"'{folder}' was begun without encryption", f"run: allaprima encrypt {folder} {encrypt}")
    with claim_folder(folder):  # nothing is written into a run that another process holds
        if not standing:
            runs.lock(folder, dataset, encrypt, begin_from)
            if keep is None and dataset.manifest.kept_until is not None:
                kept = Kept.with_(dataset.manifest.kept_until)
                say(f"to be kept until {kept.until} (UTC), as '{source}'; --keep says otherwise")
        if start is not None:
            transfer.write(folder, start)
            for line in start.said:
                say(f"from {begin_from}: {line}")
        runs.write(run)
        if kept is not None:
            stamp(folder, kept)
        return train_claimed(run, say, group=group, began=began)


def _check_live(live: int | None, dataset: Dataset, source: str) -> None:
    if live is not None and max(dataset.domain.shape.spatial) != live:
        height, width = dataset.domain.shape.spatial
        raise UserError(
            f"'{source}' holds pictures of {width} × {height}, not of {live} px",
            f"prepare them again with --size {live}, or leave --live out",
        )


def open_or_prepare(source: str, size: str, say: Callable[[str], None], encrypt: str | None = None) -> Dataset:
    """A prepared dataset as it is; anything else is prepared into ``datasets/`` first.

    ``source`` is text, because ``studies`` is the built-in set and ``./studies`` a folder.
    """
    from allaprima.data.prepare import PrepareConfig, prepare, sweep

    if not os.path.lexists(source):
        sweep(Path(source))  # put aside by what was killed before its successor came
    if is_dataset(Path(source)):
        return Dataset.open(source)

    config = validate(PrepareConfig, {"size": size})
    target = Path("datasets") / f"{Path(source).stem or 'pictures'}-{'x'.join(str(side) for side in config.size)}"
    try:
        dataset = prepare(source, target, config, encrypt="" if encrypt in (None, "none") else encrypt)
    except UserError as error:
        by_hand = f"allaprima prepare {source} {target} --size {size}"
        raise UserError(error.problem, f"{error.remedy}\n  → options belong to: {by_hand}") from error
    say(f"'{source}' is prepared as '{target}'")
    return dataset


def _asked(
    folder: Path, changes: Sequence[str], recipe: RunConfig | None, standing: bool, origin: transfer.Origin | None
) -> tuple[RunConfig, list[str]]:
    """The configuration, and those of its changes that come along with what the run is begun from."""
    base = runs.read_config(folder) if recipe is None and standing else recipe
    values = {} if base is None else base.model_dump(mode="json")
    along = transfer.changes_of(folder) if standing else []
    named = [change for change in changes if re.match(r"method\s*=", change)]
    if origin is not None:
        if base is None and not named:
            named = [f"method={origin.method}"]
        chosen = load(RunConfig, values, named)
        along = origin.changes(chosen.method.component_name(), chosen.training.lr == "auto")
        along = [*(change for change in named if change not in changes), *along]
    # what was learned with stands behind the method's name and before a person's own settings
    first = [change for change in named if change in changes]
    rest = [change for change in changes if change not in first]
    return load(RunConfig, values, [*first, *along, *rest]), along


def _go_on(run: runs.Run, asked: RunConfig, changes: Sequence[str]) -> runs.Run:
    """The run that stands; of its settings only the budget may change now."""
    # an "auto" asked for again means what it meant before
    asked = planner.as_in(runs.resolve(asked, run.dataset), run.config)
    if asked.model_copy(update={"budget": run.config.budget}) != run.config:
        changed = [change for change in changes if not change.startswith("budget")]
        raise UserError(
            f"'{run.folder}' was begun with other settings than {', '.join(changed) or 'these'}",
            "leave them out to go on with it, or choose another folder for a new run",
        )
    return runs.Run(run.folder, asked, run.dataset)


def describe(outcome: Outcome, folder: Path) -> str:
    """The closing words."""
    best = outcome.best
    figure = ""
    if best.figure is not None:
        figure = f"; kept: the generator at {best.num_images_seen:,} images, {best.describe()}"
    words = {
        "finished": f"finished: {outcome.num_images_seen:,} images{figure}",
        "early": f"stopped early, nothing better came: {outcome.num_images_seen:,} images{figure}",
        "before": "stopped before training went on; nothing was lost, and the same command goes on",
        "stopped": f"stopped and saved at {outcome.num_images_seen:,} images; the same command goes on",
        "standing": f"the run has seen its {outcome.num_images_seen:,} images already; ask for more minutes or images to go on",
    }
    if not (folder / "bundle" / "bundle.json").is_file():
        return words[outcome.ending]
    return f"{words[outcome.ending]}\nnext: allaprima sample {folder}  ·  allaprima studio {folder}"
