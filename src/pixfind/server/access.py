"""
Access control: middleware in front of all routes.

Owns the checks of host, origin and token, the rate limit of each client, and the security headers. Must not know what is requested.

A page on any web site can make a visitor's browser send requests to 127.0.0.1. So the Host header must name this server, which stops DNS
rebinding (a site whose name resolves to this machine), and the Origin and Sec-Fetch-Site headers must name it too.
"""

import hashlib
import hmac
import ipaddress
import secrets
import socket
import time
import urllib.parse
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pixfind import errors
from pixfind.server import error_handlers
from pixfind.types import Clock

COOKIE = "pixfind_token"

_LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})
_OPEN_PATHS = frozenset({"/healthz"})
_RATE, _LOCAL_RATE = 1_000.0, 10_000.0
_MAX_CLIENTS = 10_000
_COOKIE_SECONDS = 30 * 86_400
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
        "form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True, slots=True)
class AccessRules:
    """Which requests are allowed."""

    hosts: frozenset[str]
    """names and addresses that are valid in a Host header, without the port"""
    any_address: bool
    """any IP address is valid: the server listens on all addresses of this machine"""
    token_hash: bytes | None
    """SHA-256 of the token; None: no token is needed"""
    rate: float
    """requests a second for each client; a burst may have twice as many"""
    max_concurrent: int = 128
    """requests of one client that may run at the same time"""
    wrong_token_rate: float = 0.2
    """requests with a wrong token, a second for each client; a burst may have ten"""


def is_local(host: str) -> bool:
    """Tell whether only this machine can connect to the address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def rules_for(host: str, allowed: tuple[str, ...], rate: float | None) -> tuple[AccessRules, str | None]:
    """Return the rules for a server that listens on `host`, and its token, to be shown once; None where none is needed."""
    wildcard = host in ("0.0.0.0", "::")  # noqa: S104  compared, not listened on
    own = socket.gethostname() if wildcard else host
    names = _LOCAL | {name.lower() for name in (own, *allowed)}
    token = None if is_local(host) else secrets.token_urlsafe(32)
    token_hash = None if token is None else _hash(token)
    rate = rate or (_RATE if token else _LOCAL_RATE)
    return AccessRules(frozenset(names), wildcard, token_hash, rate), token


@dataclass(slots=True)
class _RateLimit:
    """A token bucket: a burst of `capacity` requests, then `rate` a second."""

    level: float
    updated: float
    """monotonic seconds"""

    def take(self, rate: float, capacity: float, now: float) -> bool:
        """Count one request and return True, or return False when it exceeds the limit. `now` is monotonic seconds."""
        self.level = min(capacity, self.level + (now - self.updated) * rate)
        self.updated = now
        if self.level < 1:
            return False
        self.level -= 1
        return True


@dataclass(slots=True)
class _Client:
    requests: _RateLimit
    wrong_tokens: _RateLimit
    running: int = 0


OnFinished = Callable[[Scope, int, float], None]
"""Called with the scope, the status and the seconds of each request."""


class AccessMiddleware:
    """Refuses requests that the rules do not allow; passes all others to the ASGI application `app`."""

    def __init__(self, app: ASGIApp, rules: AccessRules, on_finished: OnFinished, clock: Clock = time) -> None:
        self._app = app
        self._clock = clock
        self._rules = rules
        self._on_finished = on_finished
        self._clients: OrderedDict[str, _Client] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(raw=message["headers"])
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        client = self._client(scope)
        client.running += 1
        try:
            refusal = self._refusal(scope, client)
            await (refusal or self._app)(scope, receive, send_with_headers)
        finally:
            client.running -= 1
            self._on_finished(scope, status, time.perf_counter() - started)

    def _refusal(self, scope: Scope, client: _Client) -> Response | None:
        """Return the response to a request that ends here (refused, or redirected with its cookie); None for all others."""
        headers = Headers(scope=scope)
        try:
            if client.running > self._rules.max_concurrent or not client.requests.take(
                self._rules.rate, 2 * self._rules.rate, self._clock.monotonic()
            ):
                raise errors.TooManyRequests
            self._check_host(headers)
            self._check_origin(scope, headers)
            return self._check_token(scope, headers, client)
        except errors.RequestError as error:
            return error_handlers.response(error)

    # --- where a request comes from ---------------------------------------------------------------

    def _check_host(self, headers: Headers) -> None:
        host = _host_of(headers.get("host", ""))
        if host in self._rules.hosts or (self._rules.any_address and _is_address(host)):
            return
        raise errors.HostNotAllowed(host=host[:100])

    def _check_origin(self, scope: Scope, headers: Headers) -> None:
        origin = headers.get("origin")
        if origin is not None:
            scheme, _, rest = origin.partition("://")
            if scheme not in ("http", "https") or rest.lower() != headers.get("host", "").lower():
                raise errors.OriginNotAllowed(origin=origin[:100])
        site = headers.get("sec-fetch-site", "none")
        # A link on another site may open the page, but nothing else.
        is_link = scope["method"] == "GET" and scope["path"] == "/" and headers.get("sec-fetch-mode") == "navigate"
        if site not in ("none", "same-origin") and not is_link:
            raise errors.OriginNotAllowed(origin=site[:100])

    # --- who sends it -----------------------------------------------------------------------------

    def _check_token(self, scope: Scope, headers: Headers, client: _Client) -> Response | None:
        expected = self._rules.token_hash
        if expected is None or scope["path"] in _OPEN_PATHS:
            return None
        in_query = urllib.parse.parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if scope["path"] == "/" and in_query and _matches(in_query, expected):
            redirect = RedirectResponse("/", 303)
            redirect.set_cookie(COOKIE, in_query, _COOKIE_SECONDS, httponly=True, samesite="strict", path="/")
            return redirect
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        token = bearer.strip() if scheme.lower() == "bearer" else _cookie(headers)
        if token and _matches(token, expected):
            return None
        if not client.wrong_tokens.take(self._rules.wrong_token_rate, 10, self._clock.monotonic()):
            raise errors.TooManyRequests
        refused = error_handlers.response(errors.InvalidToken())
        refused.headers["WWW-Authenticate"] = "Bearer"
        return refused

    def _client(self, scope: Scope) -> _Client:
        name = _network(scope["client"][0]) if scope.get("client") else ""
        client = self._clients.get(name)
        if client is None:
            now = self._clock.monotonic()
            client = self._clients[name] = _Client(_RateLimit(2 * self._rules.rate, now), _RateLimit(10, now))
            if len(self._clients) > _MAX_CLIENTS:
                self._clients.popitem(last=False)
        self._clients.move_to_end(name)
        return client


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _matches(token: str, expected: bytes) -> bool:
    # In constant time, so that response times reveal nothing of the token.
    return hmac.compare_digest(_hash(token), expected)


def _cookie(headers: Headers) -> str:
    for part in headers.get("cookie", "").split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE:
            return value
    return ""


def _host_of(header: str) -> str:
    """Return the name or address in a Host header, without port and brackets, in lower case; empty when it is malformed."""
    try:
        return (urllib.parse.urlsplit(f"//{header}").hostname or "") if "@" not in header else ""
    except ValueError:
        return ""


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _network(address: str) -> str:
    """Return what counts as one client: an IPv4 address, or the /64 of an IPv6 address, which one machine usually has to itself."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4 or parsed.is_loopback:  # noqa: PLR2004  the version
        return address
    return str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
