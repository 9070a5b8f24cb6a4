"""Every verb explains itself, and refuses what it does not know in plain words."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from allaprima.cli import _app
from allaprima.core.catalog import Catalog

VERBS = Catalog("command", "allaprima.cli")
every_verb = pytest.mark.parametrize("verb", VERBS.names())


@every_verb
def test_a_verb_says_what_it_does(verb: str) -> None:
    function = getattr(VERBS.get(verb), verb)
    assert function.__doc__
    shown = CliRunner().invoke(_app.build(), [verb, "--help"])
    assert shown.exit_code == 0, shown.output
    assert inspect.getdoc(function).splitlines()[0] in " ".join(shown.output.split())


@every_verb
def test_every_option_and_argument_of_a_verb_is_explained(verb: str) -> None:
    command = typer.main.get_command(_app.build()).commands[verb]
    unexplained = [parameter.name for parameter in command.params if not getattr(parameter, "help", None)]
    assert not unexplained


@every_verb
def test_importing_a_verb_loads_nothing_heavy(verb: str) -> None:
    code = f"import sys, allaprima.cli.{verb}; print(sorted({{'torch', 'numpy', 'PIL', 'fastapi'}} & set(sys.modules)))"
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert seen.stdout.strip() == "[]"


@every_verb
def test_an_unknown_option_is_refused_without_a_traceback(verb: str) -> None:
    seen = subprocess.run(
        [sys.executable, "-m", "allaprima", verb, "--no-such-option"],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "100"},
    )
    assert seen.returncode == 2
    assert "no-such-option" in seen.stderr
    assert "Traceback" not in seen.stderr
