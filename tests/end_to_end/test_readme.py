"""The README's Python is run as it stands, against a GAN and a VAE that were really trained, if only for a moment."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
CODE = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def workshop(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the runs that the README names."""
    from allaprima.training.command import as_changes, train

    folder = tmp_path_factory.mktemp("workshop")
    shutil.copytree(tiny_dataset, folder / "datasets" / "cats")
    small = ["training.ticks=1", "training.batch_size=16", "training.features=pixels"]
    for method, name, condition in (("gan", "cats", None), ("vae", "cats-vae", None), ("gan", "studies", "text")):
        changes = as_changes(method, None, "64", 0, small, condition)
        train(folder / "datasets" / "cats", folder / "runs" / name, "16", changes, lambda text: None)
    return folder


def test_the_readmes_python_runs(workshop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workshop)
    assert len(CODE) >= 2
    names: dict[str, object] = {}
    for block in CODE:  # later blocks use what earlier ones made
        exec(compile(block, "README.md", "exec"), names)
    assert len(names["pictures"]) == len(names["again"]) == 16
    assert all(isinstance(picture, Image.Image) for picture in names["pictures"])
    assert names["tensor"].shape == names["decoded"].shape == (16, 3, 16, 16)
    assert -1 <= names["tensor"].min() <= names["tensor"].max() <= 1
    assert len(names["way"]) == 8
    assert [len(names[name]) for name in ("birds", "each", "violet")] == [4, 2, 4]
