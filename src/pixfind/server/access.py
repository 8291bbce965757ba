"""
Access control: middleware in front of all routes.

Owns the checks of host, origin and token, the rate limit of each client, and the security headers. Must not know what is requested.

A page on any web site can make a visitor's browser send requests to 127.0.0.1. So the Host header must name this server, which stops DNS
rebinding (a site whose name resolves to this machine), and the Origin and Sec-Fetch-Site headers must name it too.
"""

import base64
import binascii
import ipaddress
import socket
import time
import urllib.parse
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pixfind import errors
from pixfind.server import clients, error_handlers, token_form
from pixfind.server.clients import Proxies
from pixfind.server.credentials import SESSION_SECONDS, Token
from pixfind.types import Clock

CLIENT: Final = "pixfind.client"
"""key in an ASGI scope: what counts as one client, for limits further in"""

NO_PROXIES: Final = Proxies()

_LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})
_OPEN_PATHS = frozenset({"/healthz"})
_RATE, _LOCAL_RATE = 1_000.0, 10_000.0
_MAX_CONCURRENT = 128
_MAX_CLIENTS = 10_000
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self'; connect-src 'self'; "
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


_WRONG_TOKEN_RATE, _WRONG_TOKEN_BURST = 0.2, 10


@dataclass(frozen=True, slots=True)
class AccessRules:
    """Which requests are allowed."""

    hosts: frozenset[str]
    """names and addresses that are valid in a Host header, without the port"""
    any_address: bool
    """any IP address is valid: the server listens on all addresses of this machine"""
    token: Token | None
    """None: no token is needed"""
    port: int
    """part of the cookie's name, because a browser sends cookies to all ports of a host"""
    rate: float
    """requests a second for each client; a burst may have twice as many"""
    proxies: Proxies = NO_PROXIES
    """may name the client that they ask for"""
    origins: frozenset[str] = frozenset()
    """other sites whose pages may ask, as browsers name them: https://photos.example"""
    max_concurrent: int = _MAX_CONCURRENT
    """requests of one client that may run at the same time"""
    wrong_token_rate: float = _WRONG_TOKEN_RATE
    """requests with a wrong token, a second for each client"""
    wrong_token_burst: int = _WRONG_TOKEN_BURST
    """of them that may come at once"""


def is_local(host: str) -> bool:
    """Tell whether only this machine can connect to the address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def rules_for(
    host: str,
    port: int,
    *,
    token: Token | None,
    allowed: tuple[str, ...] = (),
    rate: float | None = None,
    proxies: Proxies = NO_PROXIES,
    origins: tuple[str, ...] = (),
    workers: int = 1,
) -> AccessRules:
    """
    Return the rules for a server that listens on `host` and is called by the names in `allowed` too; `rate` None: the default.

    Each of several `workers` counts for itself: together they let a client guess as few tokens as one, and ask as much at a time. The rate of requests is that of
    each, because a client may have all its connections to one of them.
    """
    wildcard = host in ("0.0.0.0", "::")  # noqa: S104  compared, not listened on
    own = socket.gethostname() if wildcard else host
    names = _LOCAL | {name.lower() for name in (own, *allowed)}
    rate = rate or (_LOCAL_RATE if is_local(host) and not proxies else _RATE)
    return AccessRules(
        frozenset(names),
        wildcard,
        token,
        port,
        rate,
        proxies,
        frozenset(origins),
        max_concurrent=clients.share(_MAX_CONCURRENT, workers),
        wrong_token_rate=_WRONG_TOKEN_RATE / workers,
        wrong_token_burst=clients.share(_WRONG_TOKEN_BURST, workers),
    )


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
                for name, value in (_HEADERS | self._own_headers(allowed, client)).items():
                    headers.setdefault(name, value)
                if allowed is not None:
                    headers.add_vary_header("Origin")
            await send(message)

        headers = Headers(scope=scope)
        client = self._client(scope, headers)
        allowed = headers.get("origin", "") if headers.get("origin") in self._rules.origins else None
        client.running += 1
        try:
            refusal = self._refusal(scope, headers, client)
            await (refusal or self._app)(scope, receive, send_with_headers)
        finally:
            client.running -= 1
            self._on_finished(scope, status, time.perf_counter() - started)

    def _refusal(self, scope: Scope, headers: Headers, client: _Client) -> Response | None:
        """Return the response to a request that ends here (refused, or redirected with its cookie); None for all others."""
        try:
            if client.running > self._rules.max_concurrent or not client.requests.take(
                self._rules.rate, 2 * self._rules.rate, self._clock.monotonic()
            ):
                raise errors.TooManyRequests
            self._check_host(headers)
            self._check_origin(scope, headers)
            if (answer := self._preflight(scope, headers)) is not None:
                return answer
            return self._check_token(scope, headers, client)
        except errors.RequestError as error:
            return error_handlers.as_asked(headers, error_handlers.response(error))

    def _own_headers(self, origin: str | None, client: _Client) -> dict[str, str]:
        """Return what a client should know of its limit, and what a page of another site that may ask needs to read the response."""
        rate = self._rules.rate
        # draft-ietf-httpapi-ratelimit-headers: quota `q` in a window of `w` seconds, `r` left.
        found = {
            "RateLimit-Policy": f'"requests";q={2 * rate:.0f};w=2',
            "RateLimit": f'"requests";r={max(0, int(client.requests.level))}',
        }
        if origin is not None:
            found["Access-Control-Allow-Origin"] = origin
            found["Access-Control-Expose-Headers"] = "ETag, RateLimit, RateLimit-Policy, Retry-After"
            found["Cross-Origin-Resource-Policy"] = "cross-origin"
        return found

    def _preflight(self, scope: Scope, headers: Headers) -> Response | None:
        """Return the answer to a browser that asks on behalf of a page of another site whether the page may ask; None for other requests."""
        asks = scope["method"] == "OPTIONS" and "access-control-request-method" in headers
        if not asks or headers.get("origin") not in self._rules.origins:
            return None
        allowed = {
            "Access-Control-Allow-Methods": "GET, HEAD, POST",
            # The token as a header, never the cookie: Access-Control-Allow-Credentials is not sent.
            "Access-Control-Allow-Headers": "Authorization, Content-Type, X-Pixfind, Range, If-None-Match",
            "Access-Control-Max-Age": "600",
        }
        return Response(status_code=204, headers=allowed)

    # --- where a request comes from ---------------------------------------------------------------

    def _check_host(self, headers: Headers) -> None:
        host = _host_of(headers.get("host", ""))
        if host in self._rules.hosts or (self._rules.any_address and _is_address(host)):
            return
        raise errors.HostNotAllowed(host=host[:100])

    def _check_origin(self, scope: Scope, headers: Headers) -> None:
        origin = headers.get("origin")
        if origin in self._rules.origins:
            return
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
        token = self._rules.token
        if token is None or scope["path"] in _OPEN_PATHS:
            return None
        if scope["path"] == "/" and (redirect := self._begin_session(token, scope, headers)) is not None:
            return redirect
        if self._is_known(token, headers):
            return None
        if not client.wrong_tokens.take(
            self._rules.wrong_token_rate, self._rules.wrong_token_burst, self._clock.monotonic()
        ):
            raise errors.TooManyRequests
        refused: Response
        if scope["path"] == "/" and "text/html" in headers.get("accept", ""):
            own = {"Content-Security-Policy": "default-src 'none'; form-action 'self'; frame-ancestors 'none'"}
            query = _query(scope)
            others = [(name, value) for name, value in query if name != "token"]
            form = token_form.page(headers.get("accept-language", ""), others, wrong=len(others) < len(query))
            refused = HTMLResponse(form, 401, {**own, "Vary": "Accept-Language"})
        else:
            refused = error_handlers.as_asked(headers, error_handlers.response(errors.InvalidToken()))
        refused.headers["WWW-Authenticate"] = "Bearer"
        return refused

    def _is_known(self, token: Token, headers: Headers) -> bool:
        """Tell whether a request has the token or a session."""
        scheme, _, sent = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token.matches(sent.strip()):
            return True
        # Programs that take nothing but an address: http://:TOKEN@HOST/
        if scheme.lower() == "basic" and token.matches(_password(sent)):
            return True
        return token.opens(_cookie(headers, self._cookie_name), self._clock.time())

    def _begin_session(self, token: Token, scope: Scope, headers: Headers) -> Response | None:
        """Return a redirect to the same address without its token, with a session cookie; None where the address has no right token."""
        query = _query(scope)
        if not any(name == "token" and token.matches(value) for name, value in query):
            return None
        others = urllib.parse.urlencode([(name, value) for name, value in query if name != "token"])
        redirect = RedirectResponse(f"/?{others}" if others else "/", 303)
        session = token.session(self._clock.time())
        # Lax: with Strict a link on another site would open the page without the cookie. Whatever else another site
        # sends with it, `_check_origin` refuses.
        redirect.set_cookie(
            self._cookie_name,
            session,
            SESSION_SECONDS,
            httponly=True,
            samesite="lax",
            path="/",
            secure=_peer(scope) in self._rules.proxies and headers.get("x-forwarded-proto") == "https",
        )
        return redirect

    @property
    def _cookie_name(self) -> str:
        return f"pixfind_session_{self._rules.port}"

    def _client(self, scope: Scope, headers: Headers) -> _Client:
        name = clients.network(self._rules.proxies.client(_peer(scope), headers.getlist("x-forwarded-for")))
        if self._rules.token is not None and self._is_known(self._rules.token, headers):
            # Whoever shares the address and has no token does not use up what its owner may ask for.
            name = f"{name} with the token"
        scope[CLIENT] = name
        client = self._clients.get(name)
        if client is None:
            now = self._clock.monotonic()
            wrong_tokens = _RateLimit(self._rules.wrong_token_burst, now)
            client = self._clients[name] = _Client(_RateLimit(2 * self._rules.rate, now), wrong_tokens)
            if len(self._clients) > _MAX_CLIENTS:
                self._clients.popitem(last=False)
        self._clients.move_to_end(name)
        return client


def _query(scope: Scope) -> list[tuple[str, str]]:
    """Return the parameters of the address."""
    return urllib.parse.parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)


def _peer(scope: Scope) -> str:
    """Return the address at the other end of the connection."""
    return str(scope["client"][0]) if scope.get("client") else ""


def _cookie(headers: Headers, wanted: str) -> str:
    for part in headers.get("cookie", "").split(";"):
        name, _, value = part.strip().partition("=")
        if name == wanted:
            return value
    return ""


def _password(credentials: str) -> str:
    """Return the password of a Basic Authorization (RFC 7617), empty when it is malformed; the user's name means nothing."""
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[2]
    except (binascii.Error, ValueError):
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
