"""``/api/film``: a recipe of a film → the film as a file. It is written to a folder of its own, which goes with the answer."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask

from allaprima.core.config import Config
from allaprima.runtime.film import Film, Moment
from allaprima.runtime.films import FORMATS, Writer, batches, frame_shape, writer_of
from allaprima.runtime.pacing import BusyError
from allaprima.runtime.session import State
from allaprima.server.access import count
from allaprima.server.context import Studio, studio_of
from allaprima.server.failures import linked
from allaprima.server.gone import unless_gone

router = APIRouter(prefix="/api/film")
AT_ONCE = 2  # films of all clients together: each takes the renderer's time from those who play
PATIENCE = 0.05  # seconds, while single pictures have filled the renderer's queue


class Format(Config):
    """``name`` goes into the query, ``title`` before a person, ``suffix`` behind the file's name."""

    name: str
    title: str
    suffix: str


@router.get("/formats", responses={200: linked("film", {"query.format": "$response.body#/0/name"})})
async def formats() -> list[Format]:
    """What a film can be written as."""
    modules = {name: FORMATS.get(name) for name in FORMATS.names()}
    return [Format(name=name, title=one.TITLE, suffix=one.SUFFIX) for name, one in modules.items()]


@router.post("", operation_id="film", response_class=FileResponse, responses={200: {"content": {"video/mp4": {}}}})
async def film(
    request: Request,
    film: Film,
    studio: Annotated[Studio, Depends(studio_of)],
    format: Annotated[str, Query(max_length=40)] = "mp4",  # noqa: A002 - the query's word
) -> FileResponse:
    """The whole film; who goes away while it is painted stops it. 429 while others' films are being made."""
    being_made = request.app.state.films
    module = FORMATS.get(format)
    if len(being_made) >= AT_ONCE:
        raise BusyError
    token = object()
    being_made.add(token)
    folder = Path(tempfile.mkdtemp(prefix="allaprima-film-"))
    path = folder / f"film{module.SUFFIX}"
    try:
        await unless_gone(request, _write(request, studio, film, path, format))
    except BaseException:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        raise
    finally:
        being_made.discard(token)
    gone = BackgroundTask(shutil.rmtree, folder, ignore_errors=True)
    return FileResponse(path, media_type=module.MEDIA_TYPE, filename=f"{studio.name}{module.SUFFIX}", background=gone)


async def _write(request: Request, studio: Studio, film: Film, path: Path, name: str) -> None:
    """Paint in the batches of everybody's pictures, write in a thread."""
    writer = await asyncio.to_thread(writer_of, path, name, film, frame_shape(studio.bundle))
    try:
        for part in batches(film):
            frames = await _painted(studio, [one.state for one in part])
            count(request, len(frames))
            await asyncio.to_thread(_add, writer, part, frames)
    finally:
        await asyncio.to_thread(writer.close)


def _add(writer: Writer, part: list[Moment], frames: list[np.ndarray]) -> None:
    for moment, frame in zip(part, frames, strict=True):
        writer.add(frame, moment.seconds, moment.duration)


async def _painted(studio: Studio, states: list[State]) -> list[np.ndarray]:
    while True:
        try:
            return await studio.pacer.once(*states)
        except BusyError:
            await asyncio.sleep(PATIENCE)
