"""What is kept for a time says so when it is over, and goes when, and only when, somebody asks for it."""

from __future__ import annotations

import datetime
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from allaprima import vault
from allaprima.cli._app import build
from allaprima.core import retention
from allaprima.core.errors import UserError
from allaprima.core.files import claim_folder, write_json
from allaprima.core.retention import Kept, days
from allaprima.data import expired
from allaprima.data.dataset import Dataset
from allaprima.data.prepare import PrepareConfig, prepare
from allaprima.training import run as runs
from allaprima.vault import lock
from tests.unit._runs import LOOP, PIXELS, TINY_GAN, one_thread

__all__ = ["one_thread"]  # used by pytest
TODAY = datetime.datetime.now(datetime.UTC).date()
PAST, NEXT = TODAY - datetime.timedelta(days=1), TODAY + datetime.timedelta(days=1)
BEFORE = TODAY - datetime.timedelta(days=60)


@pytest.fixture(autouse=True)
def nothing_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "_told", set())


@pytest.fixture
def home(tmp_path: Path, tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a person works: datasets/old, of which the time is over, datasets/plain without a date, runs/made on the first."""
    monkeypatch.chdir(tmp_path)
    made = shutil.ignore_patterns("conditions", "features")
    shutil.copytree(tiny_dataset, tmp_path / "datasets" / "old", ignore=made)
    shutil.copytree(tiny_dataset, tmp_path / "datasets" / "plain", ignore=made)
    dated(tmp_path / "datasets" / "old" / "manifest.json", PAST)
    change(tmp_path / "datasets" / "plain" / "manifest.json", fingerprint="f" * 64)
    for name in ("images.npy", "labels.npy", "splits.npy", "records.jsonl"):  # of its own, not copies
        path = tmp_path / "datasets" / "plain" / name
        path.write_bytes(path.read_bytes()[:-1] + b"\1" if name.endswith("npy") else path.read_bytes() + b"\n")
    a_run(tmp_path / "runs" / "made", tmp_path / "datasets" / "old")
    return tmp_path


def change(path: Path, **values: Any) -> None:
    write_json(path, {**json.loads(path.read_text()), **values})


def dated(path: Path, until: datetime.date | str, since: datetime.date | str = BEFORE) -> None:
    change(path, kept_from=str(since), kept_until=str(until))


def a_run(folder: Path, dataset: Path, weights: str = "a" * 64) -> Path:
    fingerprint = json.loads((dataset / "manifest.json").read_text())["fingerprint"]
    (folder / "bundle").mkdir(parents=True)
    marker = {"format": "allaprima-run", "version": 1, "dataset": str(dataset), "fingerprint": fingerprint}
    write_json(folder / "run.json", marker)
    made = {"dataset_fingerprint": fingerprint}
    write_json(folder / "bundle" / "bundle.json", {"provenance": made, "weights": {"sha256": weights}})
    return folder


def forget(*arguments: str) -> Any:
    return CliRunner().invoke(build(), ["forget", "--expired", *arguments])


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


# -- spans and dates ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("span", "count"), [("90d", 90), ("2w", 14), ("6m", 180), ("1y", 365), (" 3 D ", 3)])
def test_a_span_is_days(span: str, count: int) -> None:
    assert days(span) == count
    assert Kept.for_span(span, datetime.date(2026, 11, 27)).until == str(
        datetime.date(2026, 11, 27) + datetime.timedelta(days=count)
    )


@pytest.mark.parametrize("span", ["", "90", "0d", "d", "-1d", "1.5y", "90 days", "101y", "1d1w"])
def test_other_words_are_no_span(span: str) -> None:
    with pytest.raises(UserError, match="no time to keep"):
        days(span)


def test_the_last_day_is_kept_whole_and_what_is_no_date_is_never_due() -> None:
    assert not retention.is_due(str(TODAY))
    assert not retention.is_due(str(NEXT))
    assert retention.is_due(str(PAST))
    assert not any(retention.is_due(text) for text in (None, "", "soon", "2020-13-01"))


# -- writing and reminding ---------------------------------------------------------------------------------------------


def test_prepare_writes_the_date_and_nothing_is_said_before_it_is_past(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = PrepareConfig(size=(16, 16), count=40, keep="90d")
    dataset = prepare("studies", tmp_path / "d", config, workers=1)
    manifest = json.loads((dataset.folder / "manifest.json").read_text())
    assert (manifest["kept_from"], manifest["kept_until"]) == (str(TODAY), str(TODAY + datetime.timedelta(days=90)))
    assert "is due" not in capsys.readouterr().err
    with pytest.raises(UserError, match="no time to keep"):
        prepare("studies", tmp_path / "e", PrepareConfig(keep="long"))


def test_opening_a_dataset_that_is_due_says_so_once_on_standard_error(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(home)
    for _ in range(3):
        Dataset.open("datasets/old")
        Dataset.open("datasets/plain")
        Dataset.open(home / "datasets" / "old")  # the same
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("is due") == 1
    assert f"the dataset 'datasets/old' was to be kept until {PAST} (UTC)" in said.err
    assert "allaprima forget --expired datasets/old" in said.err
    assert contents(home) == before


def test_train_writes_the_date_and_the_run_says_when_it_is_past(
    tmp_path: Path, tiny_dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from allaprima.bundle import files

    folder = tmp_path / "run"
    changes = [word for setting in (*TINY_GAN, *LOOP, PIXELS) for word in ("--set", setting)]
    arguments = ["train", str(tiny_dataset), str(folder), "--images", "32", *changes]
    shown = CliRunner().invoke(build(), [*arguments, "--keep", "2w"])
    assert shown.exit_code == 0, shown.output
    values = json.loads((folder / "run.json").read_text())
    assert values["kept_until"] == str(TODAY + datetime.timedelta(days=14))
    runs.open_run(folder)
    assert "is due" not in capsys.readouterr().err
    dated(folder / "run.json", PAST)
    runs.open_run(folder)
    files.find(folder)
    files.find(folder / "bundle")
    assert capsys.readouterr().err.count(f"the run '{folder}' was to be kept until {PAST}") == 1
    again = CliRunner().invoke(build(), [*arguments, "--keep", "1y"])  # it goes on, and longer
    assert again.exit_code == 0, again.output
    assert not retention.is_due(json.loads((folder / "run.json").read_text())["kept_until"])


@pytest.mark.parametrize(("keep", "until"), [([], NEXT), (["--keep", "none"], None), (["--keep", "1d"], NEXT)])
def test_a_run_ends_with_its_dataset_unless_another_end_is_named(
    tmp_path: Path, tiny_dataset: Path, keep: list[str], until: datetime.date | None
) -> None:
    shutil.copytree(tiny_dataset, tmp_path / "d")
    dated(tmp_path / "d" / "manifest.json", NEXT)
    changes = [word for setting in (*TINY_GAN, *LOOP, PIXELS) for word in ("--set", setting)]
    arguments = ["train", str(tmp_path / "d"), str(tmp_path / "run"), "--images", "32", *changes, *keep]
    shown = CliRunner().invoke(build(), arguments)
    assert shown.exit_code == 0, shown.output
    values = json.loads((tmp_path / "run" / "run.json").read_text())
    assert values.get("kept_until") == (None if until is None else str(until))
    assert (f"to be kept until {NEXT}" in shown.output) == (not keep)


def test_a_wrong_span_is_told_before_a_run_is_begun(tmp_path: Path, tiny_dataset: Path) -> None:
    shown = CliRunner().invoke(build(), ["train", str(tiny_dataset), str(tmp_path / "run"), "--keep", "soon"])
    assert isinstance(shown.exception, UserError)
    assert not (tmp_path / "run").exists()


# -- deleting ----------------------------------------------------------------------------------------------------------


def test_without_yes_it_lists_and_deletes_nothing(home: Path) -> None:
    before = contents(home)
    shown = forget()
    assert shown.exit_code == 1
    assert f"due since {PAST}: the dataset '{home}/datasets/old' of {BEFORE}" in shown.output
    assert "2 have no date and are left alone" in shown.output
    assert "add --yes" in shown.output
    assert contents(home) == before


def test_what_is_due_goes_whole_and_nothing_else(home: Path) -> None:
    before = contents(home)
    shown = forget("--yes")
    assert shown.exit_code == 0, shown.output
    assert f"deleted: '{home}/datasets/old'" in shown.output
    assert "no copy of a deleted file is left" in shown.output
    assert sorted(os.listdir(home / "datasets")) == ["plain"]
    assert contents(home) == {name: data for name, data in before.items() if "/datasets/old/" not in name}
    assert forget("--yes").output.count("nothing is due") == 1


def test_what_was_made_of_it_and_remains_is_named(home: Path) -> None:
    a_run(home / "runs" / "other", home / "datasets" / "plain")
    write_json(home / "runs" / "made" / "report.json", {"dataset_fingerprint": "x"})
    (home / "runs" / "card.md").write_text(
        f"| Trained on | 60 pictures (fingerprint `{Dataset.open('datasets/old').manifest.fingerprint[:16]}`) |"
    )
    shown = forget("--yes")
    assert "a generator may remember" in shown.output
    for path in ("runs/made/run.json", "runs/made/bundle/bundle.json", "runs/card.md"):
        assert str(home / path) in shown.output
    assert "runs/other" not in shown.output
    assert "backups" in shown.output


def test_a_run_goes_and_exports_of_its_weights_are_named(home: Path) -> None:
    dated(home / "runs" / "made" / "run.json", PAST)
    shutil.copytree(home / "runs" / "made" / "bundle", home / "runs" / "exported")
    shown = forget("runs", "--yes")
    assert shown.exit_code == 0, shown.output
    assert f"deleted: '{home}/runs/made'" in shown.output
    assert f"{home}/runs/exported/bundle.json" in shown.output
    assert (home / "datasets" / "old").is_dir()


def test_a_copy_that_is_left_is_found_by_its_bytes(home: Path) -> None:
    os.link(home / "datasets" / "old" / "images.npy", home / "runs" / "renamed.bin")
    shown = forget("--yes")
    assert shown.exit_code == 1
    assert "STILL THERE" in shown.output
    assert f"'{home}/runs/renamed.bin' is a copy of '{home}/datasets/old/images.npy'" in shown.output


def test_one_folder_can_be_named_and_the_others_stay(home: Path) -> None:
    dated(home / "datasets" / "plain" / "manifest.json", PAST)
    shown = forget("datasets/plain", "--yes")
    assert shown.exit_code == 0, shown.output
    assert sorted(os.listdir(home / "datasets")) == ["old"]


def test_what_is_not_due_yet_is_told_and_stays(home: Path) -> None:
    dated(home / "datasets" / "old" / "manifest.json", TODAY)
    shown = forget("--yes")
    assert shown.exit_code == 0
    assert f"the next is '{home}/datasets/old', after {TODAY}" in shown.output
    assert "nothing is due" in shown.output
    assert (home / "datasets" / "old").is_dir()


def test_a_due_folder_that_holds_something_else_stays(home: Path) -> None:
    shutil.move(home / "datasets" / "plain", home / "datasets" / "old" / "plain")
    before = contents(home)
    shown = forget("--yes")
    assert shown.exit_code == 1
    assert f"is due and stays: it holds '{home}/datasets/old/plain'" in shown.output
    assert contents(home) == before


def test_what_a_due_folder_holds_and_is_due_too_goes_with_it(home: Path) -> None:
    shutil.move(home / "datasets" / "plain", home / "datasets" / "old" / "plain")
    dated(home / "datasets" / "old" / "plain" / "manifest.json", PAST)
    assert forget("--yes").exit_code == 0
    assert os.listdir(home / "datasets") == []


def test_what_is_in_use_stays_and_is_told(home: Path) -> None:
    with claim_folder(home / "runs" / "made"):  # which is being trained on it
        shown = forget("--yes")
    assert shown.exit_code == 1
    assert "in use by another process" in shown.output
    assert (home / "datasets" / "old" / "manifest.json").is_file()
    assert forget("--yes").exit_code == 0


def test_an_interrupted_deletion_is_finished(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "rmtree", lambda *asked, **settings: None)
    shown = forget("--yes")
    assert shown.exit_code == 1
    assert "could not be deleted" in shown.output
    monkeypatch.undo()
    monkeypatch.chdir(home)
    assert "left of an interrupted deletion" in forget().output
    assert forget("--yes").exit_code == 0
    assert os.listdir(home / "datasets") == ["plain"]


@pytest.mark.parametrize("what", ["other file", "damaged", "no date", "other program"])
def test_what_carries_no_date_of_ours_is_never_touched(home: Path, what: str) -> None:
    marker = home / "datasets" / "old" / "manifest.json"
    values = json.loads(marker.read_text())
    if what == "other file":
        marker.rename(marker.with_name("other.json"))
    elif what == "damaged":
        marker.write_text(marker.read_text()[:-9])
    elif what == "no date":
        write_json(marker, {**values, "kept_until": "a while"})
    else:
        write_json(marker, {**values, "format": "something-else"})
    before = contents(home)
    assert "nothing is due" in forget("--yes").output
    assert contents(home) == before


# -- clocks ------------------------------------------------------------------------------------------------------------


def test_a_clock_that_went_backwards_deletes_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dated(home / "datasets" / "old" / "manifest.json", "2026-02-01", since="2026-01-15")
    before = contents(home)
    monkeypatch.setattr(
        expired, "today_utc", lambda: datetime.date(2026, 3, 1)
    )  # due, had the files not been written later
    shown = forget("--yes")
    assert isinstance(shown.exception, UserError)
    assert "The clock says 2026-03-01" in shown.exception.problem
    assert contents(home) == before


@pytest.mark.parametrize("sign", ["a file", "a date"])
def test_something_from_the_future_means_that_a_clock_is_wrong(home: Path, sign: str) -> None:
    if sign == "a file":
        ahead = time.time() + 5 * 86400
        os.utime(home / "runs" / "made" / "run.json", (ahead, ahead))
    else:
        dated(home / "datasets" / "plain" / "manifest.json", "2099-01-01", since="2098-01-01")
    shown = forget("--yes")
    assert isinstance(shown.exception, UserError)
    assert "nothing was deleted" in shown.exception.problem
    assert (home / "datasets" / "old").is_dir()


@pytest.mark.parametrize(
    ("since", "until"), [("1970-01-01", "1970-04-01"), ("soon", str(PAST)), (str(TODAY), str(PAST))]
)
def test_dates_that_cannot_be_right_delete_nothing(home: Path, since: str, until: str) -> None:
    dated(home / "datasets" / "old" / "manifest.json", until, since)
    shown = forget("--yes")
    assert shown.exit_code == 1
    assert "cannot be right" in shown.output
    assert (home / "datasets" / "old" / "images.npy").is_file()


# -- what must be given ------------------------------------------------------------------------------------------------


def test_folders_that_are_not_there_are_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = forget("nowhere", "--yes")
    assert isinstance(shown.exception, UserError)
    assert "no folder 'nowhere'" in shown.exception.problem
    (home / "empty").mkdir()
    monkeypatch.chdir(home / "empty")
    assert isinstance(forget("--yes").exception, UserError)


def test_without_expired_a_dataset_and_its_pictures_must_be_named(home: Path) -> None:
    for arguments in ([], ["datasets/old"]):
        shown = CliRunner().invoke(build(), ["forget", *arguments])
        assert isinstance(shown.exception, UserError)
        assert "forget DATASET IMAGE" in shown.exception.remedy
    assert (home / "datasets" / "old").is_dir()


# -- locked folders ----------------------------------------------------------------------------------------------------


def test_a_locked_dataset_goes_when_its_key_is_there_and_is_named_when_it_is_not(home: Path) -> None:
    pytest.importorskip("cryptography")
    later = TODAY + datetime.timedelta(days=100)
    config = PrepareConfig(size=(16, 16), count=40, keep="90d")
    locked = prepare(
        "studies", home / "datasets" / "locked", config, workers=1, encrypt=f"file={home / 'my.key'}"
    ).folder
    assert b"Pictures" not in (locked / "card.md").read_bytes()
    assert b"Pictures" in vault.read_bytes(locked / "card.md")
    shutil.rmtree(home / "datasets" / "old")
    (home / "my.key").rename(home / "away.key")
    lock._opened.cache_clear()
    plan = expired.find([home / "datasets"], today=later)
    assert plan.due == []
    assert "is locked and stays, its date cannot be read" in plan.text()
    (home / "away.key").rename(home / "my.key")
    plan = expired.find([home / "datasets"], today=later)
    assert [one.folder for one in plan.due] == [locked]
    assert not expired.delete(plan).remains
    assert not locked.exists()
