"""The exported page in a real browser: it paints what the generator paints, from a disk, and its controls move it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from allaprima.bundle.bundle import Bundle
from allaprima.bundle.mixing import Embedded
from allaprima.bundle.untrained import save, untrained
from allaprima.compress.export import export, web_runtime
from allaprima.compress.exports import web
from allaprima.core.files import sha256_file
from allaprima.marks.inspection import inspect

SHOWN = """() => { const c = document.getElementById('picture');
  return Array.from(c.getContext('2d').getImageData(0, 0, c.width, c.height).data) }"""

SET = "((control, value) => { control.value = value; control.dispatchEvent(new Event('input', {bubbles: true})) })"


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The npm package: named in ALLAPRIMA_ONNXRUNTIME_WEB, or from the registry where there is npm and a network."""
    named = os.environ.get("ALLAPRIMA_ONNXRUNTIME_WEB")
    folder = tmp_path_factory.mktemp("npm")
    if named:
        return Path(named)
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("no npm to fetch onnxruntime-web with; name its .tgz in ALLAPRIMA_ONNXRUNTIME_WEB")
    try:
        command = [npm, "pack", f"onnxruntime-web@{web.VERSION}", "--pack-destination", str(folder)]
        subprocess.run(command, check=True, capture_output=True, timeout=120, cwd=folder)
    except (subprocess.SubprocessError, OSError):
        pytest.skip("the npm registry cannot be reached")
    found = next(folder.glob("*.tgz"))
    assert sha256_file(found) == web.PACKAGE.sha256
    return found


@pytest.fixture(scope="module")
def exported(package: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, Path]:
    folder = tmp_path_factory.mktemp("web")
    generator = {"name": "residual", "width": 8, "max_width": 16, "head_width": 4}
    save(untrained(16, classes=["cat", "</script>"], latent_dim=16, generator=generator), folder / "cats")
    export(folder / "cats", "web", folder / "page", runtime=web_runtime(package, False))
    return Bundle.load(folder / "cats"), folder / "page"


@pytest.fixture(scope="module")
def page(exported: tuple[Bundle, Path]) -> Iterator[Any]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no Chromium")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.mistakes = []
        page.on("pageerror", lambda error: page.mistakes.append(str(error)))
        page.on("request", lambda request: page.mistakes.append(request.url) if "://" in request.url[:8] else None)
        page.goto(f"{exported[1].as_uri()}/index.html")
        page.wait_for_selector("canvas.painted", timeout=60_000)
        yield page
        browser.close()


def shown(page: Any) -> np.ndarray:
    return np.array(page.evaluate(SHOWN), dtype=np.uint8).reshape(16, 16, 4)[..., :3]


def test_it_paints_what_the_generator_paints(exported: tuple[Bundle, Path], page: Any) -> None:
    bundle = exported[0]
    noise = np.array(page.evaluate("Array.from(Latent.place(1, 0, 0, ABOUT.latent_dim))"))
    asked = np.array(page.evaluate("ABOUT.wishes[0].asked"))
    import torch

    z, y = (torch.from_numpy(one).float()[None] for one in (noise, asked))
    wanted = bundle.domain.to_array(bundle.decode(z, Embedded(y)))[0].astype(int)
    assert np.abs(shown(page) - wanted).max() <= 2
    assert abs(np.linalg.norm(noise) - np.linalg.norm(page.evaluate("Array.from(Latent.place(1, .3, -.7, 16))"))) < 1e-9


def change(page: Any, how: str) -> None:
    before = page.evaluate("PAINTED")
    page.evaluate(how)
    page.wait_for_function(f"PAINTED > {before}")


@pytest.mark.parametrize(
    "control",
    [
        "document.getElementById('dice').click()",
        f"{SET}(document.getElementById('wish'), 1)",
        f"{SET}(document.querySelector('#directions input'), 3)",
        "document.getElementById('picture').dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowRight'}))",
    ],
    ids=["another seed", "another class", "a direction", "the keyboard"],
)
def test_every_control_moves_the_picture(page: Any, control: str) -> None:
    before = shown(page)
    change(page, control)
    assert not np.array_equal(shown(page), before)


def test_what_is_saved_says_that_it_was_generated(page: Any, tmp_path: Path) -> None:
    with page.expect_download() as download:
        page.evaluate("document.getElementById('save').click()")
    download.value.save_as(tmp_path / "saved.png")
    found = inspect(tmp_path / "saved.png")
    assert found.sources == {"XMP": "trainedAlgorithmicMedia"}
    assert found.label["Label"] == "1"
    assert len(found.label["ProduceID"]) == 32
    with Image.open(tmp_path / "saved.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture.convert("RGB")), shown(page))


def test_reset_brings_the_first_place_back_and_nothing_was_fetched(page: Any) -> None:
    page.evaluate("document.getElementById('seed').value = 1; document.getElementById('wish').value = 0")
    change(page, "document.getElementById('reset').click()")
    first = shown(page)
    change(page, "document.getElementById('dice').click()")
    page.evaluate("document.getElementById('seed').value = 1")
    change(page, "document.getElementById('reset').click()")
    np.testing.assert_array_equal(shown(page), first)
    assert [one for one in page.mistakes if not one.startswith(("file:", "blob:", "data:"))] == []
