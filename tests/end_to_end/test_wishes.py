"""What a generator can be asked, in the studio: words while they are typed, a recording, the microphone."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from allaprima.bundle.untrained import save, untrained
from allaprima.models.conditions import CONDITIONS
from tests.end_to_end.test_studio import (
    PAINTED,
    Running,
    _is_ours,
    browser,
    pixels,
    settle,
    start,
    wait_for_other_pixels,
)

soundfile = pytest.importorskip("soundfile", reason="the extra 'sound' is not installed")
__all__ = ["browser"]  # a fixture


def recording(hertz: float) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, 0.5 * np.sin(2 * np.pi * hertz * np.arange(8000) / 16000), 16000, format="WAV")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A generator that follows words, classes and sounds."""
    text = CONDITIONS.get("text").Config().fitted(["a red bird", "a blue bird", "a red fish", "a blue fish"])
    label = CONDITIONS.get("label").Config(classes=["bird", "fish"], optional=True)
    several = CONDITIONS.get("several").Config(parts=[text, label, CONDITIONS.get("sound").Config()])
    folder = tmp_path_factory.mktemp("runs") / "wishes"
    generator = {"name": "residual", "width": 16, "max_width": 32}
    save(untrained(16, latent_dim=16, generator=generator, condition=several), folder / "bundle")
    running = start(folder)
    yield running
    if running.process.poll() is None:
        running.process.kill()
    running.process.communicate()


@pytest.fixture
def page(browser: Any, studio: Running) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1280, "height": 1000}, permissions=["microphone"])
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda asked: complaints.append(asked.url) if not _is_ours(asked.url, studio) else None)
    page.goto(studio.address)
    page.wait_for_selector(PAINTED)
    settle(page)
    yield page
    context.close()
    assert complaints == []


def test_the_picture_follows_while_one_types_and_slides_to_a_second_wish(page: Any) -> None:
    before = pixels(page)
    wish = page.get_by_role("textbox", name="What should it show?")
    wish.fill("a red bird")
    red = wait_for_other_pixels(page, before)
    page.get_by_role("textbox", name="on the way to what?").fill("a blue fish")
    way = page.get_by_role("slider", name="Between the two wishes")
    settle(page)
    assert pixels(page) == red  # nothing of it yet
    way.fill("1")
    blue = wait_for_other_pixels(page, red)
    way.fill("0.5")
    between = wait_for_other_pixels(page, blue)
    assert between != red
    page.wait_for_timeout(600)
    page.reload()
    page.wait_for_selector(PAINTED)
    settle(page)
    assert pixels(page) == between
    assert wish.input_value() == "a red bird"
    wish.fill("")
    wish.press("Enter")
    settle(page)
    assert pixels(page) == before


def test_a_recording_is_heard_and_can_be_left_out_again(page: Any) -> None:
    before = pixels(page)
    chooser = page.get_by_label("Choose a sound file")
    chooser.set_input_files({"name": "low.wav", "mimeType": "audio/wav", "buffer": recording(200)})
    low = wait_for_other_pixels(page, before)
    chooser.set_input_files({"name": "high.wav", "mimeType": "audio/wav", "buffer": recording(2000)})
    wait_for_other_pixels(page, low)
    page.get_by_role("button", name="Leave the sound out").click()
    settle(page)
    assert pixels(page) == before
    chooser.set_input_files({"name": "letter.wav", "mimeType": "audio/wav", "buffer": b"Dear Sir"})
    page.wait_for_selector("#notice.bad:has-text('no sound')")


def test_the_microphone_is_heard_until_it_is_closed(page: Any) -> None:
    before = pixels(page)
    microphone = page.get_by_role("button", name="Microphone")
    microphone.click()
    wait_for_other_pixels(page, before)
    assert microphone.get_attribute("aria-pressed") == "true"
    microphone.click()
    assert microphone.get_attribute("aria-pressed") == "false"


def test_a_class_among_others_may_be_left_out(page: Any) -> None:
    before = pixels(page)
    page.get_by_role("button", name="fish").click()
    wait_for_other_pixels(page, before)
    page.get_by_role("button", name="any").click()
    settle(page)
    assert pixels(page) == before


def test_what_is_no_sound_and_what_is_not_known_is_answered_in_plain_words(studio: Running) -> None:
    def post(path: str, **body: Any) -> tuple[int, dict[str, str]]:
        answer = httpx.post(
            f"{studio.address.rstrip('/')}{path}", headers={"origin": studio.address.rstrip("/")}, **body
        )
        return answer.status_code, answer.json()

    status, told = post("/api/sound", content=b"Dear Sir")
    assert (status // 100, "no sound" in told["problem"]) == (4, True)
    status, told = post("/api/sound", content=b"0" * (600 * 1024))
    assert (status, "too large" in told["problem"]) == (413, True)
    status, told = post("/api/sound", content=recording(300))
    assert status == 200
    assert post("/api/frame", json={"sound": "no base64"})[0] // 100 == 4
    assert post("/api/frame", json={"sound": told["sound"][:400]})[0] // 100 == 4
    frame = httpx.post(
        f"{studio.address}api/frame", json={"sound": told["sound"], "text": "🐦", "label": "fish"},
        headers={"origin": studio.address.rstrip("/")},
    )  # fmt: skip
    assert frame.status_code == 200


def test_nothing_of_the_new_panels_is_cut_off(page: Any, tmp_path: Path) -> None:
    page.get_by_role("textbox", name="What should it show?").fill("a red bird on a very long way to somewhere " * 6)
    settle(page)
    for element in page.locator("textarea:visible, #panels .chip:visible").all():
        box = element.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 1280
