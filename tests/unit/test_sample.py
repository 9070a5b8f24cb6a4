"""``allaprima sample``: files that are whole or absent."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from allaprima.bundle.bundle import Bundle
from allaprima.bundle.samples import default_path, write
from allaprima.bundle.untrained import save, untrained
from allaprima.core.errors import UserError


def read(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        return np.asarray(picture)


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return untrained(16, classes=["cat", "fish"], generator={"name": "conv", "width": 8, "max_width": 16})


def test_a_folder_holds_numbered_pngs_and_nothing_else(bundle: Bundle, tmp_path: Path) -> None:
    write(bundle, tmp_path / "new" / "pictures", count=3, seed=4)
    folder = tmp_path / "new" / "pictures"
    assert sorted(path.name for path in folder.iterdir()) == ["0000.png", "0001.png", "0002.png"]
    wanted = bundle.sample(3, seed=4, as_="array")
    for i, one in enumerate(wanted):
        np.testing.assert_array_equal(read(folder / f"{i:04d}.png"), one)


def test_a_png_is_a_sheet_of_all_pictures(bundle: Bundle, tmp_path: Path) -> None:
    write(bundle, tmp_path / "sheet.png", count=9)
    assert read(tmp_path / "sheet.png").shape == (3 * 16 + 2 * 2, 3 * 16 + 2 * 2, 3)


def test_an_npz_holds_images_labels_and_class_names_without_pickle(bundle: Bundle, tmp_path: Path) -> None:
    write(bundle, tmp_path / "many.npz", count=300, seed=2)  # more than one piece
    with np.load(tmp_path / "many.npz", allow_pickle=False) as made:
        np.testing.assert_array_equal(made["images"], bundle.sample(300, seed=2, as_="array"))
        np.testing.assert_array_equal(made["labels"], bundle.asked(300, seed=2))
        assert made["labels"].dtype == np.int64
        assert list(made["classes"]) == ["cat", "fish"]


def test_one_class_can_be_asked_for_by_name(bundle: Bundle, tmp_path: Path) -> None:
    write(bundle, tmp_path / "fish.npz", count=5, label="fish")
    with np.load(tmp_path / "fish.npz") as made:
        assert list(made["labels"]) == [1] * 5


@pytest.mark.parametrize(
    ("name", "arguments", "word"),
    [
        ("a.png", {"count": 0}, "--count"),
        ("a.gif", {}, ".png"),
        ("a.png", {"label": "fosh"}, "fish"),
        ("a.png", {"count": 5000}, "npz"),
        ("taken", {}, "another name"),
        ("taken.png", {}, "another file"),
        ("a.npz", {"truncation": -1.0}, "number"),
    ],
)
def test_bad_input_leaves_nothing_behind(bundle: Bundle, tmp_path: Path, name: str, arguments: dict, word: str) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken.png").mkdir()
    with pytest.raises(UserError) as refused:
        write(bundle, tmp_path / name, **arguments)
    assert word in refused.value.remedy
    assert sorted(path.name for path in tmp_path.iterdir()) == ["taken", "taken.png"]


@pytest.mark.parametrize("name", ["a.npz", "folder", "a.png"])
def test_a_failure_while_painting_leaves_nothing_behind(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    calls = []

    def fails_later(*arguments: object) -> object:
        calls.append(arguments)
        if len(calls) > 2:
            raise RuntimeError("power cut")
        return Bundle._in_chunks(bundle, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(bundle, "_in_chunks", fails_later)
    with pytest.raises(RuntimeError, match="power cut"):
        write(bundle, tmp_path / name, count=600)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_replaced_as_a_whole(bundle: Bundle, tmp_path: Path) -> None:
    out = tmp_path / "a.npz"
    out.write_text("old")
    with pytest.raises(UserError):
        write(bundle, out, label="fosh")
    assert out.read_text() == "old"
    write(bundle, out, count=2)
    with np.load(out) as made:
        assert len(made["images"]) == 2


def test_the_default_place_is_beside_the_run_and_says_what_it_shows(tmp_path: Path) -> None:
    assert default_path(tmp_path / "cats", 7, None) == tmp_path / "cats-seed7.png"
    assert default_path(tmp_path / "cats", 7, "a/b") == tmp_path / "cats-a_b-seed7.png"


def test_the_command_prints_where_its_sheet_is(bundle: Bundle, tmp_path: Path) -> None:
    save(bundle, tmp_path / "run" / "bundle")
    command = [sys.executable, "-m", "allaprima", "sample", str(tmp_path / "run"), "--count", "4"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    printed = Path(done.stdout.strip())
    assert printed == tmp_path / "run-seed0.png"
    assert read(printed).shape == (34, 34, 3)
    wrong = subprocess.run([*command, "--label", "fosh"], capture_output=True, text=True, timeout=120)
    assert wrong.returncode == 2
    assert "did you mean 'fish'" in wrong.stderr
    assert "Traceback" not in wrong.stderr
