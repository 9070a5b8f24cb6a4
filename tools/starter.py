"""Puts a run's bundle into the package as the generator that comes with it: ``python tools/starter.py runs/starter``."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from allaprima.bundle.files import find
from allaprima.bundle.format import DESCRIPTION
from allaprima.bundle.starter import STARTER
from allaprima.core.files import write_json

MOST_BYTES = 4_000_000
OPENING = {"text": "a violet pen-drawn butterfly on blush"}  # what the studio shows first
KINDS = ("*.json", "*.safetensors", "card.md", "preview.webp")


def main(arguments: list[str]) -> int:
    """Exit code 2 for a bundle that is too large to ship."""
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    bundle = find(Path(arguments[0]))
    files = [file for kind in KINDS for file in bundle.glob(kind)]
    size = sum(file.stat().st_size for file in files)
    if size > MOST_BYTES:
        print(f"{size / 1e6:.1f} MB are too many: at most {MOST_BYTES / 1e6:.0f} MB ship", file=sys.stderr)
        return 2
    for old in (file for kind in KINDS for file in STARTER.glob(kind)):
        old.unlink()
    for file in files:
        shutil.copyfile(file, STARTER / file.name)
    description = json.loads((STARTER / DESCRIPTION).read_text("utf-8"))
    description["provenance"]["opening"] = OPENING
    write_json(STARTER / DESCRIPTION, description)
    print(f"{STARTER}: {size / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
