"""WebM, VP9: for pages and games, with transparency where the pictures have it."""

from __future__ import annotations

from pathlib import Path

from allaprima.marks.containers import webm
from allaprima.runtime.films._video import VideoWriter

TITLE, SUFFIX, MEDIA_TYPE = "WebM", ".webm", "video/webm"
OPTIONS = {
    "crf": "20",
    "b": "0",
    "deadline": "good",
    "cpu-used": "5",
    "row-mt": "1",
    "auto-alt-ref": "0",
    "lag-in-frames": "0",
}


def writer(path: Path, shape: tuple[int, int, int], last: float) -> VideoWriter:
    """See ``runtime.films``."""
    pixels = "yuva420p" if shape[2] == 4 else "yuv420p"
    return VideoWriter(path, shape, "libvpx-vp9", pixels, OPTIONS, tags=webm.tags(), format="webm")
