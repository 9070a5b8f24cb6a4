"""``/api/sound``: a recording → what the state keeps of it. The recording itself is not kept."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Request

from allaprima.core.config import Config
from allaprima.core.errors import UserError
from allaprima.models.conditions.sound import packed
from allaprima.server.context import Studio, studio_of

router = APIRouter()


class Heard(Config):
    """``sound`` goes into a state."""

    sound: str


@router.post("/api/sound", openapi_extra={"requestBody": {"content": {"audio/wav": {}}, "required": True}})
async def sound(request: Request, studio: Annotated[Studio, Depends(studio_of)]) -> Heard:
    """What a generator that follows sounds hears in a WAV, FLAC, OGG or MP3 file."""
    config = studio.bundle.follows.get("sound")
    if config is None:
        raise UserError("This generator does not follow sounds", "open one that was trained with --condition sound")
    data = await request.body()
    prepared = await asyncio.to_thread(config.prepare, [data])
    return Heard(sound=packed(prepared[0]))
