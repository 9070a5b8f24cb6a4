"""The data card: what a dataset holds, where it comes from, what was refused, what was done for whom it shows. One page.

After *Datasheets for Datasets* (Gebru et al. 2021, Communications of the ACM 64) and *Data Cards* (Pushkarna et al. 2022,
FAccT), as far as a program can know the answers. It follows from ``manifest.json`` and ``report.json`` alone and names no
picture, so it is written anew whenever they change.

Use: ``write(folder, manifest, report)``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from allaprima import vault
from allaprima.data import faces
from allaprima.data.dataset import Manifest

FILE = "card.md"
MOST_CLASSES = 50
FIT = {"crop": "cut to the middle", "pad": "with borders", "stretch": "stretched"}


def write(folder: Path, manifest: Manifest, report: Mapping[str, Any]) -> None:
    """``card.md`` of the dataset in ``folder``."""
    vault.write_atomic(folder / FILE, text(manifest, report))


def text(manifest: Manifest, report: Mapping[str, Any]) -> str:
    """The card."""
    parts = ["# A dataset prepared with Alla Prima", _table(_composition(manifest)), *_refused(report)]
    parts += [*_permission(manifest), *_people(manifest), *_lasting(manifest, report)]
    return "\n\n".join(parts) + "\n"


def _composition(manifest: Manifest) -> Iterator[tuple[str, str]]:
    shape, options = manifest.domain, manifest.options
    yield "Pictures", f"{manifest.count:,}"
    yield "Splits", ", ".join(f"{count:,} {name}" for name, count in manifest.split_counts.items())
    colours = {1: "grey", 3: "RGB", 4: "RGB with transparency"}.get(shape.channels, f"{shape.channels} channels")
    fit = f", {FIT[options['fit']]}" if options.get("fit") in FIT else ""
    yield (
        "Stored as",
        f"{shape.width} × {shape.height} pixels, {colours}, 8 bits{fit}; nothing of a file but its pixels",
    )
    shown = ", ".join(manifest.classes[:MOST_CLASSES])
    more = len(manifest.classes) - MOST_CLASSES
    yield (
        "Classes",
        (f"{len(manifest.classes):,}: {shown}" + (f" and {more:,} more" if more > 0 else "")) if shown else "none",
    )
    yield "Texts", "every picture has one" if manifest.has_text else "none, or not for every picture"
    yield "Source", manifest.source
    yield "Fingerprint", f"`{manifest.fingerprint}`"


def _refused(report: Mapping[str, Any]) -> Iterator[str]:
    counts = dict(report.get("counts") or {})
    if counts:
        rows = [
            (check.replace("_", " "), f"{count:,}") for check, count in sorted(counts.items(), key=lambda one: -one[1])
        ]
        yield "## Left out\n\n" + _table(rows, ("why", "files")) + "\n\nEach with its reason: `report.json`."
    else:
        yield "## Left out\n\nNothing."


def _permission(manifest: Manifest) -> Iterator[str]:
    lines = [f"Required: {column} = {' or '.join(values)}." for column, values in sorted(manifest.required.items())]
    rows = [
        (column, value, f"{count:,}") for column, counts in manifest.rights.items() for value, count in counts.items()
    ]
    if rows:
        lines.append(
            "What the source says, not checked by anybody here:\n\n" + _table(rows, ("column", "value", "pictures"))
        )
    if not lines:
        lines = ["The source says nothing of consent or licence in its columns."]
    yield "## Consent and licence\n\n" + "\n\n".join(lines)


def _people(manifest: Manifest) -> Iterator[str]:
    lines = []
    if told := manifest.faces:
        lines.append(
            f"When it was prepared, {told['filled']:,} faces that a detector found, in {told['pictures']:,} pictures, were "
            f"filled with a flat colour (detector `{told['detector']}`, score {told['certain']:g} and more, boxes enlarged "
            f"{faces.ENLARGED:g} times). Doubtful (score {told['doubtful_from']:g} and more, or hardly large enough): "
            f"{told['doubtful_refused']:,} refused, {told['doubtful_kept']:,} kept."
        )
        lines.append(
            "A detector misses faces: small, turned, covered or drawn ones, and those unlike what it has learned from. Bodies, "
            "clothes, places and writing are as they were. People may still be recognised."
        )
    else:
        lines.append("Faces, if there are any, are as in the source.")
    if manifest.pseudonyms:
        kept = "was not kept" if manifest.pseudonyms == "random" else "is with whoever prepared it"
        lines.append(
            f"Names of files are pseudonyms (HMAC-SHA-256, whose key {kept}). Classes, texts and other columns may name people."
        )
    else:
        lines.append("Names of files, classes, texts and other columns are the source's, and may name people.")
    yield "## People\n\n" + "\n\n".join(lines)


def _lasting(manifest: Manifest, report: Mapping[str, Any]) -> Iterator[str]:
    lines = []
    if manifest.kept_until:
        lines.append(
            f"Prepared on {manifest.kept_from}, to be kept until {manifest.kept_until} (UTC); then: `allaprima forget --expired`."
        )
    if forgotten := sum(int(one.get("count", 0)) for one in report.get("forgotten", [])):
        lines.append(
            f"{forgotten:,} picture{'s were' if forgotten != 1 else ' was'} erased later (`allaprima forget`)."
        )
    if lines:
        yield "## How long\n\n" + "\n\n".join(lines)


def _table(rows: Iterable[tuple[str, ...]], head: tuple[str, ...] = ("", "")) -> str:
    lines = ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in (head, *rows)]
    return "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:]])


def _cell(words: str) -> str:
    """Words of a stranger as words: no column ends in them, no line, no markup begins."""
    plain = "".join(letter if letter.isprintable() else " " for letter in words)
    return plain.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
