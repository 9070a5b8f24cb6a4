"""Consent and licence: kept, summed up, and required where somebody asks for it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from allaprima.cli._app import build
from allaprima.core.errors import UserError
from allaprima.data import permissions
from allaprima.data.forget import forget
from allaprima.data.prepare import PrepareConfig, prepare
from tests.unit._detector import scene

COUNT = 24


def source(folder: Path, rows: Sequence[dict[str, Any]], form: str = "jsonl") -> Path:
    folder.mkdir()
    for number in range(COUNT):
        scene(number, (48, 48)).save(folder / f"{number:02d}.png")
    named = [{"file_name": f"{number:02d}.png", **row} for number, row in enumerate(rows)]
    if form == "jsonl":
        (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in named))
    else:
        keys = list(named[0])
        lines = [",".join(keys), *(",".join(str(row.get(key, "")) for key in keys) for row in named)]
        (folder / "metadata.csv").write_text("\n".join(lines) + "\n")
    return folder


def wanted(*required: str, **changes: Any) -> PrepareConfig:
    return PrepareConfig.model_validate({"size": (16, 16), "labels": "none", "require": list(required), **changes})


def left_out(folder: Path) -> dict[str, str]:
    entries = json.loads((folder / "report.json").read_text())["left_out"]
    assert {entry["check"] for entry in entries} <= {permissions.CHECK}
    return {entry["name"]: entry["reason"] for entry in entries}


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_only_pictures_whose_column_permits_it_stay_and_each_other_is_named(tmp_path: Path, form: str) -> None:
    said = {1: "no", 2: "", 3: "asked"}
    folder = source(tmp_path / "in", [{"consent": said.get(number, "Yes")} for number in range(COUNT)], form)
    dataset = prepare(folder, tmp_path / "d", wanted("consent=yes"), workers=1)
    assert left_out(dataset.folder) == {
        "01.png": "'consent' is 'no'",
        "02.png": "nothing is said in 'consent'",
        "03.png": "'consent' is 'asked'",
    }
    assert {record["consent"] for record in dataset.records} == {"Yes"}
    assert dataset.manifest.required == {"consent": ["yes"]}
    assert dataset.manifest.rights == {"consent": {"Yes": COUNT - 3}}
    assert len(dataset) == COUNT - 3


def test_a_picture_without_a_row_is_not_permitted_and_several_columns_are_all_required(tmp_path: Path) -> None:
    rows = [{"consent": True, "licence": ["CC0", "CC-BY"][number % 2]} for number in range(COUNT - 2)]
    rows[4], rows[5] = {"consent": False, "licence": "CC0"}, {"consent": True, "licence": ["CC0", "ours"]}
    dataset = prepare(
        source(tmp_path / "in", rows), tmp_path / "d", wanted("consent=yes", "licence=cc0, CC-BY"), workers=1
    )
    found = left_out(dataset.folder)
    assert set(found) == {"04.png", "05.png", "22.png", "23.png"}
    assert found["05.png"] == "'licence' is 'ours'"
    assert found["23.png"] == "nothing is said in 'consent'"
    assert dataset.manifest.rights == {"consent": {"yes": 20}, "licence": {"CC0": 10, "CC-BY": 10}}


def test_a_column_that_nobody_has_is_told_with_the_nearest(tmp_path: Path) -> None:
    folder = source(tmp_path / "in", [{"consent": "yes", "place": "sea"}] * COUNT)
    with pytest.raises(UserError, match="'concent'") as caught:
        prepare(folder, tmp_path / "d", wanted("concent=yes"))
    assert "did you mean 'consent'" in caught.value.remedy
    (folder / "metadata.jsonl").unlink()
    with pytest.raises(UserError, match="'consent'") as caught:
        prepare(folder, tmp_path / "d", wanted("consent=yes"))
    assert "metadata.csv" in caught.value.remedy
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("word", ["consent", "=yes", "consent=", "consent= ,"])
def test_what_requires_nothing_is_refused(tmp_path: Path, word: str) -> None:
    with pytest.raises(UserError, match="requires nothing"):
        prepare("studies", tmp_path / "d", wanted(word))


def test_a_column_is_required_once(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="twice"):
        prepare("studies", tmp_path / "d", wanted("consent=yes", "consent=no"))


def test_when_nothing_is_permitted_the_reason_is_told(tmp_path: Path) -> None:
    folder = source(tmp_path / "in", [{"consent": "no"}] * COUNT)
    with pytest.raises(UserError, match=r"None of 24 pictures is permitted; .* 'consent' is 'no'"):
        prepare(folder, tmp_path / "d", wanted("consent=yes"))


def test_what_is_not_permitted_is_not_even_opened(tmp_path: Path) -> None:
    rows = [{"consent": "yes" if number else "no"} for number in range(COUNT)]
    folder = source(tmp_path / "in", rows)
    (folder / "00.png").write_bytes(b"no picture")
    dataset = prepare(folder, tmp_path / "d", wanted("consent=yes"), workers=1)
    assert left_out(dataset.folder) == {"00.png": "'consent' is 'no'"}


def test_sums_count_what_is_not_said_and_gather_rare_values() -> None:
    rows: list[dict[str, Any]] = [{"License": f"number {number}"} for number in range(30)]
    rows += [{"License": "CC0"}] * 5 + [{"License": None}, {}]
    counts = permissions.sums(rows)["License"]
    assert (counts["CC0"], counts[permissions.NOTHING], counts[permissions.OTHERS]) == (5, 2, 12)
    assert sum(counts.values()) == len(rows)
    assert permissions.sums([{"place": "sea"}]) == {}


def test_the_sums_follow_when_a_picture_is_forgotten(tmp_path: Path) -> None:
    rows = [{"consent": "yes", "rights": "Ada" if number == 7 else "Bo"} for number in range(COUNT)]
    dataset = prepare(source(tmp_path / "in", rows), tmp_path / "d", wanted(), workers=1)
    assert dataset.manifest.rights["rights"] == {"Bo": COUNT - 1, "Ada": 1}
    done = forget(dataset.folder, ["07.png"])
    assert done.manifest is not None
    assert done.manifest.rights == {"consent": {"yes": COUNT - 1}, "rights": {"Bo": COUNT - 1}}
    assert "Ada" not in (dataset.folder / "card.md").read_text() + (dataset.folder / "manifest.json").read_text()


def test_the_command_takes_several_requirements(tmp_path: Path) -> None:
    rows = [{"consent": "yes", "licence": "CC0" if number else "none"} for number in range(COUNT)]
    folder = source(tmp_path / "in", rows)
    arguments = ["prepare", str(folder), str(tmp_path / "d"), "--size", "16", "--labels", "none", "--workers", "1"]
    shown = CliRunner().invoke(build(), [*arguments, "--require", "consent=yes", "--require", "licence=CC0"])
    assert shown.exit_code == 0, shown.output
    assert left_out(tmp_path / "d") == {"00.png": "'licence' is 'none'"}
    again = CliRunner().invoke(build(), [*arguments, "--require", "consent=yes"])
    assert isinstance(again.exception, UserError)
    assert "different require" in again.exception.problem
