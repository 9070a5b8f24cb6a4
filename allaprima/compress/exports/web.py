"""A folder that plays the generator in any browser: open its ``index.html``, or put it on any web host. Nothing is sent anywhere.

onnxruntime-web runs the graph (WebAssembly). It and the weights stand in scripts as base64, because a page that was opened from
a disk may not read files. On a web host a service worker adds the headers that let WebAssembly use threads.

onnxruntime-web comes from its npm package, a file that is found in the cache, named, or fetched where that is allowed; it is
known by its SHA-256.
"""

from __future__ import annotations

import base64
import json
import tarfile
from pathlib import Path
from typing import Any

from allaprima import marks
from allaprima.bundle.bundle import Bundle
from allaprima.bundle.graph import export
from allaprima.compress.exports import ONNX_FILE
from allaprima.marks import packet
from allaprima.models.pretrained._weights import PinnedFile, find
from allaprima.runtime.engines.onnxruntime import OnnxRuntimePainter

NUMBER = "NUMBER-OF-THE-PICTURE"  # in the marks of what is saved there, which the page puts its own for
SUMMARY = "a web page that needs no server"
PAGE = Path(__file__).parent / "_web"
VERSION = "1.30.0"
PACKAGE = PinnedFile(
    f"onnxruntime-web-{VERSION}.tgz",
    f"https://registry.npmjs.org/onnxruntime-web/-/onnxruntime-web-{VERSION}.tgz",
    "d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71",
    33_106_585,
)
SCRIPT, MODULE, BINARY = "ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"
NOTICE = f"""This page contains onnxruntime-web {VERSION} (https://onnxruntime.ai), under the MIT licence:
Copyright (c) Microsoft Corporation.

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation
files (the "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy,
modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the
Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE,
ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


def write(bundle: Bundle, folder: Path, about: dict[str, Any], wanted: Any) -> OnnxRuntimePainter:
    """Proven with onnxruntime, the same program's other build; ``benchmarks/web.py`` looks at what a browser paints."""
    package = find("onnxruntime-web", [PACKAGE], wanted.runtime)
    for file in PAGE.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    with tarfile.open(package, "r:gz") as archive:
        parts = {name: _member(archive, name) for name in (SCRIPT, MODULE, BINARY)}
    (folder / SCRIPT).write_bytes(parts[SCRIPT])
    _script(folder / "runtime.js", RUNTIME_MODULE=parts[MODULE], RUNTIME_BINARY=parts[BINARY])
    model = folder / ONNX_FILE
    export(bundle, model, prior=True)
    _script(folder / "model.js", MODEL=model.read_bytes())
    # a script, for the same reason; "</" would end the page's own if somebody put it there
    about = {**about, "marks": packet.numbered(NUMBER).decode() if marks.are_on() else None}
    told = json.dumps(about, ensure_ascii=True).replace("</", "<\\/")
    (folder / "about.js").write_text(f"self.ABOUT={told};\n", "utf-8")
    (folder / "NOTICE.txt").write_text(NOTICE, "utf-8")
    painter = OnnxRuntimePainter(model)
    model.unlink()  # it stands in model.js
    return painter


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(f"package/dist/{name}")
    assert file is not None, name  # the archive's hash is known
    return file.read()


def _script(path: Path, **values: bytes) -> None:
    """A script that sets each name to its bytes in base64."""
    lines = [f'self.{name}="{base64.b64encode(value).decode("ascii")}";' for name, value in values.items()]
    path.write_text("\n".join(lines) + "\n", "ascii")
