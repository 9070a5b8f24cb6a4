"""A performance: films of what was played, keys, a stage for the projector, music, knobs, a photo."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.end_to_end.test_studio import (
    PAINTED,
    Running,
    browser,
    page,
    pixels,
    run,
    settle,
    start,
    wait_for_other_pixels,
)

av = pytest.importorskip("av", reason="PyAV is not installed")
udp_client = pytest.importorskip("pythonosc.udp_client", reason="python-osc is not installed")
__all__ = ["browser", "page", "run"]  # fixtures


@pytest.fixture(scope="module")
def studio(run: Path) -> Iterator[Running]:
    running = start(run, "--osc", "0")
    yield running
    if running.process.poll() is None:
        running.process.kill()
    running.process.communicate()


def saved(page: Any, press: Any) -> bytes:
    with page.expect_download() as caught:
        press()
    return Path(caught.value.path()).read_bytes()


def panel(page: Any, title: str) -> Any:
    return page.locator(".panel", has=page.get_by_role("heading", name=title, exact=True))


def frames_of(data: bytes) -> list[tuple[float, np.ndarray]]:
    with av.open(io.BytesIO(data)) as container:
        return [(float(frame.time), frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def test_what_was_played_is_recorded_at_the_times_when_it_was_seen(page: Any) -> None:
    settle(page)
    asked, longest = (
        time.monotonic(),
        [],
    )  # how long it can have been from one picture to the next, on a busy machine too
    page.keyboard.press("v")
    for _ in range(3):
        page.wait_for_timeout(300)
        before = pixels(page)
        earlier, asked = asked, time.monotonic()
        page.keyboard.press("n")
        wait_for_other_pixels(page, before)
        longest.append(time.monotonic() - earlier)
    settle(page)
    page.wait_for_timeout(200)
    page.keyboard.press("v")
    rest = time.monotonic() - asked
    film = panel(page, "Film")
    told = float(re.findall(r"([\d.]+) s", film.inner_text())[0])
    frames = frames_of(saved(page, film.get_by_role("button", name="Save film").click))
    assert len(frames) == 4  # four pictures were seen
    gaps = [later - earlier for (earlier, _), (later, _) in pairwise(frames)]
    assert all(0.25 < gap < most + 0.1 for gap, most in zip(gaps, longest, strict=True)), (gaps, longest)
    assert 0.2 < told - frames[-1][0] < rest + 0.1
    assert len({frame.tobytes() for _, frame in frames}) == 4


def test_a_perfect_loop_plays_comes_back_and_is_saved(page: Any) -> None:
    settle(page)
    before = pixels(page)
    page.keyboard.press("l")
    wait_for_other_pixels(page, before)
    page.keyboard.press("l")
    settle(page)
    page.wait_for_function("before => document.querySelector('#picture').toDataURL() === before", arg=before)
    film = panel(page, "Film")
    film.get_by_label("Format").select_option("gif")
    frames = frames_of(saved(page, film.get_by_role("button", name="Save film").click))
    assert len(frames) == 120
    steps = [np.abs(a.astype(int) - b).mean() for (_, a), (_, b) in zip(frames, [*frames[1:], frames[0]], strict=True)]
    assert steps[-1] <= max(steps[:-1])  # from the last to the first it goes as everywhere


def test_keys_are_played_and_saved_and_pins_are_left_alone(page: Any) -> None:
    settle(page)
    page.keyboard.press("a")  # a pin of before
    for _ in range(2):
        page.keyboard.press("k")
        page.keyboard.press("n")
    keys = panel(page, "Keys")
    keys.locator("li img").nth(1).wait_for()
    settle(page)
    before = pixels(page)
    keys.get_by_role("button", name="Play the keys").click()
    wait_for_other_pixels(page, before)
    keys.get_by_role("button", name="Play the keys").click()
    settle(page)
    page.wait_for_function("() => !decodeURIComponent(location.hash).includes('\"b\"')")  # it is written now and then
    assert page.get_by_role("button", name="Go to pin A").count() == 1
    keys.get_by_label("Seconds from key 1 on").fill("0.5")
    keys.get_by_label("Seconds from key 1 on").blur()
    keys.get_by_label("Format").select_option("sheet")
    sheet = Image.open(io.BytesIO(saved(page, keys.get_by_role("button", name="Save film").click)))
    assert sheet.size == (16 * 9, 16 * 9)  # 2.5 seconds of 30 frames


def test_a_stage_shows_the_picture_alone_and_follows(page: Any) -> None:
    settle(page)
    with page.context.expect_page() as opened:
        page.get_by_role("button", name="A stage").click()
    stage = opened.value
    stage.wait_for_selector(PAINTED)
    assert [stage.locator(part).is_visible() for part in ("#panels", "header", "#strip", "#picture")] == [False] * 3 + [
        True
    ]
    before = pixels(stage)
    page.keyboard.press("n")
    wait_for_other_pixels(stage, before)
    stage.close()


def test_tiles(page: Any) -> None:
    settle(page)
    page.keyboard.press("t")
    page.wait_for_timeout(100)
    width = page.evaluate("document.querySelector('#picture').width")
    shown = np.asarray(
        Image.open(io.BytesIO(page.locator("#picture").screenshot())).convert("RGB").resize((width, width))
    )
    third = width // 3
    assert np.abs(shown[:third, :third].astype(int) - shown[third : 2 * third, third : 2 * third]).mean() < 12


def test_music_moves_the_picture_until_it_stops(page: Any) -> None:
    music = panel(page, "Moved by music")
    music.locator("summary").click()
    music.get_by_label("Band").select_option("all")
    settle(page)
    before = pixels(page)
    music.get_by_role("button", name="Microphone").click()  # the browser's pretended microphone beeps
    wait_for_other_pixels(page, before)
    music.get_by_role("button", name="Microphone").click()
    settle(page)
    still = pixels(page)
    page.wait_for_timeout(300)
    assert pixels(page) == still


def test_a_knob_is_learned_and_outlives_another_preset(page: Any) -> None:
    knobs = panel(page, "Knobs and programs")
    knobs.locator("summary").first.click()
    knobs.get_by_label("Learn what moves").select_option("truncation")
    knobs.get_by_role("button", name="Learn").click()
    page.evaluate("window.allaprima.midi({ data: [0xb0, 7, 100] })")
    assert "midi 1 cc 7" in knobs.inner_text()
    page.goto(page.url.split("#")[0] + "#" + '{"seed":5}')
    page.reload()
    page.wait_for_selector(PAINTED)
    settle(page)
    page.evaluate("window.allaprima.midi({ data: [0xb0, 7, 0] })")
    page.wait_for_function("() => decodeURIComponent(location.hash).includes('\"truncation\":0')")


def test_osc_moves_the_picture_and_what_is_wrong_is_shown(page: Any, studio: Running) -> None:
    settle(page)
    port = page.evaluate("fetch('/api/controls').then((answer) => answer.json()).then(({ port }) => port)")
    before = pixels(page)
    with udp_client.SimpleUDPClient("127.0.0.1", port) as osc:
        osc.send_message("/x", 0.5)
        wait_for_other_pixels(page, before)
        page.wait_for_function("() => decodeURIComponent(location.hash).includes('\"x\":0.5')")
        osc.send_message("/x", 5.0)
        page.get_by_text("/x takes -1 to 1").wait_for()


def test_a_photo_is_found_and_undo_leaves_it(page: Any) -> None:
    settle(page)
    before = pixels(page)
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)).save(buffer, "PNG")
    page.get_by_label("Choose a photo").set_input_files(
        {"name": "me.png", "mimeType": "image/png", "buffer": buffer.getvalue()}
    )
    wait_for_other_pixels(page, before)
    page.get_by_text(re.compile(r"^\d+ % alike$")).wait_for()
    page.wait_for_function("() => decodeURIComponent(location.hash).includes('\"photo\"')")
    settle(page)
    page.wait_for_timeout(300)
    page.keyboard.press("Control+z")
    page.wait_for_function("before => document.querySelector('#picture').toDataURL() === before", arg=before)


def test_the_history_strip_goes_back_and_a_b_compares(page: Any) -> None:
    settle(page)
    first = pixels(page)
    for key in ("a", "n", "b", "n"):
        before = pixels(page)
        page.keyboard.press(key)
        if key == "n":
            wait_for_other_pixels(page, before)
            settle(page)
    third = pixels(page)
    strip = page.get_by_role("list", name="History")
    assert strip.get_by_role("button").count() == 5
    strip.locator("img[src]").nth(4).wait_for()
    strip.get_by_role("button").first.click()
    page.wait_for_function("first => document.querySelector('#picture').toDataURL() === first", arg=first)
    strip.get_by_role("button").last.click()
    page.wait_for_function("third => document.querySelector('#picture').toDataURL() === third", arg=third)
    page.keyboard.press("q")
    page.wait_for_function("first => document.querySelector('#picture').toDataURL() === first", arg=first)
    page.keyboard.press("q")
    page.wait_for_function("first => document.querySelector('#picture').toDataURL() !== first", arg=first)


SHOWN = """() => {
  const found = new Set();
  const theirs = '#subject, code, textarea, [data-theirs], script, noscript, .wordmark';
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) if (!walker.currentNode.parentElement.closest(theirs)) found.add(walker.currentNode.data.trim());
  for (const name of ['title', 'aria-label', 'placeholder']) {
    for (const element of document.querySelectorAll(`[${name}]`)) found.add(element.getAttribute(name));
  }
  return [...found];
}"""


def test_in_chinese_nothing_stays_english(page: Any) -> None:
    for title in ("Keys", "Moved by music", "Knobs and programs"):
        panel(page, title).locator("summary").first.click()
    page.keyboard.press("k")
    english = [text for text in page.evaluate(SHOWN) if re.search("[a-z]{3}", text)]
    assert len(english) > 60
    page.get_by_role("button", name="中文").click()
    page.get_by_role("heading", name="潜空间画板").wait_for()
    page.wait_for_selector(PAINTED)
    assert page.evaluate("document.documentElement.lang") == "zh-Hans"
    page.keyboard.press("k")
    page.keyboard.press("v")
    page.wait_for_timeout(400)
    names = {"WebM", "MIDI", "GIF", "MP4"}
    left = [text for text in page.evaluate(SHOWN) if re.search("[A-Za-z]{3}", text) and not re.search("[一-鿿]", text)]
    assert set(left) <= names
    page.get_by_role("button", name="English").click()
    page.get_by_role("heading", name="Latent pad").wait_for()


def test_a_preset_survives_a_reload_and_travels_as_a_file(page: Any) -> None:
    settle(page)
    page.keyboard.press("n")
    settle(page)
    wanted = pixels(page)
    presets = panel(page, "Presets")
    presets.locator("summary").click()
    presets.get_by_role("button", name="Keep this picture").click()
    presets.get_by_label("Name of the preset").fill("the second")
    presets.get_by_label("Name of the preset").blur()
    data = saved(page, presets.get_by_role("button", name="Keep the presets as a file").click)
    page.goto(page.url.split("#")[0])
    page.reload()
    page.wait_for_selector(PAINTED)
    settle(page)
    presets.locator("summary").click()
    presets.get_by_role("button", name="Go to the second").click()
    page.wait_for_function("wanted => document.querySelector('#picture').toDataURL() === wanted", arg=wanted)
    presets.get_by_role("button", name="Remove the second").click()
    assert presets.get_by_role("listitem").count() == 0
    chooser = presets.get_by_label("Choose presets")
    chooser.set_input_files({"name": "mine.json", "mimeType": "application/json", "buffer": data})
    presets.get_by_role("button", name="Go to the second").wait_for()
    chooser.set_input_files(
        {"name": "bad.json", "mimeType": "application/json", "buffer": b'{"presets": [{"state": 3}]}'}
    )
    page.get_by_text("This file holds no presets").wait_for()
