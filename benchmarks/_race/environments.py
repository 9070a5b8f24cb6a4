"""One virtual environment a package, with the project's release of PyTorch, made once and kept."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONSTRAINTS = ROOT / "constraints.txt"
COMMON = ("torch", "numpy", "pillow")  # what the host needs, before the package's own wishes
LONGEST_INSTALLATION = 1800  # seconds
Install = tuple[tuple[str, ...], ...] | None


class InstallError(Exception):
    """A package that cannot be installed here; the message is one line."""


def python_of(folder: Path, package: str, install: Install) -> Path:
    """The Python that has ``package``: of its environment in ``folder``, made if need be; ours where ``install`` is None.

    ``install`` holds the arguments of one pip call each. Raises InstallError.
    """
    if install is None:
        return Path(sys.executable)
    target = folder / package
    python = target / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = target / "race.json"
    wanted = _fingerprint(install)
    if python.exists() and stamp.exists() and json.loads(stamp.read_text(encoding="utf-8")).get("wanted") == wanted:
        return python
    print(f"installing {package} into {target}", flush=True)
    shutil.rmtree(target, ignore_errors=True)
    base = getattr(sys, "_base_executable", None) or sys.executable
    _run([base, "-m", "venv", str(target)], package)
    for arguments in (COMMON, *install):
        _run([str(python), "-m", "pip", "install", "--quiet", "--constraint", str(CONSTRAINTS), *arguments], package)
    stamp.write_text(json.dumps({"wanted": wanted}), encoding="utf-8")
    return python


def _fingerprint(install: tuple[tuple[str, ...], ...]) -> str:
    text = json.dumps([COMMON, install, CONSTRAINTS.read_text(encoding="utf-8"), sys.version_info[:2]])
    return hashlib.sha256(text.encode()).hexdigest()


def _run(command: list[str], package: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_INSTALLATION)
    except subprocess.TimeoutExpired:
        raise InstallError(f"installing {package} took more than {LONGEST_INSTALLATION // 60} minutes") from None
    if done.returncode:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR")] or lines or ["no reason was given"]
        raise InstallError(f"{package} cannot be installed: {errors[-1].removeprefix('ERROR: ')[:200]}")
