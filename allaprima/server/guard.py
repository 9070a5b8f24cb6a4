"""Who may ask: the Host, Origin and token checks, limits of bodies, and the headers of every answer.

A page of another site can make a browser send requests here (cross-site requests, DNS rebinding), so being bound to
127.0.0.1 is not enough. Three checks, for every route and method alike:
1. Host must be a name of this machine's loopback, or what the server was bound to.
2. Origin, if there is one, must be that same host and port. ``null`` is not.
3. With a token: it must come as ``Authorization: Bearer``, or as the cookie that opening ``/?token=…`` once sets.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
import secrets
import socket
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from allaprima.core.errors import UserError
from allaprima.server.failures import failure

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
SHORTEST_TOKEN = 12
LARGEST_BODY = 64 * 1024  # bytes
LARGER_BODIES = {
    "/api/sound": 512 * 1024,  # a few seconds of sound
    "/api/photo": 12 * 1024 * 1024,  # as a phone takes it
    "/api/film": 4 * 1024 * 1024,  # a recording of some minutes
}
BODY_SECONDS = 10.0
OPEN_TO_ALL = frozenset({"/health", "/healthz", "/readyz"})  # for a supervisor; they say nothing but "ok"

HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


@dataclass(frozen=True)
class Rules:
    """Which hosts are ours, and the token if there is one. ``secret`` is what the cookie holds, new at every start."""

    hosts: frozenset[str]
    any_address: bool = False
    token: str | None = field(default=None, repr=False)
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)

    @classmethod
    def for_binding(cls, host: str, token: str | None = None) -> Rules:
        """Raises UserError for an address beyond loopback without a token, and for a token that is too short."""
        if token is not None and len(token) < SHORTEST_TOKEN:
            raise UserError(
                f"A token needs {SHORTEST_TOKEN} characters or more", f"for example --token {secrets.token_urlsafe(18)}"
            )
        if token is None and not is_loopback(host):
            raise UserError(
                f"'{host}' can be reached by other machines, so a token is needed",
                f"add --token, for example --token {secrets.token_urlsafe(18)}, or leave --host out",
            )
        wildcard = host in ("0.0.0.0", "::", "")
        names = {host.lower(), *((socket.gethostname().lower(),) if wildcard else ())}
        # On a wildcard any literal address may be this machine's. Rebinding needs a name, so that opens nothing.
        return cls(LOOPBACK_NAMES | names, any_address=wildcard, token=token)

    def knows(self, authority: str) -> bool:
        """Whether a Host header, ``name``, ``name:port`` or ``[v6]:port``, means this server."""
        name = _host_name(authority)
        if name is None:
            return False
        return name in self.hosts or (self.any_address and _is_address(name))


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``. Raises UserError when there is no such address."""
    try:
        found = socket.getaddrinfo(host or None, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise UserError(f"There is no address '{host}' on this machine", "leave --host out, or use 0.0.0.0") from None
    return all(ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback for *_, address in found)


def _host_name(authority: str) -> str | None:
    """The lower-case name of an authority, without port and brackets; None if it is malformed."""
    text = authority.lower()
    if text.startswith("["):
        name, bracket, rest = text[1:].partition("]")
        port_ok = rest == "" or (rest[0] == ":" and rest[1:].isascii() and rest[1:].isdigit())
        return name if bracket and port_ok and _is_address(name) else None
    name, colon, port = text.partition(":")
    return name if name and (not colon or (port.isascii() and port.isdigit())) else None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class Refusal:
    status: int
    problem: str
    remedy: str


def judge(rules: Rules, path: str, headers: Headers) -> Refusal | None:
    """The three checks. None means welcome."""
    hosts, origins = headers.getlist("host"), headers.getlist("origin")
    if len(hosts) != 1 or not rules.knows(hosts[0]):
        return Refusal(421, "This server does not answer to that name", "open the address that it printed")
    if len(origins) > 1 or (origins and not _same_origin(origins[0], hosts[0])):
        return Refusal(403, "Requests from other sites are refused", "open the address that the server printed")
    if rules.token is not None and path not in OPEN_TO_ALL and not _has_token(rules, headers):
        return Refusal(401, "A token is needed", "open the page once as /?token=…, or send 'Authorization: Bearer …'")
    return None


def _same_origin(origin: str, host: str) -> bool:
    scheme, separator, authority = origin.lower().partition("://")
    return bool(separator) and scheme in ("http", "https") and authority == host.lower()


def _equal(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())


def _has_token(rules: Rules, headers: Headers) -> bool:
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and rules.token is not None and _equal(bearer.strip(), rules.token):
        return True
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(cookie_name(headers.get("host", "")))
    except CookieError:
        return False
    return cookie is not None and _equal(cookie.value, rules.secret)


def cookie_name(authority: str) -> str:
    """Browsers share cookies among the ports of a host, so the port is in the name."""
    port = authority.rpartition(":")[2]
    return f"allaprima_{port}" if port.isascii() and port.isdigit() else "allaprima"


class Guard:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, rules: Rules) -> None:
        self.app, self.rules = app, rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        refused = judge(self.rules, scope["path"], Headers(scope=scope))
        if scope["type"] == "websocket":
            if refused:
                await send({"type": "websocket.close", "code": 1008})
            else:
                await self.app(scope, receive, send)
            return
        answer = _with_headers(send)
        if refused is None:
            await _limited(self.app, scope, receive, answer)
        elif refused.status == 401 and self._token_in_query(scope):
            await self._let_in(scope, answer)
        else:
            await _refuse(answer, refused, scope["path"])

    def _token_in_query(self, scope: Scope) -> bool:
        """Only on the page itself, so that a token never sits in the address of anything that is linked or fetched."""
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
        is_page = scope["path"] == "/" and scope["method"] == "GET"
        return is_page and len(given) == 1 and _equal(given[0], self.rules.token or "")

    async def _let_in(self, scope: Scope, send: Send) -> None:
        name = cookie_name(Headers(scope=scope).get("host", ""))
        cookie = f"{name}={self.rules.secret}; Path=/; HttpOnly; SameSite=Strict"
        headers = [(b"location", b"/"), (b"set-cookie", cookie.encode())]
        await send({"type": "http.response.start", "status": 303, "headers": headers})
        await send({"type": "http.response.body"})


def _with_headers(send: Send) -> Send:
    async def answer(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            headers.setdefault("cache-control", "no-store")
        await send(message)

    return answer


async def _limited(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Run ``app`` with its body, read beforehand: no route ever sees one that is too large, or waits for a slow one."""
    largest = LARGER_BODIES.get(scope["path"], LARGEST_BODY)
    too_large = Refusal(413, "The request is too large", f"send at most {largest // 1024} kB")
    length = Headers(scope=scope).get("content-length", "0")
    if not length.isascii() or not length.isdigit() or int(length) > largest:
        await _refuse(send, too_large, scope["path"])
        return
    body, more = bytearray(), True
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return
                body += message.get("body", b"")
                more = message.get("more_body", False)
                if len(body) > largest:
                    await _refuse(send, too_large, scope["path"])
                    return
    except TimeoutError:
        await _refuse(send, Refusal(408, "The request took too long to arrive", "send it again"), scope["path"])
        return
    whole: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

    async def replay() -> Message:
        return whole.pop() if whole else await receive()

    await app(scope, replay, send)


async def _refuse(send: Send, refusal: Refusal, path: str) -> None:
    body = json.dumps(failure(path, refusal.status, refusal.problem, refusal.remedy)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if refusal.status in (408, 413):
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
