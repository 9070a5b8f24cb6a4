"""What a person sees when something is wrong: the problem, the remedy, exit code 2, no traceback."""

from __future__ import annotations

import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from allaprima.core.errors import UserError


def fail() -> None:
    raise UserError("the problem", "the remedy")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "allaprima", *arguments], capture_output=True, text=True)


def test_problem_and_remedy_are_kept_apart_and_shown_together() -> None:
    error = UserError("No pictures in 'x'", "add some")
    assert (error.problem, error.remedy) == ("No pictures in 'x'", "add some")
    assert str(error) == "No pictures in 'x'\n  → add some"


def test_an_error_comes_home_whole_from_a_worker_process() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool, pytest.raises(UserError) as caught:
        pool.submit(fail).result()
    assert (caught.value.problem, caught.value.remedy) == ("the problem", "the remedy")
    assert pickle.loads(pickle.dumps(UserError("a", "b"))).remedy == "b"


def test_the_command_says_what_is_wrong_and_leaves_with_2(tmp_path: Path) -> None:
    seen = run("sample", str(tmp_path / "nothing"))
    assert seen.returncode == 2
    assert seen.stderr.startswith("allaprima: ")
    assert "\n  → " in seen.stderr
    assert "Traceback" not in seen.stderr
    assert seen.stdout == ""


def test_an_unknown_verb_leaves_with_2() -> None:
    seen = run("pant")
    assert seen.returncode == 2
    assert "pant" in seen.stderr
    assert "Traceback" not in seen.stderr


def test_without_arguments_the_verbs_are_listed() -> None:
    seen = run()
    assert "sample" in seen.stdout + seen.stderr
    assert "Traceback" not in seen.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="no such pipes on Windows")
def test_a_reader_that_goes_away_causes_no_complaint() -> None:
    seen = subprocess.run(
        f"'{sys.executable}' -u -m allaprima --help | true", shell=True, capture_output=True, text=True
    )
    assert "Traceback" not in seen.stderr
    assert "BrokenPipe" not in seen.stderr
