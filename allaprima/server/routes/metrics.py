"""``/metrics``: the server's counters, as Prometheus reads them."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST

from allaprima.server.context import studios_of

router = APIRouter()


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request) -> Response:
    """Pictures, seconds, clients, queues, refusals."""
    return Response(request.app.state.measured.text(studios_of(request).values()), media_type=CONTENT_TYPE_LATEST)
