"""Rules of the house that no linter knows, checked on the syntax trees of the whole package."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "allaprima"
MODULES = sorted(PACKAGE.rglob("*.py"))
LONGEST_MODULE, LONGEST_FUNCTION = 320, 60

# Formats whose reading can run code. `torch.load` is refused even with weights_only: CVE-2025-32434, CVE-2026-24747.
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "jsonpickle"}
FORBIDDEN_CALLS = {
    "torch.load",
    "torch.save",
    "torch.jit.load",
    "torch.package.PackageImporter",
    "yaml.load",
    "yaml.load_all",
    "yaml.full_load",
    "yaml.unsafe_load",
    "pandas.read_pickle",
    "eval",
    "exec",
    "__import__",
}

# The one published net that exists as a PyTorch checkpoint only: its SHA-256 is pinned and checked before it is read.
ALLOWED = {"models/pretrained/_weights.py": ["torch.load()"]}

every_module = pytest.mark.parametrize("path", MODULES, ids=[str(path.relative_to(PACKAGE)) for path in MODULES])


def name_of(node: ast.expr) -> str:
    """``torch.load`` of the expression ``torch.load``; empty for anything that is no plain dotted name."""
    if isinstance(node, ast.Attribute):
        owner = name_of(node.value)
        return f"{owner}.{node.attr}" if owner else ""
    return node.id if isinstance(node, ast.Name) else ""


def dangers(tree: ast.AST) -> Iterator[str]:
    """Everything in a syntax tree that could run what it reads."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.partition(".")[0]] = alias.name
                if alias.name.partition(".")[0] in FORBIDDEN_MODULES:
                    yield f"line {node.lineno}: import {alias.name}"
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module.partition(".")[0] in FORBIDDEN_MODULES:
                yield f"line {node.lineno}: from {node.module}"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                names[alias.asname or alias.name] = full
                if full in FORBIDDEN_CALLS:
                    yield f"line {node.lineno}: from {node.module} import {alias.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = name_of(node.func)
            first, _, rest = called.partition(".")
            full = f"{names.get(first, first)}.{rest}".rstrip(".")
            if {called, full} & FORBIDDEN_CALLS:
                yield f"line {node.lineno}: {called}()"
            for keyword in node.keywords:
                refused = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
                if keyword.arg == "allow_pickle" and not refused:
                    yield f"line {node.lineno}: allow_pickle"


@every_module
def test_nothing_that_is_read_can_run_code(path: Path) -> None:
    found = [danger.partition(": ")[2] for danger in dangers(ast.parse(path.read_text(encoding="utf-8")))]
    assert found == ALLOWED.get(str(path.relative_to(PACKAGE)), [])


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from pickle import loads",
        "import joblib as j",
        "import torch\ntorch.load('x', weights_only=True)",
        "import torch as t\nt.load('x')",
        "from torch import load",
        "import yaml\nyaml.load('x', Loader=yaml.SafeLoader)",
        "import numpy as np\nnp.load('x', allow_pickle=True)",
        "import numpy as np\nnp.load('x', allow_pickle=flag)",
        "eval('1')",
    ],
)
def test_the_search_finds_what_it_looks_for(code: str) -> None:
    assert list(dangers(ast.parse(code)))


@pytest.mark.parametrize(
    "code",
    [
        "import yaml\nyaml.safe_load('x')",
        "net.load_state_dict({})",
        "import numpy as np\nnp.load('x', mmap_mode='r', allow_pickle=False)",
        "net.eval()",
    ],
)
def test_the_search_lets_harmless_reading_pass(code: str) -> None:
    assert list(dangers(ast.parse(code))) == []


@every_module
def test_files_and_functions_stay_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST_MODULE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < LONGEST_FUNCTION, f"{node.name} is a room of its own"


@every_module
def test_every_module_says_what_lives_there(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert not tree.body or ast.get_docstring(tree)


@every_module
def test_no_work_is_done_at_import(path: Path) -> None:
    """Calls at a module's top level: only those that make a value or set the environment."""
    top = [node.value for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.Expr)]
    called = [name_of(node.func) for node in top if isinstance(node, ast.Call)]
    assert set(called) <= {"os.environ.setdefault"}, called


def test_importing_every_module_prints_nothing_and_writes_nothing(tmp_path: Path) -> None:
    names = [
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
        for path in MODULES
        if path.stem != "__main__"
    ]
    code = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)"
    seen = subprocess.run(
        [sys.executable, "-B", "-W", "error::DeprecationWarning:allaprima", "-c", code, *names],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (seen.returncode, seen.stdout, seen.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("module", ["allaprima", "allaprima.cli._app", "allaprima.core.config", "allaprima.core.files"])
def test_what_every_command_imports_leaves_torch_alone(module: str) -> None:
    code = f"import sys, {module}; print('torch' in sys.modules, 'PIL' in sys.modules)"
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert seen.stdout == "False False\n"


def test_the_rule_for_passive_threads_stands_before_torch_is_loaded() -> None:
    code = "import os; os.environ.pop('OMP_WAIT_POLICY', 0); import allaprima; print(os.environ['OMP_WAIT_POLICY'])"
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert seen.stdout == "PASSIVE\n"


@pytest.mark.parametrize("module", ["allaprima.runtime.engine", "allaprima.server.app"])
def test_what_serves_loads_nothing_that_trains(module: str) -> None:
    """import-linter reads the sources; this watches what really happens."""
    rooms = ["training", "methods", "losses", "data", "evaluation"]
    code = f"import sys, {module}; print([n for n in sys.modules if n.split('.')[:1] == ['allaprima']])"
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "'allaprima.core'" in seen.stdout
    assert not [room for room in rooms if f"'allaprima.{room}" in seen.stdout]
