"""The page and its files. A panel is one file in ``studio/panels/``; ``/api/panels`` tells the page which there are."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from fastapi import APIRouter, HTTPException
from fastapi.responses import FileResponse

router = APIRouter()

STUDIO = Path(__file__).resolve().parents[1] / "studio"
# Said here, not guessed: Windows takes a file's type from its registry, where .js may be text/plain.
TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}


@cache
def _files() -> dict[str, Path]:
    """All that may be served, by its name under ``/studio/``: a look-up, so no name leads out of the folder."""
    return {
        path.relative_to(STUDIO).as_posix(): path
        for path in sorted(STUDIO.rglob("*"))
        if path.suffix in TYPES and path.is_file()
    }


@router.get("/", response_class=FileResponse)
async def page() -> FileResponse:
    """The studio."""
    return _send("index.html")


@router.get("/studio/{name:path}", response_class=FileResponse)
async def file(name: str) -> FileResponse:
    """One of the page's files."""
    return _send(name)


@router.get("/api/panels")
async def panels() -> list[str]:
    """The panels' addresses, to be imported as ES modules."""
    return [f"/studio/{name}" for name in _files() if name.startswith("panels/") and name.endswith(".js")]


def _send(name: str) -> FileResponse:
    path = _files().get(name)
    if path is None:
        raise HTTPException(404, "There is no such file")
    return FileResponse(path, media_type=TYPES[path.suffix], headers={"cache-control": "no-cache"})
