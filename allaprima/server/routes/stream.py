"""``/api/stream.mjpeg``: a slow walk through the latent space as MJPEG, for players and programs that know nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse

from allaprima.core.errors import UserError
from allaprima.runtime.encoding import encode_jpeg
from allaprima.runtime.pacing import BusyError
from allaprima.runtime.session import LONGEST_TEXT, SEEDS, State
from allaprima.server.access import count, holds
from allaprima.server.context import Studio, studio_of

router = APIRouter()
BOUNDARY = "frame"
TURN_SECONDS = 20.0  # once around the pad at speed 1


@router.get(
    "/api/stream.mjpeg",
    response_class=StreamingResponse,
    responses={200: {"content": {"multipart/x-mixed-replace": {}}}},
)
async def stream(
    request: Request,
    studio: Annotated[Studio, Depends(studio_of)],
    seed: Annotated[int, Query(ge=0, lt=SEEDS)] = 0,
    label: Annotated[str | None, Query(max_length=200)] = None,
    text: Annotated[str | None, Query(max_length=LONGEST_TEXT)] = None,
    speed: Annotated[float, Query(ge=0, le=10)] = 1.0,
    fps: Annotated[float, Query(gt=0, le=60)] = 25.0,
    frames: Annotated[int, Query(ge=1, le=1_000_000)] = 1_000_000,
) -> StreamingResponse:
    """At most ``fps`` pictures a second, until the client goes or ``frames`` were sent."""
    if studio.bundle.domain.shape.channels == 4:
        raise UserError("JPEG has no transparency", "use the WebSocket of this server")
    first = State(seed=seed, label=label, text=text)
    (opening,) = await studio.pacer.once(first)  # what cannot be painted is said before the stream begins

    async def parts() -> AsyncIterator[bytes]:
        began, picture = time.monotonic(), opening
        for place in range(frames):
            if wait := count(request):
                await asyncio.sleep(wait)
            if not holds(request):
                return  # the token was taken away
            data = encode_jpeg(picture)
            head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            yield head.encode() + data + b"\r\n"
            if place == frames - 1:
                return
            await asyncio.sleep(max(0.0, began + (place + 1) / fps - time.monotonic()))
            turned = (speed * (time.monotonic() - began) / TURN_SECONDS + 1) % 2 - 1
            try:
                (picture,) = await studio.pacer.once(first.model_copy(update={"x": turned, "y": -turned}))
            except BusyError:
                continue  # the last one again

    return StreamingResponse(parts(), media_type=f"multipart/x-mixed-replace; boundary={BOUNDARY}")
