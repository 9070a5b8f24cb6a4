"""Marks on what is generated: that a machine made it, in words that other programs read.

Two of them, in this order: an XMP packet (IPTC's DigitalSourceType, which search engines and photo programs read, and the label
of China's GB 45438-2025), then a C2PA manifest over the whole file, signed with this machine's key. Neither says what was asked
for, nor by whom.

Use: ``data = marked(png, "image/png")``; ``mark_file(Path("film.mp4"), "video/mp4")``. Everything that leaves goes through one
of these. ``ALLAPRIMA_UNMARKED=1`` (``--unmarked``) is the only way around them. A third mark, in the pixels themselves, is
there when asked for: ``pixels = watermarked(pixels)`` before they are encoded (``ALLAPRIMA_WATERMARK=1``, ``--watermark``).
"""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from allaprima.core.catalog import Catalog
from allaprima.core.files import sha256_file
from allaprima.marks import packet, signature

if TYPE_CHECKING:
    import numpy as np

CONTAINERS = Catalog("container", "allaprima.marks.containers")
SWITCH, WATERMARK = "ALLAPRIMA_UNMARKED", "ALLAPRIMA_WATERMARK"


def are_on() -> bool:
    """Whether pictures are marked."""
    return os.environ.get(SWITCH, "") in ("", "0")


def leave_out() -> None:
    """No marks from now on, in this process and those that it starts."""
    os.environ[SWITCH] = "1"


def add_watermarks() -> None:
    """In the pixels too from now on, in this process and those that it starts."""
    os.environ[WATERMARK] = "1"


def watermarked(pixels: np.ndarray) -> np.ndarray:
    """uint8 ``[H, W, C]`` as they are to be encoded: with a watermark if that was asked for, and marks are not left out."""
    if not are_on() or os.environ.get(WATERMARK, "") in ("", "0"):
        return pixels
    from allaprima.marks import watermark

    _told_if_small(pixels.shape[:2], watermark.SMALLEST)
    return watermark.embedded(pixels)


@cache
def _told_if_small(size: tuple[int, int], smallest: int) -> None:
    height, width = size
    if height * width < smallest**2:
        print(
            f"allaprima: pictures of {width} × {height} are too small for a watermark that can be found again; from {smallest} px"
            " on it can. The other marks are in them",
            file=sys.stderr,
            flush=True,
        )


def marked(data: bytes, media_type: str, sign: bool = True) -> bytes:
    """A picture's file → the same picture's file, with marks. ``sign``: with a C2PA manifest, where that can be made.

    What is of a kind that holds no marks comes back as it is.
    """
    if not are_on():
        return data
    container = _container(media_type)
    if container is not None and hasattr(container, "embed"):
        data = container.embed(data, packet.write(data))
    return signature.signed(data, media_type) if sign else data


def mark_file(path: Path, media_type: str) -> None:
    """As ``marked``, of a file that may be larger than memory."""
    if not are_on():
        return
    container = _container(media_type)
    if hasattr(container, "append"):
        container.append(path, packet.write(sha256_file(path).encode()))
        signature.sign_file(path, media_type)
    elif hasattr(container, "embed"):
        path.write_bytes(marked(path.read_bytes(), media_type))


def _container(media_type: str) -> Any:
    """The room's module for a kind of file, None for others."""
    return next((one for one in map(CONTAINERS.get, CONTAINERS.names()) if media_type == one.MEDIA_TYPE), None)
