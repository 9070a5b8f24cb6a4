"""What the README and CONTRIBUTING promise exists: commands, options, files, and examples that work as they stand."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import click
import pytest
import typer

from allaprima.cli import _app

ROOT = Path(__file__).resolve().parents[2]
PAGES = ["README.md", "CONTRIBUTING.md"]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return [body for found, body in BLOCK.findall(text) if found == language]


def shell_lines() -> list[str]:
    """Every command of the shell blocks, and every `allaprima …` within a sentence."""
    lines = [line for page in PAGES for block in blocks(page, "sh") for line in block.splitlines() if line.strip()]
    for page in PAGES:
        prose = BLOCK.sub("", (ROOT / page).read_text(encoding="utf-8"))
        lines += [
            found for found in re.findall(r"`([^`\n]+)`", prose) if re.match(r"(allaprima|make|python3) \S", found)
        ]
    return lines


LINES = shell_lines()
OURS = [line for line in LINES if line.startswith("allaprima ")]
MAKE = [line for line in LINES if line.startswith("make ")]
PYTHON = [line for line in LINES if line.startswith("python3 ")]


@pytest.mark.parametrize("line", OURS)
def test_every_command_of_ours_is_understood(line: str) -> None:
    app = typer.main.get_command(_app.build())
    assert isinstance(app, click.Group | typer.core.TyperGroup)
    words = shlex.split(line, comments=True)[1:]
    if words[0] in ("--help", "-h"):
        return
    assert words[0] in app.commands
    if words[1:] and all(word.isupper() for word in words[1:]):  # a pattern such as `allaprima studio RUN`
        return
    if words[1:]:
        app.commands[words[0]].make_context(words[0], words[1:])  # raises for an option or a value that is unknown


@pytest.mark.parametrize("line", OURS)
def test_every_setting_in_a_command_exists(line: str) -> None:
    if " --set " not in line:
        return
    from allaprima.core.config import load
    from allaprima.training.config import RunConfig

    words = shlex.split(line, comments=True)
    changes = [after for word, after in pairwise(words) if word == "--set"]
    added = {Path(path).stem for path in EXAMPLES}  # components that exist only once a contributor has written them
    load(RunConfig, {}, [change for change in changes if not added & set(re.split(r"[=.]", change))])


@pytest.mark.parametrize("line", MAKE)
def test_every_make_target_exists(line: str) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert line.split()[1] in targets


@pytest.mark.parametrize("line", PYTHON)
def test_every_python_command_exists(line: str) -> None:
    script, *verbs = line.split()[1:]
    seen = subprocess.run([sys.executable, str(ROOT / script), "--help"], capture_output=True, text=True, check=True)
    assert all(f"{script} {verb}" in seen.stdout for verb in verbs)


def test_there_are_commands_to_check() -> None:
    assert {line.split()[1] for line in OURS} >= {"prepare", "train", "sample", "evaluate", "studio"}
    assert {"make demo", "make test"} <= {" ".join(line.split()[:2]) for line in MAKE}
    assert PYTHON


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_file(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if not link.startswith(("http", "#"))]
    missing = [link for link in links if not (ROOT / link.partition("#")[0]).exists()]
    assert not missing
    named = re.findall(r"`((?:allaprima|tests|tools|benchmarks)/[\w./-]+)`", text)
    assert not [name for name in named if not (ROOT / name).exists()]


def test_every_room_of_the_table_is_a_folder_and_every_folder_is_in_it() -> None:
    table = (ROOT / "README.md").read_text(encoding="utf-8").partition("| room |")[2].partition("\n\n")[0]
    rooms = {
        room for row in table.splitlines() for room in re.findall(r"`(\w+)`", row.split("|")[1] if "|" in row else "")
    }
    folders = {path.parent.name for path in (ROOT / "allaprima").glob("*/__init__.py")}
    assert rooms == folders


# -- CONTRIBUTING: each example is a file that works ----------------------------------------------------------------


def examples() -> dict[str, str]:
    """Path → content, of the blocks whose first line names their file."""
    found = {}
    for block in blocks("CONTRIBUTING.md", "python") + blocks("CONTRIBUTING.md", "js"):
        named = re.match(r"(?:#|//) (allaprima/\S+)\n", block)
        assert named, f"an example does not say where it goes: {block[:60]}"
        found[named[1]] = block
    return found


EXAMPLES = examples()


@pytest.fixture(scope="module")
def copy_with_examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the program and its tests in which every example has been added."""
    copy = tmp_path_factory.mktemp("contributor")
    skip = shutil.ignore_patterns("__pycache__")
    for folder in ("allaprima", "tests"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=skip)
    shutil.copy(ROOT / "pyproject.toml", copy)
    for path, content in EXAMPLES.items():
        assert not (copy / path).exists(), f"{path} exists: the example needs another name"
        (copy / path).write_text(content.partition("\n")[2], encoding="utf-8")
    return copy


def test_there_is_an_example_for_each_kind_of_component() -> None:
    rooms = {str(Path(path).parent) for path in EXAMPLES}
    assert rooms == {
        "allaprima/losses/adversarial",
        "allaprima/evaluation/metrics",
        "allaprima/models/generators",
        "allaprima/data/checks",
        "allaprima/server/studio/panels",
    }


def test_every_example_passes_the_contract_tests_of_its_room(copy_with_examples: Path) -> None:
    names = [Path(path).stem for path in EXAMPLES if path.endswith(".py")]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "tests/contracts",
        "-p",
        "no:cacheprovider",
        "-vv",
        "-k",
        " or ".join(names),
    ]
    seen = subprocess.run(command, cwd=copy_with_examples, capture_output=True, text=True)
    assert seen.returncode == 0, seen.stdout[-3000:]
    for name in names:
        assert re.search(rf"::test_\w+\[[^\]]*\b{name}\b[^\]]*\] PASSED", seen.stdout), f"no contract test saw {name}"


def test_every_python_example_is_as_tidy_as_the_rest(copy_with_examples: Path) -> None:
    pytest.importorskip("ruff")
    files = [path for path in EXAMPLES if path.endswith(".py")]
    for command in (["check"], ["format", "--check"]):
        seen = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--no-cache", *files],
            cwd=copy_with_examples,
            capture_output=True,
            text=True,
        )
        assert seen.returncode == 0, seen.stdout


def test_the_example_panel_is_found_and_keeps_the_panels_contract(copy_with_examples: Path) -> None:
    (path,) = [path for path in EXAMPLES if path.endswith(".js")]
    code = "import asyncio; from allaprima.server.routes import page; print(asyncio.run(page.panels()))"
    seen = subprocess.run(
        [sys.executable, "-c", code], cwd=copy_with_examples, capture_output=True, text=True, check=True
    )
    assert f"/studio/panels/{Path(path).name}" in seen.stdout
    text = EXAMPLES[path]
    assert re.search(r"^export const order = \d+;$", text, re.MULTILINE)
    assert re.search(r"^export const region = '(side|tools|strip)';$", text, re.MULTILINE)
    assert re.search(r"^export function mount\(", text, re.MULTILINE)
    for imported in re.findall(r"from '/(studio/[\w./]+)'", text):
        assert (ROOT / "allaprima" / "server" / imported).is_file()
    if node := shutil.which("node"):
        subprocess.run([node, "--check", "--input-type=module"], input=text, text=True, check=True)
