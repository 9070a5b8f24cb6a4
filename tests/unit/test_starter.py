"""The generator that comes with the package: small, whole, follows words, and opens when nothing is named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from allaprima.bundle.bundle import Bundle
from allaprima.bundle.starter import STARTER
from allaprima.bundle.untrained import save, untrained

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
import starter

KINDS = starter.KINDS


def test_it_is_small_and_follows_words() -> None:
    assert sum(file.stat().st_size for kind in KINDS for file in STARTER.glob(kind)) <= starter.MOST_BYTES
    bundle = Bundle.load(STARTER)
    assert "text" in bundle.follows
    red, blue = (bundle.sample(4, text=f"a {colour} fish", as_="array").astype(float) for colour in ("red", "blue"))
    assert np.abs(red - blue).mean() > 5
    assert (red[..., 0] - red[..., 2]).mean() > (blue[..., 0] - blue[..., 2]).mean() + 5  # redder


def test_its_files_go_along_with_the_package() -> None:
    import tomllib

    project = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text("utf-8"))
    assert "bundle/starter/*" in project["tool"]["setuptools"]["package-data"]["allaprima"]


def test_the_tool_replaces_it_and_refuses_what_is_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(starter, "STARTER", tmp_path / "there")
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "weights-old.safetensors").write_bytes(b"old")
    save(untrained(16, generator={"name": "conv", "width": 8, "max_width": 16}), tmp_path / "run")
    assert starter.main([str(tmp_path / "run")]) == 0
    assert not (tmp_path / "there" / "weights-old.safetensors").exists()
    assert Bundle.load(tmp_path / "there").sample(1, as_="array").shape == (1, 16, 16, 3)
    monkeypatch.setattr(starter, "MOST_BYTES", 10)
    assert starter.main([str(tmp_path / "run")]) == 2
    assert "too many" in capsys.readouterr().err
    assert starter.main([]) == 2


def test_the_studio_opens_it_when_no_run_is_named() -> None:
    command = [sys.executable, "-m", "allaprima", "studio", "--no-browser", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.terminate()
        assert process.wait(30) == 0
    assert "The studio of 'starter' is at http://127.0.0.1:" in line
