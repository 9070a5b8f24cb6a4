"""An NVIDIA GPU, channels-last bf16 or float32, each number of pictures recorded once as a CUDA graph and played back.

A small net's kernels take less time than Python takes to ask for them; a graph asks once (Gray 2019, "Getting started with CUDA
graphs", NVIDIA).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from allaprima.bundle.bundle import Bundle
from allaprima.bundle.graph import painted
from allaprima.core.device import has_fast_bf16
from allaprima.core.errors import UserError
from allaprima.runtime.engines._folding import folded

WARM_UP = 3  # calls before a recording: kernels are chosen and loaded in the first


@dataclass(frozen=True)
class Recorded:
    """Fixed memory: the inputs are written to, the pictures read from."""

    graph: torch.cuda.CUDAGraph
    z: torch.Tensor
    y: torch.Tensor
    pictures: torch.Tensor


class CudaPainter:
    """``z``, ``y`` float32 ``[N, …]`` on the CPU → uint8 ``[N, *spatial, C]``."""

    def __init__(self, bundle: Bundle, dtype: torch.dtype) -> None:
        self.name = f"cuda {'bf16' if dtype is torch.bfloat16 else 'fp32'}"
        self._device, self._dtype, self._domain = bundle.device, dtype, bundle.domain
        layout = torch.channels_last if len(bundle.domain.shape.spatial) == 2 else torch.preserve_format
        self._net = folded(bundle.generator).to(dtype=dtype, memory_format=layout)  # type: ignore[call-overload]  # not in the stub
        self._recorded: dict[int, Recorded] = {}

    @torch.inference_mode()
    def __call__(self, z: torch.Tensor, y: torch.Tensor) -> np.ndarray:
        recorded = self._recorded.get(len(z)) or self._record(z, y)
        recorded.z.copy_(z)
        recorded.y.copy_(y)
        recorded.graph.replay()
        made: np.ndarray = recorded.pictures.cpu().numpy()
        return made

    def _record(self, z: torch.Tensor, y: torch.Tensor) -> Recorded:
        given = [one.to(self._device, self._dtype) for one in (z, y)]
        beside = torch.cuda.Stream()
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            for _ in range(WARM_UP):
                painted(self._domain, self._net, *given)
        torch.cuda.current_stream().wait_stream(beside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            pictures = painted(self._domain, self._net, *given)
        return self._recorded.setdefault(len(z), Recorded(graph, given[0], given[1], pictures))


def painters(bundle: Bundle) -> Iterator[CudaPainter]:
    """bf16 first where the hardware has it. Raises UserError where the bundle is not on a GPU."""
    if bundle.device.type != "cuda":
        raise UserError("This engine needs an NVIDIA GPU", "take another engine, such as torch")
    if has_fast_bf16(bundle.device):
        yield CudaPainter(bundle, torch.bfloat16)
    yield CudaPainter(bundle, torch.float32)
