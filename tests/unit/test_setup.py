"""The set-up: the right PyTorch for the machine, quick when nothing changed, plain words when something is missing."""

from __future__ import annotations

import http.server
import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import namedtuple
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import check
import pytest
import setup
import setup_pip
import setup_torch
from setup_pip import SetupError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment's folder that is not ours; nothing is installed and no program is started."""
    venv = tmp_path / "a folder with spaces" / ".venv"
    (venv / "bin").mkdir(parents=True)
    for module in (setup, setup_torch):
        monkeypatch.setattr(module, "VENV", venv)
        monkeypatch.setattr(module, "PYTHON", venv / "bin" / "python")
    monkeypatch.setattr(setup, "STAMP", venv / "stamp.json")
    return venv


@pytest.fixture
def steps(sandbox: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the set-up would have done, in order."""
    done: list[str] = []

    def make_environment() -> None:
        done.append("environment")
        (sandbox / "bin" / "python").touch()

    monkeypatch.setattr(setup, "make_environment", make_environment)
    monkeypatch.setattr(setup, "install_torch", lambda driver: done.append("torch"))
    monkeypatch.setattr(setup, "pip", lambda *arguments: done.append(re.sub(r".*\[", "[", arguments[2])))
    monkeypatch.setattr(setup, "check_space", lambda driver: None)
    return done


def test_a_second_set_up_does_nothing(steps: list[str]) -> None:
    setup.set_up("all")
    assert steps == ["environment", "torch", "[all]"]
    setup.set_up("all")
    assert len(steps) == 3


def test_the_developers_tools_come_on_top_and_hold_what_users_need(steps: list[str]) -> None:
    setup.set_up("dev")
    setup.set_up("all")
    assert steps == ["environment", "torch", "[dev]"]


def test_a_set_up_for_users_is_completed_for_developers(steps: list[str]) -> None:
    setup.set_up("all")
    setup.set_up("dev")
    assert steps[3:] == ["environment", "torch", "[dev]"]
    setup.set_up("all")
    assert len(steps) == 6


def test_other_requirements_bring_the_environment_up_to_date(
    steps: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    setup.set_up("all")
    (tmp_path / "other").write_text("torch==9.9\n")
    monkeypatch.setattr(setup, "CONSTRAINTS", tmp_path / "other")
    setup.set_up("all")
    assert steps[3:] == ["environment", "torch", "[all]"]


def test_an_interrupted_set_up_is_taken_up_again(steps: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    setup.set_up("all")

    def fail(driver: str | None) -> None:
        raise SetupError("no network", "later")

    monkeypatch.setattr(setup, "may_have_nvidia", lambda: True)  # so that there is something to do
    with monkeypatch.context() as patch:
        patch.setattr(setup, "install_torch", fail)
        with pytest.raises(SetupError):
            setup.set_up("all")
    setup.set_up("all")
    assert steps[-2:] == ["torch", "[all]"]


def test_an_old_python_is_told_which_one_to_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "OLDEST", (99, 0))
    monkeypatch.setattr(setup.shutil, "which", lambda name: "/usr/bin/python3.12" if name == "python3.12" else None)
    with pytest.raises(SetupError, match=r"newer is needed.*\n.*python3.12 tools/setup.py"):
        setup.check_python()


def test_the_set_up_can_be_read_by_an_old_python_so_that_it_can_say_so() -> None:
    import ast

    for name in ("setup.py", "setup_pip.py", "setup_torch.py"):
        ast.parse((ROOT / "tools" / name).read_text(encoding="utf-8"), feature_version=(3, 8))


@pytest.mark.parametrize("missing", ["venv", "ensurepip"])
def test_a_missing_venv_module_is_named_with_its_package(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else real(name))
    with pytest.raises(SetupError, match="sudo apt install python3-venv"):
        setup.check_python()


def test_a_full_disk_is_told_before_anything_is_fetched(sandbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(setup.shutil, "disk_usage", lambda path: usage(10**9, 0, 10**9))
    with pytest.raises(SetupError, match=r"1\.0 GB are free"):
        setup.check_space(None)
    (sandbox / "pyvenv.cfg").touch()  # it stands already: what is missing may fit
    setup.check_space(None)


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("OSError: [Errno 28] No space left on device", "disk is full"),
        ("NewConnectionError('<...>: Failed to establish a new connection: [Errno -3] ...", "cannot be reached"),
        ("ProxyError('Cannot connect to proxy.'", "cannot be reached"),
        ("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]", "certificate"),
        ("ERROR: No matching distribution found for torch==2.13.0", "no PyTorch"),
        ("PermissionError: [Errno 13] Permission denied: '/x'", "written"),
        ("2026-01-01 ERROR: Failed building wheel for x\ndone", "Failed building wheel for x"),
        ("", "no word why"),
    ],
)
def test_a_failed_installation_is_put_into_plain_words(said: str, problem: str) -> None:
    text = str(setup_pip.explain(said, "pip failed"))
    assert problem in text.splitlines()[0]
    assert "→ " in text.splitlines()[1]


# -- which PyTorch --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("platform", "driver", "index"),
    [
        ("linux", None, "cpu"),
        ("linux", "13.0", None),
        ("linux", "", None),
        ("linux", "12.8", "cu126"),
        ("win32", None, None),
        ("win32", "13.1", "cu130"),
        ("win32", "12.4", "cu126"),
        ("darwin", None, None),
    ],
)
def test_each_machine_gets_the_build_that_fits_it(platform: str, driver: str | None, index: str | None) -> None:
    found = setup_torch.index_of(driver, platform)
    assert (found.rsplit("/", 1)[1] if found else None) == index


@pytest.mark.parametrize(
    ("script", "driver"),
    [
        ('echo "| NVIDIA-SMI 580.65   Driver Version: 580.65   CUDA Version: 13.0 |"', "13.0"),
        ("echo something else", ""),
        ("echo 'NVIDIA-SMI has failed' >&2; exit 9", None),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="the stand-in is a shell script")
def test_a_gpu_is_what_its_driver_answers_for(
    script: str, driver: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert setup_torch.nvidia_driver() == driver


class Pip:
    """Stands in for pip and for what it leaves in the environment."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, before: dict | None, after: dict, index_answers: bool) -> None:
        self.commands: list[str] = []
        self.build = before
        self.after = after
        monkeypatch.setattr(setup_torch, "pip", self.run)
        monkeypatch.setattr(setup_torch, "torch_build", lambda: self.build)
        monkeypatch.setattr(setup_torch, "answers", lambda index: index_answers)

    def run(self, *arguments: str) -> None:
        self.commands.append(" ".join(arguments))
        if arguments[0] == "uninstall":
            self.build = None
        elif self.build is None:
            self.build = self.after


CPU, CUDA = {"version": "2.13.0+cpu", "cuda": None}, {"version": "2.13.0", "cuda": "13.0"}
on_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the choice between two indexes is Linux's")


@on_linux
def test_without_a_gpu_the_cpu_index_is_asked_when_it_answers(sandbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pip = Pip(monkeypatch, None, CPU, index_answers=True)
    setup_torch.install_torch(None)
    assert len(pip.commands) == 1
    assert pip.commands[0].endswith("--extra-index-url https://download.pytorch.org/whl/cpu")
    assert (sandbox / "torch-build.txt").read_text() == "torch==2.13.0+cpu\n"


@on_linux
def test_an_index_that_is_silent_is_left_out_and_the_large_build_accepted_with_a_note(
    sandbox: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pip = Pip(monkeypatch, None, CUDA, index_answers=False)
    setup_torch.install_torch(None)
    assert "--extra-index-url" not in pip.commands[0]
    said = capsys.readouterr().out
    assert "does not answer" in said
    assert "works without a GPU" in said
    setup_torch.install_torch(None)  # and it is not fetched again and again
    assert not [command for command in pip.commands if command.startswith("uninstall")]


@on_linux
def test_a_build_for_another_machine_is_replaced(sandbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pip = Pip(monkeypatch, CUDA, CPU, index_answers=True)
    setup_torch.install_torch(None)
    assert pip.commands[0].startswith("uninstall")
    assert pip.build == CPU
    pip = Pip(monkeypatch, CPU, CUDA, index_answers=True)
    setup_torch.install_torch("13.0")
    assert pip.commands[0].startswith("uninstall")
    assert (sandbox / "torch-build.txt").read_text() == "torch==2.13.0\n"


@pytest.mark.parametrize("pinned", ["installed", "another"])
def test_pip_holds_the_pinned_build_whatever_is_asked_for_later(pinned: str, sandbox: Path) -> None:
    here = version("torch")
    setup_torch.pin(here if pinned == "installed" else "0.0.1")
    seen = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--dry-run", "--no-index", "--upgrade", "torch>=0.0.1"],
        env={**os.environ, "PIP_CONFIG_FILE": str(setup_torch.pin_file()), "PIP_FIND_LINKS": ""},
        capture_output=True,
        text=True,
    )
    if pinned == "installed":
        assert seen.returncode == 0, seen.stderr
        assert f"({here})" in seen.stdout
        assert "Would install" not in seen.stdout
    else:
        assert seen.returncode != 0
        assert "torch==0.0.1" in seen.stdout + seen.stderr


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_an_index_that_hangs_costs_no_more_than_the_time_allowed(silent_port: int) -> None:
    start = time.monotonic()
    assert not setup_torch.answers(f"http://127.0.0.1:{silent_port}", seconds=0.3)
    assert time.monotonic() - start < 2


def test_an_index_that_answers_is_used_and_one_without_our_package_is_not() -> None:
    class Index(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/good/torch/" else 404)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Index) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        place = f"http://127.0.0.1:{server.server_port}"
        assert setup_torch.answers(f"{place}/good")
        assert not setup_torch.answers(f"{place}/empty")
        server.shutdown()


# -- the commands ---------------------------------------------------------------------------------------------------


def test_what_a_person_asks_that_is_no_command_is_answered_with_the_commands(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert setup.main(["dmeo"]) == 2
    assert "setup.py demo" in capsys.readouterr().err
    assert setup.main(["--help"]) == 0
    assert "setup.py demo" in capsys.readouterr().out


def test_a_problem_is_shown_with_its_remedy_and_leaves_with_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(extra: str) -> None:
        raise SetupError("no space", "make some")

    monkeypatch.setattr(setup, "set_up", fail)
    assert setup.main(["demo"]) == 2
    assert capsys.readouterr().err == "\nset-up: no space\n  → make some\n"


def test_every_check_runs_even_when_one_finds_something(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    written = f"import pathlib; pathlib.Path({str(tmp_path / 'ran')!r}).touch()"
    monkeypatch.setattr(check, "CHECKS", {"bad": ["-c", "raise SystemExit(3)"], "good": ["-c", written]})
    assert check.main(["bad", "good"]) == 1
    assert (tmp_path / "ran").exists()
    assert check.main(["good"]) == 0
    assert check.main(["godo"]) == 2


@pytest.mark.skipif(shutil.which("make") is None, reason="no make here")
@pytest.mark.parametrize(
    ("target", "command"), [("demo", "setup.py demo"), ("test", "setup.py test"), ("setup", "setup.py")]
)
def test_make_is_a_short_name_for_the_python_command(target: str, command: str) -> None:
    # the tests run under make themselves, and a make inside a make announces its folder
    program = ["make", "--no-print-directory", "-n", target]
    seen = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=True)
    assert seen.stdout.strip().endswith(f"tools/{command}")
