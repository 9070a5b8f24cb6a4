"""ONNX Runtime on the CPU, float32."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from allaprima.bundle.bundle import Bundle
from allaprima.bundle.graph import ASKED, LATENTS, NOISE
from allaprima.runtime.engines._converted import converted, missing


class OnnxRuntimePainter:
    """A session of one ONNX file. ``z``, ``y`` float32 ``[N, …]`` → uint8 ``[N, *spatial, C]``."""

    def __init__(self, path: Path, name: str = "onnxruntime fp32") -> None:
        try:
            import onnxruntime
        except ImportError:
            raise missing("onnxruntime") from None
        onnxruntime.disable_telemetry_events()  # Microsoft's builds for Windows have some
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # see allaprima/__init__.py
        options.log_severity_level = 3
        self.name = name
        self._session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
        self._inputs = [one.name for one in self._session.get_inputs()]

    def __call__(self, z: torch.Tensor, y: torch.Tensor) -> np.ndarray:
        given = {LATENTS: z, NOISE: z, ASKED: y}
        pictures: np.ndarray = self._session.run(None, {name: given[name].numpy() for name in self._inputs})[0]
        return pictures


def painters(bundle: Bundle) -> Iterator[OnnxRuntimePainter]:
    with converted(bundle) as path:
        yield OnnxRuntimePainter(path)
