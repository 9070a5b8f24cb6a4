"""JPEG: an ``APP1`` segment that begins with XMP's own name, behind the segments that must come first (ISO 16684-1)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

MEDIA_TYPE = "image/jpeg"
NAME = b"http://ns.adobe.com/xap/1.0/\0"
APP0, APP1, SCAN, START = 0xE0, 0xE1, 0xDA, 0xD8


def begins(head: bytes) -> bool:
    return head.startswith(b"\xff\xd8\xff")


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Begin, end, marker of each segment before the scan."""
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF and data[place + 1] != SCAN:
        (length,) = struct.unpack_from(">H", data, place + 2)
        end = place + 2 + length
        if length < 2 or end > len(data):
            return
        yield place, end, data[place + 1]
        place = end


def _is_packet(data: bytes, begin: int, marker: int) -> bool:
    return marker == APP1 and data.startswith(NAME, begin + 4)


def embed(data: bytes, packet: bytes) -> bytes:
    made = struct.pack(">BBH", 0xFF, APP1, 2 + len(NAME) + len(packet)) + NAME + packet
    parts, place, waiting = [data[:2]], 2, True
    for begin, end, marker in _segments(data):
        if waiting and marker not in (APP0, APP1):  # JFIF's and EXIF's segments go first
            parts.append(made)
            waiting = False
        if not _is_packet(data, begin, marker):
            parts.append(data[begin:end])
        place = end
    return b"".join([*parts, *([made] if waiting else []), data[place:]])


def find(data: bytes) -> bytes | None:
    for begin, end, marker in _segments(data):
        if _is_packet(data, begin, marker):
            return data[begin + 4 + len(NAME) : end]
    return None
