"""``/health``: whether the server runs. The only address that never asks for a token."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter()


@router.get("/health")
async def health() -> dict[str, str]:
    """Answers while the event loop does."""
    return {"status": "ok"}
