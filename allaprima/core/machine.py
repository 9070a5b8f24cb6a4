"""This machine's name for measurements that are kept: they hold for it alone."""

from __future__ import annotations

import os
import platform
from functools import cache


@cache
def processor() -> str:
    """The processor and how many of its threads this process may use, such as ``AMD EPYC 9654, 2 threads``."""
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return f"{_model()}, {threads} thread{'s' if threads > 1 else ''}"


def _model() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
