"""Where pictures come from, and what is known about each before it is read."""

import gzip
import io
import json
import os
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from allaprima.core.errors import UserError
from allaprima.data.labels import choose, class_names
from allaprima.data.refused import Refused
from allaprima.data.sources import Request, find

REQUEST = Request((32, 32), 12, 0)


def png(number=0, size=(16, 16)):
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(number).integers(0, 256, (*size, 3), dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()


def tree(files):
    return {path: content if isinstance(content, bytes) else content.encode() for path, content in files.items()}


@pytest.fixture(params=["folder", "zip"])
def lay(request, tmp_path):
    """Puts files into a folder or a zip and scans it: the two must see the same."""

    def scan(files):
        files = tree(files)
        if request.param == "folder":
            source = tmp_path / "source"
            for path, content in files.items():
                (source / path).parent.mkdir(parents=True, exist_ok=True)
                (source / path).write_bytes(content)
        else:
            source = tmp_path / "source.zip"
            with zipfile.ZipFile(source, "w", zipfile.ZIP_DEFLATED) as archive:
                for path, content in files.items():
                    archive.writestr(path, content)
        return find(str(source)).scan(str(source), REQUEST)

    return scan


def test_class_folders_give_labels_however_deep_the_pictures_lie(lay):
    listing = lay(
        {"all/cat/a.png": png(), "all/cat/black/b.png": png(), "all/dog/c.png": png(), "all/dog/.hid.png": "x"}
    )
    assert {item.name: item.folder for item in listing.items} == {
        "all/cat/a.png": "cat", "all/cat/black/b.png": "cat", "all/dog/c.png": "dog",
    }  # fmt: skip
    assert listing.class_folders == ["cat", "dog"]
    with listing.reader.read(listing.items[0].key) as file:
        assert file.read() == png()


def test_one_folder_around_all_pictures_is_no_class(lay):
    assert {item.folder for item in lay({"images/a.png": png(), "images/b.png": png()}).items} == {None}


def test_folders_called_train_and_test_are_splits(lay):
    listing = lay({"train/cat/a.png": png(), "train/dog/b.png": png(), "test/cat/c.png": png(), "val/dog/d.png": png()})
    assert [(item.folder, item.split) for item in listing.items] == [
        ("cat", "test"), ("cat", "train"), ("dog", "train"), ("dog", "validation"),
    ]  # fmt: skip


def test_metadata_gives_text_and_every_other_column(lay):
    rows = [
        {"file_name": "p/a.png", "text": "a cat", "label": 3, "tags": ["x"]},
        {"file_name": "./p\\b.png", "label": 11},
    ]
    lines = "\n".join(json.dumps(row) for row in rows)
    listing = lay({"p/a.png": png(), "p/b.png": png(), "metadata.jsonl": lines + "\n\n"})
    assert [(item.text, item.columns) for item in listing.items] == [
        ("a cat", {"label": 3, "tags": ["x"]}),
        (None, {"label": 11}),
    ]
    assert choose(listing.items, "auto") == ["3", "11"]
    assert class_names(choose(listing.items, "auto")) == ["3", "11"]


def test_a_csv_does_the_same_and_missing_pictures_are_named(lay):
    table = '\ufefffile_name,text,category\na.png,"one, two",x\ngone.png,?,y\n'
    listing = lay({"d/a.png": png(), "d/b.png": png(), "d/metadata.csv": table})
    assert [(item.text, item.columns.get("category")) for item in listing.items] == [("one, two", "x"), (None, None)]
    assert [(one.name, one.reason) for one in listing.left_out] == [
        ("d/gone.png", "named in d/metadata.csv, but not there")
    ]


def test_a_text_file_beside_a_picture_is_its_text_and_other_files_are_named(lay):
    listing = lay({"a.png": png(), "a.txt": "a hill\n", "b.png": png(), "notes.txt": "?", "README.md": "?"})
    assert [item.text for item in listing.items] == ["a hill", None]
    assert {one.name for one in listing.left_out} == {"notes.txt", "README.md"}


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"metadata.jsonl": "{broken"}, "line 1"),
        ({"metadata.jsonl": '{"text": "x"}'}, "no 'file_name'"),
        ({"metadata.csv": "name,text\na.png,x\n"}, "no column 'file_name'"),
    ],
)
def test_damaged_metadata_is_named_with_its_line(lay, files, words):
    with pytest.raises(UserError, match=words):
        lay({"a.png": png(), **files})


def test_a_column_of_lists_gives_no_labels_and_an_unknown_one_is_suggested(lay):
    listing = lay({"a.png": png(), "metadata.jsonl": json.dumps({"file_name": "a.png", "tags": [1], "kind": "x"})})
    with pytest.raises(UserError, match="more than one value"):
        choose(listing.items, "tags")
    with pytest.raises(UserError, match="did you mean 'kind'"):
        choose(listing.items, "kin")


@pytest.mark.skipif(os.name == "nt", reason="needs links and pipes as POSIX has them")
def test_loops_pipes_and_odd_names_are_survived(tmp_path):
    (tmp_path / "s" / "x.png").mkdir(parents=True)
    (tmp_path / "s" / "ok ☃\n.png").write_bytes(png())
    os.symlink(tmp_path / "s", tmp_path / "s" / "loop")
    os.symlink(tmp_path / "nowhere", tmp_path / "s" / "dangling.png")
    os.mkfifo(tmp_path / "s" / "pipe.png")
    with open(os.path.join(os.fsencode(tmp_path), b"s", b"caf\xe9.png"), "wb") as file:
        file.write(png(1))
    listing = find(str(tmp_path / "s")).scan(str(tmp_path / "s"), REQUEST)
    assert sorted(item.name for item in listing.items) == ["caf\ufffd.png", "ok ☃\n.png"]
    for item in listing.items:
        item.name.encode("utf-8")
        with listing.reader.read(item.key) as file:
            assert file.read().startswith(b"\x89PNG")
    assert {one.name for one in listing.left_out} == {"x.png", "loop", "dangling.png", "pipe.png"}


def test_members_that_climb_out_lie_or_unpack_without_end_are_left_out(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "z.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../evil.png", png())
        archive.writestr("bomb.png", b"\0" * 3_000_000)
    monkeypatch.setattr("allaprima.data.sources.zip.MOST_BYTES", 1_000_000)
    listing = find(str(tmp_path / "z.zip")).scan(str(tmp_path / "z.zip"), REQUEST)
    by_name = {item.name: item.key for item in listing.items}
    with listing.reader.read(by_name["evil.png"]) as file:
        assert file.read() == png()
    with pytest.raises(Refused) as refused:
        listing.reader.read(by_name["bomb.png"])
    assert refused.value.check == "bomb"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["z.zip"]


def idx(folder, part, count, packed=True, labels=True, side=10):
    images = np.random.default_rng(count).integers(0, 256, (count, side, side), dtype=np.uint8)
    opened, end = (gzip.open, ".gz") if packed else (open, "")
    folder.mkdir(exist_ok=True)
    with opened(folder / f"{part}-images-idx3-ubyte{end}", "wb") as file:
        file.write(struct.pack(">4I", 0x803, count, side, side) + images.tobytes())
    if labels:
        with opened(folder / f"{part}-labels-idx1-ubyte{end}", "wb") as file:
            file.write(struct.pack(">2I", 0x801, count) + bytes(i % 10 for i in range(count)))
    return images


@pytest.mark.parametrize("packed", [True, False])
def test_an_idx_folder_gives_both_pairs_and_the_test_split(tmp_path, packed):
    train, test = idx(tmp_path / "m", "train", 30, packed), idx(tmp_path / "m", "t10k", 20, packed)
    listing = find(str(tmp_path / "m")).scan(str(tmp_path / "m"), REQUEST)
    assert [item.split for item in listing.items] == ["train"] * 30 + ["test"] * 20
    assert [item.folder for item in listing.items[:11]] == [str(i % 10) for i in range(11)]
    for place in (0, 29, 7, 30, 49, 3):  # forwards and backwards
        expected = train[place] if place < 30 else test[place - 30]
        np.testing.assert_array_equal(listing.reader.read(listing.items[place].key), expected)
    listing.reader.close()


def test_an_idx_file_finds_its_labels_or_does_without(tmp_path):
    idx(tmp_path / "m", "train", 12)
    file = tmp_path / "m" / "train-images-idx3-ubyte.gz"
    listing = find(str(file)).scan(str(file), REQUEST)
    assert {item.split for item in listing.items} == {None}
    assert listing.items[3].folder == "3"
    (tmp_path / "m" / "train-labels-idx1-ubyte.gz").unlink()
    assert find(str(file)).scan(str(file), REQUEST).items[3].folder is None


def test_idx_files_that_do_not_fit_are_plain_errors(tmp_path):
    idx(tmp_path / "m", "train", 12)
    labels = tmp_path / "m" / "train-labels-idx1-ubyte.gz"
    with pytest.raises(UserError, match="holds labels"):
        find(str(labels)).scan(str(labels), REQUEST)
    idx(tmp_path / "n", "train", 13)
    labels.write_bytes((tmp_path / "n" / labels.name).read_bytes())
    with pytest.raises(UserError, match="13 labels for 12 pictures"):
        find(str(tmp_path / "m")).scan(str(tmp_path / "m"), REQUEST)


def garble(path):
    """A valid gzip header, and then what no inflater understands."""
    path.write_bytes(path.read_bytes()[:10] + b"\xff" * 200)


def test_damaged_gzip_files_are_no_traceback(tmp_path):
    idx(tmp_path / "m", "train", 12)
    garble(tmp_path / "m" / "train-labels-idx1-ubyte.gz")
    with pytest.raises(UserError, match="no complete IDX header"):
        find(str(tmp_path / "m")).scan(str(tmp_path / "m"), REQUEST)
    images = tmp_path / "m" / "train-images-idx3-ubyte.gz"
    garble(images)
    with pytest.raises(UserError, match="no kind of source"):
        find(str(images))
    assert find(str(tmp_path / "m")).__name__.endswith("folder")


def test_labels_damaged_behind_their_header_are_no_traceback(tmp_path):
    count = 300_000  # the stream is read ahead: the damage must lie far behind
    idx(tmp_path / "m", "train", count, side=1)
    path = tmp_path / "m" / "train-labels-idx1-ubyte.gz"
    packer = zlib.compressobj(wbits=31)
    sound = struct.pack(">2I", 0x801, count) + np.random.default_rng(0).bytes(200_000)
    path.write_bytes(packer.compress(sound) + packer.flush(zlib.Z_FULL_FLUSH) + b"\xff" * 200)
    with pytest.raises(UserError, match="is damaged"):
        find(str(tmp_path / "m")).scan(str(tmp_path / "m"), REQUEST)


@pytest.mark.parametrize("name", ["images", "labels"])
def test_a_damaged_member_of_an_npz_is_no_traceback(tmp_path, name):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, images=np.zeros((6, 8, 8), np.uint8), labels=np.arange(6))
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo(f"{name}.npy")
        file = archive.open(member)
        start = archive.fp.tell()  # behind the local header
        file.close()
    data = bytearray(path.read_bytes())
    data[start : start + 20] = b"\xff" * 20
    path.write_bytes(data)
    with pytest.raises(UserError, match=f"array '{name}' in .* cannot be read"):
        find(str(path)).scan(str(path), REQUEST)


def forbid(monkeypatch, suffix):
    """Files that end like this may not be read (a mode would not stop the superuser)."""
    read = Path.read_bytes

    def guarded(path):
        if path.name.endswith(suffix):
            raise PermissionError(13, "Permission denied", str(path))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", guarded)


def test_a_caption_that_cannot_be_read_costs_only_the_text(tmp_path, monkeypatch):
    for name, content in {"a.png": png(), "a.txt": b"a cat", "b.png": png(1)}.items():
        (tmp_path / name).write_bytes(content)
    forbid(monkeypatch, ".txt")
    listing = find(str(tmp_path)).scan(str(tmp_path), REQUEST)
    assert [(item.name, item.text) for item in listing.items] == [("a.png", None), ("b.png", None)]
    assert [(one.name, one.reason) for one in listing.left_out] == [
        ("a.txt", "cannot be opened: Permission denied; its picture has no text")
    ]


def test_metadata_that_cannot_be_read_is_a_plain_error(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(png())
    (tmp_path / "metadata.csv").write_text("file_name,text\na.png,x\n")
    forbid(monkeypatch, ".csv")
    with pytest.raises(UserError, match=r"'metadata\.csv' cannot be opened: Permission denied"):
        find(str(tmp_path)).scan(str(tmp_path), REQUEST)


def test_an_idx_file_that_was_cut_short_loses_only_its_end(tmp_path):
    idx(tmp_path / "m", "train", 12, packed=False)
    file = tmp_path / "m" / "train-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:-150])
    listing = find(str(file)).scan(str(file), REQUEST)
    assert listing.reader.read((0, 9)).shape == (10, 10)
    with pytest.raises(Refused, match="ends before"):
        listing.reader.read((0, 10))
    listing.reader.close()


def npz(path, **arrays):
    np.savez_compressed(path, **arrays)
    return find(str(path)).scan(str(path), REQUEST)


def test_an_npz_of_images_and_labels(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (6, 9, 8, 3), dtype=np.uint8)
    listing = npz(tmp_path / "a.npz", images=images, labels=np.array([0, 1, 2, 0, -1, 1]), label_names=["x", "y", "z"])
    assert [item.folder for item in listing.items] == ["x", "y", "z", "x", None, "y"]
    for place in (5, 0, 2):
        np.testing.assert_array_equal(listing.reader.read(listing.items[place].key), images[place])


def test_an_npz_as_medmnist_lays_it_out_brings_its_splits(tmp_path):
    parts = {f"{part}_images": np.zeros((n, 28, 28), np.uint8) for part, n in (("train", 4), ("val", 2), ("test", 3))}
    labels = {f"{part}_labels": np.ones((n, 1), np.uint8) for part, n in (("train", 4), ("val", 2), ("test", 3))}
    listing = npz(tmp_path / "a.npz", **parts, **labels)
    assert [item.split for item in listing.items] == ["train"] * 4 + ["validation"] * 2 + ["test"] * 3
    assert {item.folder for item in listing.items} == {"1"}


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"images": np.zeros((3, 8, 8, 3), np.float32)}, "float32, not uint8"),
        ({"images": np.zeros((3, 3, 8, 8), np.uint8)}, "transpose"),
        ({"pictures": np.zeros((3, 8, 8), np.uint8)}, "no array 'images'"),
        ({"images": np.zeros((3, 8, 8), np.uint8), "labels": np.zeros(2, int)}, "2 labels for 3"),
        ({"images": np.zeros((3, 8, 8), np.uint8), "labels": np.array([{}, {}, {}])}, "cannot be read"),
    ],
)
def test_an_npz_of_another_kind_is_a_plain_error(tmp_path, arrays, words):
    with pytest.raises(UserError, match=words):
        npz(tmp_path / "a.npz", **arrays)


def test_studies_are_drawn_with_caption_class_and_factors():
    listing = find("studies").scan("studies", REQUEST)
    item = listing.items[5]
    assert len(listing.items) == 12
    assert item.folder in item.text
    assert item.columns["subject"] == item.folder
    assert listing.reader.read(item.key).shape == (32, 32, 3)


def test_what_is_no_source_is_said_plainly(tmp_path):
    (tmp_path / "pictures").mkdir()
    with pytest.raises(UserError, match=r"did you mean '.*pictures'"):
        find(str(tmp_path / "picture"))
    (tmp_path / "a.tar").write_bytes(b"x" * 600)
    with pytest.raises(UserError, match="no kind of source"):
        find(str(tmp_path / "a.tar"))
