"""Published feature networks, frozen: one a file. Their weights are found, or fetched where that is asked, never shipped.

A file has ``FILES``, what the net is known by; ``SIDE``, the pixels it was published with; ``MEAN`` and ``STD``, the colours
(in 0..1) that it sees as 0 and 1; ``load(weights, size)`` → net, where ``net(x)`` gives the vectors ``[N, dim]`` of the papers
and ``net.grids(x)`` four maps ``[N, F, h, w]``, shallow to deep. Both can be differentiated in ``x``.

Evaluation measures with them (``evaluation/features``); ``frozen`` lets them teach.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from allaprima.core.catalog import Catalog

PRETRAINED = Catalog("pretrained network", __name__)


@dataclass(frozen=True)
class Words:
    """How a person says here what ``Weights`` holds: for the remedies of errors."""

    download: str = "--download"
    file: str = "--weights FILE"
    instead: str = "or choose --features domain, which needs none"
    missing: str = "The weights for '{}' features are not on this machine"


@dataclass(frozen=True)
class Weights:
    """Where a published net comes from: ``file`` if one is named, else a cache; ``download`` allows the network."""

    file: Path | None = None
    download: bool = False
    words: Words = Words()
