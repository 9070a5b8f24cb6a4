"""What an audit found, in words: for a terminal, a page, a program.

Use: ``print(found.text())``; ``found.to_json()``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import allaprima
from allaprima.core.errors import UserError
from allaprima.data.dataset import Dataset
from allaprima.evaluation.metrics import Figure
from allaprima.evaluation.metrics.memorisation import CLEAR, COPIES, UNKNOWN, verdict
from allaprima.evaluation.report import number
from allaprima.privacy.blackbox import COPIED, Controls
from allaprima.privacy.membership import COIN, FALSE_ALARMS, NOTHING_SEEN, POSITIVE, Interval, Told

FORMAT, VERSION = "allaprima-audit", 1
FEW = 200  # pictures of either kind: with less, an interval spans .12
COPYING = {
    COPIES: "It copies: more samples all but repeat a training picture than held-out pictures do.",
    CLEAR: "No sign of copying: no more samples repeat a training picture than held-out pictures do.",
    UNKNOWN: "Too few held-out pictures to tell whether it copies.",
}
NO_PROOF = "No signal seen is no proof: other attacks may see more, and these say nothing of what all pictures of a kind share."
NEVER_EXPORTED = "The discriminator is never exported: no bundle holds it."


@dataclass(frozen=True)
class Attack:
    """``outside``: whoever has the bundle can do it; otherwise it takes the run's folder."""

    name: str
    outside: bool
    told: Told
    controls: Controls | None = None

    @property
    def counts(self) -> bool:
        """Whether its controls, if there are any, say that it finds what is there and nothing else."""
        return self.controls is None or (self.controls.works and not self.controls.biased)

    @property
    def sees(self) -> bool:
        """Whether there is a signal, and more of it than where nothing was learned."""
        if self.controls is None or not self.told.sees:
            return self.told.sees
        innocent = self.controls.innocent
        stands_out = self.told.stands_out and self.told.tpr_interval[0] > innocent.tpr
        return self.told.auc_interval[0] > innocent.auc or stands_out


@dataclass(frozen=True)
class Canary:
    """The rank of one picture ``among`` members, 1 for the most given away; ``others_above``: the share of pictures that the
    run never saw with at least its score.
    """

    name: str
    attack: str
    rank: int
    among: int
    exposure: float
    others_above: float


@dataclass(frozen=True)
class Audit:
    """Everything. ``left_out``: why an attack was not made, by its name. ``copies``: figures of memorisation."""

    run: Path
    folder: Path
    dataset: Dataset
    seed: int
    samples: int
    references: int
    splits: tuple[str, ...]
    features: str
    weights_sha256: str | None
    provenance: dict[str, Any]
    attacks: Sequence[Attack]
    left_out: dict[str, UserError]
    copies: Sequence[Figure]
    canaries: Sequence[Canary]

    def words(self) -> list[str]:
        """What it comes to, most important first."""
        outside = [attack for attack in self.attacks if attack.outside]
        found = [self._of_outsider(outside), *self._of_holder(), COPYING.get(verdict(self.copies), "")]
        found += [_of_controls(attack) for attack in outside if attack.controls is not None]
        if not any(attack.sees for attack in self.attacks if attack.counts):
            found.append(NO_PROOF)
        return [words for words in [*found, *self._cautions()] if words]

    def _of_outsider(self, attacks: list[Attack]) -> str:
        if not any(attack.controls is not None and attack.controls.works for attack in attacks):
            return (
                "This audit proves nothing on this dataset: even a generator that copies its training pictures would not be "
                "caught by its samples."
            )
        counted = [attack for attack in attacks if attack.counts]
        if not counted:
            return "This audit proves nothing on this dataset: its attacks see members where there are none."
        best = max(counted, key=lambda attack: (attack.sees, attack.told.auc))
        return _told("An outsider with the generator", best)

    def _of_holder(self) -> list[str]:
        held = [
            _told("Whoever has the run's folder, with its discriminator,", a) for a in self.attacks if not a.outside
        ]
        return [f"{words} {NEVER_EXPORTED}" for words in held]

    def _cautions(self) -> list[str]:
        pictures = self.attacks[0].told.members
        few = f"Only {pictures} pictures of either kind: the figures are rough." if pictures < FEW else ""
        begun = self.provenance.get("begun_from")
        other = isinstance(begun, dict) and begun.get("dataset_fingerprint") != self.provenance["dataset_fingerprint"]
        learned = "It began from a generator of other pictures, which may have learned from the held-out ones too."
        return [self._of_promise(), few, learned if other else ""]

    def _of_promise(self) -> str:
        """(ε, δ) bound every attack: TPR ≤ e^ε FPR + δ (Kairouz et al. 2015, theorem 2.1)."""
        promised = self.provenance.get("privacy")
        if not isinstance(promised, dict) or not {"epsilon", "delta"} <= promised.keys():
            return ""
        most = min(1.0, math.exp(promised["epsilon"]) * FALSE_ALARMS + promised["delta"])
        words = f"It promises ε = {promised['epsilon']:g}: no attack may recognise more than {most:.1%} at {FALSE_ALARMS:.0%} FPR"
        broken = [a.name for a in self.attacks if a.told.stands_out and a.told.tpr_interval[0] > most]
        return f"{words}. That is broken: see {', '.join(broken)}." if broken else f"{words}, and none is seen to."

    def rows(self) -> list[tuple[str, ...]]:
        """A table of attacks and controls; the first row is its head."""
        head = (
            "attack",
            "by whom",
            "AUC",
            "95 % interval",
            f"TPR at {FALSE_ALARMS:.0%} FPR",
            "95 % interval",
            "advantage",
        )
        rows: list[tuple[str, ...]] = [head]
        for attack in self.attacks:
            rows.append(_row(attack.name, "outsider" if attack.outside else "holder of the run", attack.told))
            if attack.controls is not None:
                rows.append(_row("  a generator that copies", "control: 1", attack.controls.positive))
                rows.append(_row("  halves of held-out pictures", "control: .5", attack.controls.negative))
                rows.append(_row("  a generator of other pictures", "control: .5", attack.controls.innocent))
        coin = ("a coin", "floor", number(COIN), "", number(FALSE_ALARMS), "", number(0.0))
        return [*rows, coin]

    def copy_rows(self) -> list[tuple[str, ...]]:
        """A table of copy rates, with its head."""
        head = ("figure", "samples", "95 % interval", "held-out pictures", "nearest 1 % of samples", "of held-out")
        rows: list[tuple[str, ...]] = [head]
        for figure in self.copies:
            near = figure.details["nearest_hundredth"]
            ends = (figure.value, figure.floor or 0.0, near["samples"], near["held_out"])
            value, floor, samples, held_out = map(number, ends)
            rows.append((figure.name, value, _between(figure.interval), floor, samples, held_out))
        return rows

    def canary_rows(self) -> list[tuple[str, ...]]:
        """A table of canaries, with its head; the head alone where none was named."""
        head = ("picture", "attack", "rank", "exposure, bits", "never seen, yet above it")
        return [
            head,
            *(
                (c.name, c.attack, f"{c.rank:,} of {c.among:,}", number(c.exposure), f"{c.others_above:.1%}")
                for c in self.canaries
            ),
        ]

    def setting(self) -> str:
        """What it rests on."""
        told = self.attacks[0].told
        return (
            f"{told.members:,} training pictures, {told.others:,} others ({' and '.join(self.splits)}: not learned from), "
            f"{self.samples:,} samples, {self.references:,} references; features {self.features}; seed {self.seed}"
        )

    def text(self) -> str:
        """All of it for a terminal: plain words, then tables."""
        tables = [self.rows(), self.copy_rows(), *([self.canary_rows()] if self.canaries else [])]
        missing = [f"not tried: {name}: {error.problem}" for name, error in self.left_out.items()]
        return "\n\n".join([*self.words(), *map(_aligned, tables), "\n".join([*missing, self.setting()])])

    def to_json(self) -> dict[str, Any]:
        """For programs; no paths."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "program": f"allaprima {allaprima.__version__}",
            "words": self.words(),
            "seed": self.seed,
            "samples": self.samples,
            "references": self.references,
            "splits": list(self.splits),
            "features": self.features,
            "dataset_fingerprint": self.dataset.manifest.fingerprint,
            "weights_sha256": self.weights_sha256,
            "floors": {"auc": COIN, "tpr": FALSE_ALARMS},
            "thresholds": {"nothing_seen": NOTHING_SEEN, "positive_control": POSITIVE},
            "attacks": [_attack_json(attack) for attack in self.attacks],
            "not_tried": {
                name: {"problem": error.problem, "remedy": error.remedy} for name, error in self.left_out.items()
            },
            "copies": [figure.to_json() for figure in self.copies],
            "canaries": [asdict(canary) for canary in self.canaries],
        }


def _told(who: str, attack: Attack) -> str:
    told = attack.told
    figures = (
        f"AUC {number(told.auc)} ({number(told.auc_interval[0])} to {number(told.auc_interval[1])}), {attack.name}"
    )
    recognised = (
        f" Of 100 training pictures {100 * told.tpr:.0f} are recognised while 1 of 100 others is taken for one."
        if told.stands_out
        else ""
    )
    if attack.sees:
        return f"{who} can tell training pictures from others: {figures}.{recognised}"
    if told.unclear:
        return f"Too few pictures to say whether {who[0].lower()}{who[1:]} can tell training pictures from others: {figures}."
    if attack.controls is not None and told.sees:
        innocent = f"AUC {number(attack.controls.innocent.auc)} where nothing was learned"
        return f"{who} tells training pictures from others no better than their kinds differ: {figures}; {innocent}."
    return f"{who} tells training pictures from others no better than a coin: {figures}."


def _of_controls(attack: Attack) -> str:
    controls = attack.controls
    assert controls is not None
    caught = f"a generator that copies {COPIED} of them: AUC {number(controls.positive.auc)}"
    if not controls.works:
        return f"'{attack.name}' does not count: it would miss {caught}, not {POSITIVE}."
    if controls.biased:
        worst = max((controls.negative.auc, controls.innocent.auc), key=lambda auc: abs(auc - COIN))
        return f"'{attack.name}' does not count: where nothing was learned it has AUC {number(worst)}, not {COIN}."
    return f"'{attack.name}' works here: it finds {caught}."


def _attack_json(attack: Attack) -> dict[str, Any]:
    controls = attack.controls
    return {
        "name": attack.name,
        "by": "outsider" if attack.outside else "holder of the run",
        **attack.told.to_json(),
        "signal": attack.sees,
        "counts": attack.counts,
        "controls": None if controls is None else {name: told.to_json() for name, told in vars(controls).items()},
    }


def _row(name: str, who: str, told: Told) -> tuple[str, ...]:
    return (
        name,
        who,
        number(told.auc),
        _between(told.auc_interval),
        number(told.tpr),
        _between(told.tpr_interval),
        number(told.advantage),
    )


def _between(interval: Interval | None) -> str:
    return "unknown" if interval is None else f"{number(interval[0])} … {number(interval[1])}"


def _aligned(rows: list[tuple[str, ...]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])
