"""Films: each state at its own time, in each format, as other programs read it."""

from __future__ import annotations

import io
import json
import math
import shutil
import subprocess
import zipfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from allaprima.bundle.untrained import untrained
from allaprima.core.errors import UserError
from allaprima.runtime.engine import Engine
from allaprima.runtime.film import Circle, Film, Key, Recording, Seen, Timeline, between, loop, read
from allaprima.runtime.films import FORMATS, format_of, write, writer_of
from allaprima.runtime.session import Point, State
from allaprima.server.app import create
from allaprima.server.guard import Rules

av = pytest.importorskip("av", reason="PyAV is not installed")
SMALL = {"name": "conv", "width": 8, "max_width": 16}


def recorded(seconds: float, *times: float) -> Recording:
    """A seed for each time."""
    seen = tuple(Seen(seconds=time, state=State(seed=seed)) for seed, time in enumerate(times, 1))
    return Recording(moments=seen, seconds=seconds)


IRREGULAR = recorded(2.345, 0, 0.05, 0.5, 1.87)


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(untrained(16, classes=["cat", "fish"], generator=SMALL))


def shown(path: Path) -> list[tuple[float, np.ndarray]]:
    """(seconds, RGBA) of each frame, as PyAV reads them."""
    with av.open(str(path)) as container:
        return [(float(frame.time), frame.to_ndarray(format="rgba")) for frame in container.decode(video=0)]


@pytest.mark.parametrize("name", ["mp4", "webm"])
def test_each_frame_has_its_own_time_and_is_its_states_picture(engine: Engine, tmp_path: Path, name: str) -> None:
    path = tmp_path / f"film.{name}"
    write(engine, Film(motion=IRREGULAR, size=64, crisp=True), path)
    frames = shown(path)
    assert [time for time, _ in frames] == pytest.approx([0, 0.05, 0.5, 1.87], abs=1e-3)
    for (_, made), (_, state) in zip(frames, IRREGULAR.times(1), strict=True):
        wanted = engine.render([state])[0].repeat(4, 0).repeat(4, 1)
        assert np.abs(made[..., :3].astype(float) - wanted).mean() < 12  # colours at half resolution, and a lossy codec


@pytest.mark.parametrize("name", ["mp4", "webm", "gif"])
def test_ffprobe_finds_the_duration_within_a_frame(engine: Engine, tmp_path: Path, name: str) -> None:
    ffprobe = shutil.which("ffprobe")
    if ffprobe is None:
        pytest.skip("no ffprobe on this machine: apt-get install ffmpeg")
    for film in (Film(motion=IRREGULAR), Film(motion=Circle(seconds=1.5), fps=25.0)):
        path = tmp_path / f"film{film.seconds}.{name}"
        write(engine, film, path)
        asked = [ffprobe, "-v", "error", "-count_frames", "-of", "json", "-show_format", "-show_streams", str(path)]
        told = json.loads(subprocess.run(asked, capture_output=True, text=True, check=True).stdout)
        assert float(told["format"]["duration"]) == pytest.approx(film.seconds, abs=1 / 30)
        assert int(told["streams"][0]["nb_read_frames"]) == film.count


def test_a_gif_leaves_out_what_would_be_seen_too_long(engine: Engine, tmp_path: Path) -> None:
    write(engine, Film(motion=recorded(1.0, 0, 0.004, 0.4)), tmp_path / "film.gif")
    picture: Any
    with Image.open(tmp_path / "film.gif") as picture:
        durations = []
        for place in range(picture.n_frames):
            picture.seek(place)
            durations.append(picture.info["duration"])
        assert durations == [400, 600]
        assert picture.info["loop"] == 0


def test_numbered_pngs_are_lossless_and_their_times_are_beside_them(engine: Engine, tmp_path: Path) -> None:
    told: list[int] = []
    write(engine, Film(motion=IRREGULAR), tmp_path / "film.zip", told.append)
    assert told == [1, 1, 1, 1]
    with zipfile.ZipFile(tmp_path / "film.zip") as file:
        assert file.testzip() is None
        for place, (_, state) in enumerate(IRREGULAR.times(1), 1):
            made = np.asarray(Image.open(io.BytesIO(file.read(f"{place:06d}.png"))))
            np.testing.assert_array_equal(made, engine.render([state])[0])
        lines = file.read("frames.ffconcat").decode().split("\n")
    durations = [float(line.split()[1]) for line in lines if line.startswith("duration")]
    assert durations == pytest.approx([0.05, 0.45, 1.37, 0.475])


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("name", FORMATS.names())
def test_every_format_takes_grey_colour_transparency_and_odd_sides(tmp_path: Path, name: str, channels: int) -> None:
    path = tmp_path / f"film{FORMATS.get(name).SUFFIX}"
    film = Film(motion=Circle(seconds=0.2), fps=20.0)
    writer = writer_of(path, name, film, (17, 33, channels))
    frame = np.full((17, 33, channels), 200, np.uint8)
    if channels == 4:
        frame[..., 3] = np.where(np.arange(33) < 16, 0, 255)
    for moment in film.moments():
        writer.add(frame, moment.seconds, moment.duration)
    writer.close()
    if name == "png":
        return  # above
    if name == "sheet":
        with Image.open(path) as sheet:
            assert sheet.size == (2 * 33, 2 * 17)  # four frames
        return
    frames = shown(path)
    assert len(frames) == film.count
    _, made = frames[0]
    assert np.abs(made[8, 25, :3].astype(int) - 200).max() <= 6
    if channels == 4 and name == "mp4":
        assert made[8, 6, :3].min() >= 250  # on paper
    if channels == 4 and name == "gif":
        assert (made[8, 6, 3], made[8, 25, 3]) == (0, 255)


def test_a_sheet_holds_the_frames_in_rows_and_is_never_too_large(engine: Engine, tmp_path: Path) -> None:
    write(engine, Film(motion=IRREGULAR), tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as opened:
        sheet = np.asarray(opened)
    wanted = engine.render([state for _, state in IRREGULAR.times(1)])
    np.testing.assert_array_equal(sheet[:16, :16], wanted[0])
    np.testing.assert_array_equal(sheet[:16, 16:], wanted[1])
    np.testing.assert_array_equal(sheet[16:, 16:], wanted[3])
    with pytest.raises(UserError, match="too large"):
        write(engine, Film(motion=Circle(seconds=2), size=2048), tmp_path / "large.png")
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]


def test_a_circle_is_a_perfect_loop() -> None:
    circle = Circle(point=Point(seed=3, x=0.9, y=-0.4), seconds=2.0, reach=0.5)
    states = [state for _, state in circle.times(30)]
    assert (states[0].x, states[0].y) == (pytest.approx(0.9), pytest.approx(-0.4))
    angles = [complex(state.x, state.y) for state in states]

    def apart(a: complex, b: complex) -> float:
        return math.hypot(*((part + 1) % 2 - 1 for part in ((a - b).real, (a - b).imag)))

    steps = [apart(a, b) for a, b in zip(angles, [*angles[1:], angles[0]], strict=True)]
    assert max(steps) == pytest.approx(min(steps), rel=1e-6)  # from the last to the first it goes as everywhere


def test_a_timeline_passes_its_keys_and_comes_back() -> None:
    points = [Point(seed=seed) for seed in (1, 2, 3)]
    keys = (Key(point=points[0], seconds=1.0), Key(point=points[1], seconds=2.0, easing="hold"), Key(point=points[2]))
    timeline = Timeline(keys=keys, loop=True)
    assert timeline.seconds == 5
    assert timeline.at(0) == timeline.at(5) == between(points[0], points[1], 0)
    assert timeline.at(0.5) == State(a=points[0], b=points[1], mix=0.5)
    assert timeline.at(0.25).mix == pytest.approx(0.15625)  # smooth
    assert timeline.at(2.9) == between(points[1], points[2], 0)  # holds until the next
    assert timeline.at(4.0).mix == pytest.approx(0.5)
    there = Timeline(keys=keys, loop=False)
    assert there.seconds == 3
    assert [state for _, state in there.times(10)][-1] == between(points[1], points[2], 1)


@given(
    st.lists(st.floats(0.01, 5, allow_nan=False), min_size=2, max_size=6),
    st.booleans(),
    st.sampled_from([1.0, 12.5, 30.0, 60.0]),
)
def test_moments_follow_each_other_without_a_gap(seconds: list[float], closed: bool, fps: float) -> None:
    keys = tuple(Key(point=Point(seed=i), seconds=one) for i, one in enumerate(seconds))
    film = Film(motion=Timeline(keys=keys, loop=closed), fps=fps)
    moments = list(film.moments())
    assert moments[0].seconds == 0
    assert len(moments) == film.count
    for earlier, later in pairwise(moments):
        assert earlier.seconds + earlier.duration == pytest.approx(later.seconds)
        assert earlier.duration > 0
    assert moments[-1].seconds + moments[-1].duration == pytest.approx(film.seconds)


def test_what_is_wrong_is_said_and_nothing_is_left(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no known format"):
        format_of(tmp_path / "film.avi")
    with pytest.raises(UserError, match="seed"):
        loop([-1], 2.0)
    with pytest.raises(UserError, match="rise"):
        (tmp_path / "film.json").write_text(
            '{"motion": {"kind": "recording", "moments": [{"seconds": 1, "state": {}}], "seconds": 2}}'
        )
        read(tmp_path / "film.json")
    with pytest.raises(UserError, match="holds no film"):
        read(tmp_path / "nothing.json")
    (tmp_path / "film.json").unlink()
    wrong = Recording(moments=(Seen(seconds=0, state=State()), Seen(seconds=0.5, state=State(label="dog"))), seconds=1)
    with pytest.raises(UserError, match="dog"):
        write(engine, Film(motion=wrong), tmp_path / "film.mp4")
    assert list(tmp_path.iterdir()) == []


def test_the_server_makes_the_same_film_and_keeps_nothing(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("ALLAPRIMA_UNMARKED", "1")  # signatures are new every time
    film = Film(motion=loop([1, 2], 1.0), fps=10.0)
    write(engine, film, tmp_path / "wanted.zip")
    with TestClient(
        create(engine.bundle, "cats", Rules.for_binding("127.0.0.1"), engine), base_url="http://127.0.0.1"
    ) as client:
        assert {one["suffix"] for one in client.get("/api/film/formats").json()} == {
            ".mp4",
            ".webm",
            ".gif",
            ".zip",
            ".png",
        }
        made = client.post("/api/film?format=png", json=film.model_dump(mode="json"))
        assert made.status_code == 200, made.text
        assert "cats.zip" in made.headers["content-disposition"]
        with zipfile.ZipFile(io.BytesIO(made.content)) as a, zipfile.ZipFile(tmp_path / "wanted.zip") as b:
            assert {name: a.read(name) for name in a.namelist()} == {name: b.read(name) for name in b.namelist()}
        assert client.post("/api/film?format=avi", json=film.model_dump(mode="json")).status_code == 400
        assert client.post("/api/film", json={"motion": {"kind": "circle", "seconds": 1e9}}).status_code == 422
        wish = Film(motion=Circle(point=Point(label="dog")))
        assert client.post("/api/film", json=wish.model_dump(mode="json")).json()["problem"].startswith("Unknown class")
    assert [path.name for path in tmp_path.iterdir()] == ["wanted.zip"]
