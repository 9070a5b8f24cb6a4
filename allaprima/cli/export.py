"""``allaprima export RUN --to FORM``: a generator for other programs, proven to paint the same pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    run: Annotated[Path, typer.Argument(help="A run or bundle folder.")],
    to: Annotated[str, typer.Option(help="onnx, openvino, web or huggingface.")],
    out: Annotated[Path | None, typer.Option(help="The new folder (the default is beside the run).")] = None,
    text: Annotated[
        list[str] | None, typer.Option(help="A wish that goes with it, of a run that follows texts.")
    ] = None,
    runtime: Annotated[Path | None, typer.Option(help="web: the file that `npm pack onnxruntime-web` gives.")] = None,
    download: Annotated[bool, typer.Option("--download", help="web: fetch that file from the npm registry.")] = False,
) -> None:
    """Write a generator in another form, and prove on 64 latents that it paints the same."""
    from allaprima.compress import export as exporting
    from allaprima.vault import locked_by

    target = out or run.resolve().parent / f"{run.resolve().name}-{to}"
    proof = exporting.export(run, to, target, text or [], exporting.web_runtime(runtime, download))
    typer.echo(
        f"{target}: equal on {exporting.PROVEN_ON} latents, at most {proof.farthest}/255 off, {proof.mean:.4f}/255 on average"
    )
    if locked_by(run) is not None:
        typer.echo("it is not encrypted, unlike the run: others are to read it")
    if (target / "index.html").is_file():
        typer.echo(f"open {target / 'index.html'} in a browser")
