"""Several processes learn what one would have learned, and one of them speaks for all."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from allaprima.training import checkpoint, command, stats
from allaprima.training.distributed import ALONE
from tests.unit._runs import LOOP, PIXELS, TINY_GAN, one_thread

__all__ = ["one_thread"]  # used by pytest

SETTINGS = [*TINY_GAN, *LOOP, PIXELS, "method.generator.normalisation=none", "training.ticks=2"]
# the part of each is a whole group of opponents, and the penalty's share of it whole samples
SETTINGS += ["method.penalty_share=0.25", "training.batch_size=16"]
# which conditions do not match is a part's own question, and said
SETTINGS += ["method.mismatched=0", "method.contrast=0"]
# Adam's step does not know how small a gradient is: what is rounding alone moves a weight by the learning rate
SETTINGS += ["training.lr=1e-4"]


def program(folder: Path, dataset: Path, images: int) -> list[str]:
    changes = [part for change in SETTINGS for part in ("--set", change)]
    return ["-m", "allaprima", "train", str(dataset), str(folder), "--images", str(images), *changes]


def two_processes(folder: Path, dataset: Path, images: int) -> list[tuple[int, str, str]]:
    """What torchrun would start, without its seconds: exit code, output and errors of each."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = os.environ | {
        "OMP_NUM_THREADS": "1",
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    line = [sys.executable, *program(folder, dataset, images)]
    pipe = subprocess.PIPE
    started = [
        subprocess.Popen(line, stdout=pipe, stderr=pipe, text=True, env=shared | {"RANK": rank, "LOCAL_RANK": rank})
        for rank in ("0", "1")
    ]
    said = [process.communicate(timeout=300) for process in started]
    return [(process.returncode, *words) for process, words in zip(started, said, strict=True)]


def one_process(folder: Path, dataset: Path, images: int) -> list[str]:
    said: list[str] = []
    command.train(str(dataset), folder, "16", [f"budget={{images: {images}}}", *SETTINGS], said.append)
    return said


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    """All but the bias of the score: the relativistic loss sees differences, so what moves it is rounding alone."""
    newest, _ = checkpoint.newest(folder / "checkpoints")
    assert newest is not None
    return {
        key: value for key, value in checkpoint.load(newest)[0].items() if not key.endswith("score.unconditional.bias")
    }


def test_two_processes_learn_what_one_learns_and_one_goes_on_with_what_two_began(
    tmp_path: Path, tiny_dataset: Path
) -> None:
    (code, begun, errors), (_, silence, _) = two_processes(tmp_path / "two", tiny_dataset, 80)
    assert code == 0, errors
    assert begun.count("plan: ") == 1, begun
    assert begun.count("finished: 80 images") == 1
    assert silence == ""
    one_process(tmp_path / "one", tiny_dataset, 80)
    alone, together = tensors(tmp_path / "one"), tensors(tmp_path / "two")
    assert alone.keys() == together.keys()
    assert all(torch.allclose(alone[key], together[key], atol=1e-4) for key in alone)
    figures = [
        [{key: value for key, value in line.items() if not key.startswith(("time/", "speed/"))} for line in lines]
        for lines in (stats.read(tmp_path / "one"), stats.read(tmp_path / "two"))
    ]
    assert len(figures[0]) == len(figures[1]) == 2
    for one, other in zip(*figures, strict=True):
        assert one.keys() == other.keys()
        assert all(abs(one[key] - other[key]) < 1e-3 * max(1, abs(one[key])) for key in one)
    assert any("going on at 80 images" in words for words in one_process(tmp_path / "two", tiny_dataset, 160))
    assert stats.read(tmp_path / "two")[-1]["num_images_seen"] == 160


def test_a_mistake_is_told_once_and_ends_all_processes(tmp_path: Path) -> None:
    codes, _, errors = zip(*two_processes(tmp_path / "run", tmp_path / "nowhere", 80), strict=True)
    assert codes == (2, 2)
    assert "".join(errors).count("allaprima: ") == 1, errors
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_torchrun_starts_it(tmp_path: Path, tiny_dataset: Path) -> None:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    line = [*launcher, *program(tmp_path / "run", tiny_dataset, 80)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(line, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("finished: 80 images") == 1


def test_a_process_alone_exchanges_nothing() -> None:
    tensor = torch.arange(3.0)
    ALONE.mean_([tensor])
    assert torch.equal(tensor, torch.arange(3.0))
    assert ALONE.leads
    assert ALONE.agree(True)
    assert not ALONE.agree(False)
    assert ALONE.same("word") == "word"
    with ALONE.leader_first():
        pass
