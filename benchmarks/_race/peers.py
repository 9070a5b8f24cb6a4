"""What several packages need to run at all beside a CPU build of PyTorch, and pictures in the form they want.

Nothing here changes what a package computes: operators that are never called, modules that are only imported, and a
device that is not there.
"""

from __future__ import annotations

import contextlib
import importlib.machinery
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import numpy as np
import torch

# those that torchvision describes while it is imported
POOLS = ("roi_align", "roi_pool", "ps_roi_align", "ps_roi_pool", "deform_conv2d")
OPERATORS = ("nms", "qnms", *POOLS, *(f"_{name}_backward" for name in POOLS))


def declare_torchvision_operators() -> torch.library.Library:
    """torchvision's detection operators by name, without which it refuses to be imported. Keep what is returned."""
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in OPERATORS:
        library.define(f"{name}() -> ()")
    return library


def stub(name: str, **attributes: Any) -> None:
    """An empty module in the place of one that is imported and not used, with a spec, which some importers ask for."""
    module = mock.MagicMock(name=name)
    module.__spec__ = importlib.machinery.ModuleSpec(name, None)
    module.__name__, module.__path__ = name, []
    for key, value in attributes.items():
        setattr(module, key, value)
    sys.modules[name] = module


@contextlib.contextmanager
def pretended_cuda() -> Iterator[None]:
    """Inside, CUDA seems to be there: for packages that assert it while they are imported."""
    with mock.patch.object(torch.cuda, "is_available", return_value=True):
        yield


def stay_on_cpu(module: types.ModuleType) -> None:
    """``.cuda(…)`` leaves tensors and nets where they are, and ``torch.device("cuda:0")`` inside ``module`` is the CPU."""
    torch.Tensor.cuda = lambda self, *_, **__: self  # type: ignore[method-assign]
    torch.nn.Module.cuda = lambda self, *_, **__: self  # type: ignore[method-assign]
    inside = types.ModuleType("torch")
    inside.__dict__.update(torch.__dict__)
    inside.device = lambda *_, **__: torch.device("cpu")  # type: ignore[attr-defined]
    module.torch = inside  # type: ignore[attr-defined]


def as_floats(pictures: np.ndarray, low: float, channels: int) -> torch.Tensor:
    """uint8 ``[N,H,W,C]`` → float32 ``[N,channels,H,W]`` in [``low``, 1]; grey is repeated where three are wanted."""
    tensor = torch.from_numpy(pictures).permute(0, 3, 1, 2).float().div_(255).mul_(1 - low).add_(low)
    return tensor.expand(-1, channels, -1, -1).contiguous() if tensor.shape[1] == 1 else tensor.contiguous()


def as_pictures(samples: torch.Tensor, low: float, channels: int) -> np.ndarray:
    """The reverse: three channels become grey by their mean where the pictures are grey."""
    values = (samples.detach().float().cpu() - low) / (1 - low)
    if values.shape[1] != channels:
        values = values.mean(1, keepdim=True)
    return values.clamp(0, 1).mul(255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


def in_parts(
    paint: Callable[[int], torch.Tensor], low: float, channels: int, part: int = 250
) -> Callable[[int], np.ndarray]:
    """A sampler from ``paint(count) -> [count,·,H,W]``, which is asked for ``part`` at a time."""

    @torch.no_grad()
    def sampler(count: int) -> np.ndarray:
        sizes = [min(part, count - start) for start in range(0, count, part)]
        return np.concatenate([as_pictures(paint(size), low, channels) for size in sizes])

    return sampler


class Batches:
    """A data loader over pictures in memory: whole batches in a new order each epoch, as ``(pictures, zeros)``."""

    def __init__(self, pictures: torch.Tensor, batch_size: int) -> None:
        self.pictures, self.batch_size = pictures, batch_size
        self.dataset = pictures

    def __len__(self) -> int:
        return len(self.pictures) // self.batch_size

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        order = torch.randperm(len(self.pictures))
        nothing = torch.zeros(self.batch_size, dtype=torch.int64)
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            yield self.pictures[order[start : start + self.batch_size]], nothing


class Items(torch.utils.data.Dataset):
    """Pictures in memory in the place of a package's folder of files: reading files would cost it time."""

    def __init__(self, pictures: torch.Tensor) -> None:
        self.pictures = pictures

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, place: int) -> torch.Tensor:
        return self.pictures[place]
