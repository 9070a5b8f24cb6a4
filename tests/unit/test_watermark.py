"""The mark in the pixels: not seen, found again after what files go through, and found in nothing else."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from allaprima import marks
from allaprima.bundle import samples
from allaprima.data.studies.studies import study
from allaprima.marks import inspection
from allaprima.marks.watermark import CERTAIN, embedded, score
from allaprima.runtime import encoding


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    return [study(3, number, (256, 256))[0] for number in range(12)]


def jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def test_it_outlives_jpeg_and_cutting_and_is_not_seen(pictures: list[np.ndarray]) -> None:
    for picture in pictures:
        made = embedded(picture)
        assert made.shape == picture.shape
        error = np.square(made.astype(float) - picture).mean()
        assert 10 * np.log10(255**2 / error) > 40, "dB"
        part = made[37:200, 61:190]
        for kept in (made, jpeg(made, 75), jpeg(made, 50), part, jpeg(part, 75), made[:, ::-1][:, ::-1]):
            assert score(kept) >= CERTAIN


def test_nothing_else_is_taken_for_it(pictures: list[np.ndarray]) -> None:
    chance = np.random.default_rng(0)
    noise = [chance.integers(0, 256, (256, 256, 3), np.uint8) for _ in range(20)]
    flat = [np.full((256, 256, 3), level, np.uint8) for level in (0, 127, 255)]
    stripes = np.tile(np.arange(256, dtype=np.uint8)[None, :, None] * 8, (256, 1, 3))
    for picture in [*pictures, *noise, *flat, stripes, *(jpeg(one, 50) for one in pictures)]:
        assert score(picture) < CERTAIN
        assert score(picture[40:, 40:]) < CERTAIN


@pytest.mark.parametrize("shape", [(8, 8, 3), (16, 200, 1), (100, 64, 4), (65, 63, 3)])
def test_any_shape_and_kind_is_taken(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    made = embedded(pixels)
    assert made.dtype == np.uint8
    assert made.shape == shape
    assert np.isfinite(score(made))
    if shape[2] == 4:
        assert np.array_equal(made[..., 3], pixels[..., 3])


def test_it_is_there_when_asked_for_and_never_without_the_other_marks(
    pictures: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert np.array_equal(marks.watermarked(pictures[0]), pictures[0])
    monkeypatch.setenv(marks.WATERMARK, "1")
    assert score(marks.watermarked(pictures[0])) >= CERTAIN
    monkeypatch.setenv(marks.SWITCH, "1")
    assert np.array_equal(marks.watermarked(pictures[0]), pictures[0])


def test_who_asks_for_one_in_small_pictures_is_told_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(marks.WATERMARK, "1")
    marks._told_if_small.cache_clear()
    for side in (32, 32, 128):
        marks.watermarked(np.zeros((side, side, 3), np.uint8))
    said = capsys.readouterr().err
    assert said.count("too small for a watermark") == 1
    assert "32 × 32" in said


def test_every_way_out_has_it(pictures: list[np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(marks.WATERMARK, "1")
    picture, alpha = pictures[0], np.dstack([pictures[1], np.full((256, 256), 255, np.uint8)])
    left = {
        "a.png": encoding.encode_png(picture),
        "b.jpg": encoding.encode_jpeg(picture),
        "c.webp": encoding.encode_live(alpha)[1],
        "d.png": samples._png(Image.fromarray(picture)),
    }
    for name, data in left.items():
        (tmp_path / name).write_bytes(data)
        found = inspection.inspect(tmp_path / name)
        assert found.has_watermark, name
        assert "watermark: generated" in found.words()
    (tmp_path / "bare.png").write_bytes(b"")
    with Image.open(tmp_path / "a.png") as opened:  # all other marks are gone
        opened.convert("RGB").save(tmp_path / "bare.jpg", quality=80)
    found = inspection.inspect(tmp_path / "bare.jpg")
    assert found.is_generated
    assert not found.sources


def test_the_images_api_has_it(monkeypatch: pytest.MonkeyPatch, pictures: list[np.ndarray]) -> None:
    from allaprima.server.routes import images

    monkeypatch.setenv(marks.WATERMARK, "1")
    for kind in ("png", "jpeg", "webp"):
        made = np.asarray(Image.open(io.BytesIO(images._encoded(pictures[2], None, kind))))
        assert score(made) >= CERTAIN, kind


def test_frames_of_films_have_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pictures: list[np.ndarray]) -> None:
    av = pytest.importorskip("av", reason="the extra 'film' is not installed")
    from allaprima.runtime.films import gif, mp4

    monkeypatch.setenv(marks.WATERMARK, "1")
    for name, module in (("film.mp4", mp4), ("film.gif", gif)):
        writer = module.writer(tmp_path / name, (256, 256, 3), 0.1)
        for number in range(3):
            writer.add(pictures[number], number / 10, 0.1)
        writer.close()
        with av.open(str(tmp_path / name)) as film:
            frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
        assert all(score(frame) >= CERTAIN for frame in frames), name


def test_a_file_that_is_no_picture_after_all_is_told_of_as_before(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    assert inspection.inspect(tmp_path / "a.png").watermark is None
