"""OpenVINO's own form, for Intel and AMD processors and Intel's GPUs and NPUs."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from allaprima.bundle.bundle import Bundle
from allaprima.bundle.graph import export
from allaprima.compress.exports import ONNX_FILE
from allaprima.compress.exports._readme import readme
from allaprima.runtime.engines._converted import missing
from allaprima.runtime.engines.openvino import OpenVinoPainter, core

SUMMARY = "generator.xml and .bin with their description, for OpenVINO"

PROGRAM = """
import json

import numpy as np
import openvino
from PIL import Image

about = json.load(open("generator.json", encoding="utf-8"))
model = openvino.compile_model("generator.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
given = {"noise": np.random.randn(1, about["latent_dim"]).astype(np.float32)}
if about["wishes"]:
    given["asked"] = np.array([about["wishes"][0]["asked"]], np.float32)
picture = model(given)[0][0]
Image.fromarray(picture.squeeze()).save("picture.png")
"""


def write(bundle: Bundle, folder: Path, about: dict[str, Any], wanted: Any) -> OpenVinoPainter:
    try:
        import openvino
    except ImportError:
        raise missing("openvino") from None
    with tempfile.TemporaryDirectory(prefix="allaprima-") as beside:
        export(bundle, Path(beside) / ONNX_FILE, prior=True)
        model = core().read_model((Path(beside) / ONNX_FILE).read_bytes())
    openvino.save_model(model, folder / "generator.xml", compress_to_fp16=False)
    (folder / "README.md").write_text(
        readme(about, "an OpenVINO model", "openvino, numpy and pillow", PROGRAM), "utf-8"
    )
    return OpenVinoPainter(folder / "generator.xml", "f32", "openvino fp32")
