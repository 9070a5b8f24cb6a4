"""The start stays quick: its figures are held by a test, in the processor's time, because neighbours may be busy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(os.name == "nt", reason="the processor's time of a child is not told on Windows")
def test_help_and_import_answer_at_once(repository: Path) -> None:
    command = [sys.executable, str(repository / "benchmarks" / "startup.py")]
    seen = subprocess.run(command, capture_output=True, text=True, check=True)
    figures = json.loads(seen.stdout.splitlines()[-1])
    assert figures["benchmark"] == "startup"
    assert figures["help_processor_seconds"] < 0.5
    assert figures["import_processor_seconds"] < 0.2
