"""Datasets, runs and bundles that lie encrypted: nothing plain on the disk, and everything works as it did."""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from allaprima import vault
from allaprima.bundle.bundle import Bundle
from allaprima.cli.read import read
from allaprima.core.device import Device
from allaprima.core.errors import UserError
from allaprima.core.files import write_json
from allaprima.data.dataset import Dataset, is_dataset
from allaprima.data.forget import forget
from allaprima.data.prepare import PrepareConfig, prepare
from allaprima.evaluation.evaluate import evaluate
from allaprima.privacy.locking import encrypt
from allaprima.training import checkpoint, command, folds
from allaprima.vault import folders, keys, lock
from tests.unit._runs import LOOP, PIXELS, TINY_GAN, one_thread

__all__ = ["one_thread"]  # used by pytest

pytest.importorskip("cryptography", reason="the extra 'vault' is not installed")
pytestmark = pytest.mark.skipif(not folders.MEMORY.is_dir(), reason="no folder in memory here")
PHRASE = "a quiet hill above the sea"
TINY_VAE = [f"method.{net}.{key}" for net in ("encoder", "decoder") for key in ("width=8", "max_width=16")]
TEXT, NAME = "the house of my grandmother in the snow", "grandmother-0.png"


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scrypt at its real cost takes a third of a second each time."""
    monkeypatch.setattr(keys, "COST", {"n": 2**4, "r": 8, "p": 1})
    monkeypatch.setenv(keys.PASSPHRASE, PHRASE)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = tmp_path_factory.mktemp("pictures")
    lines = []
    for number in range(60):
        values = np.random.default_rng(number).integers(0, 256, (4, 4, 3), np.uint8).repeat(4, 0).repeat(4, 1)
        Image.fromarray(values).save(source / f"grandmother-{number}.png")
        lines.append(json.dumps({"file_name": f"grandmother-{number}.png", "text": f"{TEXT} {number}"}))
    (source / "metadata.jsonl").write_text("\n".join(lines))
    return source


def made(pictures: Path, target: Path, encrypt: str = "passphrase", **changes: Any) -> Dataset:
    return prepare(pictures, target, PrepareConfig(size=(16, 16), **changes), workers=1, encrypt=encrypt)


def train(dataset: Path, run: Path, images: str = "64", encrypt: str | None = None, *settings: str) -> None:
    changes = [f"budget={{images: {images}}}", PIXELS, *LOOP, *TINY_GAN, *settings]
    command.train(str(dataset), run, "16", changes, say=lambda _: None, encrypt=encrypt)


def told(folder: Path, row: bytes) -> set[str]:
    """What stands plain in the files of a folder: a picture's pixels, a text, a name."""
    found = set()
    for path in folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            wanted = {"pixels": row, "text": TEXT.encode(), "name": b"grandmother-"}
            found |= {what for what, needle in wanted.items() if needle in data or needle.hex().encode() in data}
    return found


def test_nothing_plain_stands_on_the_disk_and_in_a_plain_dataset_it_does(pictures: Path, tmp_path: Path) -> None:
    plain = made(pictures, tmp_path / "plain", "")
    row = plain.images[7].tobytes()
    assert told(tmp_path / "plain", row) == {"pixels", "text", "name"}
    sealed = made(pictures, tmp_path / "sealed")
    train(tmp_path / "sealed", tmp_path / "run", "64", None, "condition=text")
    cpu = Device(torch.device("cpu"), "fp32")
    evaluate(tmp_path / "run", sealed, Bundle.load(tmp_path / "run"), cpu, count=32, features="pixels")
    page = (tmp_path / "run" / "report" / "report.html").read_text()
    assert "dataset is encrypted" in page
    assert "held-out picture" not in page.replace("held-out pictures", "").replace("Held-out pictures", "")
    for folder in ("sealed", "run"):
        assert told(tmp_path / folder, row) == set(), folder
        assert told(tmp_path / folder, row[:48]) == set(), folder
    assert not list(folders.MEMORY.glob(f"{folders.PREFIX}{os.getpid()}-*"))
    assert sealed.manifest.fingerprint == plain.manifest.fingerprint
    np.testing.assert_array_equal(np.asarray(sealed.images), plain.images)
    np.testing.assert_array_equal(sealed.labels, plain.labels)
    assert sealed.records == plain.records


def test_preparing_leaves_nothing_in_folders_for_temporary_files(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    assert len(made(pictures, tmp_path / "sealed")) == 60


def test_pages_of_an_encrypted_dataset_say_no_class_and_show_no_reconstruction(pictures: Path, tmp_path: Path) -> None:
    for number in range(60):
        own = tmp_path / "source" / ("annabel" if number % 2 else "bertrand")
        own.mkdir(parents=True, exist_ok=True)
        shutil.copy(pictures / f"grandmother-{number}.png", own)
    for name, how in (("plain", ""), ("sealed", "passphrase")):
        dataset = made(tmp_path / "source", tmp_path / name, how)
        changes = ["budget={images: 32}", "method=vae", PIXELS, *LOOP, *TINY_VAE]
        command.train(str(tmp_path / name), tmp_path / f"run-{name}", "16", changes, say=lambda _: None)
        bundle, cpu = Bundle.load(tmp_path / f"run-{name}"), Device(torch.device("cpu"), "fp32")
        found = evaluate(tmp_path / f"run-{name}", dataset, bundle, cpu, count=32, features="pixels")
        assert found.facts["classes"] == ("annabel, bertrand" if name == "plain" else "2")
    texts = {
        name: "".join(path.read_text() for path in sorted((tmp_path / f"run-{name}").glob("report/report.*")))
        for name in ("plain", "sealed")
    }
    shown = ["annabel", "for one held-out picture", "In and out again"]
    assert all(words in texts["plain"] for words in shown)
    assert not any(words in texts["sealed"] for words in shown)
    assert "class 1" in texts["sealed"]
    for path in (tmp_path / "run-sealed").rglob("*"):
        assert not path.is_file() or b"annabel" not in path.read_bytes(), path


def test_a_run_on_an_encrypted_dataset_is_encrypted_and_learns_the_same(pictures: Path, tmp_path: Path) -> None:
    made(pictures, tmp_path / "plain", "")
    made(pictures, tmp_path / "sealed")
    for name in ("plain", "sealed"):
        train(tmp_path / name, tmp_path / f"run-{name}")
    plain, sealed = (tmp_path / f"run-{name}" for name in ("plain", "sealed"))
    assert (sealed / vault.FILE).is_file()
    assert not (plain / vault.FILE).exists()
    newest = [checkpoint.newest(run / "checkpoints")[0] for run in (plain, sealed)]
    assert newest[0] is not None
    assert newest[1] is not None
    for path in newest[1].iterdir():
        assert vault.is_sealed(path), path
    tensors = [checkpoint.load(path)[0] for path in newest if path is not None]
    assert all((tensors[0][key] == tensors[1][key]).all() for key in tensors[0])
    wanted, found = (Bundle.load(run).sample(4, as_="array") for run in (plain, sealed))
    np.testing.assert_array_equal(wanted, found)


def test_none_leaves_a_run_plain_and_a_way_encrypts_one_on_a_plain_dataset(pictures: Path, tmp_path: Path) -> None:
    made(pictures, tmp_path / "plain", "")
    made(pictures, tmp_path / "sealed")
    train(tmp_path / "sealed", tmp_path / "open", encrypt="none")
    assert not vault.is_sealed(next((tmp_path / "open" / "bundle").glob("*.safetensors")))
    train(tmp_path / "plain", tmp_path / "closed", encrypt=f"file={tmp_path / 'key'}")
    assert vault.is_sealed(next((tmp_path / "closed" / "bundle").glob("*.safetensors")))
    with pytest.raises(UserError, match="without encryption"):
        train(tmp_path / "sealed", tmp_path / "open", "96", "passphrase")


def test_a_run_goes_on_and_a_changed_checkpoint_is_passed_over(pictures: Path, tmp_path: Path) -> None:
    made(pictures, tmp_path / "sealed")
    train(tmp_path / "sealed", tmp_path / "run", "64")
    train(tmp_path / "sealed", tmp_path / "run", "128")
    newest, problems = checkpoint.newest(tmp_path / "run" / "checkpoints")
    assert newest is not None
    assert not problems
    stored = bytearray((newest / checkpoint.TENSORS).read_bytes())
    stored[len(stored) // 2] ^= 1
    (newest / checkpoint.TENSORS).write_bytes(stored)
    before, problems = checkpoint.newest(tmp_path / "run" / "checkpoints")
    assert before is not None
    assert before < newest
    assert "changed" in problems[0]


def test_a_generator_begun_from_an_encrypted_one_is_encrypted(pictures: Path, tmp_path: Path) -> None:
    made(pictures, tmp_path / "plain", "")
    train(tmp_path / "plain", tmp_path / "first", encrypt="passphrase")
    changes = ["budget={images: 32}", PIXELS, *LOOP, *TINY_GAN]
    command.train(
        str(tmp_path / "plain"), tmp_path / "second", "16", changes, lambda _: None, begin_from=tmp_path / "first"
    )
    assert vault.is_sealed(tmp_path / "second" / "start.safetensors")


def test_without_the_key_nothing_opens_and_it_is_a_dataset_still(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(pictures, tmp_path / "sealed")
    lock._opened.cache_clear()
    keys._known.clear()
    monkeypatch.setenv(keys.PASSPHRASE, PHRASE + "?")
    assert is_dataset(tmp_path / "sealed")
    with pytest.raises(UserError, match="does not open"):
        Dataset.open(tmp_path / "sealed")


@pytest.mark.parametrize("name", ["images.npy", "labels.npy", "records.jsonl", "manifest.json"])
def test_a_changed_file_of_a_dataset_is_refused(pictures: Path, tmp_path: Path, name: str) -> None:
    made(pictures, tmp_path / "sealed")
    path = tmp_path / "sealed" / name
    stored = bytearray(path.read_bytes())
    stored[-3] ^= 4
    path.write_bytes(stored)
    with pytest.raises((UserError, ValueError), match="changed"):
        opened = Dataset.open(tmp_path / "sealed")
        assert opened.records
        opened.images[:]


def test_a_picture_is_forgotten_and_the_dataset_has_another_key(pictures: Path, tmp_path: Path) -> None:
    before = made(pictures, tmp_path / "sealed")
    row, key = np.array(before.images[0]), vault.key_of(tmp_path / "sealed")
    name = str(before.records[0]["name"])
    result = forget(tmp_path / "sealed", [name])
    assert not result.remains
    after = Dataset.open(tmp_path / "sealed")
    assert len(after) == len(before) - 1
    assert not (np.asarray(after.images) == row).all((1, 2, 3)).any()
    assert name not in [record["name"] for record in after.records]
    assert vault.key_of(tmp_path / "sealed") != key
    assert all(vault.is_sealed(p) for p in (tmp_path / "sealed").rglob("*") if p.is_file() and p.name != vault.FILE)


def test_forgetting_tells_what_cannot_be_read_and_knows_the_folds_that_can(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = made(pictures, tmp_path / "sealed")
    fold = tmp_path / "runs" / "crossed" / "folds" / "1"
    told_by = {"format": "allaprima-crossval", "dataset_fingerprint": dataset.manifest.fingerprint}
    (tmp_path / "runs" / "crossed").mkdir(parents=True)
    write_json(tmp_path / "runs" / "crossed" / "settings.json", told_by)
    splits = folds.fold_splits(dataset, 2, seed=0)[0]
    own = folds.write_fold(dataset, splits, fold / "dataset")
    train(fold / "dataset", fold / "run", "32")
    with monkeypatch.context() as patched:  # of somebody else
        patched.setenv(keys.PASSPHRASE, PHRASE + "!")
        another = tmp_path / "runs" / "another"
        made(pictures, another, validation=0.2)
        train(another, tmp_path / "runs" / "theirs", "32")
        shutil.copytree(tmp_path / "runs" / "theirs" / "bundle", tmp_path / "runs" / "bundle")
        shutil.copy(tmp_path / "runs" / "theirs" / vault.FILE, tmp_path / "runs" / "bundle")
    lock._opened.cache_clear()
    keys._known.clear()
    row = int(own.indices("train")[0])
    result = forget(tmp_path / "sealed", [f"#{row}"], runs=tmp_path / "runs")
    assert [(seer.folder, held) for seer, held in result.seers] == [(fold / "run", 1)]
    assert result.folds == [fold / "dataset"]
    assert sorted(path.name for path in result.unread) == ["another", "bundle"]
    assert "its key is not here" in result.text()


def test_a_new_passphrase_for_a_source_and_its_run_is_asked_for_once(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def typed(question: str) -> str:
        asked.append(question)
        return PHRASE

    monkeypatch.delenv(keys.PASSPHRASE)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr(keys.getpass, "getpass", typed)
    monkeypatch.chdir(tmp_path)
    keys._typed_twice.cache_clear()
    train(pictures, tmp_path / "run", encrypt="passphrase")
    keys._typed_twice.cache_clear()
    assert asked == ["New passphrase (12 characters or more): ", "The same again: "]
    assert (tmp_path / "run" / vault.FILE).is_file()


def test_pages_of_a_run_go_when_it_is_encrypted_and_later_ones_show_no_picture(pictures: Path, tmp_path: Path) -> None:
    dataset, run = made(pictures, tmp_path / "d", ""), tmp_path / "run"
    train(tmp_path / "d", run)
    cpu, page = Device(torch.device("cpu"), "fp32"), run / "report" / "report.html"
    evaluate(run, dataset, Bundle.load(run), cpu, count=32, features="pixels")
    plain = len(page.read_text())
    assert "report, which may show pictures" in encrypt(run, "passphrase")
    assert not page.exists()
    found = evaluate(run, dataset, Bundle.load(run), cpu, count=32, features="pixels")
    assert found is not None
    assert len(page.read_text()) < plain, "without the pictures of the dataset"


def test_a_part_of_an_encrypted_run_is_not_made_plain_by_itself(pictures: Path, tmp_path: Path) -> None:
    made(pictures, tmp_path / "d")
    train(tmp_path / "d", tmp_path / "run")
    for how in ("none", "passphrase"):
        with pytest.raises(UserError, match="which it is a part of") as caught:
            encrypt(tmp_path / "run" / "bundle", how)
        assert f"encrypt {tmp_path / 'run'} {how}" in caught.value.remedy
    Bundle.load(tmp_path / "run").sample(1)
    encrypt(tmp_path / "run", "none")
    assert not vault.is_sealed(next((tmp_path / "run" / "bundle").glob("*.safetensors")))


@pytest.mark.parametrize("place", ["sealed/my.key", "sealed/keys/my.key"])
def test_a_key_is_not_kept_in_the_folder_that_it_locks(pictures: Path, tmp_path: Path, place: str) -> None:
    how = f"file={tmp_path / place}"
    with pytest.raises(UserError, match="would lie in the folder"):
        made(pictures, tmp_path / "sealed", how)
    assert not (tmp_path / "sealed").exists()
    made(pictures, tmp_path / "sealed", "")
    with pytest.raises(UserError, match="would lie in the folder"):
        encrypt(tmp_path / "sealed", how)
    assert not (tmp_path / place).exists()
    with pytest.raises(UserError, match="would lie in the folder"):
        train(tmp_path / "sealed", tmp_path / "run", encrypt=f"file={tmp_path / 'run' / 'key'}")
    assert len(Dataset.open(tmp_path / "sealed")) == 60


def test_preparing_again_with_another_key_says_that_it_is_another(pictures: Path, tmp_path: Path) -> None:
    first, moved = tmp_path / "first.key", tmp_path / "moved.key"
    made(pictures, tmp_path / "sealed", f"file={first}")
    shutil.copy(first, moved)
    for same in (first, moved):
        assert len(made(pictures, tmp_path / "sealed", f"file={same}")) == 60
    for other in (f"file={tmp_path / 'other.key'}", "passphrase"):
        with pytest.raises(UserError, match="locked by another key") as caught:
            made(pictures, tmp_path / "sealed", other)
        assert f"encrypt {tmp_path / 'sealed'} {other}" in caught.value.remedy
    assert not (tmp_path / "other.key").exists()


def test_one_file_of_an_encrypted_folder_can_be_read(
    pictures: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    made(pictures, tmp_path / "sealed", min_side=8, keep_noise=False)
    for name in ("records.jsonl", "lock.json"):
        read(tmp_path / "sealed" / name)
    said = capfdbinary.readouterr().out
    assert b"grandmother-0.png" in said
    assert b"allaprima-lock" in said
    with pytest.raises(UserError, match="cannot be read"):
        read(tmp_path / "nothing")
    path = tmp_path / "sealed" / "report.json"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"report\.json"):
        read(path)


def test_prepare_lets_no_protection_be_lost(pictures: Path, tmp_path: Path) -> None:
    made(pictures, tmp_path / "sealed")
    assert len(made(pictures, tmp_path / "sealed")) == 60  # stands already
    with pytest.raises(UserError, match="is encrypted"):
        prepare(pictures, tmp_path / "sealed", PrepareConfig(size=(16, 16)), force=True)
    made(pictures, tmp_path / "plain", "")
    with pytest.raises(UserError, match="not encrypted"):
        made(pictures, tmp_path / "plain")


def test_where_nothing_lies_in_memory_prepare_says_what_to_do(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "MEMORY", tmp_path / "nowhere")
    with pytest.raises(UserError, match="in memory") as caught:
        made(pictures, tmp_path / "sealed")
    assert "allaprima encrypt" in caught.value.remedy
    assert not (tmp_path / "sealed").exists()


def test_what_a_killed_process_left_in_memory_goes_with_the_next(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(folders, "MEMORY", tmp_path)
    left, standing = tmp_path / "allaprima-999999999-x", tmp_path / f"allaprima-{os.getppid()}-x"
    for folder in (left, standing):
        folder.mkdir()
    with folders.in_memory(1) as room:
        assert room.is_dir()
        assert not left.exists()
        assert standing.exists()
    assert not room.exists()


@pytest.mark.parametrize("what", ["dataset", "run", "bundle"])
def test_what_stands_is_encrypted_gets_another_key_and_is_plain_again(
    pictures: Path, tmp_path: Path, what: str
) -> None:
    made(pictures, tmp_path / "dataset", "")
    train(tmp_path / "dataset", tmp_path / "run")
    shutil.copytree(tmp_path / "run" / "bundle", tmp_path / "bundle")
    folder = tmp_path / what
    before = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def opens() -> None:
        if what == "dataset":
            assert len(Dataset.open(folder).records) == len(Dataset.open(folder).images) == 60
        else:
            Bundle.load(folder).sample(1)

    assert "encrypted" in encrypt(folder, "passphrase")
    secret = [path for path in folder.rglob("*") if vault.is_sealed(path)]
    assert len(secret) >= 4
    opens()
    stored = secret[0].read_bytes()
    assert "another key" in encrypt(folder, f"file={tmp_path / 'a.key'}")
    assert secret[0].read_bytes() == stored
    opens()
    own = vault.key_of(folder)
    encrypt(folder, f"file={tmp_path / 'b.key'}", whole=True)
    assert vault.key_of(folder) != own
    opens()
    assert "plain" in encrypt(folder, "none")
    after = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert {k: v for k, v in after.items() if k.name != ".lock"} == {
        k: v for k, v in before.items() if k.name != ".lock"
    }
    opens()
    if what == "run":
        train(tmp_path / "dataset", folder, "96")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_kill_at_any_step_of_encrypting_leaves_the_whole_folder(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(pictures, tmp_path / "plain", "")
    wanted = np.array(Dataset.open(tmp_path / "plain").images)
    room = tmp_path / "room"
    target = room / "scans"
    for last in range(1, 100):
        shutil.rmtree(room, ignore_errors=True)
        shutil.copytree(tmp_path / "plain", target)
        if (child := os.fork()) == 0:
            killed_at(last)
            encrypt(target, "passphrase")
            os._exit(0)
        if os.waitpid(child, 0)[1] == 0:
            break
        if not (target / vault.FILE).is_file():
            encrypt(target, "passphrase")
        else:  # all was done but for the old folder, which goes
            with pytest.raises(UserError, match="this key already"):
                encrypt(target, "passphrase")
        np.testing.assert_array_equal(np.asarray(Dataset.open(target).images), wanted)
        assert [path.name for path in room.iterdir()] == ["scans"], f"killed at step {last}"
        assert told(room, wanted[7].tobytes()) == set()
    assert last > 10
    assert vault.is_sealed(target / "images.npy")


def killed_at(last: int) -> None:
    """From here on this process is killed at the ``last`` call that changes what is on the disk for good."""
    seen = 0

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def made_or_killed(*given: Any, **named: Any) -> Any:
            nonlocal seen
            seen += 1
            if seen == last:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*given, **named)

        return made_or_killed

    for module, name in ((os, "rename"), (os, "replace"), (os, "fsync"), (shutil, "rmtree"), (Path, "unlink")):
        setattr(module, name, counted(getattr(module, name)))


def test_a_changed_folder_is_not_rewritten(pictures: Path, tmp_path: Path) -> None:
    made(pictures, tmp_path / "sealed")
    path = tmp_path / "sealed" / "images.npy"
    stored = path.read_bytes()
    path.write_bytes(stored[:-1])
    with pytest.raises(UserError, match="nothing was changed"):
        encrypt(tmp_path / "sealed", "none")
    assert path.read_bytes() == stored[:-1]
    with pytest.raises(UserError, match="no dataset"):
        encrypt(pictures, "passphrase")
