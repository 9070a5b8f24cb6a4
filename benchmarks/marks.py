"""What do marks cost, and do other programs read them? On pictures that a generator of 256 px paints.

Each of ``--count`` pictures is saved as PNG, JPEG and WebP: how many bytes and milliseconds the marks add (medians; signing
included), and for how many files C2PA's reader finds a whole signature and exiftool the same statement as it.

    python benchmarks/marks.py [--count 100]

Needs exiftool on the path and the extra ``marks``. The last line is JSON.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import allaprima  # noqa: F401 - sets how threads wait, before they start
from allaprima.bundle.untrained import untrained
from allaprima.marks import marked, packet
from allaprima.marks.inspection import inspect
from allaprima.runtime.engine import Engine
from allaprima.runtime.session import State

KINDS = ("png", "jpeg", "webp")
SIDE = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100, help="pictures, each in three formats")
    count = parser.parse_args().count
    if shutil.which("exiftool") is None:
        raise SystemExit("exiftool is not installed")
    engine = Engine(untrained(SIDE, generator={"name": "live"}), "torch")
    pictures = [
        engine.bundle.domain.to_pictures(engine.render([State(seed=seed)])[0][None])[0] for seed in range(count)
    ]
    with tempfile.TemporaryDirectory() as folder:
        found = {kind: measured(kind, pictures, Path(folder)) for kind in KINDS}
    for kind, figures in found.items():
        print(f"{kind:5}", "  ".join(f"{name} {value:g}" for name, value in figures.items()))
    print(json.dumps(found))


def measured(kind: str, pictures: list[Any], folder: Path) -> dict[str, float]:
    """Files of one kind in ``folder``, and what was found of them."""
    bytes_added, milliseconds, unsigned = [], [], []
    for number, picture in enumerate(pictures):
        buffer = io.BytesIO()
        picture.save(buffer, kind)
        plain = buffer.getvalue()
        begun = time.perf_counter()
        made = marked(plain, f"image/{kind}")
        milliseconds.append(1000 * (time.perf_counter() - begun))
        bytes_added.append(len(made) - len(plain))
        begun = time.perf_counter()
        marked(plain, f"image/{kind}", sign=False)
        unsigned.append(1000 * (time.perf_counter() - begun))
        (folder / f"{number:04d}.{kind}").write_bytes(made)
    command = ["exiftool", "-j", "-XMP:DigitalSourceType", "-ext", kind, str(folder)]
    told = {
        Path(one["SourceFile"]).name: one.get("DigitalSourceType")
        for one in json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    }
    read = {path.name: inspect(path) for path in folder.glob(f"*.{kind}")}
    term = packet.GENERATED.rpartition("/")[2]
    whole = sum(one.state == "Valid" for one in read.values())
    agreed = sum(told.get(name) == packet.GENERATED and one.sources.get("C2PA") == term for name, one in read.items())
    return {
        "files": len(read),
        "signature_whole": whole,
        "exiftool_and_c2pa_agree": agreed,
        "most_bytes_added": max(bytes_added),
        "milliseconds": round(statistics.median(milliseconds), 3),
        "milliseconds_without_signature": round(statistics.median(unsigned), 3),
    }


if __name__ == "__main__":
    main()
