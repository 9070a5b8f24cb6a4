"""What a contestant sees of the race: the training pictures, when its time begins, and whom to show itself to.

A contestant calls ``start()`` when it is imported and has its pictures in the form it wants, then ``look()`` after every
training step. At each mark ``look`` takes a snapshot (a copy of the generator, with the clock stopped); when the minutes
are over it raises TimeUp. Samples are painted from the snapshots afterwards, so that they cost nobody training time.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._race.clock import Clock

Sampler = Callable[[int], np.ndarray]  # how many → uint8 [N,H,W,C]
Snapshot = Callable[[], dict[str, Sampler]]  # the contestant as it is now: line of the chart → its sampler


class TimeUp(BaseException):
    """The minutes are over. It is no Exception, so that no `except Exception` of a package swallows it."""


@dataclass
class Taken:
    """What stood at a mark: ``seconds`` on the clock, ``num_images_seen``, and the means to paint."""

    mark: float
    seconds: float
    num_images_seen: int
    samplers: dict[str, Sampler]


class Stage:
    """``job`` holds ``folder``, ``marks`` (minutes, ascending, the last is the end), ``samples`` (at a mark),
    ``final_samples`` (at the end), ``seed`` and ``cores``; what else it holds is the contestant's."""

    def __init__(self, job: dict[str, Any], pictures: np.ndarray) -> None:
        self.job = job
        self.pictures = pictures
        self.folder = Path(job["folder"])
        self.taken: list[Taken] = []
        self.clock: Clock | None = None
        self._left = list(job["marks"])

    @property
    def minutes_left(self) -> float:
        """Until the end; of a clock that runs."""
        assert self.clock is not None, "start() comes first"
        return self.job["marks"][-1] - self.clock.seconds() / 60

    def start(self) -> None:
        """The minutes begin. Threads and seeds are set first, after the packages have been imported."""
        random.seed(self.job["seed"])
        np.random.seed(self.job["seed"])
        torch = sys.modules.get("torch")
        if torch is not None:
            torch.set_num_threads(len(self.job["cores"]))
            torch.manual_seed(self.job["seed"])
        self.clock = Clock()

    def look(self, num_images_seen: int, snapshot: Snapshot, final: Snapshot | None = None) -> None:
        """To be called after each step. ``final`` is taken at the end instead, where that is something else."""
        assert self.clock is not None, "start() comes first"
        seconds = self.clock.seconds()
        if seconds < self._left[0] * 60:
            return
        passed = [mark for mark in self._left if seconds >= mark * 60]
        self._left = self._left[len(passed) :]
        with self.clock.paused():
            chosen = final if final is not None and not self._left else snapshot
            self.taken.append(Taken(passed[-1], seconds, num_images_seen, chosen()))
        if not self._left:
            raise TimeUp

    def finish(self, num_images_seen: int, final: Snapshot) -> None:
        """For a contestant that plans its own end: it is done, whatever the clock says."""
        assert self.clock is not None, "start() comes first"
        self._left = []
        self.taken.append(Taken(self.job["marks"][-1], self.clock.seconds(), num_images_seen, final()))

    def write(self, problem: str | None) -> dict[str, Any]:
        """Paint from every snapshot; ``result.json`` comes last. ``problem`` is why the contestant ended too soon."""
        clock = self.clock
        seconds = clock.seconds() if clock else 0.0
        processor = clock.processor_seconds() if clock else 0.0
        if problem is None and self._left:
            problem = f"it ended by itself after {seconds / 60:.2f} minutes"
        shown = []
        for taken in self.taken:
            is_final = taken.mark == self.job["marks"][-1]
            count = self.job["final_samples"] if is_final else self.job["samples"]
            for line, sampler in taken.samplers.items():
                try:
                    shown.append(self._paint(taken, line, sampler, count))
                except Exception as error:  # one sampler that fails takes no other along
                    traceback.print_exc()
                    problem = problem or f"{line} at {taken.mark:g} minutes: {type(error).__name__}: {error}"
        last = self.taken[-1] if self.taken else None
        limit = self.job["marks"][-1] * 60
        result = {
            "status": "failed" if problem else "finished",
            "reason": problem,
            "shown": shown,
            "num_images_seen": last.num_images_seen if last else 0,
            "images_per_second": round(last.num_images_seen / last.seconds, 1) if last and last.seconds else 0.0,
            "seconds_over": round(max(0.0, (last.seconds if last else 0.0) - limit), 2),
            "processor_share": round(processor / max(seconds * len(self.job["cores"]), 1e-9), 3),
        }
        write_whole(self.folder / "result.json", json.dumps(result, indent=2).encode())
        return result

    def _paint(self, taken: Taken, line: str, sampler: Sampler, count: int) -> dict[str, Any]:
        torch = sys.modules.get("torch")
        if torch is not None:
            torch.manual_seed(self.job["seed"] + 1)
        np.random.seed(self.job["seed"] + 1)
        begun = time.monotonic()
        pictures = sampler(count)
        wanted = (count, *self.pictures.shape[1:])
        if pictures.shape != wanted or pictures.dtype != np.uint8:
            raise ValueError(f"{line} painted {pictures.dtype} {list(pictures.shape)}, not uint8 {list(wanted)}")
        name = f"{line}-{taken.mark:g}.npy"
        path = self.folder / name
        beside = path.with_name(f".{name}")
        with open(beside, "wb") as file:
            np.save(file, pictures)
        os.replace(beside, path)
        return {
            "line": line,
            "minutes": taken.mark,
            "seconds": round(taken.seconds, 2),
            "num_images_seen": taken.num_images_seen,
            "file": name,
            "count": count,
            "painted_per_second": round(count / max(time.monotonic() - begun, 1e-9), 1),
        }


def write_whole(path: Path, content: bytes) -> None:
    """``content`` at ``path``, there as a whole or not at all."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_bytes(content)
    os.replace(beside, path)
