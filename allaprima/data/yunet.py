"""Faces found by a net of YuNet's form (Wu, Peng, Yu 2023, Machine Intelligence Research 20), in an ONNX file that is given.

Input float32 ``[1, 3, H, W]``, BGR, 0 to 255, sides that are multiples of 32. For each stride s of 8, 16 and 32 a row a cell,
row by row: ``cls_s`` and ``obj_s`` ``[1, H/s · W/s, 1]``, ``bbox_s`` ``[…, 4]``, ``kps_s`` ``[…, 10]`` (not used here):

    score = √(clip(cls, 0, 1) · clip(obj, 0, 1))
    centre = ((column + dx) · s, (row + dy) · s)      size = (exp(dw) · s, exp(dh) · s)

as OpenCV's ``FaceDetectorYN`` decodes it (modules/objdetect/src/face_detect.cpp). The published file is
``face_detection_yunet_2023mar.onnx`` of opencv_zoo, MIT licence. It runs with onnxruntime, else with OpenCV,
where that is installed.

Use: ``boxes, scores = load(path, sha256).find(bgr, at_least=0.3)``.
"""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from allaprima.core.errors import UserError

STRIDES = (8, 16, 32)
PARTS = ("cls", "obj", "bbox")
MULTIPLE = 32
SIDE = 1024  # pixels of the largest canvas where the net takes any
SAME = 0.3  # intersection over union of two boxes that are one face
LARGEST_LOG = 8.0  # e⁸ strides are larger than any canvas
MOST = 5000  # boxes looked at, as in OpenCV


class Net(Protocol):
    """``canvas``: the (width, height) of the largest picture that ``find`` takes."""

    canvas: tuple[int, int]

    def find(self, picture: np.ndarray, at_least: float) -> tuple[np.ndarray, np.ndarray]:
        """BGR uint8 ``[H, W, 3]`` → boxes float32 ``[N, 4]`` (left, top, right, bottom in pixels) and scores ``[N]``."""
        ...


def load(path: str | Path, sha256: str | None = None) -> Net:
    """The detector in an ONNX file. Raises UserError when it cannot be read, is none, or is not the file of that hash."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"The face detector '{path}' cannot be read: {error.strerror}", REMEDY) from None
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise UserError(f"The face detector was changed meanwhile: '{path}'", "leave the file alone, and begin again")
    if importlib.util.find_spec("onnxruntime") is not None:
        return OnnxNet(content, str(path))
    if importlib.util.find_spec("cv2") is not None:
        return OpenCvNet(path)
    raise UserError("A face detector needs onnxruntime, which is missing", "pip install 'allaprima[engines]'")


REMEDY = (
    "give an ONNX file of YuNet's form, such as opencv_zoo's face_detection_yunet_2023mar.onnx (MIT licence): "
    "--face-detector FILE, or its path in ALLAPRIMA_FACE_DETECTOR"
)


class OnnxNet:
    """A net run by onnxruntime on one thread: the worker processes share the cores out."""

    def __init__(self, content: bytes, name: str) -> None:
        import onnxruntime

        onnxruntime.disable_telemetry_events()  # Microsoft's builds for Windows have some
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors have no common class
            raise UserError(
                f"The face detector '{name}' is no ONNX file that can be run ({_short(error)})", REMEDY
            ) from None
        inputs = self._session.get_inputs()
        wanted = {f"{part}_{stride}" for part in PARTS for stride in STRIDES}
        missing = sorted(wanted - {one.name for one in self._session.get_outputs()})
        if missing or len(inputs) != 1 or len(inputs[0].shape) != 4:
            lacks = f"it has no output '{missing[0]}'" if missing else "it takes no single picture"
            raise UserError(f"'{name}' is no face detector of a form known here: {lacks}", REMEDY)
        self._input = inputs[0].name
        height, width = inputs[0].shape[2:]
        self._fixed = (width, height) if isinstance(width, int) and isinstance(height, int) else None
        self.canvas: tuple[int, int] = self._fixed or (SIDE, SIDE)
        self._try_out(name)

    def _try_out(self, name: str) -> None:
        try:
            self.find(np.zeros((MULTIPLE, MULTIPLE, 3), np.uint8), 0.5)
        except Exception as error:
            raise UserError(f"'{name}' is no face detector of a form known here ({_short(error)})", REMEDY) from None

    def find(self, picture: np.ndarray, at_least: float) -> tuple[np.ndarray, np.ndarray]:
        """See Net. Raises ValueError for answers that are no numbers."""
        height, width = picture.shape[:2]
        across, down = self._fixed or (_whole(width), _whole(height))
        padded = np.zeros((down, across, 3), np.float32)
        padded[:height, :width] = picture
        names = [f"{part}_{stride}" for stride in STRIDES for part in PARTS]
        # uint8 [H,W,3] → float32 [1,3,H,W]
        answers = self._session.run(names, {self._input: padded.transpose(2, 0, 1)[None]})
        if not all(np.isfinite(one).all() for one in answers):
            raise ValueError("the face detector's answer is no number")
        each = [
            decoded(*answers[3 * place : 3 * place + 3], stride=stride, columns=across // stride, at_least=at_least)
            for place, stride in enumerate(STRIDES)
        ]
        return distinct(np.concatenate([one[0] for one in each]), np.concatenate([one[1] for one in each]))


class OpenCvNet:
    """The same file run by OpenCV, which decodes it itself."""

    canvas = (SIDE, SIDE)

    def __init__(self, path: str | Path) -> None:
        import cv2

        self._cv2: Any = cv2
        cv2.setNumThreads(1)
        try:
            self._net = cv2.FaceDetectorYN.create(str(path), "", (MULTIPLE, MULTIPLE), 0.5, SAME, MOST)
            self.find(np.zeros((MULTIPLE, MULTIPLE, 3), np.uint8), 0.5)
        except (cv2.error, AttributeError) as error:
            raise UserError(f"OpenCV cannot run the face detector '{path}' ({_short(error)})", REMEDY) from None

    def find(self, picture: np.ndarray, at_least: float) -> tuple[np.ndarray, np.ndarray]:
        """See Net."""
        height, width = picture.shape[:2]
        self._net.setInputSize((width, height))
        self._net.setScoreThreshold(at_least)
        faces = self._net.detect(np.ascontiguousarray(picture))[1]
        if faces is None:
            return np.zeros((0, 4), np.float32), np.zeros(0, np.float32)
        if not np.isfinite(faces).all():
            raise ValueError("the face detector's answer is no number")
        left, top, across, down = faces[:, :4].T
        return np.stack([left, top, left + across, top + down], axis=1), faces[:, 14]


def decoded(
    cls: np.ndarray, obj: np.ndarray, bbox: np.ndarray, *, stride: int, columns: int, at_least: float
) -> tuple[np.ndarray, np.ndarray]:
    """A stride's answers, as the module's head has them → boxes ``[N, 4]`` and scores ``[N]`` of at least ``at_least``."""
    score = np.sqrt(cls.reshape(-1).clip(0, 1) * obj.reshape(-1).clip(0, 1))
    places = np.flatnonzero(score >= at_least)
    row, column = np.divmod(places, columns)
    dx, dy, dw, dh = bbox.reshape(-1, 4)[places].T
    x, y = (column + dx) * stride, (row + dy) * stride
    across, down = (np.exp(np.minimum(log, LARGEST_LOG)) * stride for log in (dw, dh))
    boxes = np.stack([x - across / 2, y - down / 2, x + across / 2, y + down / 2], axis=1)
    return boxes.astype(np.float32), score[places]


def distinct(boxes: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Non-maximum suppression: of boxes that overlap by more than ``SAME`` the one with the best score, best first."""
    order = np.argsort(-scores, kind="stable")[:MOST]
    kept: list[int] = []
    while len(order):
        best, order = int(order[0]), order[1:]
        kept.append(best)
        order = order[overlap(boxes[best], boxes[order]) <= SAME]
    return boxes[kept], scores[kept]


def overlap(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of a box ``[4]`` with each of ``[N, 4]``."""
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    common = sides.clip(0).prod(axis=1)
    union = (box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(axis=1) - common
    return np.asarray(common / np.maximum(union, 1e-9))


def _whole(side: int) -> int:
    return -(-side // MULTIPLE) * MULTIPLE


def _short(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
