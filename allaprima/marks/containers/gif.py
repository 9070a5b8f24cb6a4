"""GIF: an application extension ``XMP DataXMP`` before the end, its text followed by the "magic trailer" that lets decoders,
which take every byte for a block's length, find their way out (XMP specification, part 3)."""

from __future__ import annotations

import os
from pathlib import Path

MEDIA_TYPE = "image/gif"
NAME = b"\x21\xff\x0bXMP DataXMP"
TRAILER = b"\x01" + bytes(range(255, -1, -1)) + b"\x00"
END = b"\x3b"


def begins(head: bytes) -> bool:
    return head[:6] in (b"GIF87a", b"GIF89a")


def embed(data: bytes, packet: bytes) -> bytes:
    begin = data.find(NAME)
    if begin >= 0 and (end := data.find(TRAILER, begin)) >= 0:
        data = data[:begin] + data[end + len(TRAILER) :]
    return data.removesuffix(END) + NAME + packet + TRAILER + END


def append(path: Path, packet: bytes) -> None:
    with open(path, "r+b") as file:
        file.seek(-1, os.SEEK_END)
        if file.read(1) == END:
            file.seek(-1, os.SEEK_END)
        file.write(NAME + packet + TRAILER + END)


def find(data: bytes) -> bytes | None:
    begin = data.find(NAME)
    end = data.find(TRAILER, begin)
    return data[begin + len(NAME) : end] if 0 <= begin < end else None
