"""What a run shows of itself while it learns: sample grids, and the bundle with its card."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from PIL import Image

import allaprima
from allaprima.bundle import files
from allaprima.bundle.bundle import Bundle
from allaprima.bundle.format import Description
from allaprima.core.files import plain_disk_errors, write_atomic
from allaprima.data.dataset import Dataset
from allaprima.evaluation.asking import asked_at, asked_places
from allaprima.marks import marked
from allaprima.models.conditions import parts_of
from allaprima.training import promise, transfer
from allaprima.training.aggregate import fitted_prior
from allaprima.training.learner import Learner
from allaprima.training.run import Run
from allaprima.training.statistics import with_own_statistics

GRID_SEED = 0
GRID_SIDE = 8


def as_bundle(run: Run, learner: Learner, provenance: dict[str, Any]) -> tuple[Bundle, dict[str, Any]]:
    """The moving averages as a bundle, not yet written, and the fields that describe it. A VAE's prior is fitted here."""
    promise.check_kept(learner)
    nets = with_own_statistics(run, learner)
    nets = nets | fitted_prior(run, learner, nets)
    encoder = getattr(run.config.method, "encoder", None)
    labels = np.asarray(run.dataset.labels[run.dataset.indices("train")])
    classes = getattr(parts_of(run.condition).get("label"), "classes", [])
    shares = np.bincount(labels[labels >= 0], minlength=len(classes)) / max(1, len(labels)) if classes else np.zeros(0)
    told = getattr(learner.method, "class_shares", None)
    if classes and told is not None:  # a private method knows them less exactly
        shares = np.asarray(told())
    fields = {
        "domain": run.dataset.manifest.domain,
        "latent_dim": learner.method.latent_dim,
        "condition": run.condition,
        "condition_dim": learner.method.condition_dim,
        "condition_weights": [round(float(share), 6) for share in shares],
        "generator": run.config.method.generator if encoder is None else run.config.method.decoder,
        "encoder": encoder,
        "prior": getattr(run.config.method, "prior", None),
        "provenance": provenance,
    }
    return Bundle(Description(**fields), nets), fields


def retold(bundle: Bundle, fields: dict[str, Any], provenance: dict[str, Any]) -> tuple[Bundle, dict[str, Any]]:
    """The same nets with another provenance."""
    fields = fields | {"provenance": provenance}
    return Bundle(Description(**fields), bundle.nets), fields


def provenance(
    run: Run, num_images_seen: int, seconds: float, figures: Mapping[str, float] = MappingProxyType({})
) -> dict[str, Any]:
    """What the card tells: no paths, no picture names. ``figures`` are those of the validation split, by name."""
    privacy = run.config.method.told() if hasattr(run.config.method, "told") else None
    watched = {"kernel_distance": None, run.config.training.watch: None}
    return {
        "program": f"allaprima {allaprima.__version__}",
        "method": run.config.method.component_name(),
        # whoever has the pictures could tell by it that it was these: a private run keeps it to itself
        "dataset_fingerprint": None if privacy else run.dataset.manifest.fingerprint,
        "training_pictures": len(run.dataset.indices("train")),
        **transfer.provenance_of(run.folder),
        "images_seen": num_images_seen,
        "minutes": round(seconds / 60, 2),
        "seed": run.config.seed,
        **({"privacy": privacy} if privacy else {}),
        "measured_on": f"{run.config.training.features} features",
        **{f"validation_{name}": round(figures[name], 6) if name in figures else None for name in watched},
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def sample_grid(bundle: Bundle, dataset: Dataset) -> Image.Image:
    """The same latents every time: eight columns, a class a row where there are classes, or what a validation picture asks."""
    places = asked_places(bundle, dataset, "validation", GRID_SIDE, GRID_SEED)
    rows = min(GRID_SIDE, len(bundle.classes)) if bundle.classes and places is None else GRID_SIDE
    count = rows * GRID_SIDE
    label = [place // GRID_SIDE for place in range(count)] if bundle.classes and places is None else None
    asked = asked_at(bundle, dataset, places.repeat(GRID_SIDE)) if places is not None else None
    array = bundle.sample(count, seed=GRID_SEED, label=label, as_="array", asked=asked)
    return bundle.domain.to_grid(array, GRID_SIDE, scale=max(1, math.ceil(64 / max(array.shape[1:3]))))


def write_grid(picture: Image.Image, path: Path) -> None:
    """A PNG, atomically; its folder is made."""
    with plain_disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    write_atomic(path, marked(buffer.getvalue(), "image/png"))


def write_bundle(run: Run, bundle: Bundle, fields: dict[str, Any], preview: Image.Image) -> None:
    """Replace ``RUN/bundle``."""
    files.write(run.folder / "bundle", fields, bundle.nets, card(bundle), preview)


def write_now(run: Run, learner: Learner, seconds: float) -> None:
    """The generator as it is, for a run that was stopped before its first tick."""
    bundle, fields = as_bundle(run, learner, provenance(run, learner.num_images_seen, seconds))
    write_bundle(run, bundle, fields, sample_grid(bundle, run.dataset))


def card(bundle: Bundle) -> str:
    """A model card in Markdown."""
    made, shape = bundle.description.provenance, bundle.domain.config
    parameters = sum(parameter.numel() for net in bundle.nets.values() for parameter in net.parameters())
    classes = ", ".join(bundle.classes) or "none"
    asked = ", ".join(bundle.follows) or "nothing"
    features = made["measured_on"]
    figures = "\n".join(
        f"| {key.removeprefix('validation_').replace('_', ' ').capitalize()}, validation split | {_figure(value, features)} |"
        for key, value in made.items()
        if key.startswith("validation_")
    )
    return f"""# A generator painted with Alla Prima

![samples](preview.webp)

| | |
|---|---|
| Pictures | {shape.width} × {shape.height}, {shape.channels} channels |
| Method | {made["method"]}: {bundle.description.generator.component_name()} generator, {parameters:,} parameters in all |
| Classes | {classes} |
| Follows | {asked} |
| Trained on | {made["training_pictures"]:,} pictures{_fingerprint(made)} |
{_privacy(made)}{_begun_from(made)}\
| Training | {made["images_seen"]:,} images seen, {made["minutes"]} minutes, seed {made["seed"]} |
{figures}
| Written | {made["written"]} by {made["program"]} |

Every picture of this generator is synthetic; say so where you show one. It may resemble its training pictures:
`allaprima evaluate` shows the nearest ones. Whoever holds the rights in those may have a say in what you do with it.

```python
import allaprima

pictures = allaprima.load("this/folder").sample(16, seed=0)
```
"""


def _figure(value: float | None, features: str) -> str:
    return "not measured" if value is None else f"{value:.4f} (on {features})"


def _fingerprint(made: Mapping[str, Any]) -> str:
    return f" (fingerprint `{made['dataset_fingerprint'][:16]}`)" if made.get("dataset_fingerprint") else ""


def _privacy(made: Mapping[str, Any]) -> str:
    """Lines of the card's table, or nothing for a run that promises nothing."""
    told = made.get("privacy")
    if not told:
        return ""
    promise = f"ε = {told['epsilon']:g}, δ = {told['delta']:g}, for {told['unit']} ({told['mechanism']})"
    return f"| Differential privacy | {promise} |\n| Not covered by it | {told['not_covered']} |\n"


def _begun_from(made: Mapping[str, Any]) -> str:
    """A line of the card's table, or nothing for a run from scratch."""
    old = made.get("begun_from")
    if not old:
        return ""
    seen = f", {old['images_seen']:,} images seen" if "images_seen" in old else ""
    return f"| Begun from | another generator (weights `{old['weights_sha256'][:16]}`{seen}) |\n"
