"""Contestants on lanes: each in a process of its own on its own cores; who has raced under the same settings is spared."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import queue
import shutil
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks._race import host
from benchmarks._race.datasets import Pictures
from benchmarks._race.environments import ROOT, Install, InstallError, python_of
from benchmarks._race.stage import write_whole

CONTESTANTS = Path(__file__).parent / "contestants"
# our code that a race depends on: what trains, and what chooses the moment that is kept
OF_TRAINING = ("core", "domains", "data", "models", "losses", "methods", "training", "bundle", "evaluation/features")
# what every contestant runs in, and the versions that it runs with
HOSTED = [Path(__file__).with_name(f"{name}.py") for name in ("clock", "host", "peers", "stage")]
HOSTED.append(Path(__file__).parents[2] / "constraints.txt")
PATIENCE = 1800  # seconds beyond twice the minutes: imports and painting


@dataclass(frozen=True)
class Contestant:
    """``lines`` are its curves, name → words; ``settings`` tells them and where they come from."""

    name: str
    file: Path
    package: str
    install: Install
    lines: dict[str, str]
    settings: str
    ours: bool


@dataclass(frozen=True)
class Settings:
    """What must be equal for two races to be the same race. ``marks`` in minutes, ascending, the last is the end."""

    marks: tuple[float, ...]
    samples: int
    final_samples: int
    seed: int
    cores: int


def contestants(folder: Path = CONTESTANTS) -> dict[str, Contestant]:
    """All by name, ours first."""
    found = []
    for file in sorted(folder.glob("[a-z]*.py")):
        module = host.load(str(file))
        for name, lines in module.LINES.items():
            ours = getattr(module, "OURS", False)
            words = module.SETTINGS[name]
            found.append(Contestant(name, file, module.PACKAGE, module.INSTALL, lines, words, ours))
    return {one.name: one for one in sorted(found, key=lambda one: not one.ours)}


def key_of(contestant: Contestant, pictures: Pictures, settings: Settings) -> dict[str, Any]:
    """Written beside a result: with another key it is another race. Ours changes with the code that trains."""
    code = hashlib.sha256(contestant.file.read_bytes())
    for file in HOSTED:
        code.update(file.read_bytes())
    if contestant.ours:
        for room in OF_TRAINING:
            for file in sorted((ROOT / "allaprima" / room).rglob("*.py")):
                code.update(file.read_bytes())
    return {
        "contestant": contestant.name,
        "code": code.hexdigest(),
        "data": pictures.labelled.manifest.fingerprint,
        "machine": f"{_processor()}, {os.cpu_count()} cores",
        "marks": list(settings.marks),
        "samples": settings.samples,
        "final_samples": settings.final_samples,
        "seed": settings.seed,
        "cores": settings.cores,
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def result_of(folder: Path) -> dict[str, Any] | None:
    """The result that lies in ``folder``, with its key; None when there is none."""
    try:
        return json.loads((folder / "result.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def has_raced(folder: Path, key: dict[str, Any]) -> bool:
    """Whether a race with this key was finished. One that failed may be raced again: its reason may have been mended."""
    result = result_of(folder)
    return result is not None and result.get("key") == key and result["status"] == "finished"


def race_all(
    entries: Sequence[tuple[Contestant, Pictures]],
    settings: Settings,
    out: Path,
    venvs: Path,
    lanes: Sequence[Sequence[int]],
    say: Callable[[str], None] = print,
) -> None:
    """Every entry once, ``len(lanes)`` at a time; a lane is the cores it has. Results lie in ``out/<data>/<name>/``."""
    waiting: queue.Queue[tuple[Contestant, Pictures, Path]] = queue.Queue()
    for contestant, pictures in entries:
        if has_raced(out / pictures.name / contestant.name, key_of(contestant, pictures, settings)):
            say(f"{pictures.name}: {contestant.name} has raced under these settings already")
            continue
        try:
            waiting.put((contestant, pictures, python_of(venvs, contestant.package, contestant.install)))
        except InstallError as error:
            say(f"{pictures.name}: {contestant.name} cannot race: {error}")
            _note_failure(out / pictures.name / contestant.name, key_of(contestant, pictures, settings), str(error))
    total, started = waiting.qsize(), iter(range(1, waiting.qsize() + 1))

    def drive(cores: Sequence[int]) -> None:
        while True:
            try:
                contestant, pictures, python = waiting.get_nowait()
            except queue.Empty:
                return
            number = next(started)
            say(f"[{number}/{total}] {pictures.name}: {contestant.name} starts on cores {', '.join(map(str, cores))}")
            result = race(contestant, pictures, settings, out, python, cores)
            pace = f"{result['num_images_seen']:,} images seen, {result['images_per_second']:g}/s"
            busy = f"; only {result['processor_share']:.0%} of its cores" if result["processor_share"] < 0.9 else ""
            ended = f"FAILED: {result['reason']}" if result["status"] == "failed" else f"{pace}{busy}"
            say(f"[{number}/{total}] {pictures.name}: {contestant.name}: {ended}")

    threads = [threading.Thread(target=drive, args=(cores,), daemon=True) for cores in lanes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def race(
    contestant: Contestant, pictures: Pictures, settings: Settings, out: Path, python: Path, cores: Sequence[int]
) -> dict[str, Any]:
    """One contestant from start to result, which is returned and written. Whatever happens there is a result."""
    folder = out / pictures.name / contestant.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    key = key_of(contestant, pictures, settings)
    job = {
        "name": contestant.name,
        "file": str(contestant.file.resolve()),
        "folder": str(folder.resolve()),
        "pictures": str(pictures.array.resolve()),
        "dataset": str(pictures.plain.resolve()),
        "labelled": str(pictures.labelled.folder.resolve()),
        "cores": list(cores),
        "marks": list(settings.marks),
        "samples": settings.samples,
        "final_samples": settings.final_samples,
        "seed": settings.seed,
    }
    (folder / "job.json").write_text(json.dumps(job, indent=2), encoding="utf-8")
    command = [str(python), "-m", "benchmarks._race.host", str((folder / "job.json").resolve())]
    threads = {f"{name}_NUM_THREADS": str(len(cores)) for name in ("OMP", "MKL", "OPENBLAS", "NUMEXPR")}
    environment = {**os.environ, **threads, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    limit = 2 * settings.marks[-1] * 60 + PATIENCE
    reason = "it ended without a result"
    with open(folder / "log.txt", "wb") as log:
        try:
            done = subprocess.run(
                command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT, timeout=limit
            )
            if done.returncode:
                reason = f"its process ended with code {done.returncode}: {_last_line(folder / 'log.txt')}"
        except subprocess.TimeoutExpired:
            reason = f"it was stopped after {limit / 60:.0f} minutes"
    result = result_of(folder)
    if result is None:
        return _note_failure(folder, key, reason)
    result["key"] = key
    write_whole(folder / "result.json", json.dumps(result, indent=2).encode())
    return result


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1].strip()[:200] if lines else "it said nothing"


def _note_failure(folder: Path, key: dict[str, Any], reason: str) -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    result = {
        "status": "failed",
        "reason": reason,
        "shown": [],
        "num_images_seen": 0,
        "images_per_second": 0.0,
        "seconds_over": 0.0,
        "processor_share": 1.0,
        "key": key,
    }
    write_whole(folder / "result.json", json.dumps(result, indent=2).encode())
    return result
