"""Worker processes that a bad file cannot take down with it.

Use: ``for start, outcomes in examine_all(job, names, keys, workers=4): ...``.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import warnings
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from allaprima.data.worker import Job, Outcome, begin, forget, work, work_on

CHUNK = 16  # pictures handed to a worker at a time
CRASHED = Outcome("unreadable", "broken: the decoder crashed")


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def examine_all(
    job: Job, names: Sequence[str], keys: Sequence[Any], workers: int
) -> Generator[tuple[int, list[Outcome]], None, None]:
    """(first place, outcomes) of every chunk. With one worker, in this process."""
    starts = range(0, len(keys), CHUNK)
    if workers == 1 or len(keys) <= CHUNK:
        try:
            for start in starts:
                yield start, work(job, start, names[start : start + CHUNK], keys[start : start + CHUNK])
        finally:
            forget()
            job.reader.close()
        return
    left = list(starts)
    while left:
        done = set()
        try:
            for start, outcomes in _pooled(job, names, keys, workers, left, CHUNK):
                done.add(start)
                yield start, outcomes
            return
        except BrokenProcessPool:  # a decoder crashed, or the system killed a worker
            left = [start for start in left if start not in done]
            suspects, left = left[: 2 * workers], left[2 * workers :]
        for start in suspects:
            yield start, _one_by_one(job, names, keys, start)


def _one_by_one(job: Job, names: Sequence[str], keys: Sequence[Any], start: int) -> list[Outcome]:
    """The outcomes of one chunk, in which some picture may end the process that reads it."""
    outcomes: list[Outcome] = []
    stop = min(start + CHUNK, len(keys))
    while start + len(outcomes) < stop:
        try:
            for _, (outcome,) in _pooled(job, names, keys, 1, range(start + len(outcomes), stop), 1):
                outcomes.append(outcome)
        except BrokenProcessPool:  # one worker takes them in order: it was the one that has no outcome yet
            outcomes.append(CRASHED)
    return outcomes


def _pooled(
    job: Job, names: Sequence[str], keys: Sequence[Any], workers: int, starts: Sequence[int], chunk: int
) -> Generator[tuple[int, list[Outcome]], None, None]:
    pool = ProcessPoolExecutor(min(workers, len(starts)), mp_context=_context(), initializer=begin, initargs=(job,))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # about forking beside threads: see _context
            futures = deque(
                pool.submit(work_on, start, names[start : start + chunk], keys[start : start + chunk])
                for start in starts
            )
        for start in starts:
            yield start, futures.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _context() -> Any:
    """Fork where it is safe (Linux, no other Python thread holds a lock), because it starts at once; else spawn.

    Idle threads of numerical libraries do no harm: they hold no lock, and the workers never call those libraries'
    pools.
    """
    forkable = sys.platform == "linux" and threading.active_count() == 1
    return multiprocessing.get_context("fork" if forkable else "spawn")
