"""Runs one contestant: ``python -m benchmarks._race.host JOB.json``, with that contestant's own Python.

The cores are taken before anything else is imported, so that no library counts more of them than there are to use.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any


def load(path: str) -> ModuleType:
    """The contestants' module at ``path``."""
    spec = importlib.util.spec_from_file_location("contestants", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(job: dict[str, Any]) -> dict[str, Any]:
    """Race, then paint and write ``result.json``. What goes wrong in the contestant is told in the result."""
    import numpy as np

    from benchmarks._race.stage import Stage, TimeUp

    stage = Stage(job, np.load(job["pictures"])["images"])
    problem = None
    try:
        load(job["file"]).race(job["name"], stage)
    except TimeUp:
        pass
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a package may well call sys.exit
        traceback.print_exc()
        words = str(error).strip().splitlines()
        problem = f"{type(error).__name__}: {words[0]}" if words else type(error).__name__
    return stage.write(problem)


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, job["cores"])
    os.chdir(job["folder"])  # what a package writes beside itself stays with its result
    print(json.dumps({key: value for key, value in run(job).items() if key != "shown"}))


if __name__ == "__main__":
    main()
