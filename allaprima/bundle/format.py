"""``bundle.json``: everything needed to rebuild the nets, and where they came from. Reading it executes nothing."""

from __future__ import annotations

from typing import Annotated, Any

from allaprima.core.config import Choice, Component, Config
from allaprima.domains import DOMAINS
from allaprima.models.conditions import CONDITIONS
from allaprima.models.encoders import ENCODERS
from allaprima.models.generators import GENERATORS
from allaprima.models.priors import PRIORS

FORMAT = "allaprima-bundle"
VERSION = 2  # 2 knows a prior; 1 is read as having none
DESCRIPTION = "bundle.json"


class Weights(Config):
    """The safetensors file beside ``bundle.json`` and its SHA-256."""

    file: str
    sha256: str


class Description(Config):
    """``bundle.json``.

    Without a ``prior`` latents are N(0, I) themselves.
    ``condition_weights`` are the classes' shares in the training pictures, used when nothing is asked for.
    ``provenance`` holds what a card says: method, dataset, images seen, seed, figures, program version.
    """

    format: str = FORMAT
    version: int = VERSION
    domain: Annotated[Component, Choice(DOMAINS)]
    latent_dim: int
    condition: Annotated[Component, Choice(CONDITIONS)]
    condition_dim: int
    condition_weights: list[float]
    generator: Annotated[Component, Choice(GENERATORS)]
    encoder: Annotated[Component, Choice(ENCODERS)] | None = None
    prior: Annotated[Component, Choice(PRIORS)] | None = None
    weights: Weights | None = None  # absent only before the bundle is written
    provenance: dict[str, Any]
