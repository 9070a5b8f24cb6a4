"""Marks: every kind of file carries them, other programs read them, pixels and frames stay what they were."""

from __future__ import annotations

import io
import json
import os
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from allaprima.cli._app import build
from allaprima.core.errors import UserError
from allaprima.marks import CONTAINERS, identity, mark_file, marked, packet, signature
from allaprima.marks.inspection import inspect

KINDS = ("png", "jpeg", "webp", "gif")
MODES = {"png": ("L", "RGB", "RGBA"), "jpeg": ("L", "RGB"), "webp": ("RGB", "RGBA"), "gif": ("RGB",)}
CASES = [(kind, mode) for kind in KINDS for mode in MODES[kind]]


@pytest.fixture
def signs() -> None:
    pytest.importorskip("c2pa", reason="the extra marks is not installed")


def picture(kind: str, mode: str = "RGB", **options: Any) -> bytes:
    random = np.random.default_rng(0)
    made = Image.fromarray(random.integers(0, 255, (19, 33, 4), np.uint8), "RGBA").convert(mode)
    buffer = io.BytesIO()
    made.save(buffer, kind, **options)
    return buffer.getvalue()


def pixels(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as opened:
        return np.asarray(opened.convert("RGBA"))


def put(folder: Path, data: bytes, kind: str) -> Path:
    path = folder / f"picture.{kind}"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(("kind", "mode"), CASES)
def test_marks_are_read_back_and_change_no_pixel(kind: str, mode: str, tmp_path: Path, signs: None) -> None:
    data = picture(kind, mode)
    made = marked(data, f"image/{kind}")
    np.testing.assert_array_equal(pixels(made), pixels(data))
    found = inspect(put(tmp_path, made, kind))
    assert found.sources == {"XMP": "trainedAlgorithmicMedia", "C2PA": "trainedAlgorithmicMedia"}
    assert found.state == "Valid", "whole, by a signer whom nobody knows"
    assert found.is_generated
    assert set(found.label) == {
        *("Label", "ContentProducer", "ProduceID", "ReservedCode1", "ContentPropagator", "PropagateID", "ReservedCode2")
    }
    assert found.xmp["AISystemUsed"] == "Alla Prima"
    assert found.xmp["AISystemVersionUsed"] == packet.program_version()
    assert len(made) - len(data) <= 6 * 1024


@pytest.mark.parametrize(("kind", "mode"), CASES)
def test_a_second_marking_takes_the_place_of_the_first(kind: str, mode: str) -> None:
    once = marked(picture(kind, mode), f"image/{kind}", sign=False)
    twice = marked(once, f"image/{kind}", sign=False)
    assert len(twice) == len(once)
    assert twice.count(b"<TC260:AIGC>") == 1
    np.testing.assert_array_equal(pixels(twice), pixels(once))


@pytest.mark.parametrize(
    "options", [{"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0"}, {"progressive": True}, {"xmp": b"<x/>"}], ids=str
)
def test_other_segments_of_a_jpeg_stay(options: dict[str, Any], tmp_path: Path) -> None:
    data = picture("jpeg", **options)
    made = marked(data, "image/jpeg", sign=False)
    np.testing.assert_array_equal(pixels(made), pixels(data))
    with Image.open(io.BytesIO(made)) as opened:
        assert ("exif" in options) == ("exif" in opened.info)
    assert inspect(put(tmp_path, made, "jpeg")).is_generated
    assert made.count(b"http://ns.adobe.com/xap/1.0/\0") == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_changed_pixel_breaks_the_signature(kind: str, tmp_path: Path, signs: None) -> None:
    made = bytearray(marked(picture(kind), f"image/{kind}"))
    # somewhere in the pixels: behind the manifest in a PNG or JPEG, before it in the others
    places = {"png": made.rfind(b"IDAT") + 20, "jpeg": len(made) - 40, "webp": 60, "gif": 900}
    made[places[kind]] ^= 1
    found = inspect(put(tmp_path, bytes(made), kind))
    assert found.state == "Invalid"
    assert "changed after it was signed" in found.words()


def test_exiftool_reads_the_same(tmp_path: Path, signs: None) -> None:
    if shutil.which("exiftool") is None:
        pytest.skip("no exiftool")
    for kind in KINDS:
        path = put(tmp_path, marked(picture(kind), f"image/{kind}"), kind)
        told = subprocess.run(["exiftool", "-j", "-XMP:all", str(path)], capture_output=True, check=True).stdout
        (read,) = json.loads(told)
        ours = inspect(path)
        assert read["DigitalSourceType"] == packet.GENERATED == ours.xmp["DigitalSourceType"]
        label = next(value for key, value in read.items() if key.lower() == "aigc")
        assert (json.loads(label) if isinstance(label, str) else label) == ours.label


def test_nothing_is_marked_where_that_was_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ALLAPRIMA_UNMARKED", "1")
    data = picture("png")
    assert marked(data, "image/png") == data
    path = put(tmp_path, data, "png")
    mark_file(path, "image/png")
    assert path.read_bytes() == data
    found = inspect(path)
    assert not found.is_generated
    assert "no marks" in found.words()


def test_what_holds_no_marks_comes_back_as_it_was() -> None:
    assert marked(b"BM", "image/bmp") == b"BM"


def test_whoever_publishes_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ALLAPRIMA_PRODUCER", 'A "studio" & <Söhne> 画室')
    found = inspect(put(tmp_path, marked(picture("png"), "image/png", sign=False), "png"))
    assert found.label["ContentProducer"] == 'A "studio" & <Söhne> 画室'


@pytest.mark.parametrize("name", ["mp4", "webm", "gif"])
def test_films_are_marked_and_play(name: str, tmp_path: Path, signs: None) -> None:
    av = pytest.importorskip("av")
    from allaprima.bundle.untrained import untrained
    from allaprima.runtime.engine import Engine
    from allaprima.runtime.film import Film, loop
    from allaprima.runtime.films import write

    path = tmp_path / f"film.{name}"
    film = Film(motion=loop([0], 0.5, 0.2, {}), fps=10)
    write(Engine(untrained(16, latent_dim=8), "torch"), film, path)
    found = inspect(path)
    assert found.xmp["DigitalSourceType"] == packet.GENERATED
    assert found.state == (None if name == "webm" else "Valid"), "C2PA knows no WebM"
    with av.open(str(path)) as container:
        assert sum(1 for _ in container.decode(video=0)) == film.count


def test_the_key_is_its_owners_and_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signs: None) -> None:
    monkeypatch.setenv("ALLAPRIMA_CONFIG", str(tmp_path / "own"))
    first = identity.load()
    assert identity.load() == first
    if os.name != "nt":
        assert stat.S_IMODE((tmp_path / "own" / identity.KEY).stat().st_mode) == 0o600
    from cryptography import x509

    for certificate in x509.load_pem_x509_certificates(first[0].encode()):
        told = certificate.subject.rfc4514_string() + certificate.issuer.rfc4514_string()
        for personal in (os.uname().nodename, os.environ.get("USER", "nobody-at-all")):
            assert personal not in told or len(personal) < 4
    (tmp_path / "own" / identity.KEY).unlink()
    with pytest.raises(UserError, match="not both"):
        identity.load()


def test_a_home_that_cannot_be_written_to_still_signs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signs: None
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ALLAPRIMA_CONFIG", str(tmp_path / "file" / "below"))
    certificates, key = identity.load()
    assert "CERTIFICATE" in certificates
    assert "PRIVATE KEY" in key


def test_without_the_extra_pictures_go_unsigned_and_inspection_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(signature, "is_there", lambda: False)
    found = inspect(put(tmp_path, marked(picture("png"), "image/png"), "png"))
    assert found.sources == {"XMP": "trainedAlgorithmicMedia"}
    assert "allaprima[marks]" in found.words()


@pytest.mark.parametrize(
    "harm",
    [
        b'<!DOCTYPE x [<!ENTITY a "aaaa">]><x:xmpmeta xmlns:x="adobe:ns:meta/"/>',
        b"<x",
        b"",
        b"\xff\xfe\x00",
        b"<a>" * 200_000,
    ],
    ids=["entities", "torn", "empty", "no text", "deep"],
)
def test_a_packet_that_is_made_to_do_harm_says_nothing(harm: bytes) -> None:
    assert packet.read(harm) == {}


@pytest.mark.parametrize("kind", [*KINDS, "mp4"])
def test_torn_files_are_read_without_harm(kind: str, tmp_path: Path) -> None:
    container = CONTAINERS.get(kind)
    whole = (
        marked(picture(kind), f"image/{kind}", sign=False)
        if kind != "mp4"
        else container.embed(b"\0\0\0\x08ftyp", b"<x/>")
    )
    random = np.random.default_rng(0)
    for length in random.integers(0, len(whole), 100):
        container.find(whole[:length])
        changed = bytearray(whole)
        changed[length] ^= 0xFF
        container.find(bytes(changed))


def test_other_programs_marks_are_read(tmp_path: Path) -> None:
    foreign = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description rdf:about="" xmlns:e="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
        b' e:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"/></rdf:RDF></x:xmpmeta>'
    )
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "WEBP", xmp=foreign)
    found = inspect(put(tmp_path, buffer.getvalue(), "webp"))
    assert found.sources == {"XMP": "digitalCapture"}
    assert not found.is_generated
    assert "a photograph" in found.words()


def test_the_command_reads_files_and_refuses_others(tmp_path: Path) -> None:
    path = put(tmp_path, marked(picture("png"), "image/png", sign=False), "png")
    told = CliRunner().invoke(build(), ["inspect", str(path), "--json"])
    assert json.loads(told.output)["is_generated"] is True
    (tmp_path / "words.txt").write_text("words")
    for wrong in ("words.txt", "missing.png"):
        with pytest.raises(UserError):
            inspect(tmp_path / wrong)
