"""``/api/controls``: the OSC addresses, their types and ranges."""

from __future__ import annotations

from fastapi import APIRouter, Request

from allaprima.core.config import Config
from allaprima.server.controls import ADDRESSES, Address

router = APIRouter()


class Table(Config):
    """``port`` is UDP's on this machine, None where nothing listens."""

    port: int | None
    addresses: list[Address]


@router.get("/api/controls")
async def controls(request: Request) -> Table:
    """What can be sent."""
    return Table(port=request.app.state.osc_port, addresses=ADDRESSES)
