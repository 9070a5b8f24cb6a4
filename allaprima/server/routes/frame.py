"""``/api/frame``: one state as a PNG, for keeping and for thumbnails."""

from __future__ import annotations

import asyncio
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from allaprima.runtime.encoding import encode_png, resized
from allaprima.runtime.session import State
from allaprima.server.access import count
from allaprima.server.context import Studio, studio_of

router = APIRouter()


@router.post("/api/frame", response_class=Response, responses={200: {"content": {"image/png": {}}}})
async def frame(
    request: Request,
    state: State,
    studio: Annotated[Studio, Depends(studio_of)],
    side: Annotated[int, Query(ge=0, le=2048, description="Pixels of the longer side at most; 0: all there are.")] = 0,
) -> Response:
    """The picture of a state, lossless: the same pixels for the same state. It is signed unless it is made smaller."""
    (array,) = await studio.pacer.once(state)
    count(request)
    data = await asyncio.to_thread(_encoded, array, side)
    return Response(data, media_type="image/png")


def _encoded(array: np.ndarray, side: int) -> bytes:
    height, width = array.shape[:2]
    scale = side / max(height, width)
    if 0 < scale < 1:
        array = resized(array, max(1, round(width * scale)), max(1, round(height * scale)))
    return encode_png(array, sign=not side)
