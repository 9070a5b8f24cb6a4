"""How long a person waits before anything happens: ``allaprima --help``, and ``import allaprima``.

Medians of RUNS runs in fresh processes, files already in the system's cache; a bare Python's own start is taken off the
import. Use: ``python benchmarks/startup.py``.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time

RUNS = 11


def seconds(*arguments: str) -> float:
    """The median duration of one Python command; the first run is not counted."""
    durations = []
    for _ in range(RUNS + 1):
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
        durations.append(time.perf_counter() - start)
    return statistics.median(durations[1:])


def main() -> None:
    bare = seconds("-c", "pass")
    help_ = seconds("-m", "allaprima", "--help")
    imported = seconds("-c", "import allaprima") - bare
    print(f"allaprima --help    {help_:.3f} s   (to hold: 0.5)")
    print(f"import allaprima    {imported:.3f} s   (to hold: 0.2), without Python's own {bare:.3f} s")
    figures = {"help_seconds": round(help_, 4), "import_seconds": round(imported, 4), "python_seconds": round(bare, 4)}
    print(json.dumps({"benchmark": "startup", **figures, "runs": RUNS}))


if __name__ == "__main__":
    main()
