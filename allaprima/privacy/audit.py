"""Audits a run: every attack, each with controls where it has some, copies, canaries. Writes ``audit.json`` and ``audit.html``.

Use: ``found = audit(Path("runs/cats"), dataset, Bundle.load("runs/cats"), device=Device.choose()); print(found.text())``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from allaprima.bundle.format import DESCRIPTION
from allaprima.core.device import Device
from allaprima.core.errors import UserError
from allaprima.core.files import plain_disk_errors, write_atomic, write_json
from allaprima.core.progress import progress
from allaprima.core.seeds import numpy_stream
from allaprima.data.dataset import Dataset
from allaprima.evaluation.evaluate import weights_sha256
from allaprima.evaluation.features import FEATURES, Features
from allaprima.evaluation.metrics import NotMeasuredError
from allaprima.evaluation.metrics.memorisation import copy_rate
from allaprima.evaluation.nearest import Neighbours
from allaprima.privacy import page
from allaprima.privacy.blackbox import VIEWS, control, copies, painted
from allaprima.privacy.findings import Attack, Audit, Canary
from allaprima.privacy.membership import exposure, rank_among, sklearn_metrics, tell_apart
from allaprima.privacy.nets import discriminator_scores, reconstruction_scores
from allaprima.privacy.sides import FEWEST, Seen, Sides, draw_sides, see_stored
from allaprima.vault import locked_by

MOST_SEARCHED = 10_000  # training pictures among which the nearest to a sample is looked for
TITLES = {"features": "nearest sample, by features", "pixels": "nearest sample, pixel by pixel"}
Scores = Callable[[], torch.Tensor]  # of members, others, canaries: float32 [N]


@dataclass(frozen=True)
class Evidence:
    """What all attacks look at."""

    dataset: Dataset
    sides: Sides
    pictures: Seen  # members, others, canaries
    references: Seen
    searched: Seen
    samples: Seen
    copied: Seen
    seed: int

    def split(self, scores: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Of members, of others, of canaries."""
        members, others, canaries = scores.split(
            [len(self.sides.members), len(self.sides.others), len(self.sides.canaries)]
        )
        return members, others, canaries


def audit(
    run: Path,
    dataset: Dataset,
    painter: Any,
    device: Device,
    samples: int = 10_000,
    pictures: int = 1_000,
    seed: int = 0,
    features: str = "domain",
    canaries: Sequence[str] = (),
) -> Audit:
    """``painter``, the run's Bundle, against at most ``pictures`` of either kind; write into ``audit_folder(run)``.

    Raises UserError when it was trained on other pictures than ``dataset`` holds, when these are too few, when a canary is
    no training picture, without scikit-learn, and when nothing can be written.
    """
    sklearn_metrics()
    if samples < FEWEST or pictures < FEWEST:
        raise UserError(f"Fewer than {FEWEST} samples or pictures tell nothing", "give more, better 1,000 or 10,000")
    check_is_the_same(run, dataset, painter)
    sides, folder = draw_sides(dataset, pictures, seed, canaries), audit_folder(run)
    with plain_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    chosen = FEATURES.get(features).load_or_train(dataset, device)
    evidence = _evidence(dataset, sides, painter, chosen, samples, seed)
    found = _audited(run, evidence, painter, chosen, device, folder)
    write_json(folder / "audit.json", found.to_json())
    write_atomic(folder / "audit.html", page.page(found))
    return found


def audit_folder(run: Path) -> Path:
    """Where the audit of a run belongs; of a bundle, which is a folder to be shared, beside it."""
    if not (run / DESCRIPTION).is_file():
        return run / "audit"
    bundle = Path(os.path.abspath(run))
    within_run = (bundle.parent / "run.json").is_file()
    return bundle.with_name("audit" if within_run else f"{bundle.name}-audit")


def check_is_the_same(run: Path, dataset: Dataset, painter: Any) -> None:
    """Raises UserError where the generator was trained on another dataset than this, or on another split of it.

    A private bundle does not say which it was: its run does, and of the bundle alone a person's word is taken.
    """
    made = painter.description.provenance.get("dataset_fingerprint")
    if (run / "run.json").is_file():
        made = json.loads((run / "run.json").read_text(encoding="utf-8")).get("fingerprint", made)
    if made not in (None, dataset.manifest.fingerprint):
        raise UserError(
            f"'{run}' was trained on other pictures than '{dataset.folder}' holds: there is nobody to tell apart",
            "give the prepared dataset that it was trained on: --dataset DATASET",
        )


def _evidence(dataset: Dataset, sides: Sides, painter: Any, features: Features, count: int, seed: int) -> Evidence:
    own = np.concatenate([sides.members, sides.others, sides.canaries])
    more = sides.training[: max(0, MOST_SEARCHED - len(sides.members))]
    with progress("looking at pictures", len(own) + len(sides.references) + len(more)) as advance:
        seen = []
        for places in (own, sides.references, more):
            seen.append(see_stored(dataset, places, features))
            advance(len(places))
    pictures, references, rest = seen
    members = pictures[: len(sides.members)]
    return Evidence(
        dataset=dataset,
        sides=sides,
        pictures=pictures,
        references=references,
        searched=Seen.joined([members, rest]) if len(rest) else members,
        samples=painted(painter, dataset, features, count, seed, numpy_stream(seed, "audit/wishes").permutation(own)),
        copied=copies(dataset, sides.members, features, seed),
        seed=seed,
    )


def _audited(run: Path, evidence: Evidence, painter: Any, features: Features, device: Device, folder: Path) -> Audit:
    sides, dataset = evidence.sides, evidence.dataset
    own = np.concatenate([sides.members, sides.others, sides.canaries])
    attacks: list[Attack] = []
    canaries: list[Canary] = []
    left_out: dict[str, UserError] = {}
    planned: list[tuple[str, bool, Scores, str]] = [
        *((title, True, _by_view(view, evidence), view) for view, title in TITLES.items()),
        ("reconstruction error", True, lambda: reconstruction_scores(painter, dataset, own), ""),
        ("discriminator", False, lambda: discriminator_scores(run, dataset, device, own), ""),
    ]
    with progress("attacking", len(planned), "attacks") as advance:
        for name, outside, scores, view in planned:
            try:
                attack, named = _attacked(evidence, name, outside, scores(), view)
            except NotMeasuredError as error:
                left_out[name] = error
            else:
                attacks.append(attack)
                canaries += named
            advance(1, note=name)
    return Audit(
        run=run,
        folder=folder,
        dataset=dataset,
        seed=evidence.seed,
        samples=len(evidence.samples),
        references=len(evidence.references),
        splits=sides.splits,
        features=features.name,
        weights_sha256=weights_sha256(painter),
        provenance=dict(painter.description.provenance),
        attacks=attacks,
        left_out=left_out,
        copies=list(_copies(evidence, features)),
        canaries=canaries,
    )


def _by_view(view: str, evidence: Evidence) -> Scores:
    return lambda: VIEWS[view](evidence.pictures, evidence.samples, evidence.references)


def _attacked(
    evidence: Evidence, name: str, outside: bool, scores: torch.Tensor, view: str
) -> tuple[Attack, list[Canary]]:
    """``view``: of an attack by nearest samples, which has controls."""
    members, others, named = evidence.split(scores)
    controls = None
    if view:
        both = evidence.pictures
        seen = both[: len(members)], both[len(members) : len(members) + len(others)]
        rest = evidence.searched[len(members) :]
        controls = control(view, *seen, evidence.references, evidence.samples, evidence.copied, rest, evidence.seed)
    among = torch.cat([members, named])
    withheld = locked_by(evidence.dataset.folder) is not None  # what is written of it is plain
    found = []
    for row, place in enumerate(evidence.sides.canaries):
        rank = rank_among(among, len(members) + row)
        found.append(
            Canary(
                name=f"canary {row + 1}" if withheld else str(evidence.dataset.records[place]["name"]),
                attack=name,
                rank=rank,
                among=len(among),
                exposure=exposure(rank, len(among)),
                others_above=float((others >= named[row]).float().mean()),
            )
        )
    return Attack(name, outside, tell_apart(members, others, evidence.seed, name), controls), found


def _copies(evidence: Evidence, features: Features) -> Iterator[Any]:
    """The copy rates of ``evaluation.metrics.memorisation``, and how near the nearest 1 % are."""
    first = len(evidence.sides.members)
    held_out = Seen.joined([evidence.pictures[first : first + len(evidence.sides.others)], evidence.references])
    fake, train = evidence.samples, evidence.searched
    found = Neighbours.of(fake.features, held_out.features, train.features, fake.small, held_out.small, train.small)
    for space, name, seen_by in (
        (found.features, "copy rate", features.name),
        (found.pixels, "copy rate, pixels", "pixels, mirrored too"),
    ):
        figure = copy_rate(space, name, seen_by, evidence.seed)
        nearest = {"samples": space.fake_ratio, "held_out": space.real_ratio}
        figure.details["nearest_hundredth"] = {who: float(ratio.quantile(0.01)) for who, ratio in nearest.items()}
        yield figure
