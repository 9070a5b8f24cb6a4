"""How long a person waits before anything happens: ``allaprima --help``, and ``import allaprima``.

Medians of RUNS runs in fresh processes, files already in the system's cache; a bare Python's own start is taken off the
import. The processor's time is given too: a busy neighbour changes it little. Use: ``python benchmarks/startup.py``.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time

RUNS = 11


def once(*arguments: str) -> tuple[float, float]:
    """Seconds on the clock and of the processor that one Python command takes; the latter is NaN on Windows."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL)
    if os.name == "nt":
        status, processor = process.wait(), float("nan")
    else:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode, processor = os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime
    if status:
        raise SystemExit(f"python {' '.join(arguments)} failed")
    return time.perf_counter() - start, processor


def medians(*arguments: str) -> tuple[float, float]:
    """Of RUNS runs; one before them, not counted, fills the caches."""
    once(*arguments)
    clock, processor = zip(*(once(*arguments) for _ in range(RUNS)), strict=True)
    return statistics.median(clock), statistics.median(processor)


def main() -> None:
    bare, bare_cpu = medians("-c", "pass")
    shown, shown_cpu = medians("-m", "allaprima", "--help")
    imported, imported_cpu = (
        value - own for value, own in zip(medians("-c", "import allaprima"), (bare, bare_cpu), strict=True)
    )
    print(f"allaprima --help    {shown:.3f} s   (to hold: 0.5)   processor {shown_cpu:.3f} s")
    print(f"import allaprima    {imported:.3f} s   (to hold: 0.2)   processor {imported_cpu:.3f} s")
    figures = {
        "help_seconds": shown,
        "import_seconds": imported,
        "python_seconds": bare,
        "help_processor_seconds": shown_cpu,
        "import_processor_seconds": imported_cpu,
    }
    print(
        json.dumps({"benchmark": "startup", **{key: round(value, 4) for key, value in figures.items()}, "runs": RUNS})
    )


if __name__ == "__main__":
    main()
