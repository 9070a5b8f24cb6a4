"""MP4: a ``uuid`` box at the end of the file (ISO 16684-1), which moves nothing that stands before it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

MEDIA_TYPE = "video/mp4"
NAME = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
LARGE, TO_THE_END = 1, 0


def begins(head: bytes) -> bool:
    return head[4:8] == b"ftyp"


def _box(packet: bytes) -> bytes:
    return struct.pack(">I", 8 + len(NAME) + len(packet)) + b"uuid" + NAME + packet


def _boxes(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Begin, content, end of each whole box."""
    place = 0
    while place + 8 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        head = 8
        if length == LARGE and place + 16 <= len(data):
            (length,), head = struct.unpack_from(">Q", data, place + 8), 16
        end = len(data) if length == TO_THE_END else place + length
        if end < place + head or end > len(data):
            return
        yield place, place + head, end
        place = end


def _is_packet(data: bytes, begin: int, content: int) -> bool:
    return data[begin + 4 : begin + 8] == b"uuid" and data.startswith(NAME, content)


def embed(data: bytes, packet: bytes) -> bytes:
    kept = [data[begin:end] for begin, content, end in _boxes(data) if not _is_packet(data, begin, content)]
    return b"".join([*kept, _box(packet)])


def append(path: Path, packet: bytes) -> None:
    with open(path, "ab") as file:
        file.write(_box(packet))


def find(data: bytes) -> bytes | None:
    for begin, content, end in _boxes(data):
        if _is_packet(data, begin, content):
            return data[content + len(NAME) : end]
    return None
