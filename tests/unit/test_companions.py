"""What lies beside a picture comes along: its text, its columns, its sound; and recordings that belong to classes."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from allaprima.core.errors import UserError
from allaprima.data.dataset import Dataset
from allaprima.data.prepare import PrepareConfig, prepare

soundfile = pytest.importorskip("soundfile", reason="the extra 'sound' is not installed")
DRAW = np.random.default_rng(0)


def picture() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.kron(DRAW.integers(0, 256, (4, 4, 3)), np.ones((6, 6, 1))).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def tone(hertz: float, kind: str = "WAV") -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, 0.5 * np.sin(2 * np.pi * hertz * np.arange(4000) / 8000), 8000, format=kind)
    return buffer.getvalue()


def write(root: Path | zipfile.ZipFile, name: str, data: bytes) -> None:
    if isinstance(root, zipfile.ZipFile):
        root.writestr(name, data)
    else:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)


def fill(root: Path | zipfile.ZipFile) -> None:
    """Twelve pictures: all with a text, every second with columns, every third with a sound; and a few strangers."""
    for place in range(12):
        write(root, f"pictures/{place}.png", picture())
        write(root, f"pictures/{place}.txt", f"picture number {place}".encode())
        if place % 2 == 0:
            write(root, f"pictures/{place}.json", json.dumps({"mood": "calm", "size": place}).encode())
        if place % 3 == 0:
            write(
                root,
                f"pictures/{place}.FLAC" if place == 3 else f"pictures/{place}.wav",
                tone(300 + 100 * place, "FLAC" if place == 3 else "WAV"),
            )
    write(root, "pictures/alone.wav", tone(500))
    write(root, "pictures/1.json", b"not json")
    write(root, "pictures/2.ogg", b"no sound at all")


@pytest.mark.parametrize("packed", [False, True])
def test_text_columns_and_sound_lie_beside_a_picture(packed: bool, tmp_path: Path) -> None:
    source = tmp_path / ("set.zip" if packed else "set")
    if packed:
        with zipfile.ZipFile(source, "w") as archive:
            fill(archive)
    else:
        fill(source)
    dataset = prepare(source, tmp_path / "made", PrepareConfig(size=(16, 16), validation=0.2, test=0.2), workers=1)
    assert len(dataset) == 12
    by_name = {record["name"].rpartition("/")[2]: (place, record) for place, record in enumerate(dataset.records)}
    assert by_name["4.png"][1]["text"] == "picture number 4"
    assert (by_name["4.png"][1]["mood"], by_name["4.png"][1]["size"]) == ("calm", 4)
    assert "mood" not in by_name["5.png"][1]
    sounds = dataset.sounds
    assert sounds is not None
    assert len(sounds) == 4
    place = by_name["9.png"][0]
    (own,) = sounds.candidates(place, -1, 0)
    spectrum = np.abs(np.fft.rfft(sounds.waveform(int(own))))
    assert spectrum.argmax() / len(sounds.waveform(int(own))) * 16_000 == pytest.approx(1200, rel=0.01)
    assert not len(sounds.candidates(by_name["2.png"][0], -1, 0))
    told = {
        one["name"].rpartition("/")[2]: one["reason"]
        for one in json.loads((tmp_path / "made" / "report.json").read_text())["left_out"]
    }
    assert "no JSON" in told["1.json"]
    assert any("no sound" in reason for name, reason in told.items() if "2.png" in name)
    assert "alone.wav" in told
    assert Dataset.open(tmp_path / "made").sounds is not None


def classes(root: Path) -> Path:
    for place in range(24):
        write(root, f"{'ab'[place % 2]}/{place}.png", picture())
    return root


def test_recordings_are_given_to_pictures_of_their_class_and_a_sets_own_split_is_kept(tmp_path: Path) -> None:
    recordings = tmp_path / "spoken.zip"
    rows = []
    with zipfile.ZipFile(recordings, "w") as archive:
        for place in range(12):
            name = f"{'test' if place < 4 else 'train'}/{place}.wav"
            archive.writestr(name, tone(200 + 30 * place))
            rows.append({"file_name": name, "label": "abc"[place % 3]})
        archive.writestr("metadata.jsonl", "\n".join(map(json.dumps, rows)))
    config = PrepareConfig(size=(16, 16), sounds=str(recordings))
    sounds = prepare(classes(tmp_path / "set"), tmp_path / "made", config, workers=1).sounds
    assert sounds is not None
    assert len(sounds) == 8  # there is no class c
    assert (sounds.splits[sounds.labels == 0] == 2).sum() == 2
    assert set(sounds.candidates(0, 1, 0)) | set(sounds.candidates(0, 1, 1)) | set(sounds.candidates(0, 1, 2)) == set(
        np.flatnonzero(sounds.labels == 1)
    )
    with pytest.raises(UserError, match="label of a class"):
        write(tmp_path / "strange", "x/1.wav", tone(300))
        write(tmp_path / "strange", "y/2.wav", tone(400))
        config = PrepareConfig(size=(16, 16), sounds=str(tmp_path / "strange"))
        prepare(tmp_path / "set", tmp_path / "other", config, workers=1)
    assert not (tmp_path / "other").exists()


def test_combinations_kept_apart_are_in_a_split_of_their_own(tmp_path: Path) -> None:
    config = PrepareConfig(size=(16, 16), count=200, apart="subject, style", apart_share=0.1)
    dataset = prepare("studies", tmp_path / "made", config, workers=1)
    apart = dataset.indices("apart")
    assert len(apart)
    kinds = [(record["subject"], record["style"]) for record in dataset.records]
    others = {kinds[place] for split in ("train", "validation", "test") for place in dataset.indices(split)}
    assert not {kinds[place] for place in apart} & others
    counts = [len(dataset.indices(split)) for split in ("train", "validation", "test", "apart")]
    assert sum(counts) == len(dataset)


def test_a_set_that_was_prepared_before_these_options_existed_still_stands(tmp_path: Path) -> None:
    config = PrepareConfig(size=(16, 16), count=20)
    prepare("studies", tmp_path / "made", config, workers=1)
    path = tmp_path / "made" / "manifest.json"
    manifest = json.loads(path.read_text())
    for option in ("apart", "apart_share", "sounds"):
        del manifest["options"][option]
    path.write_text(json.dumps(manifest))
    assert len(prepare("studies", tmp_path / "made", config, workers=1)) == 20
    with pytest.raises(UserError, match="different apart"):
        prepare("studies", tmp_path / "made", config.model_copy(update={"apart": "subject"}), workers=1)
