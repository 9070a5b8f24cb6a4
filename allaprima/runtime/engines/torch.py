"""PyTorch, eager, channels-last: bf16 where it is native, float32 anywhere."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from allaprima.bundle.bundle import Bundle
from allaprima.bundle.graph import painted
from allaprima.core.device import has_fast_bf16
from allaprima.runtime.engines._folding import folded


class TorchPainter:
    """The generator in one precision. ``z``, ``y`` float32 ``[N, …]`` → uint8 ``[N, *spatial, C]``."""

    def __init__(self, bundle: Bundle, dtype: torch.dtype) -> None:
        self.name = f"torch {bundle.device.type} {'bf16' if dtype is torch.bfloat16 else 'fp32'}"
        self._device, self._dtype = bundle.device, dtype
        self._domain = bundle.domain
        layout = torch.channels_last if len(bundle.domain.shape.spatial) == 2 else torch.preserve_format
        self._net = folded(bundle.generator).to(dtype=dtype, memory_format=layout)  # type: ignore[call-overload]  # not in the stub

    @torch.inference_mode()
    def __call__(self, z: torch.Tensor, y: torch.Tensor) -> np.ndarray:
        given = z.to(self._device, self._dtype), y.to(self._device, self._dtype)
        made: np.ndarray = painted(self._domain, self._net, *given).cpu().numpy()
        return made


def painters(bundle: Bundle) -> Iterator[TorchPainter]:
    """bf16 first where the hardware has it, then float32, which always is right."""
    if has_fast_bf16(bundle.device):
        yield TorchPainter(bundle, torch.bfloat16)
    yield TorchPainter(bundle, torch.float32)
