"""From outcomes to a dataset: which pictures stay, their classes and splits; then arrays, records, manifest last."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from allaprima.core.errors import UserError
from allaprima.core.files import sha256_file, write_json
from allaprima.data import apart, card, precautions, sounds
from allaprima.data import labels as labelling
from allaprima.data.checks import Prints, having
from allaprima.data.report import causes, notes, say
from allaprima.data.sources import Item, LeftOut, Listing
from allaprima.data.split import APART, FEWEST_IN_SPLIT, GIVEN, SPLITS, TRAIN, VALIDATION, assign
from allaprima.data.worker import Outcome

if TYPE_CHECKING:
    from allaprima.data.prepare import PrepareConfig

FEWEST = 10  # usable pictures: with less there is nothing to learn and nothing to hold out
ROWS = 1024  # pictures copied at a time
MANY = 20_000  # pictures among which duplicates take seconds to find


@dataclass(frozen=True)
class Selection:
    """The pictures that stay, by their place in the listing, and what is known of each; ``left_out`` are the others."""

    places: np.ndarray
    labels: np.ndarray
    splits: np.ndarray
    classes: list[str]
    grey: bool
    left_out: list[LeftOut]
    painted_over: int = 0  # pictures whose transparent parts became white


@dataclass(frozen=True)
class Assembly:
    """What is written: the selection, where it came from, and what was done for whom it shows. ``source``: its last name."""

    listing: Listing
    selection: Selection
    source: str
    options: dict[str, Any]
    config: PrepareConfig
    outcomes: list[Outcome]
    care: precautions.Precautions


def select(listing: Listing, outcomes: list[Outcome], config: PrepareConfig, array: Path) -> Selection:
    """Raises UserError for missing labels, a class without pictures, and too few pictures: in all, or in a split."""
    items = listing.items
    left = list(listing.left_out)
    left += [LeftOut(i.name, o.check, o.reason or "") for i, o in zip(items, outcomes, strict=True) if o.check]
    usable = np.array([place for place, outcome in enumerate(outcomes) if outcome.check is None], np.int64)
    names = labelling.choose(items, config.labels)
    usable = _labelled(usable, names, items, config, left)
    given = np.array([GIVEN[items[place].split] for place in usable], np.int64)
    usable, groups, given = _distinct(usable, given, listing, names, outcomes, config, array, left)
    if len(usable) < FEWEST:
        found = f"Only {len(usable)} usable picture{'s' * (len(usable) != 1)}" if len(usable) else "No usable pictures"
        raise UserError(
            f"{found}{causes(left)}", f"give at least {FEWEST} different pictures; several hundred are better"
        )
    classes = _classes(usable, names, listing, config, left)
    number = {name: place for place, name in enumerate(classes)}
    labels = np.array([number.get(names[place] or "", -1) for place in usable], np.int64)
    digests = np.array([outcomes[place].digest for place in usable], "V16")
    splits = np.full(len(usable), APART, np.uint8)
    rest = ~_kept_apart([items[place] for place in usable], groups, config)
    splits[rest] = assign(digests[rest], labels[rest], groups[rest], given[rest], config.validation, config.test)
    _check_splits(splits, config, left)
    grey = config.colour == "auto" and all(outcomes[place].grey for place in usable)
    painted_over = sum(outcomes[place].transparent for place in usable)
    return Selection(usable, labels, splits, classes, grey, left, painted_over)


def _kept_apart(items: list[Item], groups: np.ndarray, config: PrepareConfig) -> np.ndarray:
    """Which pictures show a combination that is kept apart; duplicates of those go with them."""
    columns = [name.strip() for name in config.apart.split(",") if name.strip()]
    if not columns:
        return np.zeros(len(items), bool)
    chosen = apart.choose([{"label": item.folder, **item.columns} for item in items], columns, config.apart_share)
    return np.isin(groups, groups[chosen])


def _check_splits(splits: np.ndarray, config: PrepareConfig, left: list[LeftOut]) -> None:
    """Training needs pictures to learn from and, where they are wanted, to validate on."""
    train, validation = (int((splits == number).sum()) for number in (TRAIN, VALIDATION))
    if train < FEWEST_IN_SPLIT:
        raise UserError(
            f"Of {len(splits):,} usable pictures {train or 'none'} would be left to learn from{causes(left)}",
            "add pictures to the source's train split that are not in its others as well",
        )
    if config.validation > 0 and validation < FEWEST_IN_SPLIT:
        raise UserError(
            f"Of {len(splits):,} usable pictures {validation or 'none'} could be held out to validate on{causes(left)}",
            "give several pictures of each class, or use no labels with --labels none",
        )


def _labelled(
    usable: np.ndarray, names: list[str | None], items: list[Any], config: PrepareConfig, left: list[LeftOut]
) -> np.ndarray:
    """The usable pictures that have a label, where some have one."""
    lacking = [int(place) for place in usable if names[place] is None]
    if not lacking or len(lacking) == len(usable):
        return usable
    if config.unlabelled == "refuse":
        raise UserError(
            f"{len(lacking):,} of {len(usable):,} pictures have no label, for example '{items[lacking[0]].name}'",
            "label them, leave them out with --unlabelled drop, or use no labels at all with --labels none",
        )
    left += [LeftOut(items[place].name, "unlabelled", "has no label") for place in lacking]
    return np.setdiff1d(usable, lacking)


def _distinct(
    usable: np.ndarray,
    given: np.ndarray,
    listing: Listing,
    names: list[str | None],
    outcomes: list[Outcome],
    config: PrepareConfig,
    array: Path,
    left: list[LeftOut],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places, groups and given splits after duplicates went, or, if they are kept, with each group's number."""
    items = listing.items
    # Held-out pictures first, so that a source's own test set stays whole; then the largest; then by content.
    best = sorted(
        range(len(usable)),
        key=lambda k: (-given[k], -outcomes[usable[k]].area, outcomes[usable[k]].digest, items[usable[k]].name),
    )
    prints = Prints(
        usable[best],
        np.array([outcomes[usable[k]].digest for k in best], "V16"),
        np.array([outcomes[usable[k]].hash for k in best], np.uint64),
        np.load(array, mmap_mode="r"),
    )
    if len(usable) >= MANY:
        say(f"looking for duplicates among {len(usable):,} pictures")
    repeats: dict[int, tuple[int, str, str]] = {}
    for check, among in having("among").items():
        free = np.array([int(place) not in repeats for place in prints.places], bool)
        rest = Prints(prints.places[free], prints.digests[free], prints.hashes[free], prints.stored)
        repeats |= {place: (first, reason, check) for place, (first, reason) in among(rest, config.limits()).items()}
    if config.keep_duplicates:
        roots = np.array([_root(int(place), repeats) for place in usable], np.int64)
        return usable, np.unique(roots, return_inverse=True)[1].astype(np.int64), given
    for place in sorted(repeats):
        first, reason, check = repeats[place]
        otherwise = f", which is labelled '{names[first]}'" if names[first] != names[place] else ""
        left.append(LeftOut(items[place].name, check, f"{reason} {items[first].name}{otherwise}"))
    stay = np.array([int(place) not in repeats for place in usable], bool)
    return usable[stay], np.arange(stay.sum()), given[stay]


def _root(place: int, repeats: dict[int, tuple[int, str, str]]) -> int:
    while place in repeats:
        place = repeats[place][0]
    return place


def _classes(
    usable: np.ndarray, names: list[str | None], listing: Listing, config: PrepareConfig, left: list[LeftOut]
) -> list[str]:
    classes = labelling.class_names(names[place] for place in usable)
    expected = {name for name in names if name is not None}
    if classes and labelling.uses_folders(listing.items, config.labels):
        expected |= set(listing.class_folders)
    empty = labelling.class_names(expected - set(classes)) if classes else []
    if empty:
        lost = [one for one, item in ((one, one.name) for one in left) if f"{empty[0]}/" in item]
        raise UserError(
            f"Class '{empty[0]}' has no usable pictures{causes(lost)}"
            + (f", nor have {len(empty) - 1} others" if len(empty) > 1 else ""),
            "put pictures into it, delete it, or use no labels with --labels none",
        )
    return classes


def write(folder: Path, assembly: Assembly, provisional: Path) -> None:
    """All files of the dataset into ``folder``; ``provisional`` is used up. The manifest comes last."""
    from allaprima.data.dataset import DATA, FORMAT, MANIFEST, VERSION, Manifest, fingerprint_of
    from allaprima.domains.image import Config as ImageConfig

    chosen, items = assembly.selection, assembly.listing.items
    channels = _write_images(folder / "images.npy", provisional, chosen)
    heard = sounds.write(folder, _recordings(assembly))
    np.save(folder / "labels.npy", chosen.labels)
    np.save(folder / "splits.npy", chosen.splits)
    with open(folder / "records.jsonl", "w", encoding="utf-8") as file:
        for place in chosen.places:
            item = items[place]
            record = {**item.columns, "name": item.name, "text": item.text}
            file.write(json.dumps(record, ensure_ascii=False, default=str) + "\n")
    told = assembly.care.told(assembly.outcomes, chosen.places, items)
    report = _report(assembly, told)
    write_json(folder / "report.json", report)
    names = (*DATA, "records.jsonl", "report.json", *heard)
    files = {name: sha256_file(folder / name) for name in names}
    width, height = assembly.config.size
    manifest = Manifest(
        format=FORMAT,
        version=VERSION,
        domain=ImageConfig(height=height, width=width, channels=channels),
        classes=chosen.classes,
        count=len(chosen.places),
        split_counts={name: int((chosen.splits == number).sum()) for number, name in enumerate(SPLITS)},
        has_text=all(items[place].text for place in chosen.places),
        source=assembly.source,
        options=assembly.options,
        files=files,
        fingerprint=fingerprint_of(files),
        **told,
    )
    card.write(folder, manifest, report)
    write_json(folder / MANIFEST, manifest.model_dump(mode="json"))


def _report(assembly: Assembly, told: dict[str, Any]) -> dict[str, Any]:
    """``report.json``. ``told``: what the manifest says of the precautions."""
    chosen, items = assembly.selection, assembly.listing.items
    report = {
        "used": len(chosen.places),
        "notes": [*notes(chosen), *precautions.notes(told)],
        "counts": dict(sorted(Counter(one.check for one in chosen.left_out).items())),
        "left_out": [{"name": one.name, "check": one.check, "reason": one.reason} for one in chosen.left_out],
    }
    doubtful = assembly.care.doubtful(assembly.outcomes, chosen.places, items)
    return report | ({"doubtful": doubtful} if doubtful else {})


def _recordings(assembly: Assembly) -> list[sounds.Recording]:
    """The pictures' own, and those of their classes. Raises UserError where recordings are given for no classes."""
    chosen, listing, config = assembly.selection, assembly.listing, assembly.config
    found = sounds.own_recordings(listing.items, chosen.places, listing.reader, chosen.left_out)
    if not config.sounds:
        return found
    if not chosen.classes:
        raise UserError(
            "Recordings were given, and the pictures have no classes to find theirs by", "label the pictures"
        )
    left: list[LeftOut] = []
    shared = sounds.shared_recordings(config.sounds, chosen.classes, config.validation, config.test, left)
    chosen.left_out.extend(replace(one, name=assembly.care.name(one.name)) for one in left)
    return [*found, *(replace(one, name=assembly.care.name(one.name)) for one in shared)]


def _write_images(path: Path, provisional: Path, chosen: Selection) -> int:
    """The rows that stay, grey ones in one channel. Returns the number of channels."""
    arrived = np.load(provisional, mmap_mode="r")
    height, width, channels = arrived.shape[1:]
    if len(chosen.places) == len(arrived) and not chosen.grey:
        del arrived
        os.rename(provisional, path)
        return channels
    channels = 1 if chosen.grey else channels
    images = np.lib.format.open_memmap(path, "w+", np.uint8, (len(chosen.places), height, width, channels))
    for start in range(0, len(chosen.places), ROWS):
        rows = arrived[chosen.places[start : start + ROWS]]
        if chosen.grey:
            rows = rows.mean(axis=3, keepdims=True, dtype=np.float32).round().astype(np.uint8)
        images[start : start + ROWS] = rows
    del images, arrived  # the folder is synced as a whole
    provisional.unlink()
    return channels
