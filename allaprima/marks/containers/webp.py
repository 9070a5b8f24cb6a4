"""WebP: a chunk ``XMP `` at the end of an extended file, whose head says that there is one (RFC 9649)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

MEDIA_TYPE = "image/webp"
HAS_XMP, HAS_ALPHA = 0x04, 0x10


def begins(head: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP"


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of each whole chunk."""
    place = 12
    while place + 8 <= len(data):
        (length,) = struct.unpack_from("<I", data, place + 4)
        if place + 8 + length > len(data):
            return
        yield data[place : place + 4], data[place + 8 : place + 8 + length]
        place += 8 + length + length % 2


def embed(data: bytes, packet: bytes) -> bytes:
    chunks = [(name, body) for name, body in _chunks(data) if name != b"XMP "]
    if not chunks:
        return data
    if chunks[0][0] == b"VP8X":
        head = chunks[0][1]
        chunks[0] = b"VP8X", bytes([head[0] | HAS_XMP]) + head[1:]
    else:
        width, height, alpha = _size(*chunks[0])
        flags = struct.pack("<I", HAS_XMP | (HAS_ALPHA if alpha else 0))
        head = flags + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        chunks.insert(0, (b"VP8X", head))
    chunks.append((b"XMP ", packet))
    body = b"".join(name + struct.pack("<I", len(one)) + one + b"\0" * (len(one) % 2) for name, one in chunks)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def _size(name: bytes, body: bytes) -> tuple[int, int, bool]:
    """Width, height, transparency of a simple file's only chunk: lossless ``VP8L``, or lossy ``VP8 ``."""
    if name == b"VP8L":
        (bits,) = struct.unpack_from("<I", body, 1)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, bool(bits >> 28 & 1)
    width, height = struct.unpack_from("<HH", body, 6)
    return width & 0x3FFF, height & 0x3FFF, False


def find(data: bytes) -> bytes | None:
    return next((body for name, body in _chunks(data) if name == b"XMP "), None)
