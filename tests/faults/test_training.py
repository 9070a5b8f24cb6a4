"""A training that is killed at any moment, and a disk that fails at any moment of a save: the "Training" table's hardest rows.

``make faults`` takes the whole numbers, ``make test`` a fraction of them. Others of that table (flipped and torn checkpoints, bad
pictures, NaN, clocks, locks, SIGTERM) are quick and stand in ``tests/unit``.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
import torch

from allaprima.core.seeds import derive
from allaprima.training import checkpoint
from tests.faults.test_server import WHOLE

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="strace and /proc are Linux's")

IMAGES = 4_000 if WHOLE else 2_000
KILLS = 100 if WHOLE else 2
SIZES = 20 if WHOLE else 1  # of a disk that is too small
POINTS = 1_000 if WHOLE else 2  # of a save, for each way to fail; there are fewer
SETTINGS = [
    *("method.latent_dim=8", "training.batch_size=8", "training.validation_samples=16", "training.ticks=8"),
    *("training.precision=fp32", "training.threads=1", "training.features=pixels", "training.checkpoint_seconds=1"),
    *("method.generator.width=8", "method.generator.max_width=16"),
    *("method.discriminator.width=8", "method.discriminator.max_width=16", "method.augment_probability=adaptive"),
]
CALLS = "write,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat"
SAVE = """
import os, sys, torch
from pathlib import Path
from allaprima.core.errors import UserError
from allaprima.training import checkpoint
os.write(2, b"BEGIN\\n")
try:
    checkpoint.save(Path(sys.argv[1]), 3, {"w": torch.full((1000,), 3.0)}, {"step": 3}, keep=2)
except UserError as error:
    os.write(1, f"{error.problem} -> {error.remedy}".encode())
    sys.exit(2)
os.write(2, b"END\\n")
"""


# -- killed while it learns ---------------------------------------------------------------------------------------------


def command(dataset: Path, run: Path) -> list[str]:
    changes = [part for change in SETTINGS for part in ("--set", change)]
    return [sys.executable, "-m", "allaprima", "train", str(dataset), str(run), "--images", str(IMAGES), *changes]


def final(run: Path) -> dict[str, bytes]:
    """The last checkpoint's tensors, and the published weights, to the byte."""
    newest, problems = checkpoint.newest(run / "checkpoints")
    assert newest is not None
    assert not problems
    weights = next((run / "bundle").glob("weights-*.safetensors"))
    return {
        "images": newest.name.encode(),
        "state": (newest / checkpoint.TENSORS).read_bytes(),
        "weights": weights.read_bytes(),
    }


def test_killed_at_random_times_it_ends_with_the_same_bits(tiny_dataset: Path, tmp_path: Path) -> None:
    begun = time.monotonic()
    subprocess.run(command(tiny_dataset, tmp_path / "whole"), check=True, capture_output=True, timeout=300)
    seconds = time.monotonic() - begun
    draw, killed, deadline = random.Random(0), 0, time.monotonic() + 40 * KILLS + 300
    while True:
        process = subprocess.Popen(
            command(tiny_dataset, tmp_path / "hurt"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            wait = draw.uniform(0, seconds) if killed < KILLS else None
            _, told = process.communicate(timeout=wait)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            killed += 1
            assert time.monotonic() < deadline, "it gets no further"
            continue
        assert process.returncode == 0, told
        if killed >= KILLS:
            break
        # it was over sooner than it was to be killed: once more from the beginning
        assert final(tmp_path / "hurt") == final(tmp_path / "whole")
        shutil.rmtree(tmp_path / "hurt")
    print(f"killed {killed} times")
    assert final(tmp_path / "hurt") == final(tmp_path / "whole")
    assert not list((tmp_path / "hurt").rglob("*.partial*")), "what a kill left is swept"


# -- a save that fails at each of its system calls ------------------------------------------------------------------------


def traced(folder: Path, log: Path, *inject: str) -> subprocess.CompletedProcess[str]:
    """The save in a process of its own under strace."""
    program = [
        "strace",
        "-f",
        "-qq",
        "-o",
        str(log),
        "-e",
        f"trace={CALLS}",
        *inject,
        sys.executable,
        "-c",
        SAVE,
        str(folder),
    ]
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.run(program, capture_output=True, text=True, timeout=120, env=environment)


def old_checkpoints(folder: Path) -> None:
    for step in (1, 2):
        checkpoint.save(folder, step, {"w": torch.full((1000,), float(step))}, {"step": step}, keep=2)


@cache
def calls_of_a_save(folder: Path) -> list[tuple[str, int]]:
    """Each system call of a save: its name, and which of that name in the process it is."""
    old_checkpoints(folder / "counted")
    log = folder / "calls"
    made = traced(folder / "counted", log)
    if made.returncode:
        pytest.skip(f"strace may not trace here: {made.stderr[-200:]}")
    counts, found, inside = Counter[str](), [], False
    for line in log.read_text().splitlines():
        match = re.match(r"(?:\d+\s+)?(\w+)\(", line)
        if match is None:
            continue
        counts[match[1]] += 1
        if "BEGIN" in line or '"END' in line:
            inside = "BEGIN" in line
        elif inside:
            found.append((match[1], counts[match[1]]))
    assert {"write", "fsync"} <= {name for name, _ in found}
    assert len(found) >= 10
    return found


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, int]]:
    if shutil.which("strace") is None:
        pytest.skip("no strace")
    return calls_of_a_save(tmp_path_factory.mktemp("calls"))


@pytest.mark.parametrize("how", ["signal=SIGKILL", "error=ENOSPC", "error=EIO"])
def test_a_save_that_fails_at_any_call_leaves_a_whole_checkpoint(
    how: str, calls: list[tuple[str, int]], tmp_path: Path
) -> None:
    wanted = [
        (name, number) for name, number in calls if how == "signal=SIGKILL" or name in ("write", "fsync", "mkdir")
    ]
    chosen = random.Random(derive(0, how)).sample(wanted, min(POINTS, len(wanted)))
    for place, (name, number) in enumerate(chosen):
        folder = tmp_path / str(place)
        old_checkpoints(folder)
        before = {path.name: (path / checkpoint.TENSORS).read_bytes() for path in checkpoint.listed(folder)}
        made = traced(folder, tmp_path / "log", "-e", f"inject={name}:{how}:when={number}")
        said = f"{how} at {name} number {number}: {made.stdout} {made.stderr}"
        if how.startswith("error") and made.returncode:
            assert made.returncode == 2, said
            assert "->" in made.stdout, said
            assert "Traceback" not in made.stderr, said
        newest, problems = checkpoint.newest(folder)
        assert newest is not None, said
        assert not problems, f"torn: {said}"
        tensors, state = checkpoint.load(newest)
        assert torch.equal(tensors["w"], torch.full((1000,), float(state["step"]))), said
        if state["step"] == 2:
            assert (newest / checkpoint.TENSORS).read_bytes() == before[newest.name], said
        # the disk has room again: it goes on, and what was left is swept
        checkpoint.save(folder, 4, {"w": torch.full((1000,), 4.0)}, {"step": 4}, keep=2)
        assert checkpoint.newest(folder)[0] == folder / f"{4:012d}", said
        assert not [path for path in folder.iterdir() if "partial" in path.name], said
    print(f"{how}: {len(chosen)} of {len(wanted)} calls")


# -- a disk that is full, of twenty sizes ---------------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """A disk of so many kilobytes, in memory; called again, the same one with as many."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def of(kilobytes: int) -> Path:
        again = "remount," if folder.is_mount() else ""
        mount = ["mount", "-t", "tmpfs", "-o", f"{again}size={kilobytes}k", "tmpfs", str(folder)]
        if subprocess.run(mount, capture_output=True).returncode:
            pytest.skip("a disk of a size can be made by root alone")
        return folder

    yield of
    if folder.is_mount():
        subprocess.run(["umount", str(folder)], check=True)


def test_on_a_disk_that_is_full_it_stops_plainly_and_goes_on_when_there_is_room(
    disk: Callable[[int], Path], tiny_dataset: Path, tmp_path: Path
) -> None:
    subprocess.run(command(tiny_dataset, tmp_path / "whole"), check=True, capture_output=True, timeout=300)
    needed = sum(path.stat().st_size for path in (tmp_path / "whole").rglob("*") if path.is_file()) // 1024
    stopped = 0
    for place in range(SIZES):
        folder = disk(round(needed * (place + 0.5) / SIZES))
        made = subprocess.run(command(tiny_dataset, folder / "run"), capture_output=True, text=True, timeout=300)
        said = f"{place}: {made.stderr[-600:]}"
        if made.returncode:
            stopped += 1
            assert made.returncode == 2, said
            assert "No space left" in made.stderr, said
            assert "Traceback" not in made.stderr, said
        whole = [path for path in checkpoint.listed(folder / "run" / "checkpoints") if checkpoint.is_whole(path)]
        assert whole == checkpoint.listed(folder / "run" / "checkpoints"), said
        disk(65_536)
        subprocess.run(command(tiny_dataset, folder / "run"), check=True, capture_output=True, timeout=300)
        assert final(folder / "run") == final(tmp_path / "whole"), said
        assert not list((folder / "run").rglob("*.partial*")), said
        shutil.rmtree(folder / "run")
    print(f"full on {stopped} of {SIZES} disks")
    assert stopped >= SIZES / 2
