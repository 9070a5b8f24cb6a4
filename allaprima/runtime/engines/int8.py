"""Convolutions in 8-bit integers, their ranges measured on latents of the generator's own. What it costs, ``doctor`` says.

Static quantisation with symmetric weights a channel (Jacob et al. 2018). Activations are symmetric too: with a zero point of
their own OpenVINO computes transposed convolutions, which are half of the work, in floats. The last layer stays as it is: its
errors would be seen one to one. Run by OpenVINO where it is installed, what is not in integers in bf16 where that is native;
else by ONNX Runtime.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from allaprima.bundle.bundle import Bundle
from allaprima.bundle.graph import ASKED, LATENTS
from allaprima.core.device import has_fast_bf16
from allaprima.runtime.engines import Painter
from allaprima.runtime.engines._converted import converted, missing
from allaprima.runtime.engines.onnxruntime import OnnxRuntimePainter
from allaprima.runtime.engines.openvino import OpenVinoPainter

CALIBRATED_ON = 64  # latents
LAYERS = ["Conv", "ConvTranspose"]


def painters(bundle: Bundle) -> Iterator[Painter]:
    with converted(bundle, "int8", lambda path: quantise(bundle, path)) as path:
        if importlib.util.find_spec("openvino") is not None:
            rest = "bf16" if has_fast_bf16(torch.device("cpu")) else "f32"
            yield OpenVinoPainter(path, rest, "openvino int8")
        else:
            yield OnnxRuntimePainter(path, "onnxruntime int8")


def quantise(bundle: Bundle, path: Path) -> None:
    """Write the graph with quantised convolutions to ``path``. Raises UserError without the extra ``engines``."""
    try:
        import onnx
        from onnxruntime.quantization import (
            CalibrationDataReader,
            CalibrationMethod,
            QuantFormat,
            QuantType,
            quantize_static,
        )
    except ImportError:
        raise missing("onnx and onnxruntime") from None

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            asked = bundle.asked(CALIBRATED_ON)
            z, y = bundle.latents(CALIBRATED_ON, asked=asked), bundle.embed(asked).y
            self._rows = iter([(z[i : i + 1].numpy(), y[i : i + 1].numpy()) for i in range(CALIBRATED_ON)])

        def get_next(self) -> dict[str, np.ndarray] | None:
            row = next(self._rows, None)
            return (
                None
                if row is None
                else {name: value for name, value in zip((LATENTS, ASKED), row, strict=True) if name in names}
            )

    with converted(bundle) as whole, torch.inference_mode():
        graph = onnx.load(whole).graph
        names = [one.name for one in graph.input]
        layers = [node.name for node in graph.node if node.op_type in LAYERS]
        if len(layers) < 2:  # there is nothing before the last layer: the graph stays as it is
            shutil.copyfile(whole, path)
            return
        logging.getLogger().disabled = True  # it recommends a preparation that the exporter has made already
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # and counts its histograms aloud
                quantize_static(
                    whole,
                    path,
                    Reader(),
                    quant_format=QuantFormat.QDQ,
                    per_channel=True,
                    op_types_to_quantize=LAYERS,
                    nodes_to_exclude=layers[-1:],
                    calibrate_method=CalibrationMethod.Percentile,
                    activation_type=QuantType.QInt8,
                    weight_type=QuantType.QInt8,
                    extra_options={"ActivationSymmetric": True},
                )
        finally:
            logging.getLogger().disabled = False
