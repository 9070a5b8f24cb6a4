"""Every source lists what it holds; every check lets good pictures pass; every recipe is a whole configuration."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from allaprima.core.catalog import Catalog
from allaprima.core.errors import UserError
from allaprima.data.checks import CHECKS, Limits, Prints, Sight, having
from allaprima.data.sources import SOURCES, Request, find
from allaprima.training.config import RunConfig

RECIPES = Catalog("recipe", "allaprima.recipes")
STAGES = {"explain", "header", "pixels", "among"}
REQUEST = Request(size=(16, 16), count=6, seed=0)


def pictures(count: int = 6) -> list[Image.Image]:
    """Smooth pictures that are all different, 24 × 20 RGB: as harmless as pictures are."""
    y, x = np.mgrid[0:20, 0:24] / 20.0
    made = []
    for i in range(count):
        channels = [np.sin(3 * x * (i + 1) + c) + np.cos(2 * y * (c + 1) + 2 * i) for c in range(3)]
        made.append(Image.fromarray(((np.stack(channels, -1) + 2) * 63).astype(np.uint8)))
    return made


def as_folder(place: Path) -> str:
    for i, picture in enumerate(pictures()):
        (place / f"class {i % 2}").mkdir(exist_ok=True)
        picture.save(place / f"class {i % 2}" / f"{i}.png")
    return str(place)


def as_zip(place: Path) -> str:
    with zipfile.ZipFile(place / "a.zip", "w") as archive:
        for i, picture in enumerate(pictures()):
            buffer = io.BytesIO()
            picture.save(buffer, "PNG")
            archive.writestr(f"class {i % 2}/{i}.png", buffer.getvalue())
    return str(place / "a.zip")


def as_npz(place: Path) -> str:
    np.savez(place / "a.npz", images=np.stack([np.asarray(p) for p in pictures()]), labels=np.arange(6) % 2)
    return str(place / "a.npz")


def as_idx(place: Path) -> str:
    grey = np.stack([np.asarray(p.convert("L")) for p in pictures()])
    (place / "train-images-idx3-ubyte").write_bytes(struct.pack(">IIII", 0x803, *grey.shape) + grey.tobytes())
    (place / "train-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, 6) + bytes(i % 2 for i in range(6)))
    return str(place / "train-images-idx3-ubyte")


EXAMPLES = {
    "folder": as_folder,
    "zip": as_zip,
    "npz": as_npz,
    "idx": as_idx,
    "stacked": lambda place: f"stacked:{as_idx(place)}",
    "studies": lambda place: "studies",
}


# A reader keeps its file open for as long as its process lives; it has nobody to tell it that it was the last picture.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("expected", "make"), EXAMPLES.items(), ids=EXAMPLES.keys())
def test_a_source_is_recognised_listed_and_read(expected: str, make: Callable[[Path], str], tmp_path: Path) -> None:
    source = make(tmp_path)
    module = find(source)
    assert module.__name__.endswith(f".{expected}")
    listing = module.scan(source, REQUEST)
    assert len(listing.items) == 6
    assert len({item.name for item in listing.items}) == 6
    assert module.scan(source, REQUEST).state == listing.state
    reader = pickle.loads(pickle.dumps(listing.reader))  # as it travels to the worker processes
    for item in listing.items:
        read = reader.read(item.key)
        if isinstance(read, np.ndarray):
            assert read.dtype == np.uint8
            assert read.ndim in (2, 3)
        else:
            with read:
                assert Image.open(read).size == (24, 20)


@pytest.mark.parametrize("asked", ["", "no such thing", "\0", "a\nb", "x" * 5000, "https://example.org/a.zip", "~"])
def test_what_no_source_takes_is_refused_in_plain_words(
    asked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="studies"):
        find(asked)


@pytest.mark.parametrize("name", SOURCES.names())
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x00\x00\x08\x03", b"\x1f\x8b\x08", b"\x93NUMPY", b"<html>"])
def test_a_file_that_only_looks_like_something_makes_no_source_fail(name: str, content: bytes, tmp_path: Path) -> None:
    for suffix in (".npz", ".zip", ".gz", ".png", ""):
        path = tmp_path / f"train-images-idx3-ubyte{suffix}"
        path.write_bytes(content)
        assert isinstance(SOURCES.get(name).accepts(str(path)), bool)


@pytest.mark.parametrize("name", CHECKS.names())
def test_a_check_says_what_it_is_for_and_works_at_some_stage(name: str) -> None:
    module = CHECKS.get(name)
    assert module.__doc__
    assert STAGES & vars(module).keys()


@pytest.mark.parametrize("name", CHECKS.names())
def test_a_check_lets_good_pictures_pass(name: str) -> None:
    module, good, limits = CHECKS.get(name), pictures(), Limits()
    stored = np.stack([np.asarray(picture.resize((16, 16))) for picture in good])
    if hasattr(module, "header"):
        assert [module.header(picture, limits) for picture in good] == [None] * len(good)
    if hasattr(module, "pixels"):
        sights = [Sight(picture, one) for picture, one in zip(good, stored, strict=True)]
        assert [module.pixels(sight, limits) for sight in sights] == [None] * len(good)
    if hasattr(module, "among"):
        draw = np.random.default_rng(0)
        digests = np.frombuffer(draw.bytes(16 * len(good)), dtype="V16")
        hashes = np.frombuffer(draw.bytes(8 * len(good)), dtype=np.uint64)
        assert not module.among(Prints(np.arange(len(good)), digests, hashes, stored), limits)
    if hasattr(module, "explain"):
        reason = module.explain(ValueError("broken"), "a.png")
        assert reason is None or isinstance(reason, str)


def test_every_reason_why_a_file_cannot_be_read_is_put_into_words() -> None:
    explanations = [explain(ValueError("broken"), "a.png") for explain in having("explain").values()]
    assert any(explanations)


@pytest.mark.parametrize("name", RECIPES.names())
def test_a_recipe_says_what_to_expect_and_is_a_whole_configuration(name: str) -> None:
    module = RECIPES.get(name)
    assert "allaprima " in module.__doc__, "a recipe names its command"
    config = module.config()
    assert isinstance(config, RunConfig)
    assert config.budget.minutes or config.budget.images
