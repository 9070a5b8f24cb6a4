"""All checks in one command: style, format, types, layers, tests. Each runs, whatever the one before found.

    python tools/check.py                 all
    python tools/check.py style types     some
    python tools/check.py slow            the tests that take minutes each

Use the environment's Python, as ``make test`` does. Exit code 1 when something was found.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WORKERS = str(min(4, max(2, os.cpu_count() or 2)))
PYTEST = ["-m", "pytest", "-n", WORKERS, "--dist", "worksteal", "-r", "fEs"]
CHECKS = {
    "style": ["-m", "ruff", "check", "."],
    "format": ["-m", "ruff", "format", "--check", "."],
    "types": ["-m", "mypy"],
    "layers": ["-c", "from importlinter.cli import lint_imports_command as check; check()"],
    "tests": [*PYTEST, "-m", "not slow"],
    "slow": [*PYTEST, "-m", "slow"],
}
DEFAULT = ("style", "format", "types", "layers", "tests")  # the tests last: their summary closes the output


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in CHECKS]
    if unknown:
        print(f"There is no check '{unknown[0]}'\n  → choose from: {', '.join(CHECKS)}", file=sys.stderr)
        return 2
    failed = []
    for name in names or DEFAULT:
        print(f"== {name}", flush=True)
        if subprocess.call([sys.executable, *CHECKS[name]], cwd=ROOT) != 0:
            failed.append(name)
    if failed:
        print(f"\nFound something: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
