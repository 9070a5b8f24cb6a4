"""A detector with YuNet's inputs and outputs that knows one thing: magenta is a face. Built anew for each test session."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

MAGENTA, PALE = (255, 0, 255), (255, 75, 255)
STRIDES = (8, 16, 32)


def write(
    path: Path, side: int | None = None, lacks: str = "", broken: bool = False, seeing: tuple[int, ...] = (32,)
) -> Path:
    """A cell that is wholly magenta is a face as large as two cells, centred on it; a paler one is one perhaps.

    ``side``: of its only input size, as the published file has it. ``seeing``: the strides that find anything, so that a square
    of 32 pixels is one face. ``broken``: its answers are no numbers.
    """
    from onnx import TensorProto, helper, numpy_helper, save

    nodes, weights, outputs = [], [], []

    def node(kind: str, inputs: list[str], output: str, **settings: object) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], **settings))
        return output

    def constant(name: str, values: np.ndarray) -> str:
        weights.append(numpy_helper.from_array(values, name))
        return name

    zero, one = constant("zero", np.float32(0)[None]), constant("one", np.float32(1)[None])
    for stride in STRIDES:
        mean = np.zeros((3, 1, stride, stride), np.float32) + 1 / stride**2
        kernel = constant(f"mean_{stride}", mean)
        colours = node("Conv", ["input", kernel], f"colours_{stride}", strides=[stride, stride], group=3)
        # B, G, R of a cell: (B + R) / 2 - G is 255 for magenta, 180 for pale, which scores about 0.5
        mixture = constant(f"mixture_{stride}", np.array([0.5, -1, 0.5], np.float32).reshape(1, 3, 1, 1) / 255)
        purple = node("Conv", [colours, mixture], f"purple_{stride}")
        scale, shift = (
            constant(f"scale_{stride}", np.float32(2.5)[None]),
            constant(f"shift_{stride}", np.float32(-1.5 if stride in seeing else -9)[None]),
        )
        score = node("Add", [node("Mul", [purple, scale], f"scaled_{stride}"), shift], f"score_{stride}")
        # [1, 1, rows, columns] → [1, rows · columns, 1]
        row = constant(f"row_{stride}", np.array([1, -1, 1], np.int64))
        cls = node("Reshape", [score, row], f"cls_{stride}")
        obj = node("Add", [node("Mul", [cls, zero], f"none_{stride}"), one], f"obj_{stride}")
        if broken:
            obj = node("Div", [obj, zero], f"obj_{stride}_broken")
        half = node("Mul", [obj, constant(f"half_{stride}", np.float32(0.5)[None])], f"middle_{stride}")
        two = node("Mul", [obj, constant(f"two_{stride}", np.log(np.float32(2))[None])], f"size_{stride}")
        node("Concat", [half, half, two, two], f"bbox_{stride}", axis=2)
        node("Concat", [half] * 10, f"kps_{stride}", axis=2)
        if broken:
            outputs += [(f"obj_{stride}_broken", f"obj_{stride}")]
    names = [f"{part}_{stride}" for part in ("cls", "obj", "bbox", "kps") for stride in STRIDES]
    for old, new in outputs:  # a net's output has the name of what makes it
        for made in nodes:
            made.output[:] = [f"{new}_whole" if name == new else new if name == old else name for name in made.output]
            made.input[:] = [f"{new}_whole" if name == new else new if name == old else name for name in made.input]
    given = [1, 3, side or "height", side or "width"]
    widths = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
    shown = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, f"cells_{name}", widths[name.partition("_")[0]]])
        for name in names
        if name != lacks
    ]
    image = helper.make_tensor_value_info("input", TensorProto.FLOAT, given)
    graph = helper.make_graph(nodes, "magenta", [image], shown, weights)
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


def scene(
    number: int, size: tuple[int, int], *faces: tuple[int, int, int], colour: tuple[int, int, int] = MAGENTA
) -> Image.Image:
    """A landscape that differs with its number; ``faces`` are (left, top, side) of squares."""
    draw = np.random.default_rng(number)
    low = draw.integers(20, 200, (6, 6, 3), np.uint8)
    low[..., 1] = 200  # green enough to be no face
    picture = Image.fromarray(low).resize(size, Image.Resampling.BICUBIC)
    for left, top, side in faces:
        ImageDraw.Draw(picture).rectangle((left, top, left + side - 1, top + side - 1), colour)
    return picture
