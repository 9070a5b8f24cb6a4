"""What all tests share: where the real pictures are, a tiny prepared dataset, manners on a machine with few cores."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

# Before torch is imported, here and in every program that a test starts: workers with all cores each fight for them.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import hypothesis
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
SWITCHES = ("ALLAPRIMA_UNMARKED", "ALLAPRIMA_WATERMARK")

hypothesis.settings.register_profile("here", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "here")


@pytest.fixture(scope="session", autouse=True)
def own_signer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A signing key for the tests: the home of whoever runs them is left alone."""
    folder = tmp_path_factory.mktemp("signer")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALLAPRIMA_CONFIG", str(folder))
        patch.delenv("ALLAPRIMA_UNMARKED", raising=False)
        yield folder


@pytest.fixture(autouse=True)
def own_switches() -> Iterator[None]:
    """What an option of one test switches for its process is switched back for the next."""
    before = {name: os.environ.get(name) for name in SWITCHES}
    yield
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout's root."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real picture sets: ``ALLAPRIMA_DATA``, or ``../shared/data`` beside the checkout. Read-only."""
    named = os.environ.get("ALLAPRIMA_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real pictures: '{folder}' does not exist; name their folder in ALLAPRIMA_DATA")
    return folder


@pytest.fixture(scope="session")
def tiny_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared dataset: 60 RGB pictures of 16 × 16 in three classes, one bright square each. Do not change it."""
    folder = tmp_path_factory.mktemp("datasets") / "tiny"
    write_tiny_dataset(folder)
    return folder


def write_tiny_dataset(folder: Path, count: int = 60, size: int = 16, seed: int = 0) -> None:
    """Write the arrays and the manifest that ``allaprima.data.dataset`` describes, without any source."""
    from allaprima.core.files import sha256_file, write_json
    from allaprima.data.dataset import FORMAT, VERSION, Manifest
    from allaprima.data.split import SPLITS
    from allaprima.domains.image import Config as ImageConfig

    draw = np.random.default_rng(seed)
    classes = ["blue", "green", "red"]
    labels = np.arange(count) % len(classes)
    images = draw.integers(0, 60, (count, size, size, 3), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        y, x = draw.integers(0, size // 2, 2)
        image[y : y + size // 2, x : x + size // 2, 2 - label] = 230
    splits = np.array([0] * 8 + [1, 2], np.uint8)[np.arange(count) // len(classes) % 10]

    folder.mkdir(parents=True)
    np.save(folder / "images.npy", images)
    np.save(folder / "labels.npy", labels.astype(np.int64))
    np.save(folder / "splits.npy", splits)
    records = [{"name": f"{i}.png", "text": f"a {classes[label]} square"} for i, label in enumerate(labels)]
    (folder / "records.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    write_json(folder / "report.json", {"left_out": []})
    files = sorted(path.name for path in folder.iterdir())
    manifest = Manifest(
        format=FORMAT,
        version=VERSION,
        domain=ImageConfig(height=size, width=size, channels=3),
        classes=classes,
        count=count,
        split_counts={name: int((splits == place).sum()) for place, name in enumerate(SPLITS)},
        has_text=True,
        source="squares",
        options={},
        files={name: sha256_file(folder / name) for name in files},
        fingerprint=hashlib.sha256(images.tobytes() + labels.tobytes() + splits.tobytes()).hexdigest(),
    )
    write_json(folder / "manifest.json", manifest.model_dump(mode="json"))
