"""C2PA manifests (Coalition for Content Provenance and Authenticity, specification 2): who made a file, hashed and signed.

With the extra ``marks``; without it files go unsigned. The certificate is this machine's own (``identity``): readers find the
signature whole and its signer unknown to them.

Use: ``signed(png, "image/png")``; ``report = read(data, "image/png")``.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import json
import os
import threading
from functools import cache
from pathlib import Path
from typing import Any

from allaprima.marks import identity
from allaprima.marks.packet import GENERATED, PROGRAM, program_version

SIGNED = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif", "video/mp4"})
_lock = threading.Lock()  # the library's signer is one object of native code


def is_there() -> bool:
    """Whether the extra is installed."""
    return importlib.util.find_spec("c2pa") is not None and importlib.util.find_spec("cryptography") is not None


def signed(data: bytes, media_type: str) -> bytes:
    """The file with a manifest; as it is where its kind takes none, or without the extra."""
    if media_type not in SIGNED or not is_there():
        return data
    made = io.BytesIO()
    with _lock:
        _tools().builder().sign(_tools().signer, media_type, io.BytesIO(data), made)
    return made.getvalue()


def sign_file(path: Path, media_type: str) -> None:
    """``path`` with a manifest, whole or as it was."""
    if media_type not in SIGNED or not is_there():
        return
    beside = path.with_name(f".signed-{path.name}")
    try:
        with _lock:
            _tools().builder().sign_file(path, beside, _tools().signer)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def read(data: bytes, media_type: str) -> dict[str, Any] | None:
    """The library's report on a file's manifests; None where there are none or can be none, or without the extra."""
    if media_type not in SIGNED or not is_there():
        return None
    c2pa = importlib.import_module("c2pa")
    try:
        reader = c2pa.Reader.try_create(media_type, io.BytesIO(data), None, _tools().context)
        if reader is None:
            return None
        with reader:
            report: dict[str, Any] = json.loads(reader.json())
        return report
    except c2pa.C2paError as error:
        return {"validation_state": "Invalid", "error": str(error)}


class Tools:
    """The library's objects that serve a whole process."""

    def __init__(self) -> None:
        self._c2pa = c2pa = importlib.import_module("c2pa")
        certificates, key = identity.load()
        info = c2pa.C2paSignerInfo(
            b"es256", certificates.encode(), key.encode(), None
        )  # no time authority: nothing is sent
        self.signer = c2pa.Signer.from_info(info)
        # a thumbnail of a picture of 256 px weighs 200 times as much as the manifest; and nothing is fetched to read one
        settings = {
            "builder": {"thumbnail": {"enabled": False}},
            "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_after_sign": False},
        }
        self.context = c2pa.Context(c2pa.Settings.from_dict(settings))
        maker = {"name": PROGRAM, "version": program_version()}
        created = {"action": "c2pa.created", "digitalSourceType": GENERATED, "softwareAgent": maker}
        actions = {"label": "c2pa.actions.v2", "data": {"actions": [created]}}
        self._manifest = json.dumps({"claim_generator_info": [maker], "assertions": [actions]})

    def builder(self) -> Any:
        """For one file."""
        return self._c2pa.Builder.from_json(self._manifest, self.context)


@cache
def _tools() -> Tools:
    return Tools()
