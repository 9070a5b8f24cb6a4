"""A component is a file in a room: found without a list, suggested when misspelt, joined by plug-ins."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from allaprima.core import catalog
from allaprima.core.catalog import Catalog
from allaprima.core.errors import UserError, suggest


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An importable package ``wing.room`` with one component and one tool."""
    folder = tmp_path / "wing" / "room"
    folder.mkdir(parents=True)
    (tmp_path / "wing" / "__init__.py").touch()
    (folder / "__init__.py").touch()
    (folder / "chair.py").write_text("LEGS = 4\n")
    (folder / "_saw.py").write_text("raise RuntimeError('a tool is not imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    for name in [name for name in sys.modules if name == "wing" or name.startswith("wing.")]:
        del sys.modules[name]


def plug(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    def points(group: str) -> list[EntryPoint]:
        return [EntryPoint(name, value, group) for name, value in values.items()] if group == "wing.room" else []

    monkeypatch.setattr(catalog, "entry_points", points)


def test_a_file_is_a_component_and_an_underscore_is_not(room: Path) -> None:
    found = Catalog("furniture", "wing.room")
    assert found.names() == ["chair"]
    assert found.get("chair").LEGS == 4


def test_names_are_listed_without_importing_the_components(room: Path) -> None:
    (room / "bed.py").write_text("raise RuntimeError('imported')\n")
    assert Catalog("furniture", "wing.room").names() == ["bed", "chair"]


def test_an_unknown_name_is_answered_with_the_nearest(room: Path) -> None:
    with pytest.raises(UserError) as caught:
        Catalog("furniture", "wing.room").get("chiar")
    assert caught.value.problem == "Unknown furniture 'chiar'"
    assert caught.value.remedy == "did you mean 'chair'? choose one of: chair"


def test_a_plug_in_joins_under_its_files_name(room: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wing" / "stool.py").write_text("LEGS = 3\n")
    plug(monkeypatch, anything="wing.stool")
    found = Catalog("furniture", "wing.room")
    assert found.names() == ["chair", "stool"]
    assert found.get("stool").LEGS == 3


def test_a_plug_in_cannot_replace_a_component_of_ours(
    room: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wing" / "chair.py").write_text("LEGS = 0\n")
    plug(monkeypatch, chair="wing.chair")
    assert Catalog("furniture", "wing.room").get("chair").LEGS == 4


def test_a_remedy_lists_the_choices_even_when_nothing_is_near() -> None:
    assert suggest("zzz", ["b", "a"]) == "choose one of: a, b"
    assert suggest("zzz", []) == "choose one of: (none)"
