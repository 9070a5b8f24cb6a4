"""How a failure is said: as problem and remedy, and under ``/v1`` as OpenAI's clients expect it."""

from __future__ import annotations

from typing import Any

from allaprima.core.config import Config

OPENAI = "/v1/"
KINDS = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}


def failure(path: str, status: int, problem: str, remedy: str) -> dict[str, Any]:
    """The JSON of an answer with ``status``."""
    if not path.startswith(OPENAI):
        return {"problem": problem, "remedy": remedy}
    kind = KINDS.get(status, "server_error" if status >= 500 else "invalid_request_error")
    code = "model_not_found" if status == 404 and "model" in problem else None
    return {"error": {"message": f"{problem}; {remedy}", "type": kind, "param": None, "code": code}}


class Failure(Config):
    """What went wrong, and what to do."""

    problem: str
    remedy: str


class OpenAIError(Config):
    """The inside of OpenAI's error."""

    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIFailure(Config):
    """OpenAI's shape."""

    error: OpenAIError


# of this server's answers to anything: by the guard, the handlers in ``server.app``, or a route itself
STATUSES = {
    400: "What was asked for cannot be done",
    401: "The token is missing or wrong",
    403: "The page that asks is not one of ours",
    404: "There is no such thing here",
    408: "The request took too long to arrive",
    413: "The request is too large",
    421: "This server has another name",
    422: "The request is not of the described form",
    429: "Too much is being made at once",
    503: "It took too long",
}


def described(prefix: str) -> dict[int | str, dict[str, Any]]:
    """The failures of a router's routes, as OpenAPI has them."""
    model = OpenAIFailure if f"{prefix}/".startswith(OPENAI) else Failure
    return {status: {"model": model, "description": words} for status, words in STATUSES.items()}


def linked(operation: str, parameters: dict[str, str]) -> dict[str, Any]:
    """A response of which another operation's parameters are taken, by runtime expressions (OpenAPI 3.1, Link Object)."""
    return {"links": {operation: {"operationId": operation, "parameters": parameters}}}
