"""Erasure: what is forgotten is gone from every file, the rest is as it was, and whoever saw it is named."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from allaprima.bundle.bundle import Bundle
from allaprima.cli._app import build
from allaprima.core.config import load
from allaprima.core.errors import UserError
from allaprima.core.files import claim_folder, sha256_file, write_json
from allaprima.data import sounds
from allaprima.data.dataset import Dataset, fingerprint_of
from allaprima.data.forget import forget
from allaprima.data.onlookers import Seer
from allaprima.data.prepare import PrepareConfig, prepare
from allaprima.data.studies.studies import study
from allaprima.data.traces import Names
from allaprima.training import crossval, loop
from allaprima.training import run as runs
from allaprima.training.config import RunConfig
from allaprima.training.folds import fold_splits, write_fold
from tests.unit._runs import LOOP, PIXELS, TINY_GAN, one_thread

__all__ = ["one_thread"]  # used by pytest


@pytest.fixture
def squares(tiny_dataset: Path, tmp_path: Path) -> Path:
    """The tiny dataset, to be changed."""
    # without what other tests had made of it
    made = shutil.ignore_patterns("conditions", "features")
    return Path(shutil.copytree(tiny_dataset, tmp_path / "squares", ignore=made))


@pytest.fixture(scope="module")
def trained(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on the tiny dataset. Do not change it."""
    return train(tiny_dataset, tmp_path_factory.mktemp("forget") / "run")


def train(dataset: Path, folder: Path) -> Path:
    threads = torch.get_num_threads()
    config = load(RunConfig, {"budget": {"images": 32}}, [*TINY_GAN, *LOOP, PIXELS])
    loop.train(runs.create(folder, config, Dataset.open(dataset)), say=lambda words: None)
    torch.set_num_threads(threads)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def a_run(folder: Path, dataset: Path, **bundle: Any) -> Path:
    """What a run writes down of its dataset."""
    fingerprint = Dataset.open(dataset).manifest.fingerprint
    folder.mkdir(parents=True)
    write_json(
        folder / "run.json",
        {"format": "allaprima-run", "version": 1, "dataset": str(dataset), "fingerprint": fingerprint},
    )
    if bundle:
        (folder / "bundle").mkdir()
        write_json(folder / "bundle" / "bundle.json", {"provenance": bundle})
    return folder


def change_report(dataset: Path, left_out: list[dict[str, str]]) -> None:
    write_json(dataset / "report.json", {"used": 60, "counts": {"duplicate": len(left_out)}, "left_out": left_out})


# -- the dataset -------------------------------------------------------------------------------------------------------


def test_one_picture_goes_and_every_other_row_is_as_it_was(squares: Path, tiny_dataset: Path) -> None:
    old, row = Dataset.open(tiny_dataset), np.delete(np.arange(60), 17)
    found = forget(squares, ["17.png"])
    new = Dataset.open(squares)
    assert (new.images == old.images[row]).all()
    assert (new.labels == old.labels[row]).all()
    assert (new.split_of == old.split_of[row]).all()
    assert new.records == [old.records[place] for place in row]
    assert new.classes == old.classes
    assert new.manifest.count == 59 == sum(new.manifest.split_counts.values())
    assert new.manifest.files == {name: sha256_file(squares / name) for name in new.manifest.files}
    assert new.manifest.fingerprint == fingerprint_of(new.manifest.files) != old.manifest.fingerprint
    assert not found.remains
    assert "no name and no pixels of them are left" in found.text()
    assert [path.name for path in squares.parent.iterdir()] == ["squares"]


def test_several_go_by_name_and_by_row_even_if_named_twice(squares: Path) -> None:
    found = forget(squares, ["3.png", "#17", "17.png", "#59"])
    assert list(found.pictures) == [3, 17, 59]
    names = {record["name"] for record in Dataset.open(squares).records}
    assert names == {f"{row}.png" for row in range(60)} - {"3.png", "17.png", "59.png"}


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (["3.png", "17.pmg"], "did you mean '17.png'"),
        (["something else entirely"], "records.jsonl"),
        (["#60"], "'#59'"),
        (["#-1"], "records.jsonl"),
        ([], "'#17'"),
        ([f"#{row}" for row in range(60)], "delete the whole folder"),
    ],
)
def test_what_is_not_there_is_refused_and_nothing_is_changed(squares: Path, images: list[str], words: str) -> None:
    before = contents(squares)
    with pytest.raises(UserError) as error:
        forget(squares, images)
    assert words in error.value.remedy
    assert contents(squares) == before
    assert [path.name for path in squares.parent.iterdir()] == ["squares"]


def test_no_dataset_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a prepared dataset"):
        forget(tmp_path / "far" / "away", ["1.png"])
    assert not list(tmp_path.iterdir())


def test_the_bytes_are_in_no_file_whatever_was_made_of_them(squares: Path) -> None:
    pixels = Dataset.open(squares).images[17].tobytes()
    for folder in ("conditions", "features/domain-1"):
        (squares / folder).mkdir(parents=True)
        (squares / folder / "made.npy").write_bytes(b"of" + pixels)
    found = forget(squares, ["17.png"])
    assert found.made_again == ["conditions", "features"]
    for name, data in contents(squares.parent).items():
        assert pixels not in data, name
        assert b"17.png" not in data, name


def test_a_strangers_file_stays_and_what_it_tells_is_told(squares: Path) -> None:
    (squares / "notes").mkdir()
    (squares / "notes" / "mine.md").write_text("the best one is 17.png, not 7.png")
    (squares / "thumbs.bin").write_bytes(b"--" + Dataset.open(squares).images[17].tobytes())
    assert not forget(squares, ["1.png"]).remains
    found = forget(squares, ["17.png"])
    assert found.strangers == ["notes", "thumbs.bin"]
    assert (squares / "notes" / "mine.md").is_file()
    assert len(found.remains) == 2
    assert "STILL THERE" in found.text()
    assert "mine.md" in found.text()
    assert "thumbs.bin" in found.text()


def test_a_copy_that_stays_and_a_record_that_names_it_are_told(squares: Path) -> None:
    images = np.load(squares / "images.npy")
    images[20] = images[17]
    np.save(squares / "images.npy", images)
    lines = (squares / "records.jsonl").read_text().splitlines()
    lines[30] = json.dumps({**json.loads(lines[30]), "pair": "17.png"})
    (squares / "records.jsonl").write_text("\n".join(lines) + "\n")
    found = forget(squares, ["17.png"])
    assert any("'20.png' (#19) is the same picture" in words for words in found.remains)
    assert any("records.jsonl" in words for words in found.remains)
    assert not forget(squares, ["20.png", "30.png"]).remains


def test_the_report_loses_the_name_and_says_which_repeats_the_source_still_has(squares: Path) -> None:
    change_report(
        squares,
        [
            {"name": "again.png", "check": "duplicate", "reason": "the same picture as 7.png, which is labelled 'red'"},
            {"name": "other.png", "check": "duplicate", "reason": "the same picture as 17.png"},
            {"name": "7.png", "check": "unreadable", "reason": "not a sound"},
        ],
    )
    found = forget(squares, ["7.png"])
    report = json.loads((squares / "report.json").read_text())
    assert [entry["name"] for entry in report["left_out"]] == ["again.png", "other.png"]
    assert report["left_out"][0]["reason"].endswith("a picture that was forgotten, which is labelled 'red'")
    assert report["left_out"][1]["reason"] == "the same picture as 17.png"
    assert (report["used"], report["counts"]) == (59, {"duplicate": 2})
    assert found.twins == ["again.png"]
    assert "again.png" in found.text()


def test_a_name_is_found_by_itself_only() -> None:
    names = Names(["1.png", "17", "a&b.png"], ["cats/1.png", "my 1.png"])
    assert names.found("as 1.png, or pictures/1.png") == {"1.png"}
    assert not names.found("11.png 1.pngs 1.png.txt cats/1.png my 1.png x-1.png")
    assert names.found("a&amp;b.png") == {"a&b.png"}
    assert names.in_value({"count": 17, "said": "17 of them", "of": ["17"]}) == {"17"}


def test_a_class_without_pictures_stays_a_class(squares: Path) -> None:
    labels = np.load(squares / "labels.npy")
    found = forget(squares, [f"#{row}" for row in np.flatnonzero(labels == 1)])
    dataset = Dataset.open(squares)
    assert dataset.classes == ["blue", "green", "red"]
    assert set(dataset.labels.tolist()) == {0, 2}
    assert "class 'green' has no pictures any more" in found.text()


def test_texts_are_all_there_once_the_one_without_is_gone(squares: Path) -> None:
    lines = (squares / "records.jsonl").read_text().splitlines()
    lines[5] = json.dumps({"name": "5.png", "text": None, "who": "Ada"})
    (squares / "records.jsonl").write_text("\n".join(lines) + "\n")
    forget(squares, ["6.png"])
    assert not Dataset.open(squares).manifest.has_text
    forget(squares, ["5.png"])
    assert Dataset.open(squares).manifest.has_text
    assert b"Ada" not in b"".join(contents(squares).values())


def test_a_pictures_sound_goes_and_others_keep_every_sample(squares: Path) -> None:
    draw = np.random.default_rng(0)
    waveforms = [draw.uniform(-1, 1, 300 + 10 * number).astype(np.float32) for number in range(4)]
    sounds.write(
        squares,
        [
            sounds.Recording("5.png", waveforms[0], picture=5),
            sounds.Recording("17.png", waveforms[1], picture=17),
            sounds.Recording("18.png", waveforms[2], picture=18),
            sounds.Recording("bell.wav", waveforms[3], label=1, split=0),
        ],
    )
    before = sounds.Sounds.of(squares)
    assert before is not None
    kept = [before.waveform(number) for number in (0, 2, 3)]
    gone = np.round(waveforms[1] * sounds.FULL).astype(np.int16).tobytes()
    forget(squares, ["17.png"])
    after = Dataset.open(squares).sounds
    assert after is not None
    assert after.pictures.tolist() == [5, 17, -1]
    for number, waveform in enumerate(kept):
        assert (after.waveform(number) == waveform).all()
    assert gone not in b"".join(contents(squares).values())
    assert set(sounds.FILES) <= Dataset.open(squares).manifest.files.keys()
    (squares / "sounds.npy").write_bytes((squares / "sounds.npy").read_bytes())  # nobody maps it any more


def test_a_set_that_was_really_prepared_is_forgotten_from_and_trained_on(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for index in range(32):
        place = source / ("cats" if index % 2 else "dogs")
        place.mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(study(9, index, (48, 48))[0])
        picture.save(place / f"{index}.png")
        (place / f"{index}.txt").write_text(f"number {index}")
    shutil.copy(source / "cats" / "1.png", source / "cats" / "copy of 1.png")
    dataset = prepare(source, tmp_path / "d", PrepareConfig(size=(16, 16)), workers=1)
    assert dataset.manifest.fingerprint == fingerprint_of(dataset.manifest.files)
    best = {"cats/1.png", "cats/copy of 1.png"} & {record["name"] for record in dataset.records}
    found = forget(dataset.folder, list(best))
    assert not found.remains
    assert found.twins == list({"cats/1.png", "cats/copy of 1.png"} - best)
    assert Dataset.open(dataset.folder).manifest.count == 31
    train(dataset.folder, tmp_path / "run")


# -- whole or not at all -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [1, 2])
def test_a_swap_that_fails_leaves_the_old_dataset_whole(
    squares: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, rename, calls = contents(squares), os.rename, []

    def failing(source: Any, target: Any) -> None:
        calls.append(source)
        if len(calls) == step:
            raise KeyboardInterrupt
        rename(source, target)

    monkeypatch.setattr(os, "rename", failing)
    with pytest.raises(KeyboardInterrupt):
        forget(squares, ["17.png"])
    assert contents(squares) == before
    assert [path.name for path in squares.parent.iterdir()] == ["squares"]


def test_a_kill_between_the_two_renames_loses_nothing(squares: Path) -> None:
    before = contents(squares)
    squares.rename(squares.parent / ".squares.partial-replaced")  # all that a kill there leaves
    shutil.copytree(squares.parent / ".squares.partial-replaced", squares.parent / ".squares.partial-1234")
    with pytest.raises(UserError, match="is named"):
        forget(squares, ["no such picture"])
    assert contents(squares) == before
    assert not forget(squares, ["17.png"]).remains
    assert [path.name for path in squares.parent.iterdir()] == ["squares"]


# Forks before each try, and dies at the k-th operation on files, for every k there is.
KILLED = """
import os, shutil, sys
from pathlib import Path
from allaprima.core.errors import UserError
from allaprima.data.dataset import Dataset, fingerprint_of
from allaprima.data.forget import forget

os.fsync = lambda handle: None  # a process dies here, not the machine
root, whole = Path(sys.argv[1]), Path(sys.argv[2])
pixels, watched = Dataset.open(whole).images[17].tobytes(), ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod")
told, kill, status = [], 0, 1
while status:
    kill += 1
    shutil.copytree(whole, root / "set")
    if not os.fork():
        count = 0

        def hook(event, args):
            global count
            count += event in watched or (event == "open" and str(root) in str(args[0]) and str(args[1])[0] in "wa")
            if count == kill:
                os._exit(9)  # nothing is cleaned up; os.kill would be heard by this hook itself

        sys.addaudithook(hook)
        forget(root / "set", ["17.png"])
        os._exit(0)
    status = os.wait()[1]
    try:
        forget(root / "set", ["17.png"])
        told.append("old")
    except UserError as error:
        assert "is named '17.png'" in error.problem
        told.append("new")
    assert len(Dataset.open(root / "set")) == 59
    assert os.listdir(root) == ["set"]
    assert not any(pixels in path.read_bytes() for path in root.rglob("*") if path.is_file())
    shutil.rmtree(root / "set")
print(kill, *sorted(set(told)))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_killed_at_any_operation_the_next_call_finds_the_old_dataset_or_the_new_one(
    squares: Path, tmp_path: Path
) -> None:
    (tmp_path / "root").mkdir()
    (squares / "features").mkdir()
    (squares / "features" / "made").write_text("of pictures")
    command = [sys.executable, "-c", KILLED, str(tmp_path / "root"), str(squares)]
    seen = subprocess.run(command, capture_output=True, text=True, check=False)
    assert seen.returncode == 0, seen.stderr
    kills, *told = seen.stdout.split()
    assert int(kills) > 20
    assert told == ["new", "old"]


def test_a_kill_after_the_swap_leaves_old_files_that_the_next_call_deletes(squares: Path) -> None:
    old = squares.parent / ".squares.partial-replaced"
    shutil.copytree(squares, old)
    forget(squares, ["17.png"])
    shutil.copytree(squares, old)
    with pytest.raises(UserError, match="is named"):
        forget(squares, ["17.png"])
    assert [path.name for path in squares.parent.iterdir()] == ["squares"]


def test_old_files_that_cannot_be_deleted_are_no_success(squares: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remove = shutil.rmtree

    def stubborn(path: Any, *given: Any, **named: Any) -> None:
        if not str(path).endswith("-replaced"):
            remove(path, *given, **named)

    monkeypatch.setattr(shutil, "rmtree", stubborn)
    with pytest.raises(UserError, match="could not be deleted"):
        forget(squares, ["17.png"])


def test_a_dataset_that_is_being_prepared_is_left_alone(squares: Path) -> None:
    before = contents(squares)
    with claim_folder(squares.parent / ".squares.partial-abcd"), pytest.raises(UserError, match="being prepared"):
        forget(squares, ["17.png"])
    assert contents(squares) == before


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such links or rights")
def test_links_and_rights(squares: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(squares)
    squares.chmod(0o700)
    (squares / "records.jsonl").chmod(0o600)
    assert not forget(link, ["17.png"]).remains
    assert link.is_symlink()
    assert Dataset.open(link).manifest.count == 59
    assert squares.stat().st_mode & 0o777 == 0o700
    assert (squares / "records.jsonl").stat().st_mode & 0o777 == 0o600
    os.link(squares / "images.npy", tmp_path / "another.npy")
    assert any("hard link" in words for words in forget(link, ["18.png"]).remains)


# -- who saw it --------------------------------------------------------------------------------------------------------


def test_a_run_that_saw_it_is_named_and_still_opens(squares: Path, trained: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(trained, tmp_path / "runs" / "one"))
    found = forget(squares, ["0.png", "24.png", "27.png"], runs=tmp_path / "runs")  # train, validation, test
    assert [(seer.folder, held) for seer, held in found.seers] == [(run, 1)]
    assert f"{run}: trained on 1 of 3" in found.text()
    assert f"allaprima train {squares} NEW_RUN" in found.text()
    assert len(Bundle.load(run).sample(2, 0)) == 2
    with pytest.raises(UserError, match="other pictures"):
        runs.open_run(run, Dataset.open(squares))
    again = train(squares, tmp_path / "runs" / "two")
    assert runs.open_run(again).dataset.manifest.count == 57


def test_strangers_are_not_named_and_a_run_of_an_earlier_day_is(squares: Path, tmp_path: Path) -> None:
    first = a_run(tmp_path / "runs" / "first", squares)
    forget(squares, ["0.png"], runs=tmp_path / "runs")
    second = a_run(tmp_path / "runs" / "second", squares)
    (tmp_path / "runs" / "third").mkdir()
    write_json(tmp_path / "runs" / "third" / "run.json", {"fingerprint": "another"})
    found = forget(squares, ["1.png"], runs=tmp_path / "runs")
    assert [(seer.folder, held) for seer, held in found.seers] == [(first, 1), (second, 1)]


def test_bundles_private_runs_and_successors_are_named(squares: Path, tmp_path: Path) -> None:
    fingerprint, there = Dataset.open(squares).manifest.fingerprint, tmp_path / "runs"
    private = a_run(there / "private", squares, dataset_fingerprint=None, privacy={"epsilon": 1.0})
    (there / "given").mkdir()
    write_json(there / "given" / "bundle.json", {"provenance": {"dataset_fingerprint": fingerprint}})
    heir = there / "heir"
    (heir / "bundle").mkdir(parents=True)
    write_json(heir / "run.json", {"fingerprint": "another"})
    begun = {"dataset_fingerprint": "another", "begun_from": {"dataset_fingerprint": fingerprint}}
    write_json(heir / "bundle" / "bundle.json", {"provenance": begun})
    found = forget(squares, ["0.png"], runs=there)
    told = {seer.folder: (held, seer.begun_from, seer.private) for seer, held in found.seers}
    assert told == {private: (1, False, True), there / "given": (1, False, False), heir: (1, True, False)}
    assert "begun from a generator" in found.text()


def test_nothing_is_touched_while_a_run_trains_on_it(squares: Path, tmp_path: Path) -> None:
    run, before = a_run(tmp_path / "runs" / "one", squares), contents(squares)
    (run / ".lock").touch()
    with claim_folder(run), pytest.raises(UserError, match="is being trained"):
        forget(squares, ["0.png"], runs=tmp_path / "runs")
    assert contents(squares) == before
    forget(squares, ["0.png"], runs=tmp_path / "runs")


def test_reports_are_named_and_go_when_asked(squares: Path, tmp_path: Path) -> None:
    there, fingerprint = tmp_path / "runs", Dataset.open(squares).manifest.fingerprint
    for name in ("one", "two"):
        report = a_run(there / name, squares) / "report"
        report.mkdir()
        write_json(report / "report.json", {"format": "allaprima-report", "dataset_fingerprint": fingerprint})
        (report / "report.html").write_text("<p>17.png</p>")
    (there / "two" / "report" / "mine.txt").write_text("mine")
    kept = Path(shutil.copytree(squares, tmp_path / "kept"))
    found = forget(squares, ["17.png"], runs=there)
    assert found.reports == [there / "one" / "report", there / "two" / "report"]
    assert found.named_in == [there / name / "report" / "report.html" for name in ("one", "two")]
    assert "may show them" in found.text()
    found = forget(kept, ["17.png"], runs=there, purge_reports=True)
    assert not found.named_in
    assert not (there / "one" / "report").exists()
    assert [path.name for path in (there / "two" / "report").iterdir()] == ["mine.txt"]


def test_folds_share_the_old_files_and_go_with_them(squares: Path, tmp_path: Path) -> None:
    dataset, folder = Dataset.open(squares), tmp_path / "squares-folds-gan"
    settings = {"format": crossval.FORMAT, "dataset_fingerprint": dataset.manifest.fingerprint}
    for number, splits in enumerate(fold_splits(dataset, 2, seed=0), 1):
        fold = write_fold(dataset, splits, folder / "folds" / str(number) / "dataset")
        a_run(folder / "folds" / str(number) / "run", fold.folder)
    write_json(folder / crossval.SETTINGS, settings)
    wanted = [int(Dataset.open(folder / "folds" / n / "dataset").split_of[0] == 0) for n in ("1", "2")]
    pixels = dataset.images[0].tobytes()
    found = forget(squares, ["0.png"])  # it lies beside the dataset: found without --runs
    assert [held for _, held in found.seers] == wanted
    assert sum(wanted) == 1
    assert found.unfinished == [folder]
    assert not found.remains
    for name, data in contents(tmp_path).items():
        assert pixels not in data, name
    again = forget(squares, ["1.png"])
    assert [held for _, held in again.seers] == [None, None]
    assert "may have been trained on them" in again.text()


def test_a_copy_of_the_dataset_is_named_and_left(squares: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(squares, tmp_path / "squares-copy"))
    before = contents(copy)
    found = forget(squares, ["17.png"])
    assert found.copies == [copy]
    assert str(copy) in found.text()
    assert contents(copy) == before


def test_how_many_were_seen_is_of_the_training_split() -> None:
    seer = Seer(Path("run"), np.array([0, 1, 2, 0, 255], np.uint8))
    assert seer.held(np.array([0, 1, 3, 4])) == 2


# -- the command -------------------------------------------------------------------------------------------------------


def test_the_command_finds_runs_by_itself_and_fails_where_something_is_left(
    squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_run(tmp_path / "runs" / "one", squares)
    monkeypatch.chdir(tmp_path)
    seen = CliRunner().invoke(build(), ["forget", "squares", "17.png", "#3"])
    assert seen.exit_code == 0, seen.output
    assert "2 pictures forgotten, 58 stay" in seen.output
    assert f"{Path('runs') / 'one'}: trained on" in seen.output
    (squares / "notes.txt").write_text("18.png")
    assert CliRunner().invoke(build(), ["forget", "squares", "18.png"]).exit_code == 1
    wrong = CliRunner().invoke(build(), ["forget", "squares", "19.png", "--runs", "nowhere"])
    assert isinstance(wrong.exception, UserError)
