"""StackedMNIST as a source: what is stacked, which class it is, and that no digit of the test split teaches anything."""

from __future__ import annotations

import gzip
import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from allaprima.core.device import Device
from allaprima.core.errors import UserError
from allaprima.data.dataset import Dataset
from allaprima.data.prepare import PrepareConfig, prepare
from allaprima.data.sources import Listing, Request, find, stacked
from allaprima.evaluation.judge import Judge
from allaprima.evaluation.small import small_pictures

SIDE = 12
DEVICE = Device(torch.device("cpu"), "fp32")


def digits(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """uint8 ``[N,12,12]`` and labels 0 to 9: a bright bar whose place and direction say which, ``seed`` its brightness."""
    draw = np.random.default_rng(seed)
    labels = (np.arange(count) % 10).astype(np.uint8)
    pictures = draw.integers(0, 25, (count, SIDE, SIDE)).astype(np.uint8)
    for picture, label in zip(pictures, labels, strict=True):
        place = 1 + 2 * (label % 5)
        across = picture if label < 5 else picture.T
        across[place : place + 2] = draw.integers(150, 256, (2, SIDE))
    return pictures, labels


def write_idx(folder: Path, part: str, pictures: np.ndarray, labels: np.ndarray | None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    head = struct.pack(">IIII", 0x803, *pictures.shape)
    with gzip.open(folder / f"{part}-images-idx3-ubyte.gz", "wb") as file:
        file.write(head + pictures.tobytes())
    if labels is not None:
        with gzip.open(folder / f"{part}-labels-idx1-ubyte.gz", "wb") as file:
            file.write(struct.pack(">II", 0x801, len(labels)) + labels.tobytes())


@pytest.fixture(scope="module")
def idx(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("idx") / "digits"
    write_idx(folder, "train", *digits(120, 0))
    write_idx(folder, "t10k", *digits(40, 1))
    return folder


def scan(folder: Path, count: int = 200, seed: int = 0) -> Listing:
    source = f"stacked:{folder}"
    module = find(source)
    assert module is stacked
    return module.scan(source, Request((SIDE, SIDE), count, seed))


def test_each_channel_holds_the_digit_that_the_class_names(idx: Path) -> None:
    parts = {"train": digits(120, 0), "test": digits(40, 1)}
    listing = scan(idx)
    assert len(listing.items) == 200
    for item in listing.items:
        pictures, labels = parts[item.split or ""]
        stack = listing.reader.read(item.key)
        assert stack.shape == (SIDE, SIDE, 3)
        assert item.folder is not None
        for channel, name in zip(np.moveaxis(stack, 2, 0), item.folder, strict=True):
            (place,) = np.flatnonzero((pictures == channel).all((1, 2)))  # in its own part, and so in no other
            assert labels[place] == int(name)


def test_every_tenth_stack_is_of_held_out_digits(idx: Path) -> None:
    listing = scan(idx)
    assert [item.split for item in listing.items[:20]] == (["train"] * 9 + ["test"]) * 2


def test_digits_are_drawn_by_the_seed_and_all_are_as_likely(idx: Path) -> None:
    first, same, other = (scan(idx, 3000, seed) for seed in (0, 0, 1))
    assert first.items == same.items
    assert first.state == same.state != other.state
    assert [item.key for item in first.items] != [item.key for item in other.items]
    assert scan(idx, 100).items == first.items[:100], "more of them begin with the same"
    counts = np.bincount([int(name) for item in first.items for name in item.folder or ""])
    assert (abs(counts - 900) < 150).all()


def test_a_stacked_dataset_is_prepared_split_and_known_as_such(idx: Path, tmp_path: Path) -> None:
    config = PrepareConfig(size=(SIDE, SIDE), count=600, keep_duplicates=True)
    dataset = prepare(f"stacked:{idx}", tmp_path / "stacked", config, workers=1)
    assert len(dataset) == 600
    assert dataset.domain.shape.channels == 3
    assert len(dataset.indices("test")) >= 60
    assert len(dataset.indices("validation")) > 0
    assert dataset.classes == sorted(dataset.classes)
    known = stacked.digits_of(dataset.manifest.options, dataset.classes)
    assert known is not None
    assert known[0] == [int(digit) for digit in dataset.classes[0]]
    names = [record["name"] for record in dataset.records]
    listed = {item.name: item for item in scan(idx, 600).items}
    for place in range(0, 600, 7):
        assert dataset.classes[dataset.labels[place]] == listed[names[place]].folder
    train = set(np.flatnonzero([listed[name].split == "test" for name in names]))
    assert train <= set(dataset.indices("test").tolist())


def test_other_datasets_are_no_stacks_whatever_their_classes_are_called(idx: Path, tmp_path: Path) -> None:
    assert stacked.digits_of({"state": "studies, seed 0"}, ["000", "001"]) is None
    assert stacked.digits_of({}, ["000"]) is None
    unlabelled = PrepareConfig(size=(SIDE, SIDE), count=60, keep_duplicates=True, labels="none")
    dataset = prepare(f"stacked:{idx}", tmp_path / "bare", unlabelled, workers=1)
    assert dataset.classes == []


def test_the_judge_of_stacks_looks_at_each_channel(idx: Path, tmp_path: Path) -> None:
    """A few hundred stacks show most of 1,000 classes not even once, yet their digits are learned."""
    config = PrepareConfig(size=(SIDE, SIDE), count=500, keep_duplicates=True)
    dataset = prepare(f"stacked:{idx}", tmp_path / "stacked", config, workers=1)
    judge = Judge.of(dataset, DEVICE)
    assert judge.classifier.net.head.out_features == 10
    places = dataset.indices("test")
    seen = judge.classify(small_pictures(dataset, places))
    assert (seen.numpy() == dataset.labels[places]).mean() > 0.9
    assert judge.predict(small_pictures(dataset, places[:4])).shape == (4, len(dataset.classes))
    again = Judge.of(Dataset.open(dataset.folder), DEVICE)
    assert torch.equal(again.classify(small_pictures(dataset, places)), seen), "and it is kept"


@pytest.mark.parametrize("path", ["", "nowhere", "a.txt"])
def test_what_holds_no_digits_is_refused_in_plain_words(path: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("words")
    with pytest.raises(UserError, match="no IDX file or folder") as error:
        scan(tmp_path / path if path else Path(), 20)
    assert "train-images-idx3-ubyte" in error.value.remedy


def test_labels_are_needed_and_must_be_digits(tmp_path: Path) -> None:
    pictures, labels = digits(20, 0)
    write_idx(tmp_path / "bare", "train", pictures, None)
    with pytest.raises(UserError, match="has no labels"):
        scan(tmp_path / "bare")
    write_idx(tmp_path / "letters", "train", pictures, labels + 5)
    with pytest.raises(UserError, match="has a label 1"):
        scan(tmp_path / "letters")


def test_a_file_without_pictures_is_refused(tmp_path: Path) -> None:
    pictures, labels = digits(20, 0)
    write_idx(tmp_path, "train", pictures[:0], labels[:0])
    write_idx(tmp_path, "t10k", pictures, labels)
    with pytest.raises(UserError, match="without pictures"):
        scan(tmp_path)


def test_a_damaged_file_is_found_before_anything_is_made(idx: Path, tmp_path: Path) -> None:
    write_idx(tmp_path / "torn", "train", *digits(200, 0))
    file = tmp_path / "torn" / "train-images-idx3-ubyte.gz"
    file.write_bytes(file.read_bytes()[:-2000])
    with pytest.raises(UserError, match="torn"):
        prepare(f"stacked:{tmp_path / 'torn'}", tmp_path / "made", PrepareConfig(size=(SIDE, SIDE), count=50))
    assert not (tmp_path / "made").exists()


def test_one_file_alone_has_no_digits_to_hold_out(idx: Path) -> None:
    listing = scan(idx / "train-images-idx3-ubyte.gz", 40)
    assert {item.split for item in listing.items} == {None}


def test_real_digits_are_stacked_and_none_of_the_test_split_is_learned_from(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "mnist"
    dataset = prepare(f"stacked:{folder}", tmp_path / "stacked", PrepareConfig(size=(28, 28), count=200), workers=2)
    assert json.loads((tmp_path / "stacked" / "report.json").read_text())["left_out"] == []
    raw = gzip.decompress((folder / "t10k-images-idx3-ubyte.gz").read_bytes())[16:]
    held_out = {raw[start : start + 784] for start in range(0, len(raw), 784)}
    for split in ("train", "validation", "test"):
        places = dataset.indices(split)
        if split == "test":
            places = places[[dataset.records[place]["name"].endswith("9") for place in places]]
        stacks = dataset.images[places]
        found = {bool(held_out & {stack[..., c].tobytes() for c in range(3)}) for stack in stacks}
        assert found == {split == "test"}
