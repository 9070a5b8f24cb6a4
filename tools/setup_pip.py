"""The set-up's places, its one kind of error, and the environment's pip with plain words when it fails."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
LOG = VENV / "setup.log"
WINDOWS = os.name == "nt"
BIN = VENV / ("Scripts" if WINDOWS else "bin")
PYTHON = BIN / ("python.exe" if WINDOWS else "python")
CONSTRAINTS = ROOT / "constraints.txt"

AGAIN = "then give the same command again"
CLUES = (
    (r"No space left|Errno 28|not enough space", "The disk is full", f"free some space, {AGAIN}"),
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLError",
        "The package index's certificate is not trusted here",
        "behind a company's proxy, name its certificate file in PIP_CERT",
    ),
    (
        r"NewConnectionError|ConnectTimeout|getaddrinfo|resolution|Connection (refused|reset)|ProxyError|timed out",
        "The package index cannot be reached",
        f"check the network (and HTTPS_PROXY), {AGAIN}: what was fetched is kept",
    ),
    (
        r"No matching distribution found for torch",
        "There is no PyTorch of the release in constraints.txt for Python {python} on this machine",
        "use another Python, such as 3.12",
    ),
    (r"Permission denied|Errno 13", "Files may not be written here", "own this folder, and leave sudo out"),
)


class SetupError(Exception):
    """A problem that the person can mend, and how."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}\n  → {remedy}")


def pip(*arguments: str) -> None:
    """Run the environment's pip, its progress seen. Raises SetupError with the likely reason when it fails."""
    start = LOG.stat().st_size if LOG.exists() else 0
    command = [str(PYTHON), "-m", "pip", *arguments, "--no-input", "--disable-pip-version-check", "--log", str(LOG)]
    if subprocess.call(command, cwd=ROOT) == 0:
        return
    said = ""
    if LOG.exists():
        with open(LOG, "rb") as file:
            file.seek(start)
            said = file.read().decode("utf-8", "replace")
    raise explain(said, "pip could not install what is needed")


def explain(said: str, otherwise: str) -> SetupError:
    """The problem behind a program's words, and its remedy."""
    for pattern, problem, remedy in CLUES:
        if re.search(pattern, said):
            return SetupError(problem.format(python=".".join(map(str, sys.version_info[:2]))), remedy)
    errors = [line for line in said.splitlines() if "ERROR" in line] or said.strip().splitlines() or ["no word why"]
    return SetupError(f"{otherwise}: {errors[-1].strip()}", f"read what stands above (and {LOG}), {AGAIN}")
