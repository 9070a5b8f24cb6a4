"""Whatever files say besides their pixels stays out of the dataset, and so out of all that is made of it."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from allaprima.data.prepare import PrepareConfig, prepare

EACH = 167  # files of each kind: 501
GPS, MAKER_NOTE, COMMENT, ARTIST = 0x8825, 0x927C, 0x9286, 0x013B


def token(number: int, place: str) -> str:
    return f"secret{number:04d}{place}"


def picture(number: int) -> Image.Image:
    random = np.random.default_rng(number)
    return Image.fromarray(random.integers(0, 255, (20, 20, 3), np.uint8)).resize((40, 40))


def exif(number: int) -> Image.Exif:
    tags = Image.Exif()
    tags[ARTIST] = token(number, "artist")
    tags.get_ifd(0x8769)[MAKER_NOTE] = token(number, "maker").encode()
    tags.get_ifd(0x8769)[COMMENT] = b"ASCII\0\0\0" + token(number, "comment").encode()
    tags.get_ifd(GPS)[29] = token(number, "gps")
    return tags


def jpeg(number: int) -> bytes:
    buffer = io.BytesIO()
    xmp = f"<x:xmpmeta xmlns:x='adobe:ns:meta/'>{token(number, 'xmp')}</x:xmpmeta>".encode()
    icc = b"\0" * 128 + token(number, "icc").encode()
    picture(number).save(
        buffer, "JPEG", exif=exif(number), xmp=xmp, icc_profile=icc, comment=token(number, "jpegcomment").encode()
    )
    iptc = b"Photoshop 3.0\x008BIM\x04\x04\0\0" + struct.pack(">I", 40) + token(number, "iptc").encode().ljust(40)
    data = buffer.getvalue()
    app13 = b"\xff\xed" + struct.pack(">H", len(iptc) + 2) + iptc
    return data[:2] + app13 + data[2:] + token(number, "afterend").encode()


def png(number: int) -> bytes:
    words = PngImagePlugin.PngInfo()
    words.add_text("Comment", token(number, "text"))
    words.add_text("parameters", token(number, "ztxt"), zip=True)
    words.add_itxt("XML:com.adobe.xmp", token(number, "itxt"))
    buffer = io.BytesIO()
    picture(number).save(buffer, "PNG", pnginfo=words, exif=exif(number))
    return buffer.getvalue() + token(number, "afterend").encode()


def webp(number: int) -> bytes:
    buffer = io.BytesIO()
    picture(number).save(buffer, "WEBP", lossless=True, exif=exif(number), xmp=token(number, "xmp").encode())
    return buffer.getvalue()


@pytest.mark.parametrize("kind", [jpeg, png, webp], ids=lambda kind: kind.__name__)
def test_no_token_of_the_files_is_in_the_dataset(kind, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]  # a function of this file
    source = tmp_path / "source"
    source.mkdir()
    for number in range(EACH):
        data = kind(number)
        assert token(number, "artist").encode() in data or kind is png, "the test would find nothing"
        (source / f"{number:03d}.{kind.__name__}").write_bytes(data)
    made = prepare(str(source), tmp_path / "made", PrepareConfig(size="16", keep_noise=True, keep_duplicates=True))  # type: ignore[arg-type]  # words are read
    assert len(made) == EACH
    searched = 0
    for path in (tmp_path / "made").rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            searched += 1
            assert b"secret" not in data, path
            assert b"secret" not in _inflated(data), path
    assert searched >= 4


def _inflated(data: bytes) -> bytes:
    """What is compressed as a whole, if it is."""
    try:
        return zlib.decompress(data)
    except zlib.error:
        return b""
