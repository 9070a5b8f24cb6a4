"""An ONNX file from noise to the bytes of pictures, for any ONNX runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from allaprima.bundle.bundle import Bundle
from allaprima.bundle.graph import export
from allaprima.compress.exports import ONNX_FILE
from allaprima.compress.exports._readme import readme
from allaprima.runtime.engines.onnxruntime import OnnxRuntimePainter

SUMMARY = "generator.onnx with its description, for any ONNX runtime"

PROGRAM = """
import json

import numpy as np
import onnxruntime
from PIL import Image

about = json.load(open("generator.json", encoding="utf-8"))
session = onnxruntime.InferenceSession("generator.onnx")
given = {"noise": np.random.randn(1, about["latent_dim"]).astype(np.float32)}
if about["wishes"]:
    given["asked"] = np.array([about["wishes"][0]["asked"]], np.float32)
picture = session.run(None, given)[0][0]
Image.fromarray(picture.squeeze()).save("picture.png")
"""


def write(bundle: Bundle, folder: Path, about: dict[str, Any], wanted: Any) -> OnnxRuntimePainter:
    export(bundle, folder / ONNX_FILE, prior=True)
    (folder / "README.md").write_text(readme(about, "an ONNX file", "onnxruntime, numpy and pillow", PROGRAM), "utf-8")
    return OnnxRuntimePainter(folder / ONNX_FILE)
