"""``allaprima prepare SOURCE DATASET``: pictures → a clean, split, memory-mapped dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from allaprima.cli import _precautions


def prepare(
    source: Annotated[
        str,
        typer.Argument(help="A folder or zip of pictures, an .npz, an IDX file or folder, stacked:IDX, or: studies"),
    ],
    dataset: Annotated[Path, typer.Argument(help="The folder to make, such as datasets/cats")],
    size: Annotated[str, typer.Option(help="Pixels: 64, or width x height as 96x64")] = "64",
    fit: Annotated[str, typer.Option(help="Pictures of other proportions: crop, pad or stretch")] = "crop",
    colour: Annotated[str, typer.Option(help="auto (grey if all are, else rgb), grey, rgb or rgba")] = "auto",
    labels: Annotated[str, typer.Option(help="auto, none, folder, or a metadata column")] = "auto",
    unlabelled: Annotated[
        str, typer.Option(help="Pictures without a label where others have one: refuse or drop")
    ] = "refuse",
    validation: Annotated[float, typer.Option(help="Share to validate on")] = 0.1,
    test: Annotated[float, typer.Option(help="Share to test on at the end")] = 0.1,
    apart: Annotated[
        str, typer.Option(help="Metadata columns with commas: some of their combinations are kept out of training")
    ] = "",
    apart_share: Annotated[float, typer.Option(help="Share of those combinations")] = 0.1,
    sounds: Annotated[str, typer.Option(help="A folder or zip of recordings labelled with the pictures' classes")] = "",
    keep_duplicates: Annotated[bool, typer.Option(help="Keep pictures that are the same or nearly")] = False,
    keep_noise: Annotated[bool, typer.Option(help="Keep pictures of random noise")] = False,
    min_side: Annotated[
        int | None,
        typer.Option(help="Leave out pictures with a shorter side; pixels [default: 8, or size / 8 if larger]"),
    ] = None,
    max_megapixels: Annotated[float, typer.Option(help="Leave out larger pictures")] = 80,
    count: Annotated[int, typer.Option(help="How many studies or stacks to draw")] = 4000,
    seed: Annotated[int, typer.Option(help="Which studies or stacks to draw")] = 0,
    anonymise: _precautions.Anonymise = False,
    face_detector: _precautions.FaceDetector = "",
    face_threshold: _precautions.FaceThreshold = 0.6,
    face_doubt: _precautions.FaceDoubt = 0.3,
    doubtful: _precautions.Doubtful = "refuse",
    pseudonyms: _precautions.Pseudonyms = None,
    pseudonym_key: _precautions.PseudonymKey = "",
    require: _precautions.Require = None,
    keep: _precautions.Keep = "",
    encrypt: _precautions.Encrypt = "",
    workers: Annotated[int | None, typer.Option(help="Processes [default: one a core]")] = None,
    force: Annotated[bool, typer.Option(help="Replace the dataset that stands there")] = False,
) -> None:
    """Make a dataset of pictures: decoded, cleaned, fitted to one size, split. Nothing half-made is ever left."""
    from allaprima.core.config import validate
    from allaprima.data.prepare import PrepareConfig
    from allaprima.data.prepare import prepare as run

    values = {**locals(), "require": require or []}
    config = validate(PrepareConfig, {key: values[key] for key in PrepareConfig.model_fields})
    run(source, dataset, config, workers, force, encrypt)
