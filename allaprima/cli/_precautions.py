"""Options of ``prepare`` for pictures of people, and for what others may not see."""

from __future__ import annotations

from typing import Annotated

import typer

Anonymise = Annotated[
    bool, typer.Option("--anonymise", help="Fill the faces that a detector finds, before anything is stored")
]
FaceDetector = Annotated[
    str, typer.Option(help="The detector's ONNX file (YuNet) [default: what ALLAPRIMA_FACE_DETECTOR names]")
]
FaceThreshold = Annotated[float, typer.Option(help="Score from which on a place is a face")]
FaceDoubt = Annotated[float, typer.Option(help="Score from which on it may be one: the picture is doubtful")]
Doubtful = Annotated[str, typer.Option(help="Doubtful pictures: refuse, or keep with those places filled too")]
Pseudonyms = Annotated[bool | None, typer.Option(help="Pseudonyms for the names of files [default: with --anonymise]")]
PseudonymKey = Annotated[
    str, typer.Option(help="File of their key, made if missing: the same names come out again [default: not kept]")
]
Require = Annotated[
    list[str] | None,
    typer.Option(help="Only pictures that a column permits: COLUMN=VALUE,… such as consent=yes. Repeatable"),
]
Keep = Annotated[
    str, typer.Option(help="How long to keep it, such as 90d, 12w, 6m or 2y; then: allaprima forget --expired")
]
Encrypt = Annotated[
    str, typer.Option(help="Encrypt it. Its key: passphrase (ALLAPRIMA_PASSPHRASE, or asked for), file=PATH, keyring")
]
