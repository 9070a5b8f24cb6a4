"""The data card says what a dataset holds and what was done, names no picture, and stays true when something is forgotten."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from allaprima.data import card
from allaprima.data.dataset import Dataset
from allaprima.data.forget import forget
from allaprima.data.prepare import PrepareConfig, prepare
from tests.unit._detector import scene


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder, rows = tmp_path / "holidays", []
    for number in range(24):
        name = f"{['sea', 'wood'][number % 2]}/{number:02d}.png"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        scene(number, (48, 48)).save(folder / name)
        rows.append({"file_name": name, "consent": "yes" if number % 3 else "no"})
    (folder / "sea" / "broken.png").write_bytes(b"no picture")
    shutil.copy(folder / "sea" / "00.png", folder / "sea" / "again.png")
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def prepared(source: Path, target: Path, **settings: Any) -> Dataset:
    return prepare(source, target, PrepareConfig.model_validate({"size": (16, 24), **settings}), workers=1)


def read(dataset: Dataset) -> str:
    return (dataset.folder / card.FILE).read_text(encoding="utf-8")


def cell(text: str, name: str) -> str:
    (found,) = re.findall(rf"^\| {re.escape(name)} \| (.*) \|$", text, re.MULTILINE)
    return str(found)


def test_it_says_what_there_is(pictures: Path, tmp_path: Path) -> None:
    dataset = prepared(pictures, tmp_path / "d")
    text = read(dataset)
    assert cell(text, "Pictures") == "24"
    assert cell(text, "Splits") == ", ".join(f"{count} {name}" for name, count in dataset.manifest.split_counts.items())
    assert cell(text, "Stored as").startswith("16 × 24 pixels, RGB, 8 bits, cut to the middle")
    assert cell(text, "Classes") == "2: sea, wood"
    assert cell(text, "Source") == "holidays"
    assert cell(text, "Fingerprint") == f"`{dataset.manifest.fingerprint}`"
    assert cell(text, "duplicate") == "1"
    assert cell(text, "unreadable") == "1"
    assert "| consent | yes | 16 |" in text
    assert "| consent | no | 8 |" in text
    assert "Faces, if there are any, are as in the source." in text
    assert "How long" not in text


def test_it_names_no_picture_and_with_pseudonyms_no_source(pictures: Path, tmp_path: Path) -> None:
    assert ".png" not in read(prepared(pictures, tmp_path / "d"))
    text = read(prepared(pictures, tmp_path / "e", pseudonyms=True))
    assert "holidays" not in text
    assert cell(text, "Source") == "a source of the kind 'folder'"
    assert "pseudonyms" in text


def test_it_follows_from_manifest_and_report_alone(pictures: Path, tmp_path: Path) -> None:
    dataset = prepared(pictures, tmp_path / "d", keep="6m", require=["consent=yes"])
    before = read(dataset)
    (dataset.folder / card.FILE).unlink()
    card.write(dataset.folder, dataset.manifest, json.loads((dataset.folder / "report.json").read_text()))
    assert read(dataset) == before
    assert "Required: consent = yes." in before
    assert cell(before, "not permitted") == "10"  # the repeat and the broken one have no row
    assert f"to be kept until {dataset.manifest.kept_until} (UTC)" in before


def test_it_is_written_anew_when_something_is_forgotten(pictures: Path, tmp_path: Path) -> None:
    dataset = prepared(pictures, tmp_path / "d")
    done = forget(dataset.folder, ["wood/03.png", "wood/05.png"])
    assert done.strangers == []
    dataset = Dataset.open(dataset.folder)
    assert cell(read(dataset), "Pictures") == "22"
    assert cell(read(dataset), "Fingerprint") == f"`{dataset.manifest.fingerprint}`"
    assert "| consent | no | 7 |" in read(dataset)
    assert "2 pictures were erased later" in read(dataset)
    forget(dataset.folder, ["wood/07.png"])
    assert "3 pictures were erased later" in read(dataset)


def test_a_dataset_from_before_there_were_cards_opens_and_gets_one_when_it_is_written_anew(
    tiny_dataset: Path, tmp_path: Path
) -> None:
    made = shutil.ignore_patterns("conditions", "features")
    old = Path(shutil.copytree(tiny_dataset, tmp_path / "old", ignore=made))
    values = json.loads((old / "manifest.json").read_text())
    for key in ("faces", "pseudonyms", "rights", "required", "kept_from", "kept_until"):
        values.pop(key)
    (old / "manifest.json").write_text(json.dumps(values))
    assert Dataset.open(old).manifest.faces is None
    forget(old, ["3.png"])
    assert cell((old / card.FILE).read_text(), "Pictures") == "59"


def test_what_strangers_wrote_cannot_break_the_page(pictures: Path, tmp_path: Path) -> None:
    with open(pictures / "metadata.jsonl", "a") as file:
        for number in range(24):
            name = f"{['sea', 'wood'][number % 2]}/{number:02d}.png"
            file.write(json.dumps({"file_name": name, "rights": "a | b\n\n# <script>alert(1)</script>"}) + "\n")
    text = read(prepared(pictures, tmp_path / "d"))
    assert "| rights | a \\| b  # &lt;script>alert(1)&lt;/script> | 24 |" in text
    assert "\n# &lt;" not in text


def test_what_a_detector_did_is_told_with_its_limits() -> None:
    from allaprima.data.dataset import Manifest
    from allaprima.domains.image import Config

    told = {"detector": "ab" * 32, "certain": 0.6, "doubtful_from": 0.3, "doubtful": "refuse", "filled": 1234,
            "pictures": 900, "doubtful_kept": 0, "doubtful_refused": 17}  # fmt: skip
    manifest = Manifest(
        format="", version=1, domain=Config(height=8, width=8, channels=1), classes=[f"class {n}" for n in range(60)],
        count=1000, split_counts={"train": 1000}, has_text=False, source="s", options={}, files={}, fingerprint="f",
        faces=told, pseudonyms="random",
    )  # fmt: skip
    text = card.text(manifest, {})
    assert (
        "When it was prepared, 1,234 faces that a detector found, in 900 pictures, were filled with a flat colour"
        in text
    )
    assert f"detector `{'ab' * 32}`" in text
    assert "17 refused, 0 kept" in text
    assert "A detector misses faces" in text
    assert "People may still be recognised." in text
    assert "anonym" not in text.lower()
    assert "and 10 more" in text
    assert "Nothing." in text
