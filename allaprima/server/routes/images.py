"""``/v1``: OpenAI's images API over the generators of this server, so that its clients talk to them unchanged.

A prompt is what a generator follows: its text, or the class that the prompt names; one that follows neither paints by the seed.
Pictures are painted in the generator's own size and scaled to the one that was asked for. ``seed`` is an addition: the same seed
and prompt give the same picture.
"""

from __future__ import annotations

import asyncio
import base64
import io
import re
import secrets
import time
from collections import OrderedDict
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response
from PIL import Image, ImageOps
from pydantic import BaseModel, ConfigDict, Field

from allaprima.core.errors import UserError
from allaprima.marks import marked, watermarked
from allaprima.runtime.session import LONGEST_TEXT, SEEDS, State
from allaprima.server.access import count
from allaprima.server.context import Studio, studios_of
from allaprima.server.failures import linked
from allaprima.server.gone import unless_gone

router = APIRouter(prefix="/v1")

ALIASES = frozenset({"gpt-image-1", "dall-e-3", "dall-e-2"})  # many clients have these written into them
MOST_PICTURES, LARGEST_SIDE = 10, 2048
PAINT_SECONDS = 30.0
KEPT, KEPT_SECONDS = 256, 600.0  # pictures that were asked for by url, and for how long
SIZE = re.compile(r"^(\d{1,4})x(\d{1,4})$")
TYPES = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}


class Wish(BaseModel):
    """The body of OpenAI's ``images.generate``; what has no meaning here (quality, style, …) is passed over."""

    model_config = ConfigDict(extra="ignore")

    prompt: str = Field(max_length=LONGEST_TEXT)
    model: str | None = Field(default=None, max_length=200)
    n: Annotated[int, Field(ge=1, le=MOST_PICTURES)] | None = None
    size: str | None = None
    response_format: Literal["b64_json", "url"] | None = None
    output_format: Literal["png", "jpeg", "webp"] | None = None
    user: str | None = Field(default=None, max_length=512)
    seed: int | None = Field(default=None, ge=0, lt=SEEDS)


class Picture(BaseModel):
    """One of the two."""

    b64_json: str | None = None
    url: str | None = None


class Pictures(BaseModel):
    """``created`` in seconds since 1970."""

    created: int
    data: list[Picture]


class Shelf:
    """Pictures to be fetched by their address, which is a secret: at most KEPT, each for KEPT_SECONDS."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[float, str, bytes]] = OrderedDict()

    def put(self, kind: str, data: bytes) -> str:
        name = secrets.token_urlsafe(24)
        self._kept[name] = (time.monotonic(), kind, data)
        while len(self._kept) > KEPT or self._oldest_is_stale():
            self._kept.popitem(last=False)
        return name

    def get(self, name: str) -> tuple[str, bytes] | None:
        while self._kept and self._oldest_is_stale():
            self._kept.popitem(last=False)
        found = self._kept.get(name)
        return found and found[1:]

    def _oldest_is_stale(self) -> bool:
        put, _, _ = next(iter(self._kept.values()))
        return time.monotonic() - put > KEPT_SECONDS


@router.get("/models", responses={200: linked("of_openai", {"name": "$response.body#/data/0/id"})})
async def models(request: Request) -> dict[str, Any]:
    """The generators that are shown."""
    return {"object": "list", "data": [_model(name) for name in studios_of(request)]}


@router.get("/models/{name}", operation_id="of_openai", responses={404: {"description": "No such model"}})
async def model(name: str, request: Request) -> dict[str, Any]:
    """One of them."""
    return _model(_named(request, name).name)


@router.post("/images/generations", response_model_exclude_none=True, responses={429: {"description": "Try later"}})
async def generate(wish: Wish, request: Request) -> Pictures:
    """``n`` pictures. Whoever goes away is not painted for."""
    studio = _named(request, wish.model)
    wanted, size = wish.n or 1, _size(wish.size)
    seed = wish.seed if wish.seed is not None else secrets.randbelow(2**40)
    states = [State(seed=(seed + place) % SEEDS, **_asked(studio, wish.prompt)) for place in range(wanted)]
    try:
        async with asyncio.timeout(PAINT_SECONDS):
            arrays = await unless_gone(request, studio.pacer.once(*states))
    except TimeoutError:
        raise HTTPException(503, "The pictures took too long", {"Retry-After": "5"}) from None
    count(request, len(arrays))
    kind = wish.output_format or "png"
    files = await asyncio.to_thread(lambda: [_encoded(array, size, kind) for array in arrays])
    by_url = (wish.response_format or ("b64_json" if wish.model == "gpt-image-1" else "url")) == "url"
    return Pictures(created=int(time.time()), data=[_picture(request, kind, file, by_url) for file in files])


@router.get(
    "/images/files/{name}",
    name="file_of_picture",
    response_class=Response,
    responses={404: {"description": "No such picture"}},
)
async def file(name: str, request: Request) -> Response:
    """A picture that was asked for by url; it is kept for ten minutes."""
    found = _shelf(request).get(name.partition(".")[0])
    if found is None:
        raise HTTPException(404, "There is no such picture, or it is older than ten minutes")
    return Response(found[1], media_type=TYPES[found[0]])


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "allaprima"}


def _named(request: Request, name: str | None) -> Studio:
    studios = studios_of(request)
    if name is None or (name in ALIASES and name not in studios):
        return next(iter(studios.values()))
    if name not in studios:
        raise HTTPException(404, f"There is no model '{name[:80]}' here; there are: {', '.join(studios)}")
    return studios[name]


def _size(text: str | None) -> tuple[int, int] | None:
    """Width and height; None for the generator's own."""
    if text in (None, "", "auto"):
        return None
    match = SIZE.match(text or "")
    width, height = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= width <= LARGEST_SIDE or not 1 <= height <= LARGEST_SIDE:
        raise UserError(
            f"The size '{(text or '')[:20]}' cannot be painted",
            f"write 'auto', or such as 512x512, up to {LARGEST_SIDE}",
        )
    return width, height


def _asked(studio: Studio, prompt: str) -> dict[str, Any]:
    """What the prompt means to this generator: a class that it names, the longest if it names several, and its text."""
    named = prompt.casefold()
    words = [name for name in studio.bundle.classes if re.search(rf"(?<!\w){re.escape(name.casefold())}(?!\w)", named)]
    asked: dict[str, Any] = {"label": max(words, key=len)} if words else {}
    return asked | {"text": prompt} if "text" in studio.bundle.follows and prompt.strip() else asked


def _encoded(array: np.ndarray, size: tuple[int, int] | None, kind: str) -> bytes:
    picture = Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array)
    if size is not None and size != picture.size:
        picture = ImageOps.fit(picture, size, Image.Resampling.LANCZOS)
    if kind == "jpeg" and picture.mode == "RGBA":
        paper = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(paper, picture).convert("RGB")
    pixels = np.asarray(picture)
    made = watermarked(pixels.reshape(*pixels.shape[:2], -1)).reshape(pixels.shape)
    buffer = io.BytesIO()
    Image.fromarray(made).save(buffer, kind.upper())
    return marked(buffer.getvalue(), f"image/{kind}")


def _picture(request: Request, kind: str, data: bytes, by_url: bool) -> Picture:
    if not by_url:
        return Picture(b64_json=base64.b64encode(data).decode("ascii"))
    name = f"{_shelf(request).put(kind, data)}.{kind}"
    return Picture(url=str(request.url_for("file_of_picture", name=name)))


def _shelf(request: Request) -> Shelf:
    state = request.app.state
    if not hasattr(state, "shelf"):
        state.shelf = Shelf()
    found: Shelf = state.shelf
    return found
