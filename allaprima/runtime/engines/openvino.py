"""OpenVINO on the CPU: bf16 where it is native, float32 anywhere. The quickest that there is for Intel and AMD."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from allaprima.bundle.bundle import Bundle
from allaprima.bundle.graph import ASKED, LATENTS, NOISE
from allaprima.core.device import has_fast_bf16
from allaprima.runtime.engines._converted import converted, missing


class OpenVinoPainter:
    """One compiled model for each number of pictures at once: fixed shapes are painted quicker than open ones.

    ``precision`` ``f32`` or ``bf16``: on processors that have bf16 OpenVINO would take it unasked.
    """

    def __init__(self, path: Path, precision: str, name: str) -> None:
        self.name = name
        self._core = core()
        # an ONNX file lies in a folder that may go; OpenVINO's own form is two files, which it finds by their path
        self._model = self._core.read_model(path.read_bytes() if path.suffix == ".onnx" else path)
        self._settings = {
            "INFERENCE_PRECISION_HINT": precision,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        }
        self._requests: dict[int, Any] = {}

    def __call__(self, z: torch.Tensor, y: torch.Tensor) -> np.ndarray:
        request = self._requests.get(len(z)) or self._compile(len(z))
        given = {LATENTS: z, NOISE: z, ASKED: y}
        inputs = {one.any_name: given[one.any_name].numpy() for one in request.model_inputs}
        made = request.infer(inputs, share_inputs=True, share_outputs=True)
        return np.array(made[0])  # the request's own memory is painted over by the next frame

    def _compile(self, count: int) -> Any:
        model = self._model.clone()
        model.reshape({one: [count, *list(one.partial_shape)[1:]] for one in model.inputs})
        request = self._core.compile_model(model, "CPU", self._settings).create_infer_request()
        self._requests[count] = request
        return request


@cache
def core() -> Any:
    """One for the whole process, which never goes. With the last one goes the CPU's plug-in, and the next signal that comes in
    (SIGTERM, Ctrl-C) runs into where it was: a segmentation fault (OpenVINO 2026.4). Raises UserError without the package.
    """
    try:
        import openvino
    except ImportError:
        raise missing("openvino") from None
    return openvino.Core()


def painters(bundle: Bundle) -> Iterator[OpenVinoPainter]:
    """bf16 first where the hardware has it."""
    with converted(bundle) as path:
        if has_fast_bf16(torch.device("cpu")):
            yield OpenVinoPainter(path, "bf16", "openvino bf16")
        yield OpenVinoPainter(path, "f32", "openvino fp32")
