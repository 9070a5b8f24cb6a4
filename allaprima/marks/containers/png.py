"""PNG: an ``iTXt`` chunk with the keyword that XMP's third part (ISO 16684-1, annex) reserves, before the pixels."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

MEDIA_TYPE = "image/png"
HEAD = b"\x89PNG\r\n\x1a\n"
KEYWORD = b"XML:com.adobe.xmp\0"
MOST = 1 << 20  # bytes of a packet that is unpacked


def begins(head: bytes) -> bool:
    return head.startswith(HEAD)


def _chunks(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Begin, end, name of each whole chunk."""
    place = len(HEAD)
    while place + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        end = place + 12 + length
        if end > len(data):
            return
        yield place, end, data[place + 4 : place + 8]
        place = end


def _is_packet(data: bytes, begin: int, name: bytes) -> bool:
    return name == b"iTXt" and data.startswith(KEYWORD, begin + 8)


def embed(data: bytes, packet: bytes) -> bytes:
    body = b"iTXt" + KEYWORD + b"\0\0\0\0" + packet  # not compressed, no language, no translated keyword
    made = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    parts = [HEAD]
    for begin, end, name in _chunks(data):
        if not _is_packet(data, begin, name):
            parts.append(data[begin:end])
        if name == b"IHDR":
            parts.append(made)
    return b"".join(parts)


def find(data: bytes) -> bytes | None:
    for begin, end, name in _chunks(data):
        if _is_packet(data, begin, name):
            rest = data[begin + 8 + len(KEYWORD) : end - 4]
            words = rest[2:].split(b"\0", 2)  # language, translated keyword, text
            if len(words) == 3:
                return _unpacked(words[2]) if rest[:1] == b"\1" else words[2]
    return None


def _unpacked(text: bytes) -> bytes | None:
    worker = zlib.decompressobj()
    try:
        made = worker.decompress(text, MOST)
    except zlib.error:
        return None
    return None if worker.unconsumed_tail else made
