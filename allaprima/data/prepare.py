"""SOURCE → prepared dataset: scan, decode and check in parallel, find duplicates, split, write; whole or not at all.

Use: ``prepare("pictures/", "datasets/cats", PrepareConfig(size=(64, 64)))``.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, Field

from allaprima.core.config import Config
from allaprima.core.errors import UserError
from allaprima.core.files import PARTIAL, claim_folder, new_folder
from allaprima.core.progress import progress
from allaprima.data import precautions, report, sources
from allaprima.data.assembly import Assembly, select, write
from allaprima.data.checks import Limits
from allaprima.data.processes import cores, examine_all
from allaprima.data.sources import Listing, Request
from allaprima.data.worker import Job, Outcome
from allaprima.vault import FILE as LOCK
from allaprima.vault import check_place, is_kept
from allaprima.vault.folders import filling

if TYPE_CHECKING:
    from allaprima.data.dataset import Dataset

CHANNELS = {"grey": 1, "rgb": 3, "rgba": 4}
MODES = {"auto": "RGB", "grey": "L", "rgb": "RGB", "rgba": "RGBA"}
SMALLEST = 8  # pixels: no side of a picture may be shorter
LARGEST_ENLARGEMENT = 8
SPARE_BYTES = 64 << 20


def parse_size(value: Any) -> Any:
    """``64``, ``"64"``, ``"96x64"`` (width x height) or a pair → (width, height)."""
    if isinstance(value, int):
        return (value, value)
    if isinstance(value, str):
        sides = value.lower().replace("×", "x").split("x")
        if not all(side.strip().isdigit() for side in sides) or len(sides) > 2:
            raise ValueError("write a size as 64, or as 96x64 for width x height")
        return (int(sides[0]), int(sides[-1]))
    return value


Side = Annotated[int, Field(ge=8, le=2048)]


class PrepareConfig(Config):
    """How pictures become a dataset. ``size`` is (width, height) in pixels; shares are of each class's pictures.

    ``apart``: metadata columns, with commas; ``apart_share`` of their combinations are in no training picture (data.apart).
    ``sounds``: a folder or zip of recordings whose labels are the pictures' classes (data.sounds).
    ``anonymise``: fill the faces that ``face_detector`` finds; ``doubtful`` pictures are refused or kept (data.faces).
    ``pseudonyms``, for names of files: None is as ``anonymise`` (data.pseudonyms). ``require``: such as ``consent=yes``
    (data.permissions). ``keep``: such as ``90d`` (core.retention).
    """

    size: Annotated[tuple[Side, Side], BeforeValidator(parse_size)] = (64, 64)
    fit: Literal["crop", "pad", "stretch"] = "crop"
    colour: Literal["auto", "grey", "rgb", "rgba"] = "auto"
    labels: str = "auto"
    unlabelled: Literal["refuse", "drop"] = "refuse"
    validation: float = Field(0.1, ge=0, le=0.5)
    test: float = Field(0.1, ge=0, le=0.4)
    apart: str = ""
    apart_share: float = Field(0.1, gt=0, le=0.5)
    sounds: str = ""
    keep_duplicates: bool = False
    keep_noise: bool = False
    min_side: int | None = Field(None, ge=1)  # of a source picture; default: an eighth of the wanted size
    max_megapixels: float = Field(80, gt=0)
    count: int = Field(4000, ge=1, le=10_000_000)  # of studies or stacks
    seed: int = Field(0, ge=0)  # of studies or stacks
    anonymise: bool = False
    face_detector: str = ""
    face_threshold: float = Field(0.6, gt=0, le=1)
    face_doubt: float = Field(0.3, gt=0, le=1)
    doubtful: Literal["refuse", "keep"] = "refuse"
    pseudonyms: bool | None = None
    pseudonym_key: str = ""
    require: list[str] = []
    keep: str = ""

    def limits(self) -> Limits:
        """The lines that the checks draw."""
        least = max(SMALLEST, math.ceil(min(self.size) / LARGEST_ENLARGEMENT))
        return Limits(
            min_side=self.min_side or least,
            max_pixels=int(self.max_megapixels * 1e6),
            keep_noise=self.keep_noise,
        )


def prepare(
    source: str | Path,
    target: str | Path,
    config: PrepareConfig | None = None,
    workers: int | None = None,
    force: bool = False,
    encrypt: str = "",
) -> Dataset:
    """The dataset at ``target``, made from ``source`` or standing there already from the same source and options.

    ``force`` replaces a dataset that stands. ``encrypt`` says how the key is kept (vault.lock.create); pictures then lie in
    memory alone until they are encrypted. Raises UserError when the source is missing or unknown, holds too few
    usable pictures, lacks labels for some, has a class without pictures, or when the target is taken or has no space.
    """
    config = config or PrepareConfig()
    source, target = str(source), Path(target)
    kind = sources.find(source)
    _refuse_inside(source, target)
    sweep(target)  # what a kill left put aside is back before anybody asks whether something stands there
    care = precautions.begin(config)
    listing: Listing = kind.scan(source, Request(config.size, config.count, config.seed))
    if not listing.items:
        raise UserError(f"No pictures in '{source}'", "give a folder, or a zip, that holds PNG, JPEG or WebP files")
    options = care.options({**config.model_dump(mode="json"), "state": listing.state})
    _check_locked(target, encrypt)
    if _stands(target, options, force):
        from allaprima.data.dataset import Dataset

        report.say(f"'{target}' stands already, prepared from the same source with the same options.")
        report.say(report.next_step(target))
        return Dataset.open(target)
    listing = care.admitted(listing)
    needed = _check_space(target, len(listing.items), config)
    with replacing(target) as new, filling(new, encrypt, needed) as folder:
        provisional = folder / "provisional.npy"
        outcomes = _examine(listing, config, provisional, workers or cores(), care)
        listing, outcomes = care.named(listing, outcomes)
        selection = select(listing, outcomes, config, provisional)
        name = care.source(source, kind)
        write(folder, Assembly(listing, selection, name, options, config, outcomes, care), provisional)
    report.summary(target, selection, config, care.notes(outcomes, selection.places, listing.items))
    from allaprima.data.dataset import Dataset

    return Dataset.open(target)


def _examine(
    listing: Listing, config: PrepareConfig, array: Path, workers: int, care: precautions.Precautions
) -> list[Outcome]:
    """Decode, check and fit everything; the pictures land in ``array``, ``[items, H, W, C]``."""
    count, (width, height) = len(listing.items), config.size
    shape = (count, height, width, CHANNELS.get(config.colour, 3))
    np.lib.format.open_memmap(array, mode="w+", dtype=np.uint8, shape=shape)
    job = Job(listing.reader, str(array), config.size, config.fit, MODES[config.colour], config.limits(), care.faces)
    names, keys = [item.name for item in listing.items], [item.key for item in listing.items]
    outcomes: list[Outcome] = []
    with contextlib.closing(examine_all(job, names, keys, workers)) as chunks:
        outcomes += next(chunks)[1]  # before the bar, which has a thread: the workers can be forked
        with progress("preparing", total=count) as advance:
            advance(len(outcomes))
            for _, chunk in chunks:
                outcomes += chunk
                advance(len(chunk))
    return outcomes


def _refuse_inside(source: str, target: Path) -> None:
    if not os.path.isdir(source):
        return
    inside, around = target.resolve(), Path(source).resolve()
    if inside == around or around in inside.parents:
        raise UserError(
            f"'{target}' lies inside the source '{source}'", "choose a folder outside it, such as datasets/mine"
        )
    if inside in around.parents:
        raise UserError(f"The source '{source}' lies inside '{target}'", "choose another folder, such as datasets/mine")


def _check_locked(target: Path, encrypt: str) -> None:
    """Raises UserError where a dataset that stands would become less protected, or is not as protected as asked."""
    check_place(target, encrypt)
    if (target / LOCK).is_file():
        if encrypt and not is_kept(target, encrypt):
            raise UserError(
                f"'{target}' stands and is locked by another key", f"run: allaprima encrypt {target} {encrypt}"
            )
        if not encrypt:
            raise UserError(f"'{target}' is encrypted", "add --encrypt, or choose another name")
    elif encrypt and (target / "manifest.json").is_file():
        raise UserError(f"'{target}' stands and is not encrypted", f"run: allaprima encrypt {target} {encrypt}")


def _stands(target: Path, options: dict[str, Any], force: bool) -> bool:
    """Whether ``target`` is what is wanted already. Raises UserError when it is something else that must stay."""
    if not os.path.lexists(target) or (target.is_dir() and not any(target.iterdir())):
        return False
    from allaprima.data.dataset import Dataset, is_dataset

    if not is_dataset(target):
        raise UserError(
            f"'{target}' exists and is no prepared dataset", "choose another name; nothing there is touched"
        )
    if force:
        return False
    manifest = Dataset.open(target).manifest
    # what a set that was prepared before an option existed has of it
    known = PrepareConfig().model_dump(mode="json") | manifest.options
    if known == options:
        return True
    differing = sorted(key for key in options if known.get(key) != options[key])
    words = ", ".join("source" if key == "state" else key for key in differing) or "version"
    raise UserError(
        f"'{target}' was prepared otherwise (different {words})", "choose another name, or add --force to replace it"
    )


def _check_space(target: Path, count: int, config: PrepareConfig) -> int:
    """Twice the pictures: as they arrive, and the ones that are kept. Returns bytes; raises UserError where there are fewer."""
    width, height = config.size
    needed = 2 * count * width * height * CHANNELS.get(config.colour, 3) + SPARE_BYTES
    parent = target.absolute().parent
    while not parent.exists():
        parent = parent.parent
    total, _, free = shutil.disk_usage(parent)
    if total == 0 or not os.access(parent, os.W_OK):  # no disk at all, such as /proc, has no size
        raise UserError(f"Cannot write '{target}': '{parent}' takes no files", "choose a folder that you own")
    if free < needed:
        raise UserError(
            f"No space: {count:,} pictures of {width}x{height} need {needed / 1e9:,.1f} GB; {free / 1e9:,.1f} are free",
            "free some space, choose a folder on another disk, or a smaller --size",
        )
    return needed


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A new folder that takes the place of ``target``, if something stands there, at the last moment."""
    sweep(target)
    aside = target.with_name(f".{target.name}{PARTIAL}-replaced")
    try:
        with new_folder(target) as folder:
            with claim_folder(folder):
                yield folder
            (folder / ".lock").unlink()
            if os.path.lexists(target):
                os.rename(target, aside)
    except BaseException:
        if aside.exists() and not target.exists():
            os.rename(aside, target)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def sweep(target: Path) -> None:
    """Delete what an interrupted prepare of the same target left. Raises UserError when one is still at it."""
    leftovers: Sequence[Path] = list(target.parent.glob(f".{target.name}{PARTIAL}-*")) if target.parent.is_dir() else []
    for left in leftovers:
        try:
            with claim_folder(left):
                pass
        except UserError:
            raise UserError(
                f"'{target}' is being prepared by another process", "wait until it ends, or choose another name"
            ) from None
        if left.name.endswith("-replaced") and not target.exists():
            (left / ".lock").unlink(missing_ok=True)
            os.rename(left, target)  # it was put aside, and its successor never came
        else:
            shutil.rmtree(left, ignore_errors=True)
