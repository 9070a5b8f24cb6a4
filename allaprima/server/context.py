"""What the routes share: the bundle, its engine, the pacer. Use: ``Depends(studio_of)``, or ``studio_of(socket)``."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import HTTPConnection

from allaprima.bundle.bundle import Bundle
from allaprima.runtime.engine import Engine
from allaprima.runtime.pacing import Pacer


@dataclass(frozen=True)
class Studio:
    """One generator being shown. ``name`` is the run's."""

    name: str
    bundle: Bundle
    engine: Engine
    pacer: Pacer


def studio_of(connection: HTTPConnection) -> Studio:
    """The studio of a request or a socket."""
    studio: Studio = connection.app.state.studio
    return studio
