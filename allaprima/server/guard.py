"""Who may ask: the Host, Origin and token checks, limits of bodies, and the headers of every answer.

A page of another site can make a browser send requests here (cross-site requests, DNS rebinding), so being bound to
127.0.0.1 is not enough. Three checks, for every route and method alike:
1. Host must be a name of this machine's loopback, or what the server was bound to.
2. Origin, if there is one, must be that same host and port. ``null`` is not.
3. With a token, or several that have names (``server.tokens``): it must come as ``Authorization: Bearer``, or as the cookie that
   opening ``/?token=…`` once sets.
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
from allaprima.server.access import NOBODY, REFUSED, SCOPE, Access, Visit
from allaprima.server.failures import failure
from allaprima.server.tokens import Tokens

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
    """Which hosts are ours, and the token or the named ones, if there are. Cookies are made with ``secret``, new each time."""

    hosts: frozenset[str]
    any_address: bool = False
    token: str | None = field(default=None, repr=False)
    tokens: Tokens | None = field(default=None, repr=False)
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)

    @classmethod
    def for_binding(cls, host: str, token: str | None = None, tokens: Tokens | None = None) -> Rules:
        """Raises UserError for an address beyond loopback without a token, and for a token that is too short."""
        if token is not None and len(token) < SHORTEST_TOKEN:
            raise UserError(
                f"A token needs {SHORTEST_TOKEN} characters or more", f"for example --token {secrets.token_urlsafe(18)}"
            )
        if token is None and tokens is None and not is_loopback(host):
            raise UserError(
                f"'{host}' can be reached by other machines, so a token is needed",
                f"add --token, for example --token {secrets.token_urlsafe(18)}, or leave --host out",
            )
        wildcard = host in ("0.0.0.0", "::", "")
        names = {host.lower(), *((socket.gethostname().lower(),) if wildcard else ())}
        # On a wildcard any literal address may be this machine's. Rebinding needs a name, so that opens nothing.
        return cls(LOOPBACK_NAMES | names, any_address=wildcard, token=token, tokens=tokens)

    @property
    def asks_for_one(self) -> bool:
        """Whether a token is needed."""
        return self.token is not None or self.tokens is not None

    def name_of(self, given: str) -> str | None:
        """Whose token it is: a name, ``-`` for the one without a name, None for nobody's."""
        if self.token is not None and _equal(given, self.token):
            return NOBODY
        return None if self.tokens is None else self.tokens.name_of(given)

    def cookie_of(self, name: str) -> str | None:
        """What the cookie of a token's holder is; None where the name has no token any more. It ends with its token."""
        if name == NOBODY:
            return self.secret if self.token is not None else None
        grant = None if self.tokens is None else self.tokens.grants().get(name)
        if grant is None:
            return None
        return f"{name}:{hmac.new(self.secret.encode(), f'{name}:{grant.sha256}'.encode(), 'sha256').hexdigest()}"

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
    if rules.asks_for_one and path not in OPEN_TO_ALL and whose(rules, headers) is None:
        return Refusal(401, "A token is needed", "open the page once as /?token=…, or send 'Authorization: Bearer …'")
    return None


def _same_origin(origin: str, host: str) -> bool:
    scheme, separator, authority = origin.lower().partition("://")
    return bool(separator) and scheme in ("http", "https") and authority == host.lower()


def _equal(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())


def whose(rules: Rules, headers: Headers) -> str | None:
    """The name of the token that came along, ``-`` for the one without a name; None where none came that holds."""
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and (name := rules.name_of(bearer.strip())) is not None:
        return name
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(cookie_name(headers.get("host", "")))
    except CookieError:
        return None
    if cookie is None:
        return None
    name = cookie.value.partition(":")[0] if ":" in cookie.value else NOBODY
    wanted = rules.cookie_of(name)
    return name if wanted is not None and _equal(cookie.value, wanted) else None


def cookie_name(authority: str) -> str:
    """Browsers share cookies among the ports of a host, so the port is in the name."""
    port = authority.rpartition(":")[2]
    return f"allaprima_{port}" if port.isascii() and port.isdigit() else "allaprima"


class Guard:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, rules: Rules, access: Access | None = None) -> None:
        self.app, self.rules, self.access = app, rules, access or Access(rules.tokens)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        visit = scope[SCOPE] = Visit()
        try:
            await self._admit(scope, receive, visit.watching(send) if self.access.log is not None else send, visit)
        finally:
            self.access.leave(visit, scope)

    async def _admit(self, scope: Scope, receive: Receive, send: Send, visit: Visit) -> None:
        headers = Headers(scope=scope)
        refused = judge(self.rules, scope["path"], headers)
        if refused is None and self.rules.asks_for_one:
            self._named(visit, whose(self.rules, headers) or NOBODY)
        elif refused is not None and refused.status == 401:
            visit.event = REFUSED
        if scope["type"] == "websocket":
            if refused:
                visit.status = refused.status
                await send({"type": "websocket.close", "code": 1008})
            else:
                await self.app(scope, receive, send)
            return
        answer = _with_headers(send)
        if refused is None:
            await _limited(self.app, scope, receive, answer)
        elif refused.status == 401 and (name := self._token_in_query(scope)) is not None:
            visit.event = None
            self._named(visit, name)
            await self._let_in(scope, answer, name)
        else:
            await _refuse(answer, refused, scope["path"])

    def _named(self, visit: Visit, name: str) -> None:
        grant = self.access.grant(name)
        visit.name, visit.sha256 = name, None if grant is None else grant.sha256

    def _token_in_query(self, scope: Scope) -> str | None:
        """Whose. Only on the page itself, so that a token never sits in the address of anything that is linked or fetched."""
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
        is_page = scope["path"] == "/" and scope["method"] == "GET"
        return self.rules.name_of(given[0]) if is_page and len(given) == 1 else None

    async def _let_in(self, scope: Scope, send: Send, name: str) -> None:
        cookie_ = cookie_name(Headers(scope=scope).get("host", ""))
        cookie = f'{cookie_}="{self.rules.cookie_of(name)}"; Path=/; HttpOnly; SameSite=Strict'
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
