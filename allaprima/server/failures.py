"""How a failure is said: as problem and remedy, and under ``/v1`` as OpenAI's clients expect it."""

from __future__ import annotations

from typing import Any

OPENAI = "/v1/"
KINDS = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}


def failure(path: str, status: int, problem: str, remedy: str) -> dict[str, Any]:
    """The JSON of an answer with ``status``."""
    if not path.startswith(OPENAI):
        return {"problem": problem, "remedy": remedy}
    kind = KINDS.get(status, "server_error" if status >= 500 else "invalid_request_error")
    code = "model_not_found" if status == 404 and "model" in problem else None
    return {"error": {"message": f"{problem}; {remedy}", "type": kind, "param": None, "code": code}}
