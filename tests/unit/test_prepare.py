"""From a mess of files to a dataset that is whole or not there."""

import io
import json
import os
import shutil
import struct
import subprocess
import sys
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from allaprima.core.config import validate
from allaprima.core.errors import UserError
from allaprima.core.files import sha256_file
from allaprima.data.dataset import Dataset
from allaprima.data.prepare import PrepareConfig, prepare
from allaprima.data.studies.studies import study
from allaprima.training import command

SMALL = PrepareConfig(size=(32, 32))


def drawn(index, side=48, seed=9):
    return Image.fromarray(study(seed, index, (side, side))[0])


@pytest.fixture
def folder(tmp_path):
    """Two classes of 16 pictures each."""
    source = tmp_path / "source"
    for index in range(32):
        place = source / ("cats" if index % 2 else "dogs")
        place.mkdir(parents=True, exist_ok=True)
        drawn(index).save(place / f"{index}.png")
    return source


def left_out(dataset):
    return json.loads((dataset.folder / "report.json").read_text())["left_out"]


def nothing_left(tmp_path, *expected):
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(expected)


def test_a_dataset_holds_pictures_labels_records_and_splits(folder, tmp_path):
    (folder / "cats" / "1.txt").write_text("a cat")
    dataset = prepare(folder, tmp_path / "d", PrepareConfig(size=(40, 24)), workers=1)
    assert dataset.images.shape == (32, 24, 40, 3)
    assert dataset.classes == ["cats", "dogs"]
    assert dataset.manifest.split_counts == {"train": 24, "validation": 4, "test": 4}
    for record, label in zip(dataset.records, dataset.labels, strict=True):
        assert record["name"].startswith(dataset.classes[label])
    assert next(record["text"] for record in dataset.records if record["name"] == "cats/1.png") == "a cat"
    assert dataset.manifest.files == {name: sha256_file(dataset.folder / name) for name in dataset.manifest.files}
    nothing_left(tmp_path, "source", "d")
    assert sorted(os.listdir(dataset.folder)) == sorted([*dataset.manifest.files, "card.md", "manifest.json"])


def test_the_number_of_workers_changes_no_byte(tmp_path):
    studies = PrepareConfig(size=(16, 16), count=100, seed=3)
    alone = prepare("studies", tmp_path / "a", studies, workers=1)
    together = prepare("studies", tmp_path / "b", studies, workers=3)
    assert alone.manifest == together.manifest
    assert alone.manifest.count == 100
    assert alone.manifest.has_text


def test_a_zip_is_read_alike_by_any_number_of_workers(folder, tmp_path):
    rows = []
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
        for path in sorted(folder.glob("*/*.png")) * 4:
            name = f"{len(rows)}.png"
            rows.append(json.dumps({"file_name": name, "text": path.parent.name}))
            archive.writestr(name, path.read_bytes())
        archive.writestr("metadata.jsonl", "\n".join(rows))  # read before the workers start, from the same archive
    keep = PrepareConfig(size=(32, 32), keep_duplicates=True)
    alone = prepare(tmp_path / "s.zip", tmp_path / "a", keep, workers=1)
    together = prepare(tmp_path / "s.zip", tmp_path / "b", keep, workers=4)
    assert len(alone) == len(together) == 128
    assert alone.manifest == together.manifest


def test_names_and_formats_change_neither_content_nor_split(folder, tmp_path):
    dataset = prepare(folder, tmp_path / "a", SMALL, workers=1)
    other = tmp_path / "other"
    for number, path in enumerate(sorted(folder.glob("*/*.png"), reverse=True)):
        (other / path.parent.name).mkdir(parents=True, exist_ok=True)
        Image.open(path).save(other / path.parent.name / f"z{number}.bmp")
    again = prepare(other, tmp_path / "b", SMALL, workers=1)

    def splits(one):
        return {one.images[i].tobytes(): s for s in ("train", "validation", "test") for i in one.indices(s)}

    assert splits(dataset) == splits(again)


def damaged_files():
    """Files that have ended other people's runs → the check that must name each."""
    whole = io.BytesIO()
    drawn(99, 200).save(whole, "JPEG")
    exploding = io.BytesIO()
    Image.new("1", (1, 1)).save(exploding, "PNG")
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 1, 0, 0, 0, 0)
    bomb = (
        exploding.getvalue()[:16] + header + struct.pack(">I", zlib.crc32(b"IHDR" + header)) + exploding.getvalue()[33:]
    )

    def saved(picture, kind="PNG"):
        file = io.BytesIO()
        picture.save(file, kind)
        return file.getvalue()

    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    return {
        "empty.png": (b"", "unreadable"),
        "truncated.jpg": (whole.getvalue()[: len(whole.getvalue()) // 2], "unreadable"),
        "page.jpg": (b"<html>not found</html>", "unreadable"),
        "film.mp4": (b"\0\0\0\x20ftypisom" + b"\0" * 500, "unreadable"),
        "phone.heic": (b"\0\0\0\x20ftypheic" + b"\0" * 500, "unreadable"),
        "one.png": (saved(Image.new("RGB", (1, 1))), "tiny"),
        "bomb.png": (bomb, "bomb"),
        "plain.png": (saved(Image.new("RGB", (64, 64), "teal")), "flat"),
        "static.png": (saved(Image.fromarray(noise)), "noise"),
        "again.bmp": (saved(drawn(3), "BMP"), "duplicate"),
        "resaved.webp": (saved(drawn(3).resize((96, 96), Image.Resampling.BICUBIC)), "near_duplicate"),
    }


def test_every_bad_file_is_named_with_its_reason_and_none_is_fatal(folder, tmp_path):
    for name, (content, _) in damaged_files().items():
        (folder / "cats" / name).write_bytes(content)
    (folder / "cats" / "folder.png").mkdir()
    dataset = prepare(folder, tmp_path / "d", SMALL, workers=2)
    assert len(dataset) == 32
    named = {os.path.basename(one["name"]): one["check"] for one in left_out(dataset)}
    expected = {name: check for name, (_, check) in damaged_files().items()} | {"folder.png": "unreadable"}
    # of two pictures that are nearly the same the larger one stays
    expected["3.png"] = "near_duplicate"
    del expected["resaved.webp"]
    expected["again.bmp"] = named["again.bmp"]
    assert named == expected
    assert named["again.bmp"] in ("duplicate", "near_duplicate")
    assert all(one["reason"] for one in left_out(dataset))


class Crashing:
    """A reader whose picture 40 ends the process that reads it, as a fault in a decoder does."""

    def read(self, key):
        if key == 40:
            os._exit(11)
        return np.asarray(drawn(key, 16))

    def close(self):
        pass


def test_a_decoder_that_crashes_costs_one_picture(tmp_path):
    from allaprima.data.checks import Limits
    from allaprima.data.processes import examine_all
    from allaprima.data.worker import Job

    count = 90
    np.save(tmp_path / "a.npy", np.zeros((count, 16, 16, 3), np.uint8))
    job = Job(Crashing(), str(tmp_path / "a.npy"), (16, 16), "crop", "RGB", Limits())
    chunks = dict(examine_all(job, [str(key) for key in range(count)], list(range(count)), 2))
    outcomes = [outcome for start in sorted(chunks) for outcome in chunks[start]]
    assert [place for place, outcome in enumerate(outcomes) if outcome.check] == [40]
    assert "crashed" in outcomes[40].reason
    array = np.load(tmp_path / "a.npy")
    np.testing.assert_array_equal(array[89], np.asarray(drawn(89, 16)))


def test_grey_pictures_are_stored_in_one_channel_unless_one_has_colour(folder, tmp_path):
    grey = tmp_path / "grey"
    grey.mkdir()
    for index in range(12):
        drawn(index).convert("L").convert(("L", "RGB")[index % 2]).save(grey / f"{index}.png")
    assert prepare(grey, tmp_path / "a", SMALL, workers=1).images.shape == (12, 32, 32, 1)
    drawn(50).save(grey / "colour.png")
    assert prepare(grey, tmp_path / "b", SMALL, workers=1).images.shape == (13, 32, 32, 3)
    forced = prepare(grey, tmp_path / "c", SMALL.model_copy(update={"colour": "grey"}), workers=1)
    assert forced.images.shape == (13, 32, 32, 1)


def test_rgba_stays_rgba_if_asked_and_lies_on_white_otherwise(tmp_path):
    source = tmp_path / "s"
    source.mkdir()
    for index in range(12):
        picture = drawn(index).convert("RGBA")
        picture.paste((0, 0, 0, 0), (0, 0, 20, 48))
        picture.save(source / f"{index}.png")
    white = prepare(source, tmp_path / "a", SMALL, workers=1)
    assert (white.images[:, :, :10] == 255).all()
    clear = prepare(source, tmp_path / "b", PrepareConfig(size=(32, 32), colour="rgba"), workers=1)
    assert (clear.images[:, :, :10] == 0).all()
    assert (clear.images[:, :, 20:, 3] == 255).all()


def test_kept_duplicates_never_cross_the_split(folder, tmp_path):
    for index in range(32):
        name = "cats" if index % 2 else "dogs"
        drawn(index).save(folder / name / f"copy{index}.bmp")
    dataset = prepare(folder, tmp_path / "d", PrepareConfig(size=(32, 32), keep_duplicates=True), workers=1)
    assert len(dataset) == 64
    seen = {}
    for split in ("train", "validation", "test"):
        for place in dataset.indices(split):
            assert seen.setdefault(dataset.images[place].tobytes(), split) == split
    assert len(seen) == 32


def test_a_dataset_that_stands_is_used_again_and_another_is_not_replaced_unasked(folder, tmp_path, capsys):
    first = prepare(folder, tmp_path / "d", SMALL, workers=1)
    stamp = (first.folder / "manifest.json").stat().st_mtime_ns
    assert prepare(folder, tmp_path / "d", SMALL, workers=1).manifest == first.manifest
    assert (first.folder / "manifest.json").stat().st_mtime_ns == stamp
    assert "stands already" in capsys.readouterr().err
    with pytest.raises(UserError, match="different size"):
        prepare(folder, tmp_path / "d", PrepareConfig(size=(16, 16)), workers=1)
    drawn(77).save(folder / "cats" / "new.png")
    with pytest.raises(UserError, match="different source"):
        prepare(folder, tmp_path / "d", SMALL, workers=1)
    assert len(prepare(folder, tmp_path / "d", SMALL, workers=1, force=True)) == 33
    nothing_left(tmp_path, "source", "d")


def test_a_dataset_that_a_kill_left_put_aside_is_back_before_anything_takes_its_place(folder, tmp_path):
    first = prepare(folder, tmp_path / "d", PrepareConfig(size=(16, 16)), workers=1)
    fingerprint = first.manifest.fingerprint
    for then in ("prepare", "train"):
        (tmp_path / "d").rename(tmp_path / ".d.partial-replaced")
        shutil.copytree(tmp_path / ".d.partial-replaced", tmp_path / ".d.partial-12ab")
        if then == "prepare":
            with pytest.raises(UserError, match="prepared otherwise"):
                prepare("studies", tmp_path / "d", PrepareConfig(size=(16, 16), count=40), workers=1)
        else:
            assert command.open_or_prepare(str(tmp_path / "d"), "16", print).manifest.fingerprint == fingerprint
        assert Dataset.open(tmp_path / "d").manifest.fingerprint == fingerprint
        assert not list(tmp_path.glob(".d.partial-*"))


def test_a_folder_of_other_things_is_never_replaced(folder, tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "thesis.txt").write_text("all my work")
    for force in (False, True):
        with pytest.raises(UserError, match="no prepared dataset"):
            prepare(folder, tmp_path / "d", SMALL, workers=1, force=force)
    assert (tmp_path / "d" / "thesis.txt").read_text() == "all my work"


def test_a_failure_leaves_nothing_behind_and_the_old_dataset_in_place(folder, tmp_path, monkeypatch):
    first = prepare(folder, tmp_path / "d", SMALL, workers=1).manifest

    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("allaprima.data.prepare.write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare(folder, tmp_path / "d", SMALL, workers=1, force=True)
    with pytest.raises(KeyboardInterrupt):
        prepare(folder, tmp_path / "e", SMALL, workers=1)
    nothing_left(tmp_path, "source", "d")
    assert Dataset.open(tmp_path / "d").manifest == first


def test_what_a_killed_prepare_left_is_swept(folder, tmp_path):
    (tmp_path / ".d.partial-0123abcd").mkdir()
    (tmp_path / ".d.partial-0123abcd" / "provisional.npy").write_bytes(b"x")
    prepare(folder, tmp_path / "d", SMALL, workers=1)
    nothing_left(tmp_path, "source", "d")


def test_two_at_once_on_one_target_do_not_disturb_each_other(folder, tmp_path):
    from allaprima.core.files import claim_folder

    with claim_folder(tmp_path / ".d.partial-0123abcd"), pytest.raises(UserError, match="by another process"):
        prepare(folder, tmp_path / "d", SMALL, workers=1)


def missing_labels(folder):
    drawn(70).save(folder / "loose.png")


def empty_class(folder):
    (folder / "birds").mkdir()


def broken_class(folder):
    (folder / "birds").mkdir()
    (folder / "birds" / "a.png").write_bytes(b"no")


def three_pictures(folder):
    for path in sorted(folder.glob("*/*.png"))[3:]:
        path.unlink()


def only_other_files(folder):
    for path in folder.glob("*/*.png"):
        path.rename(path.with_suffix(".wav")).write_bytes(b"RIFF")


def no_pictures(folder):
    for path in folder.glob("*/*.png"):
        path.unlink()


def nothing_new_to_learn(folder):
    """Every picture of train is in test too."""
    for path in sorted(folder.glob("*/*.png")):
        for split in ("train", "test"):
            (folder / split).mkdir(exist_ok=True)
            (folder / split / path.name).write_bytes(path.read_bytes())
        path.unlink()
    for name in ("cats", "dogs"):
        (folder / name).rmdir()


def a_class_each(folder):
    for path in sorted(folder.glob("*/*.png")):
        place = folder / f"class{path.stem}"
        place.mkdir()
        path.rename(place / path.name)
    for name in ("cats", "dogs"):
        (folder / name).rmdir()


@pytest.mark.parametrize(
    ("spoil", "problem", "remedy"),
    [
        (nothing_new_to_learn, r"none would be left to learn from \(left out: 32 duplicate\)", "train split"),
        (a_class_each, "Of 32 usable pictures none could be held out to validate on", "--labels none"),
        (missing_labels, "1 of 33 pictures have no label, for example 'loose.png'", "--labels none"),
        (empty_class, "Class 'birds' has no usable pictures", "delete it"),
        (broken_class, r"Class 'birds' has no usable pictures \(left out: 1 unreadable\)", "delete it"),
        (three_pictures, "Only 3 usable pictures", "at least 10"),
        (only_other_files, r"No usable pictures \(left out: 32 unreadable\)", "at least 10"),
        (no_pictures, "No pictures in", "PNG"),
    ],
)
def test_bad_input_is_a_plain_message_and_nothing_is_written(folder, tmp_path, spoil, problem, remedy):
    spoil(folder)
    with pytest.raises(UserError, match=problem) as error:
        prepare(folder, tmp_path / "d", SMALL, workers=1)
    assert remedy in error.value.remedy
    nothing_left(tmp_path, "source")


def test_ten_pictures_are_enough_for_every_split(tmp_path):
    (tmp_path / "source").mkdir()
    for index in range(10):
        drawn(index).save(tmp_path / "source" / f"{index}.png")
    dataset = prepare(tmp_path / "source", tmp_path / "d", SMALL, workers=1)
    assert dataset.manifest.split_counts == {"train": 6, "validation": 2, "test": 2}


@pytest.mark.parametrize("name", ["images.npy", "labels.npy", "splits.npy"])
@pytest.mark.parametrize("damage", ["gone", "empty", "cut", "other"])
def test_a_damaged_array_is_said_plainly_and_prepared_again_with_force(folder, tmp_path, name, damage):
    path = prepare(folder, tmp_path / "d", SMALL, workers=1).folder / name
    whole = path.read_bytes()
    path.unlink()
    if damage == "other":
        np.save(path, np.zeros(3, np.float32))
    elif damage != "gone":
        path.write_bytes(b"" if damage == "empty" else whole[:-5])
    with pytest.raises(UserError, match=rf"{name}' is damaged") as error:
        Dataset.open(tmp_path / "d")
    assert "--force" in error.value.remedy
    prepare(folder, tmp_path / "d", SMALL, workers=1, force=True)
    assert path.read_bytes() == whole


def test_damaged_records_are_said_plainly(folder, tmp_path):
    dataset = prepare(folder, tmp_path / "d", SMALL, workers=1)
    (dataset.folder / "records.jsonl").unlink()
    with pytest.raises(UserError, match=r"records\.jsonl' is damaged"):
        _ = dataset.records


def test_unlabelled_pictures_can_be_dropped_or_labels_ignored(folder, tmp_path):
    missing_labels(folder)
    dropped = prepare(folder, tmp_path / "a", PrepareConfig(size=(32, 32), unlabelled="drop"), workers=1)
    assert (len(dropped), dropped.classes) == (32, ["cats", "dogs"])
    assert [one["check"] for one in left_out(dropped)] == ["unlabelled"]
    ignored = prepare(folder, tmp_path / "b", PrepareConfig(size=(32, 32), labels="none"), workers=1)
    assert (len(ignored), ignored.classes) == (33, [])
    assert set(ignored.labels.tolist()) == {-1}


def test_target_and_source_may_not_hold_each_other(folder, tmp_path):
    with pytest.raises(UserError, match="lies inside the source"):
        prepare(folder, folder / "d", SMALL)
    with pytest.raises(UserError, match="lies inside"):
        prepare(folder / "cats", folder, SMALL)


def test_a_disk_without_space_is_said_before_anything_is_written(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("allaprima.data.prepare.SPARE_BYTES", 1 << 60)
    with pytest.raises(UserError, match="No space"):
        prepare(folder, tmp_path / "d", SMALL)
    nothing_left(tmp_path, "source")


@pytest.mark.parametrize(
    ("written", "meant"),
    [("64", (64, 64)), (48, (48, 48)), ("96x64", (96, 64)), ("96×64", (96, 64)), ([96, 64], (96, 64))],
)
def test_a_size_is_read_as_people_write_it(written, meant):
    assert validate(PrepareConfig, {"size": written}).size == meant


@pytest.mark.parametrize("written", ["big", "64x", "1x2x3", "4", "9999"])
def test_a_size_that_means_nothing_is_refused(written):
    with pytest.raises(UserError, match="size"):
        validate(PrepareConfig, {"size": written})


def test_no_private_metadata_reaches_the_dataset(tmp_path):
    token = b"TOKEN-4711-GEHEIM"
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
        for index in range(12):
            exif = Image.Exif()
            exif[0x010E] = token.decode()
            exif[0x8825] = {1: "N", 2: (52.0, 30.0, 0.0)}
            file = io.BytesIO()
            drawn(index).save(file, "JPEG", exif=exif, comment=token)
            archive.writestr(f"{index}.jpg", file.getvalue() + token)
    dataset = prepare(tmp_path / "s.zip", tmp_path / "d", SMALL, workers=1)
    for path in dataset.folder.iterdir():
        assert token not in path.read_bytes()


def test_the_command_prepares_and_a_mistake_ends_with_code_2(folder, tmp_path):
    def run(*arguments):
        command = [sys.executable, "-m", "allaprima", "prepare", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    done = run(folder, tmp_path / "d", "--size", "24x16", "--workers", 1)
    assert done.returncode == 0, done.stderr
    assert "32 pictures (24 train, 4 validation, 4 test), 2 classes, 24x16 px, rgb" in done.stderr
    assert Dataset.open(tmp_path / "d").images.shape == (32, 16, 24, 3)
    failed = run(folder, tmp_path / "e", "--fit", "squeeze")
    assert failed.returncode == 2
    assert "fit" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_the_worker_needs_no_torch_and_no_settings_library():
    code = "import sys, allaprima.data.processes; print('torch' in sys.modules, 'pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.parametrize(
    ("source", "size", "colour", "shape", "classes", "least"),
    [
        ("sprites/dcss-tiles-32.zip", 32, "rgba", (32, 32, 4), 7, 3850),
        ("emoji/noto-emoji.zip", 32, "auto", (32, 32, 3), 9, 1600),
        ("photos/clothing-1000.zip", 32, "auto", (32, 32, 3), 10, 1000),
        ("medical/pneumonia-28.npz", 32, "auto", (32, 32, 1), 2, 3150),
    ],
)
def test_real_sets_keep_nearly_all_of_their_pictures(
    shared_data, tmp_path, source, size, colour, shape, classes, least
):
    dataset = prepare(shared_data / source, tmp_path / "d", PrepareConfig(size=(size, size), colour=colour))
    assert dataset.images.shape[1:] == shape
    assert len(dataset.classes) == classes
    assert len(dataset) >= least


@pytest.mark.parametrize("size", [(90, 30), (30, 90)])
def test_one_colour_is_found_within_the_border_that_pad_adds(folder, tmp_path, size):
    Image.new("RGB", size, (200, 30, 30)).save(folder / "cats" / "plain.png")
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "cats" / "restless.png")
    drawn(99).resize(size).save(folder / "cats" / "wide.png")
    dataset = prepare(folder, tmp_path / "d", SMALL.model_copy(update={"fit": "pad"}), workers=1)
    assert {one["name"]: one["check"] for one in left_out(dataset)} == {
        "cats/plain.png": "flat",
        "cats/restless.png": "noise",
    }


def test_lost_transparency_is_said(tmp_path, capsys):
    source = tmp_path / "s"
    source.mkdir()
    for index in range(14):
        picture = drawn(index).convert("RGBA")  # opaque so far
        if index < 12:
            picture.paste((0, 0, 0, 0), (0, 0, 20, 48))
        picture.save(source / f"{index}.png")
    line = "12 pictures are transparent; painted on white; --colour rgba keeps it"
    dataset = prepare(source, tmp_path / "a", SMALL, workers=1)
    assert line in capsys.readouterr().err
    assert json.loads((dataset.folder / "report.json").read_text())["notes"] == [line]
    kept = prepare(source, tmp_path / "b", SMALL.model_copy(update={"colour": "rgba"}), workers=1)
    printed = capsys.readouterr().err
    assert "transparent" not in printed
    assert "32x32 px, rgba" in printed
    assert json.loads((kept.folder / "report.json").read_text())["notes"] == []


def test_the_summary_ends_with_the_next_command(folder, tmp_path, capsys):
    for _ in range(2):  # made, and found standing
        prepare(folder, tmp_path / "my cats", SMALL, workers=1)
        last = capsys.readouterr().err.splitlines()[-1]
        assert last == f"next: allaprima train '{tmp_path / 'my cats'}' 'runs/my cats'"


def test_a_place_that_is_no_disk_is_said_to_take_no_files(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("allaprima.data.prepare.shutil.disk_usage", lambda place: (0, 0, 0))
    with pytest.raises(UserError, match="Cannot write"):
        prepare(folder, tmp_path / "d", SMALL)
    nothing_left(tmp_path, "source")
