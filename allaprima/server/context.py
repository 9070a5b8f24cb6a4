"""What the routes share: each bundle with its engine and pacer. Use: ``Depends(studio_of)``, or ``studio_of(socket)``."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.exceptions import HTTPException
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


def studios_of(connection: HTTPConnection) -> dict[str, Studio]:
    """All that this server shows, by name, in the order of the command line."""
    studios: dict[str, Studio] = connection.app.state.studios
    return studios


def studio_of(connection: HTTPConnection) -> Studio:
    """The studio that the query's ``model`` names, else the first. Raises HTTPException 404 for an unknown name."""
    studios = studios_of(connection)
    name = connection.query_params.get("model", next(iter(studios)))
    if name not in studios:
        raise HTTPException(404, f"There is no model '{name[:80]}' here")
    return studios[name]
