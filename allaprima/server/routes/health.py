"""``/healthz`` (and ``/health``): whether the server runs. ``/readyz``: whether it takes work. They never ask for a token."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request

router = APIRouter()


@router.get("/healthz")
@router.get("/health", include_in_schema=False)
async def health() -> dict[str, str]:
    """Answers while the event loop does."""
    return {"status": "ok"}


@router.get("/readyz", responses={503: {"description": "Not yet, or not any more"}})
async def ready(request: Request) -> dict[str, str]:
    """From the first picture that can be painted until the server is told to end."""
    if not request.app.state.ready:
        raise HTTPException(503, "Not ready", {"Retry-After": "1"})
    return {"status": "ok"}
