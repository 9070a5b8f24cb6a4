"""The studio as a person meets it: the command, the page in a real browser, a real socket, and the way out."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from allaprima.bundle.untrained import save, untrained
from allaprima.server.protocol import unpack

TOKEN = "long enough for a token"
PAINTED = "#picture.painted"


@dataclass
class Running:
    """A studio's process and its address, such as ``http://127.0.0.1:40123/``."""

    process: subprocess.Popen[str]
    address: str

    def stop(self, how: signal.Signals = signal.SIGTERM) -> tuple[int, float, str]:
        """Exit code, seconds it took, what it wrote to the error stream."""
        start = time.monotonic()
        self.process.send_signal(how)
        _, errors = self.process.communicate(timeout=20)
        return self.process.returncode, time.monotonic() - start, errors


def start(run: Path, *options: str) -> Running:
    command = [sys.executable, "-m", "allaprima", "studio", str(run), "--port", "0", "--no-browser", *options]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    address = re.search(r"http://\S+?/", line)
    if address is None:
        process.kill()
        raise AssertionError(f"no address in {line!r}: {process.communicate()[1]}")
    return Running(process, address.group())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "little cats"
    generator = {"name": "residual", "width": 16, "max_width": 32}
    save(untrained(16, classes=["cat", "fish"], latent_dim=16, generator=generator), folder / "bundle")
    return folder


@pytest.fixture(scope="module")
def studio(run: Path) -> Iterator[Running]:
    running = start(run)
    yield running
    if running.process.poll() is None:
        running.process.kill()
    running.process.communicate()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as play:
        options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        options += ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]  # it beeps
        opened = play.chromium.launch(executable_path=chromium, args=options)
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Any, studio: Running) -> Iterator[Any]:
    """The page with its first picture; at the end nothing may have been complained about or fetched elsewhere."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, accept_downloads=True)
    page = context.new_page()
    complaints: list[str] = []
    page.on(
        "console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda asked: complaints.append(asked.url) if not _is_ours(asked.url, studio) else None)
    page.goto(studio.address)
    page.wait_for_selector(PAINTED)
    yield page
    context.close()
    assert complaints == []


def _is_ours(url: str, studio: Running) -> bool:
    return url.startswith((studio.address, f"blob:{studio.address}"))


def pixels(page: Any) -> str:
    return page.evaluate("document.querySelector('#picture').toDataURL()")


def wait_for_other_pixels(page: Any, before: str) -> str:
    page.wait_for_function("before => document.querySelector('#picture').toDataURL() !== before", arg=before)
    return pixels(page)


def settle(page: Any) -> None:
    page.wait_for_function("() => document.body.dataset.status === 'idle'")
    page.wait_for_timeout(100)


def drag(page: Any, steps: int, pause_ms: int) -> None:
    box = page.locator(".pad").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    for i in range(steps):
        page.mouse.move(x + 5 * i, y - 3 * i)
        if i + 1 < steps:
            page.wait_for_timeout(12)
    if pause_ms:
        page.wait_for_timeout(pause_ms)
    page.mouse.up()


def test_dragging_the_pad_paints_new_pictures_and_undo_goes_back(page: Any) -> None:
    settle(page)
    before = pixels(page)
    drag(page, steps=12, pause_ms=200)
    after = wait_for_other_pixels(page, before)
    settle(page)
    after = pixels(page)
    page.wait_for_timeout(300)
    assert pixels(page) == after  # placed, not flicked: it stays
    page.keyboard.press("Control+z")
    wait_for_other_pixels(page, after)
    settle(page)
    assert pixels(page) == before
    page.keyboard.press("Control+Shift+z")
    wait_for_other_pixels(page, before)
    settle(page)
    assert pixels(page) == after


def test_a_flick_drifts_on_until_it_is_stopped(page: Any) -> None:
    drifting = page.get_by_role("button", name="Drift")
    for _ in range(5):  # a machine that is busy elsewhere lets go late, and what rests before it is let go is no flick
        drag(page, steps=12, pause_ms=0)
        if drifting.get_attribute("aria-pressed") == "true":
            break
    assert drifting.get_attribute("aria-pressed") == "true"
    seen = {pixels(page)}
    for _ in range(4):
        seen.add(wait_for_other_pixels(page, list(seen)[-1]))
    page.keyboard.press("Escape")
    settle(page)
    still = pixels(page)
    page.wait_for_timeout(300)
    assert pixels(page) == still


def test_the_pad_is_played_by_keyboard_alone(page: Any) -> None:
    settle(page)
    pad = page.get_by_role("slider", name="Latent pad")
    before = pixels(page)
    pad.focus()
    page.keyboard.press("Shift+ArrowRight")
    wait_for_other_pixels(page, before)
    assert (
        pad.get_attribute("aria-valuetext") == "x 0.10, y 0.00"
        or pad.get_attribute("aria-valuetext") == "x 0.10, y -0.00"
    )
    page.keyboard.press("Home")
    settle(page)
    assert pixels(page) == before


def test_seed_truncation_and_class_each_change_the_picture(page: Any) -> None:
    settle(page)
    first = pixels(page)
    seed = page.get_by_role("textbox", name="Seed")
    seed.fill("41")
    seed.press("Enter")
    shown = wait_for_other_pixels(page, first)
    page.get_by_role("button", name="Next seed").click()
    shown = wait_for_other_pixels(page, shown)
    assert seed.input_value() == "42"
    seed.fill("not a number")
    seed.press("Enter")
    assert seed.input_value() == "42"
    settle(page)
    shown = pixels(page)
    page.get_by_role("slider", name="Truncation").fill("0.4")
    shown = wait_for_other_pixels(page, shown)
    for name in ("cat", "fish"):
        page.get_by_role("button", name=name, exact=True).click()
    wait_for_other_pixels(page, shown)
    page.wait_for_function("() => location.hash.includes('fish')")
    state = json.loads(page.evaluate("decodeURIComponent(location.hash.slice(1))"))
    assert state == {"seed": 42, "truncation": 0.4, "label": "fish"}


def test_two_pins_and_what_lies_between_them_survive_a_reload(page: Any) -> None:
    settle(page)
    page.get_by_role("button", name="Pin this picture as A").click()
    page.keyboard.press("n")
    settle(page)
    page.keyboard.press("b")
    between = page.get_by_role("slider", name="Between the pins")
    page.wait_for_function("() => document.querySelectorAll('.pin img:not([hidden])').length === 2")
    before = pixels(page)
    between.fill("0.5")
    middle = wait_for_other_pixels(page, before)
    page.wait_for_function("() => location.hash.includes('mix')")
    page.reload()
    page.wait_for_selector(PAINTED)
    settle(page)
    assert pixels(page) == middle
    page.get_by_role("button", name="Go to pin B").click()
    wait_for_other_pixels(page, middle)
    settle(page)
    assert pixels(page) == before
    page.get_by_role("button", name="Clear pin A").click()
    assert between.is_disabled()


def test_saving_gives_the_picture_of_the_state_as_a_png(page: Any, studio: Running) -> None:
    page.keyboard.press("n")
    settle(page)
    with page.expect_download() as started:
        page.get_by_role("button", name="Save PNG").click()
    saved = started.value
    assert saved.suggested_filename.startswith("little_cats-seed1-")
    data = Path(saved.path()).read_bytes()
    asked = httpx.post(f"{studio.address}api/frame", json={"seed": 1}).content
    with Image.open(BytesIO(data)) as picture, Image.open(BytesIO(asked)) as wanted:
        assert (picture.format, picture.size) == ("PNG", (16, 16))
        assert picture.tobytes() == wanted.tobytes()


def test_a_link_that_holds_no_picture_is_said_and_the_studio_opens(page: Any, studio: Running) -> None:
    page.goto("about:blank")
    page.goto(f'{studio.address}#{{"seed":-1}}')
    page.wait_for_selector(PAINTED)
    assert "link" in page.locator("#notice").inner_text()


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844), (320, 568), (1024, 600)])
def test_nothing_is_cut_off_and_everything_has_a_name(page: Any, width: int, height: int) -> None:
    page.set_viewport_size({"width": width, "height": height})
    page.wait_for_timeout(100)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    nameless = page.evaluate(
        "[...document.querySelectorAll('button, input, select, canvas')]"
        ".filter(e => !e.ariaLabel && !e.textContent.trim() && !e.getAttribute('aria-labelledby')).length"
    )
    assert nameless == 0
    box = page.locator("#picture").bounding_box()
    assert box["width"] == pytest.approx(box["height"], abs=1)
    assert box["width"] > 0.4 * min(width, height)


def test_a_lost_connection_is_shown_and_found_again(browser: Any, run: Path) -> None:
    running = start(run)
    page = browser.new_page()
    page.goto(running.address)
    page.wait_for_selector(PAINTED)
    port = running.address.rstrip("/").rpartition(":")[2]
    code, seconds, errors = running.stop()
    assert (code, errors) == (0, "")
    assert seconds < 8
    page.wait_for_function("() => document.body.dataset.status === 'lost'")
    assert "connection lost" in page.locator("#strip").inner_text()
    again = start(run, "--port", port)
    page.wait_for_function("() => document.body.dataset.status === 'idle'", timeout=20_000)
    page.close()
    code, _, errors = again.stop(signal.SIGINT)
    assert (code, errors) == (0, "")


def test_states_and_frames_go_over_a_real_socket(studio: Running) -> None:
    from websockets.exceptions import ConnectionClosedError
    from websockets.sync.client import connect

    address = studio.address.replace("http", "ws") + "ws"
    with connect(address) as socket:
        assert "permessage-deflate" not in socket.response.headers.get("sec-websocket-extensions", "")
        assert json.loads(socket.recv())["type"] == "hello"
        socket.send(json.dumps({"type": "state", "sequence": 3, "state": {"seed": 5}}))
        assert unpack(socket.recv()).sequence == 3
        socket.send("x" * 20_000)
        with pytest.raises(ConnectionClosedError) as closed:
            socket.recv()
        assert closed.value.rcvd.code == 1009


def test_a_port_in_use_and_a_missing_token_end_with_a_remedy_and_code_2(run: Path, studio: Running) -> None:
    port = studio.address.rstrip("/").rpartition(":")[2]
    command = [sys.executable, "-m", "allaprima", "studio", str(run), "--no-browser"]
    for options, word in ((["--port", port], "--port 0"), (["--host", "0.0.0.0"], "--token")):
        done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=60)
        assert done.returncode == 2
        assert word in done.stderr
        assert "Traceback" not in done.stderr


def test_the_token_is_asked_for_and_never_printed(run: Path) -> None:
    running = start(run, "--token", TOKEN)
    try:
        assert httpx.get(running.address).status_code == 401
        with httpx.Client() as client:
            opened = client.get(running.address, params={"token": TOKEN}, follow_redirects=True)
            assert opened.status_code == 200
            assert client.get(f"{running.address}api/model").json()["name"] == "little cats"
    finally:
        running.process.send_signal(signal.SIGTERM)
        output, errors = running.process.communicate(timeout=20)
    assert TOKEN not in output + errors
