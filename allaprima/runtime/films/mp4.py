"""MP4, H.264: what everything plays. It has no transparency: what is transparent becomes white, as on paper."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from allaprima.runtime.films._video import VideoWriter

TITLE, SUFFIX, MEDIA_TYPE = "MP4", ".mp4", "video/mp4"
# without B frames packets come in the order of their times, and players that count frames begin at 0
OPTIONS = {"crf": "16", "preset": "fast", "bf": "0"}


class OnPaper(VideoWriter):
    """RGBA over white."""

    def add(self, frame: np.ndarray, seconds: float, duration: float) -> None:
        alpha = frame[..., 3:].astype(np.float32) / 255
        colours = frame[..., :3] * alpha + 255 * (1 - alpha)
        super().add(colours.round().astype(np.uint8), seconds, duration)


def writer(path: Path, shape: tuple[int, int, int], last: float) -> VideoWriter:
    """See ``runtime.films``. The index is written first, so that a page can begin to play it while it loads."""
    kind = OnPaper if shape[2] == 4 else VideoWriter
    opaque = (shape[0], shape[1], min(3, shape[2]))
    return kind(path, opaque, "libx264", "yuv420p", OPTIONS, format="mp4", options={"movflags": "+faststart"})
