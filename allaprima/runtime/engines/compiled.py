"""PyTorch's compiler. It needs a C++ compiler, and some seconds for each number of pictures at once."""

from __future__ import annotations

import contextlib
import shutil
import warnings
from collections.abc import Iterator

import numpy as np
import torch

from allaprima.bundle.bundle import Bundle
from allaprima.bundle.graph import painted
from allaprima.core.device import has_fast_bf16
from allaprima.core.errors import UserError
from allaprima.runtime.engines._folding import folded


class CompiledPainter:
    """The generator with its conversion to bytes, compiled. ``z``, ``y`` float32 ``[N, …]`` → uint8 ``[N, *spatial, C]``."""

    def __init__(self, bundle: Bundle, dtype: torch.dtype) -> None:
        self.name = f"compiled {bundle.device.type} {'bf16' if dtype is torch.bfloat16 else 'fp32'}"
        self._device, self._dtype = bundle.device, dtype
        net, domain = folded(bundle.generator).to(dtype), bundle.domain
        with _quiet():
            self._paint = torch.compile(lambda z, y: painted(domain, net, z, y), dynamic=False)
        self._compiled_for: set[int] = set()

    @torch.inference_mode()
    def __call__(self, z: torch.Tensor, y: torch.Tensor) -> np.ndarray:
        given = z.to(self._device, self._dtype), y.to(self._device, self._dtype)
        if len(z) not in self._compiled_for:
            with _quiet():
                self._paint(*given)
            self._compiled_for.add(len(z))
        made: np.ndarray = self._paint(*given).cpu().numpy()
        return made


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The compiler imports parts of PyTorch that PyTorch has deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def painters(bundle: Bundle) -> Iterator[CompiledPainter]:
    """bf16 first where the hardware has it. Raises UserError on a CPU without a C++ compiler."""
    if bundle.device.type == "cpu" and not any(shutil.which(name) for name in ("c++", "g++", "clang++", "cl")):
        raise UserError("This engine needs a C++ compiler", "install one, such as g++, or take another engine")
    if has_fast_bf16(bundle.device):
        yield CompiledPainter(bundle, torch.bfloat16)
    yield CompiledPainter(bundle, torch.float32)
