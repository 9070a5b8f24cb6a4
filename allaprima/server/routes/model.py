"""``/api/model``: what is being shown, and its preview."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException
from fastapi.responses import Response

from allaprima import vault
from allaprima.core.config import Config
from allaprima.explain.directions import NUM_DIRECTIONS
from allaprima.server.context import Studio, studio_of

router = APIRouter(prefix="/api/model")


class Model(Config):
    """Sizes in pixels; ``follows`` names what can be asked: label, text, sound, attributes; ``directions`` how many
    a state may have; ``provenance`` as in the bundle: method, dataset, images seen, figures.
    """

    name: str
    width: int
    height: int
    channels: int
    latent_dim: int
    classes: list[str]
    follows: list[str]
    directions: int
    engine: str
    preview: str | None
    provenance: dict[str, Any]


@router.get("")
async def model(studio: Annotated[Studio, Depends(studio_of)]) -> Model:
    """The generator's facts."""
    bundle = studio.bundle
    height, width = bundle.domain.shape.spatial
    return Model(
        name=studio.name,
        width=width,
        height=height,
        channels=bundle.domain.shape.channels,
        latent_dim=bundle.description.latent_dim,
        classes=bundle.classes,
        follows=list(bundle.follows),
        directions=min(NUM_DIRECTIONS, bundle.description.latent_dim),
        engine=studio.engine.painter.name,
        preview="/api/model/preview" if _has_preview(studio) else None,
        provenance=bundle.description.provenance,
    )


@router.get("/preview", response_class=Response)
async def preview(studio: Annotated[Studio, Depends(studio_of)]) -> Response:
    """The bundle's contact sheet, WebP."""
    if studio.bundle.folder is None or not _has_preview(studio):
        raise HTTPException(404, "This bundle has no preview")
    return Response(vault.read_bytes(studio.bundle.folder / "preview.webp"), media_type="image/webp")


def _has_preview(studio: Studio) -> bool:
    return studio.bundle.folder is not None and (studio.bundle.folder / "preview.webp").is_file()
