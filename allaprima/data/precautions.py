"""What is done for the people in the pictures while a dataset is made: permission, filled faces, pseudonyms, an end date.

Use: ``care = begin(config); listing = care.admitted(listing)``; then ``care.told(outcomes, places, items)`` in the manifest.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any

from allaprima.core.errors import UserError
from allaprima.core.retention import Kept
from allaprima.data import faces, permissions, pseudonyms
from allaprima.data.sources import Item, Listing
from allaprima.data.worker import Outcome

if TYPE_CHECKING:
    from allaprima.data.prepare import PrepareConfig


@dataclass(frozen=True)
class Precautions:
    """None, or nothing, where it was not asked for."""

    faces: faces.Faces | None = None
    naming: pseudonyms.Pseudonyms | None = None
    required: dict[str, list[str]] = field(default_factory=dict)
    kept: Kept | None = None

    def options(self, options: dict[str, Any]) -> dict[str, Any]:
        """The options as they are written down: a detector by its hash, a key by its mark, no path."""
        changed: dict[str, Any] = {
            "face_detector": self.faces.sha256 if self.faces else "",
            "pseudonyms": self.naming.mark if self.naming else None,
            "pseudonym_key": "",
        }
        if self.naming and options["sounds"]:
            changed["sounds"] = self.naming.of(options["sounds"]) if self.naming.mark != pseudonyms.RANDOM else "given"
        return {**options, **changed}

    def admitted(self, listing: Listing) -> Listing:
        """The listing without what is not permitted."""
        return permissions.only(listing, self.required) if self.required else listing

    def named(self, listing: Listing, outcomes: list[Outcome]) -> tuple[Listing, list[Outcome]]:
        """Both with pseudonyms, where these are wanted."""
        if self.naming is None:
            return listing, outcomes
        return self.naming.listing(listing), self.naming.outcomes(outcomes, listing.items)

    def name(self, name: str) -> str:
        """A name as it may be written down."""
        return self.naming.of(name) if self.naming else name

    def told(self, outcomes: Sequence[Outcome], places: Iterable[int], items: Sequence[Item]) -> dict[str, Any]:
        """Fields of the manifest, for the pictures that stay at ``places``."""
        chosen = [int(place) for place in places]
        fields: dict[str, Any] = {
            "required": self.required,
            "rights": permissions.sums(items[place].columns for place in chosen),
            "pseudonyms": self.naming.mark if self.naming else None,
        }
        if self.kept:
            fields |= {"kept_from": self.kept.since, "kept_until": self.kept.until}
        if self.faces:
            seen = [outcomes[place] for place in chosen]
            fields["faces"] = {
                "detector": self.faces.sha256,
                "certain": self.faces.certain,
                "doubtful_from": self.faces.doubtful_from,
                "doubtful": "refuse" if self.faces.refuse_doubtful else "keep",
                "filled": sum(one.faces for one in seen),
                "pictures": sum(one.faces > 0 for one in seen),
                "doubtful_kept": sum(one.doubt is not None for one in seen),
                "doubtful_refused": sum(one.check == faces.CHECK for one in outcomes),
            }
        return fields

    def source(self, source: str, kind: ModuleType) -> str:
        """What the manifest calls the source: its last name, or only its kind."""
        kind_of = kind.__name__.rpartition(".")[2]
        return f"a source of the kind '{kind_of}'" if self.naming else os.path.basename(os.path.normpath(source))

    def notes(self, outcomes: Sequence[Outcome], places: Iterable[int], items: Sequence[Item]) -> list[str]:
        """What was done, a sentence each."""
        return notes(self.told(outcomes, places, items))

    def doubtful(
        self, outcomes: Sequence[Outcome], places: Iterable[int], items: Sequence[Item]
    ) -> list[dict[str, str]]:
        """Entries of the report: doubtful pictures that stay."""
        return [
            {"name": items[place].name, "reason": reason}
            for place in places
            if (reason := outcomes[place].doubt) is not None
        ]


def begin(config: PrepareConfig) -> Precautions:
    """What a configuration asks for. Raises UserError when there is no detector, no key, or nothing required that is meant."""
    if not config.anonymise and config.face_detector:
        raise UserError("A face detector is given, and faces are not to be filled", "add --anonymise, or leave it out")
    naming = config.pseudonyms if config.pseudonyms is not None else config.anonymise or bool(config.pseudonym_key)
    if config.pseudonym_key and not naming:
        raise UserError("A key for pseudonyms is given, and none are wanted", "leave out --no-pseudonyms, or the key")
    detector = None
    if config.anonymise:
        detector = faces.choose(config.face_detector, config.face_threshold, config.face_doubt, config.doubtful)
    kept = Kept.for_span(config.keep) if config.keep else None
    required = permissions.parse(config.require)
    return Precautions(detector, pseudonyms.begin(config.pseudonym_key) if naming else None, required, kept)


def notes(fields: dict[str, Any]) -> list[str]:
    """What was done, a sentence each, of a manifest's fields; never more than is known."""
    said = []
    if told := fields.get("faces"):
        said.append(
            f"faces that the detector found were filled: {told['filled']:,} in {told['pictures']:,} pictures; "
            "faces that it did not find are still there"
        )
        if kept := told["doubtful_kept"]:
            said.append(
                f"{kept:,} doubtful picture{'s were' if kept > 1 else ' was'} kept, and named in report.json: look at them"
            )
    if fields.get("kept_until"):
        said.append(f"to be kept until {fields['kept_until']} (UTC); then: allaprima forget --expired")
    return said
