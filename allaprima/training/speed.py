"""How fast a configuration learns on this machine, and the memory that it takes: a few steps of a learner that is thrown away.

Use: ``Speedometer(run, device, seconds=15).measure(config)``.
"""

from __future__ import annotations

import contextlib
import gc
import os
import time
from collections.abc import Iterator
from dataclasses import replace

import torch

from allaprima.core.device import Device
from allaprima.training import budget, recording
from allaprima.training.config import RunConfig
from allaprima.training.distributed import ALONE, Group
from allaprima.training.learner import Learner
from allaprima.training.planner import Measured
from allaprima.training.run import Run

EACH_SHARE, MOST_EACH = 0.25, 1.5  # of the seconds for all candidates; seconds
PLACES = (0.75, 0.25)  # of a run, in turn: a phase may rest in one half of it; the fullest first, for the memory's sake
SLOW = 2.0  # a first step that takes this many times as long says enough
USABLE = 0.8  # of the memory that is free
WORKSPACE = 1.5  # what libraries need beside the tensors that are kept for the backward pass
COPIES = 5  # of each weight: itself, gradient, two moments, moving average


class Speedometer:
    """Measures candidates for about ``seconds`` in all.

    Where the processes of ``group`` share a batch, it learns this one's part, in the time in which all would learn the whole.
    """

    def __init__(self, run: Run, device: Device, seconds: float, group: Group = ALONE) -> None:
        self.run, self.device = run, device
        self.part = (group.part.number, group.part.count)
        self.each = min(MOST_EACH, EACH_SHARE * seconds)
        self._end = time.monotonic() + seconds

    def time_left(self) -> float:
        """Seconds; negative when they are over."""
        return self._end - time.monotonic()

    def measure(self, config: RunConfig) -> Measured | None:
        """None where the configuration does not fit into memory."""
        if self.part[1] > 1:  # several processes record nothing, but this one measures alone
            training = config.training.model_copy(update={"cuda_graphs": False})
            config = config.model_copy(update={"training": training})
        run = replace(self.run, config=config)
        batch_size = config.training.batch_size
        loader = run.loader("train", batch_size, self.device.torch, self.part)
        try:
            learner = Learner.of(run, self.device)

            learner.step_number = len(PLACES)  # the first of them comes next, and some images have been seen
            # how often each picture is shown would grow with the steps, and each growth be recorded anew
            learner.num_pictures = 0

            def step() -> None:
                place = PLACES[learner.step_number % len(PLACES)]
                learner.step(loader.batch(learner.step_number), round(learner.num_images_seen / place))

            begun = time.monotonic()
            with _memory(learner, self.device) as taken:
                step()
            first = time.monotonic() - begun
            if learner.recorder is not None:
                taken[0] *= 1 + recording.MOST_RECORDINGS
            if taken[0] > USABLE * free_memory(self.device):
                return None
            if self.device.torch.type == "cpu" and first > SLOW * self.each:
                return Measured(batch_size / first, taken[0])  # more would cost more than it tells
            if learner.recorder is not None:
                for _ in range(len(PLACES) * (recording.WARM_UP_STEPS + 1)):
                    step()  # until each place's steps are played back: so it goes for all of a run but its beginning
            rate = budget.measure_images_per_second(step, batch_size, self.each, fewest=2)
            return Measured(rate, taken[0])
        except (torch.OutOfMemoryError, MemoryError):
            return None
        finally:
            loader.close()
            gc.collect()
            if self.device.torch.type == "cuda":
                torch.cuda.empty_cache()


@contextlib.contextmanager
def _memory(learner: Learner, device: Device) -> Iterator[list[int]]:
    """The bytes that a step inside takes, in the list's only place once it is over."""
    found = [0]
    if device.torch.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        yield found
        found[0] = torch.cuda.max_memory_allocated()
        return
    kept: dict[int, int] = {}  # by address: what is saved for several layers counts once

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        yield found
    weights = sum(parameter.numel() for parameter in learner.method.parameters())
    found[0] = int(WORKSPACE * sum(kept.values())) + COPIES * 4 * weights


def free_memory(device: Device) -> float:
    """Bytes that a run may take on ``device``; infinite where the system does not say."""
    if device.torch.type == "cuda":
        free, _ = torch.cuda.mem_get_info()
        return free + torch.cuda.memory_reserved()
    try:
        with open("/proc/meminfo") as file:
            return next(1024.0 * int(line.split()[1]) for line in file if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        pass
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):
        return float("inf")
