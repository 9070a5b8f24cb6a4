"""``/api/frame``: one state as a PNG, for keeping and for thumbnails."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from allaprima.runtime.encoding import encode_png
from allaprima.runtime.session import State
from allaprima.server.context import Studio, studio_of

router = APIRouter()


@router.post("/api/frame", response_class=Response, responses={200: {"content": {"image/png": {}}}})
async def frame(state: State, studio: Annotated[Studio, Depends(studio_of)]) -> Response:
    """The picture of a state, lossless: the same bytes for the same state."""
    (array,) = await studio.pacer.once(state)
    data = await asyncio.to_thread(encode_png, array)
    return Response(data, media_type="image/png")
