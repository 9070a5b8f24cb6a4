"""Faces that a detector finds are filled before anything is stored, doubtful pictures are named, and names tell nothing."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from allaprima.cli._app import build
from allaprima.core.errors import UserError
from allaprima.data import faces, yunet
from allaprima.data.dataset import Dataset
from allaprima.data.forget import forget
from allaprima.data.prepare import PrepareConfig, prepare
from allaprima.data.pseudonyms import begin
from allaprima.data.refused import Refused
from tests.unit import _detector
from tests.unit._detector import PALE, scene

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
COUNT = 24
WITH_FACES = 12


@pytest.fixture(scope="session")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _detector.write(tmp_path_factory.mktemp("detector") / "magenta.onnx")


@pytest.fixture(autouse=True)
def nothing_given(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(faces.VARIABLE, raising=False)
    yield
    faces.let_go()


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Photographs of 320 × 256; the first twelve show a face, in places of their own."""
    folder = tmp_path / "album of the millers"
    folder.mkdir()
    rows = []
    for number in range(COUNT):
        spot = [(32 * (1 + number % 7), 32 * (1 + number % 5), 32)] if number < WITH_FACES else []
        name = f"anna-miller-{number:02d}.png"
        scene(number, (320, 256), *spot).save(folder / name)
        rows.append({"file_name": name, "text": f"{name} at the sea"})
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def wanted(detector: Path, **changes: Any) -> PrepareConfig:
    return PrepareConfig.model_validate(
        {"size": (80, 64), "anonymise": True, "face_detector": str(detector), "labels": "none", **changes}
    )


def purple(images: np.ndarray) -> np.ndarray:
    """How purple the most purple pixel of each picture is, in levels."""
    whole = images.astype(int)
    return (whole[..., [0, 2]].min(axis=-1) - whole[..., 1]).max(axis=(1, 2))


def as_faces(detector: Path, **changes: Any) -> faces.Faces:
    return faces.Faces(**{**vars(faces.choose(str(detector), 0.6, 0.3, "refuse")), **changes})


# -- finding -----------------------------------------------------------------------------------------------------------


def test_a_box_is_where_the_formula_puts_it() -> None:
    cls, obj, bbox = np.zeros((1, 12, 1)), np.zeros((1, 12, 1)), np.zeros((1, 12, 4))
    cls[0, 6], obj[0, 6], bbox[0, 6] = 0.64, 1.7, (0.25, -0.5, np.log(3), np.log(0.5))  # column 2, row 1 of 4 × 3 cells
    cls[0, 7], obj[0, 7] = 0.9, -1
    boxes, scores = yunet.decoded(cls, obj, bbox, stride=16, columns=4, at_least=0.5)
    np.testing.assert_allclose(scores, [0.8])
    # middle (2.25, 0.5) · 16, size (3, 0.5) · 16
    np.testing.assert_allclose(boxes, [[36 - 24, 8 - 4, 36 + 24, 8 + 4]], rtol=1e-6)


def test_of_boxes_that_overlap_the_best_stays() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [6, 0, 16, 10], [40, 40, 50, 50]], np.float32)
    kept, scores = yunet.distinct(boxes, np.array([0.5, 0.9, 0.7, 0.4]))
    assert yunet.overlap(boxes[0], boxes[1:])[:2] == pytest.approx([9 / 11, 4 / 16])
    assert yunet.overlap(boxes[1], boxes[2:3]) == pytest.approx(5 / 15)  # the third is the second's, not the first's
    assert kept.tolist() == boxes[[1, 3]].tolist()
    assert scores.tolist() == [0.9, 0.4]


@pytest.mark.parametrize("side", [None, 640])
def test_a_face_is_found_where_it_is_whatever_the_size_of_the_input(tmp_path: Path, side: int | None) -> None:
    net = yunet.load(_detector.write(tmp_path / "net.onnx", side))
    picture = np.asarray(scene(1, (601, 470), (96, 64, 32), (480, 320, 32)))[..., ::-1]
    boxes, scores = net.find(picture, 0.5)
    # a face of two cells about the middle of the cell that it fills
    assert boxes.tolist() == [[80, 48, 144, 112], [464, 304, 528, 368]]
    assert (scores == 1).all()
    assert len(net.find(np.asarray(scene(1, (601, 470))), 0.1)[0]) == 0
    assert len(net.find(picture[..., ::-1].copy() * [1, 1, 0], 0.1)[0]) == 0  # red alone is no face


@pytest.mark.skipif(importlib.util.find_spec("cv2") is None, reason="OpenCV is not installed")
def test_opencv_finds_the_same_boxes_in_the_same_file(tmp_path: Path) -> None:
    path = _detector.write(tmp_path / "net.onnx", 640, seeing=(8, 16, 32))
    picture = np.asarray(scene(1, (640, 480), (160, 128, 64), (400, 288, 32)))[..., ::-1]
    for ours, theirs in zip(yunet.load(path).find(picture, 0.3), yunet.OpenCvNet(path).find(picture, 0.3), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-3)


def test_without_onnxruntime_opencv_is_asked_and_without_either_the_extra_is_named(
    detector: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Cv2:
        error = RuntimeError

        class FaceDetectorYN:
            @classmethod
            def create(cls, *settings: Any) -> Any:
                return cls()

            def setInputSize(self, size: tuple[int, int]) -> None:  # noqa: N802 - OpenCV's name
                self.size = size

            def setScoreThreshold(self, least: float) -> None:  # noqa: N802
                self.least = least

            def detect(self, picture: np.ndarray) -> tuple[int, np.ndarray | None]:
                assert picture.shape[1::-1] == self.size
                found = np.array([[4, 6, 20, 30, *[0] * 10, 0.75]], np.float32)
                return 1, found if picture.any() and self.least <= 0.75 else None

        @staticmethod
        def setNumThreads(count: int) -> None:  # noqa: N802
            assert count == 1

    there = {"onnxruntime": False, "cv2": True}
    known = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: (there[name] or None) if name in there else known(name)
    )
    monkeypatch.setitem(sys.modules, "cv2", Cv2)
    boxes, scores = yunet.load(detector).find(np.ones((50, 70, 3), np.uint8), 0.5)
    assert (boxes.tolist(), scores.tolist()) == ([[4, 6, 24, 36]], [0.75])
    there["cv2"] = False
    with pytest.raises(UserError, match=r"allaprima\[engines\]"):
        yunet.load(detector)


@pytest.mark.parametrize(
    ("size", "canvas", "scale"), [((4000, 1000), (640, 640), 0.5), ((300, 5000), (1024, 1024), 1.0)]
)
def test_tiles_cover_every_pixel_at_the_stored_scale_and_fit_the_net(
    size: tuple[int, int], canvas: tuple[int, int], scale: float
) -> None:
    seen = np.zeros((size[1], size[0]), bool)
    for (left, top, right, bottom), shrunk in faces._views(size, canvas, scale):
        assert (right - left) * shrunk <= canvas[0] + 1
        assert (bottom - top) * shrunk <= canvas[1] + 1
        if shrunk == scale:
            seen[top:bottom, left:right] = True
    assert seen.all()


def test_a_face_that_fills_a_large_picture_and_one_that_a_tile_alone_shows_are_both_filled(detector: Path) -> None:
    large = scene(1, (3200, 3200), (0, 0, 3200))
    filled, seen = faces.fill(large, as_faces(detector), 0.02)
    assert seen.faces >= 1
    small = scene(2, (3072, 1024), (2048 + 96, 512, 48))
    net = yunet.load(detector)
    assert not len(
        net.find(np.asarray(small.resize((1024, 341)))[..., ::-1], 0.3)[0]
    )  # too small, as the whole is seen
    filled, seen = faces.fill(small, as_faces(detector, refuse_doubtful=False), 1.0)
    assert seen.faces == 1
    assert purple(np.asarray(filled)[None])[0] < purple(np.asarray(small)[None])[0]


def test_a_face_of_a_size_between_is_found_however_small_the_picture_is_stored(detector: Path) -> None:
    assert faces.fill(scene(1, (1024, 768), (96, 96, 32)), as_faces(detector), 0.06)[1] == (1, None)


def test_the_net_sees_bgr_and_a_transparent_picture_as_it_is_and_on_white(
    detector: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, shown = as_faces(detector), []

    def find(net: yunet.OnnxNet, picture: np.ndarray, at_least: float) -> tuple[np.ndarray, np.ndarray]:
        shown.append(picture[5, 5].tolist())
        return np.zeros((0, 4), np.float32), np.zeros(0, np.float32)

    monkeypatch.setattr(yunet.OnnxNet, "find", find)
    for colour, seen in (((250, 20, 10, 255), [[10, 20, 250]]), ((250, 20, 10, 0), [[255, 255, 255], [10, 20, 250]])):
        shown.clear()
        faces.fill(Image.new("RGBA", (64, 64), colour), given, 1.0)
        assert [one for one in shown if any(one)] == seen  # without the try-out when it is loaded


# -- filling -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_filled_place_has_one_colour_that_is_taken_from_beside_it(detector: Path, mode: str) -> None:
    plain = scene(3, (320, 256), (96, 96, 32)).convert(mode)
    if mode == "RGBA":
        plain.putalpha(Image.fromarray(np.tile(np.linspace(1, 255, 320).astype(np.uint8), (256, 1))))
    filled, seen = faces.fill(plain, as_faces(detector), 0.25)
    assert seen == (1, None)
    before, after = np.asarray(plain), np.asarray(filled)
    changed = (before != after).any(axis=2)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    box = after[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    assert len(np.unique(box.reshape(-1, box.shape[2]), axis=0)) == 1
    assert rows[0] <= 96 and rows[-1] >= 127 and columns[0] <= 96 and columns[-1] >= 127  # noqa: PT018 - one box
    around = before[rows[0] - 8 : rows[-1] + 9, columns[0] - 8 : columns[-1] + 9, :3].reshape(-1, 3).astype(int)
    assert abs(np.median(around, axis=0) - box[0, 0, :3]).max() < 60
    assert purple(after[None, ..., :3])[0] < 100
    assert mode == "RGB" or (box[..., 3] == 255).all()  # no outline in the transparency
    assert (before == np.asarray(plain)).all()  # the picture that was given stays


def test_a_grey_picture_is_filled_in_grey_and_a_face_without_surroundings_in_middle_grey() -> None:
    grey = Image.fromarray(np.full((40, 40), 90, np.uint8))
    assert np.asarray(faces._filled(grey, [(10, 10, 20, 20)]))[15, 15] == 90
    whole = faces._filled(Image.new("RGB", (20, 20), "red"), [(0, 0, 20, 20)])
    assert np.unique(np.asarray(whole)).tolist() == [128]


def test_a_face_under_transparency_is_found_too(detector: Path) -> None:
    hidden = scene(4, (320, 256), (96, 96, 32)).convert("RGBA")
    hidden.putalpha(3)
    assert faces.fill(hidden, as_faces(detector), 0.25)[1].faces == 1


def test_no_pixel_of_a_face_reaches_the_dataset(album: Path, tmp_path: Path, detector: Path) -> None:
    plain = prepare(album, tmp_path / "plain", PrepareConfig(size=(80, 64), labels="none"), workers=1)
    assert (purple(plain.images) > 150).sum() == WITH_FACES
    dataset = prepare(album, tmp_path / "filled", wanted(detector), workers=1)
    assert (purple(dataset.images) > 100).sum() == 0
    assert dataset.manifest.faces is not None
    assert dataset.manifest.faces["pictures"] == WITH_FACES
    assert dataset.manifest.faces["filled"] >= WITH_FACES
    assert dataset.manifest.faces["detector"] == as_faces(detector).sha256
    assert dataset.manifest.count == COUNT


def test_workers_load_the_detector_themselves_and_agree(album: Path, tmp_path: Path, detector: Path) -> None:
    ours = prepare(album, tmp_path / "one", wanted(detector, pseudonyms=False), workers=1)
    theirs = prepare(album, tmp_path / "two", wanted(detector, pseudonyms=False), workers=2)
    assert ours.manifest.fingerprint == theirs.manifest.fingerprint


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_picture_is_searched_upright(tmp_path: Path, detector: Path, orientation: int) -> None:
    folder, tags = tmp_path / "turned", Image.Exif()
    folder.mkdir()
    tags[0x0112] = orientation
    back = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    for number in range(12):
        shown = scene(number, (320, 256), (64, 96, 32))
        shown = shown.transpose(back[orientation]) if orientation in back else shown
        shown.save(folder / f"{number}.jpg", quality=95, exif=tags)
    dataset = prepare(folder, tmp_path / "d", wanted(detector), workers=1)
    assert dataset.manifest.faces is not None
    assert dataset.manifest.faces["pictures"] == 12
    assert purple(dataset.images).max() < 100
    places = {tuple(np.argwhere((image == image[32, 24]).all(axis=2)).min(axis=0)) for image in dataset.images[:3]}
    assert all(abs(row - 24) < 8 and abs(column - 16) < 8 for row, column in places)  # (96, 64) / 4: upright


# -- doubt -------------------------------------------------------------------------------------------------------------


def test_a_doubtful_picture_is_refused_and_named_or_kept_and_filled(
    album: Path, tmp_path: Path, detector: Path
) -> None:
    scene(3, (320, 256), (96, 96, 32), colour=PALE).save(album / "anna-miller-20.png")
    refused = prepare(album, tmp_path / "refused", wanted(detector, pseudonyms=False), workers=1)
    report = json.loads((refused.folder / "report.json").read_text())
    assert report["counts"] == {faces.CHECK: 1}
    assert report["left_out"][0]["name"] == "anna-miller-20.png"
    assert "score 0.5" in report["left_out"][0]["reason"]
    assert refused.manifest.faces is not None
    assert refused.manifest.faces["doubtful_refused"] == 1
    kept = prepare(album, tmp_path / "kept", wanted(detector, doubtful="keep", pseudonyms=False), workers=1)
    report = json.loads((kept.folder / "report.json").read_text())
    assert [one["name"] for one in report["doubtful"]] == ["anna-miller-20.png"]
    assert kept.manifest.count == COUNT
    assert purple(kept.images).max() < 100
    assert "1 doubtful picture" in " ".join(report["notes"])


def test_a_face_near_the_least_that_can_be_seen_makes_a_picture_doubtful() -> None:
    boxes, scores = np.array([[0, 0, 9, 12]], np.float32), np.array([0.9])
    assert "one of 9 pixels" in str(faces._doubt(boxes, scores, scores >= 0.6, smallest=10.0))
    assert faces._doubt(boxes, scores, scores >= 0.6, smallest=5.0) is None


def test_where_the_detector_fails_nothing_is_stored(
    tmp_path: Path, detector: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = as_faces(detector)
    monkeypatch.setattr(yunet.OnnxNet, "find", lambda *asked: 1 / 0)
    monkeypatch.setattr(yunet.OnnxNet, "_try_out", lambda *asked: None)
    with pytest.raises(Refused, match="could not be searched for faces"):
        faces.fill(scene(1, (64, 64)), given, 1.0)


def test_a_detector_whose_answers_are_no_numbers_is_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no number"):
        yunet.load(_detector.write(tmp_path / "nan.onnx", broken=True))


# -- what must be given ------------------------------------------------------------------------------------------------


def test_without_a_detector_nothing_is_prepared(album: Path, tmp_path: Path) -> None:
    shown = CliRunner().invoke(build(), ["prepare", str(album), str(tmp_path / "d"), "--anonymise"])
    assert isinstance(shown.exception, UserError)
    assert "no face detector is given" in shown.exception.problem
    assert "--face-detector" in shown.exception.remedy
    assert not (tmp_path / "d").exists()


def test_the_environment_can_name_the_detector(
    album: Path, tmp_path: Path, detector: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(faces.VARIABLE, str(detector))
    arguments = ["prepare", str(album), str(tmp_path / "d"), "--anonymise", "--size", "32", "--labels", "none"]
    shown = CliRunner().invoke(build(), [*arguments, "--workers", "1"])
    assert shown.exit_code == 0, shown.output
    assert "faces that the detector found were filled" in shown.stderr
    assert "anonymous" not in shown.output.lower() + (tmp_path / "d" / "card.md").read_text().lower()


def test_what_is_no_detector_is_refused_in_plain_words(tmp_path: Path, detector: Path) -> None:
    words = tmp_path / "words.onnx"
    words.write_text("no net")
    cases = {
        str(tmp_path / "missing.onnx"): "cannot be read",
        str(words): "no ONNX file that can be run",
        str(_detector.write(tmp_path / "lacking.onnx", lacks="bbox_16")): "no output 'bbox_16'",
    }
    for path, problem in cases.items():
        with pytest.raises(UserError, match=problem) as caught:
            faces.choose(path, 0.6, 0.3, "refuse")
        assert "--face-detector" in caught.value.remedy
    with pytest.raises(UserError, match="which is less"):
        faces.choose(str(detector), 0.3, 0.6, "refuse")


def test_a_detector_that_changes_meanwhile_is_not_used(tmp_path: Path) -> None:
    path = _detector.write(tmp_path / "net.onnx")
    given = faces.choose(str(path), 0.6, 0.3, "refuse")
    _detector.write(path, side=640)
    with pytest.raises(Refused, match="changed meanwhile"):
        faces.fill(scene(1, (64, 64)), given, 1.0)


# -- pseudonyms --------------------------------------------------------------------------------------------------------


def traces_of(folder: Path, *words: str) -> list[str]:
    contents = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert len(contents) >= 7
    return [f"{word} in {path.name}" for word in words for path, data in contents.items() if word.encode() in data]


def test_no_original_name_is_in_any_file_of_the_dataset(album: Path, tmp_path: Path, detector: Path) -> None:
    (album / "anna-miller-90.png").write_bytes((album / "anna-miller-15.png").read_bytes())
    (album / "anna-miller-91.png").write_bytes(b"no picture")
    (album / "anna-miller-92.doc").write_bytes(b"no picture")
    with open(album / "metadata.jsonl", "a") as file:
        file.write(json.dumps({"file_name": "anna-miller-99.png"}) + "\n")
        file.write(json.dumps({"file_name": "anna-miller-03.png", "next": "see anna-miller-04.png"}) + "\n")
    dataset = prepare(album, tmp_path / "d", wanted(detector), workers=1)
    assert not traces_of(dataset.folder, "anna-miller", "millers", str(tmp_path), detector.name)
    report = json.loads((dataset.folder / "report.json").read_text())
    assert report["counts"] == {"duplicate": 1, "unreadable": 3}
    names = {record["name"] for record in dataset.records}
    assert len(names) == COUNT
    assert all(len(name) == 16 and int(name, 16) >= 0 for name in names)
    (after,) = (record["next"] for record in dataset.records if "next" in record)
    assert after.removeprefix("see ") in names  # still the same picture
    told = [record for record in dataset.records if record["text"]]
    assert all(record["text"] == f"{record['name']} at the sea" for record in told)
    assert len(told) >= COUNT - 1
    repeat = next(one for one in report["left_out"] if one["check"] == "duplicate")
    assert repeat["reason"].rpartition(" ")[2] in names


def test_without_a_key_other_names_come_out_each_time_and_with_one_the_same(
    album: Path, tmp_path: Path, detector: Path
) -> None:
    key = tmp_path / "key.txt"
    settings = {"size": (16, 16), "labels": "none"}
    told = []
    for number, given in enumerate(({"pseudonyms": True}, {"pseudonyms": True}, {"pseudonym_key": str(key)}) * 2):
        config = PrepareConfig.model_validate(settings | given)
        told.append([one["name"] for one in prepare(album, tmp_path / str(number), config, workers=1).records])
    assert told[2] == told[5]
    assert len({tuple(names) for names in told}) == 5
    if os.name != "nt":
        assert key.stat().st_mode & 0o777 == 0o600
    assert not traces_of(tmp_path / "2", key.read_text().strip(), "key.txt")


def test_a_key_that_others_can_read_or_that_is_none_is_refused(tmp_path: Path) -> None:
    begin(str(tmp_path / "key"))
    before = (tmp_path / "key").read_bytes()
    assert begin(str(tmp_path / "key")).of("a") == begin(str(tmp_path / "key")).of("a")
    (tmp_path / "other").write_text("my diary")
    with pytest.raises(UserError, match="holds no key"):
        begin(str(tmp_path / "other"))
    assert (tmp_path / "other").read_text() == "my diary"
    if os.name != "nt":
        (tmp_path / "key").chmod(0o644)
        with pytest.raises(UserError, match="Others can read"):
            begin(str(tmp_path / "key"))
    assert (tmp_path / "key").read_bytes() == before


def test_pseudonyms_can_be_had_without_filling_and_filling_without_pseudonyms(
    album: Path, tmp_path: Path, detector: Path
) -> None:
    plain = prepare(album, tmp_path / "plain", wanted(detector, pseudonyms=False), workers=1)
    assert plain.records[0]["name"].startswith("anna-miller")
    assert plain.manifest.source == "album of the millers"
    for given, words in (
        ({"face_detector": str(detector)}, "not to be filled"),
        ({"pseudonyms": False, "pseudonym_key": "k"}, "none are wanted"),
    ):
        with pytest.raises(UserError, match=words):
            prepare(album, tmp_path / "no", PrepareConfig.model_validate(given))
    assert not (tmp_path / "no").exists()


def test_a_picture_is_forgotten_by_its_file_and_by_its_name_with_the_key(
    album: Path, tmp_path: Path, detector: Path
) -> None:
    key = tmp_path / "key.txt"
    dataset = prepare(album, tmp_path / "d", wanted(detector, pseudonym_key=str(key)), workers=1)
    first, second = (begin(str(key)).of(f"anna-miller-{number:02d}.png") for number in (3, 17))
    with pytest.raises(UserError, match="are pseudonyms") as caught:
        forget(dataset.folder, ["anna-miller-03.png"])
    assert "--pseudonym-key" in caught.value.remedy
    with pytest.raises(UserError, match="no face detector is given"):
        forget(dataset.folder, [str(album / "anna-miller-03.png")])
    done = forget(dataset.folder, [str(album / "anna-miller-03.png")], detector=str(detector))
    assert [name for name, _ in done.pictures.values()] == [first]
    done = forget(dataset.folder, ["anna-miller-17.png"], key=key)
    assert [name for name, _ in done.pictures.values()] == [second]
    assert not done.remains
    assert not traces_of(dataset.folder, first, second)
    assert len(Dataset.open(dataset.folder)) == COUNT - 2
    with pytest.raises(UserError, match="has the pixels of"):
        forget(dataset.folder, [str(album / "anna-miller-03.png")], detector=str(detector))


def test_another_key_and_another_detector_are_told(album: Path, tmp_path: Path, detector: Path) -> None:
    dataset = prepare(album, tmp_path / "d", wanted(detector), workers=1)
    begin(str(tmp_path / "other"))
    with pytest.raises(UserError, match="is not that of"):
        forget(dataset.folder, ["anna-miller-03.png"], key=tmp_path / "other")
    fixed = _detector.write(tmp_path / "fixed.onnx", 640)
    with pytest.raises(UserError, match="is not the face detector"):
        forget(dataset.folder, [str(album / "anna-miller-03.png")], detector=str(fixed))


def test_a_grey_dataset_finds_its_pictures_by_their_files_too(tmp_path: Path) -> None:
    folder = tmp_path / "grey"
    folder.mkdir()
    for number in range(12):
        scene(number, (64, 64)).convert("L").convert("RGB").save(folder / f"{number}.png")
    dataset = prepare(folder, tmp_path / "d", PrepareConfig(size=(16, 16)), workers=1)
    assert dataset.domain.shape.channels == 1
    done = forget(dataset.folder, [str(folder / "7.png")])
    assert [name for name, _ in done.pictures.values()] == ["7.png"]


def test_a_doubtful_picture_that_is_forgotten_leaves_the_list(album: Path, tmp_path: Path, detector: Path) -> None:
    scene(3, (320, 256), (96, 96, 32), colour=PALE).save(album / "anna-miller-20.png")
    dataset = prepare(album, tmp_path / "d", wanted(detector, doubtful="keep"), workers=1)
    (entry,) = json.loads((dataset.folder / "report.json").read_text())["doubtful"]
    done = forget(dataset.folder, [entry["name"]])
    assert not done.remains
    assert json.loads((dataset.folder / "report.json").read_text())["doubtful"] == []
