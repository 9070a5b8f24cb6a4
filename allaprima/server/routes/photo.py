"""``/api/photo``: a person's own picture → where the generator paints what is most like it. The picture itself is not kept."""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Annotated

import torch
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse
from PIL import Image

from allaprima.core.errors import UserError
from allaprima.explain.inversion import Guess, inverted
from allaprima.runtime.pacing import BusyError
from allaprima.runtime.session import LONGEST_TEXT, State, condition, packed_noise
from allaprima.server.access import count
from allaprima.server.context import Studio, studio_of

router = APIRouter()
FORMATS = ("PNG", "JPEG", "WEBP")  # rarely used decoders are where the holes are
MOST_PIXELS = 64_000_000
KINDS: dict[str, dict[str, str]] = {"image/png": {}, "image/jpeg": {}, "image/webp": {}}
GRACE = 5.0  # seconds, after which a client that never began to read is forgotten


@router.post(
    "/api/photo",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/x-ndjson": {}}}},
    openapi_extra={"requestBody": {"content": KINDS, "required": True}},
)
async def photo(
    request: Request,
    studio: Annotated[Studio, Depends(studio_of)],
    text: Annotated[str | None, Query(max_length=LONGEST_TEXT, description="A wish that may help.")] = None,
    seconds: Annotated[float, Query(ge=0.1, le=30)] = 5.0,
) -> StreamingResponse:
    """Lines of JSON, better and better: ``photo``, ``label`` and ``text`` for a state that asks for nothing else, ``off`` (mean
    difference, 0 to 1), ``done`` (of the time).
    """
    being_found: dict[object, float] = request.app.state.photos  # token → when it is over
    if any(until > time.monotonic() for until in being_found.values()):
        raise BusyError  # it takes the processor from those who play: one at a time
    being_found.clear()
    wishes = [State(label=label) for label in studio.bundle.classes] or [State()]
    if text and "text" in studio.bundle.follows:
        wishes.append(State(text=text))
    ys = torch.stack([condition(one, studio.bundle) for one in wishes])
    token = object()
    being_found[token] = time.monotonic() + seconds + GRACE  # before anything is waited for
    try:
        picture = await asyncio.to_thread(_opened, await request.body(), studio)
    except BaseException:
        del being_found[token]
        raise
    guesses = inverted(studio.bundle, picture, ys, seconds)

    async def lines() -> AsyncIterator[bytes]:
        try:
            while (guess := await asyncio.to_thread(_next, guesses)) is not None:
                count(request)
                wish = wishes[guess.place]
                told = {"photo": packed_noise(guess.noise), "label": wish.label, "text": wish.text}
                yield json.dumps(told | {"off": round(guess.off, 4), "done": round(guess.done, 3)}).encode() + b"\n"
        finally:
            being_found.pop(token, None)

    return StreamingResponse(lines(), media_type="application/x-ndjson")


def _next(guesses: Iterator[Guess]) -> Guess | None:
    return next(guesses, None)


def _opened(data: bytes, studio: Studio) -> torch.Tensor:
    """float32 ``[1, C, H, W]`` in [-1, 1]. Raises UserError for what is no picture, or too large a one."""
    domain = studio.bundle.domain
    try:
        picture = Image.open(io.BytesIO(data), formats=FORMATS)
        if picture.width * picture.height > MOST_PIXELS:
            raise UserError("The picture has too many pixels", "make it smaller")
        stored = domain.from_picture(picture)
    except UserError:
        raise
    except Exception:  # Pillow raises many kinds
        raise UserError("This is no picture that can be read", "send a PNG, JPEG or WebP") from None
    made: torch.Tensor = domain.to_tensor(stored[None])
    return made
