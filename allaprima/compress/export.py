"""``allaprima export``: a generator for other programs, proven to paint the same pictures.

Use: ``export(Path("runs/cats"), "onnx", Path("cats-onnx"))``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import allaprima
from allaprima.bundle.bundle import Bundle
from allaprima.compress.exports import ABOUT_FILE, EXPORTS
from allaprima.core.errors import UserError
from allaprima.core.files import new_folder, plain_disk_errors, write_json
from allaprima.explain.directions import principal
from allaprima.models.pretrained import Weights, Words

PROVEN_ON = 64  # latents
FARTHEST = 2  # steps of 1/255 that any one value may be off by: sums in another order round differently
MEAN = 0.05  # steps of 1/255
MOST_WISHES = 1000

Painter = Callable[[torch.Tensor, torch.Tensor], np.ndarray]


@dataclass(frozen=True)
class Wanted:
    """What is exported with the nets. ``texts``: wishes for generators that follow texts. ``runtime``: of ``web``, see there."""

    name: str
    texts: Sequence[str]
    runtime: Weights


@dataclass(frozen=True)
class Proof:
    """Over 64 latents, in steps of 1/255: the largest difference from the float32 reference, and the mean."""

    farthest: int
    mean: float


def web_runtime(file: Path | None, download: bool) -> Weights:
    """Where ``web`` finds onnxruntime-web."""
    words = Words(
        download="--download",
        file="--runtime FILE",
        instead="as `npm pack onnxruntime-web` gives it",
        missing="The page needs {}, which is not on this machine",
    )
    return Weights(file, download, words)


def export(run: Path, to: str, out: Path, texts: Sequence[str] = (), runtime: Weights | None = None) -> Proof:
    """Write ``run``'s generator to the new folder ``out`` as ``to`` asks; there whole and proven, or not at all.

    Raises UserError for an unknown form, an extra that is missing, a folder that exists, or pictures that are not the same.
    """
    form = EXPORTS.get(to)
    if out.exists():
        raise UserError(f"'{out}' exists already", "name another folder with --out, or delete it first")
    bundle = Bundle.load(run)
    wanted = Wanted(run.resolve().name, texts, runtime or web_runtime(None, False))
    with plain_disk_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    with new_folder(out) as folder:
        about = describe(bundle, wanted)
        proof = prove(form.write(bundle, folder, about, wanted), bundle)
        if proof.farthest > FARTHEST or proof.mean > MEAN:
            raise UserError(
                f"What '{to}' paints is off by up to {proof.farthest}/255, {proof.mean:.3f}/255 on average",
                "another form may do; please report this with your versions, 'allaprima doctor --json'",
            )
        about["proof"] = {"latents": PROVEN_ON, "farthest_of_255": proof.farthest, "mean_of_255": round(proof.mean, 5)}
        write_json(folder / ABOUT_FILE, about)
    return proof


def prove(painter: Painter, bundle: Bundle) -> Proof:
    """Paint the same with the nets and with what was written."""
    asked = bundle.asked(PROVEN_ON)
    noise, y = bundle.noise(PROVEN_ON), bundle.embed(asked)
    wanted = bundle.domain.to_array(bundle.decode(bundle.from_noise(noise, asked), asked)).astype(int)
    made = painter(noise, y.y)
    if made.shape != wanted.shape:
        return Proof(255, 255.0)
    apart = np.abs(made.astype(int) - wanted)
    return Proof(int(apart.max()), float(apart.mean()))


def describe(bundle: Bundle, wanted: Wanted) -> dict[str, Any]:
    """What a program needs to know to paint, as JSON: sizes, and each wish with its row for the input ``asked``."""
    shape = bundle.domain.shape
    return {
        "format": "allaprima-export",
        "version": 1,
        "name": wanted.name,
        "program": f"allaprima {allaprima.__version__}",
        "spatial": list(shape.spatial),
        "channels": shape.channels,
        "latent_dim": bundle.description.latent_dim,
        "condition_dim": bundle.description.condition_dim,
        "wishes": wishes(bundle, wanted.texts),
        "directions": [[round(value, 6) for value in row] for row in principal(bundle).tolist()],
        "provenance": bundle.description.provenance,
    }


def wishes(bundle: Bundle, texts: Sequence[str]) -> list[dict[str, Any]]:
    """Every class, and the ``texts``; first nothing at all, where that may be left out. Raises UserError for too many."""
    follows = bundle.follows
    if texts and "text" not in follows:
        raise UserError("This generator does not follow texts", "leave --text out")
    if not follows:
        return []
    asked: list[tuple[str, dict[str, Any]]] = [] if list(follows) == ["label"] else [("", {})]
    asked += [(name, {"label": name}) for name in bundle.classes] + [(text, {"text": text}) for text in texts]
    if len(asked) > MOST_WISHES:
        raise UserError(f"{len(asked):,} classes and texts are too many", f"at most {MOST_WISHES:,} go into an export")
    return [{"name": name, "asked": bundle.embed(bundle.asked(1, **wish)).y[0].tolist()} for name, wish in asked]
