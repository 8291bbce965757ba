"""
Requests to web servers, by the standard library: no word of another client and no host comes in that is not here.

Owns what an answer means, and whom a request may reach: a redirection is followed on the same host alone, because an address names whom the user wants
to ask. Credentials are those of `~/.netrc`, which are sent in the clear to nobody but this machine.
"""

import base64
import contextlib
import functools
import http.client
import netrc
import os
import ssl
import threading
import urllib.parse
from collections.abc import Iterator
from typing import Final

from pixfind.images.source import network

_SECONDS: Final = 30.0
"""for a connection and for each piece of an answer"""
_MAX_REDIRECTIONS: Final = 5

_MAX_IDLE: Final = 64
"""connections that are kept for the next request, to whatever servers"""

_guard = threading.Lock()
_idle: list[tuple[tuple[str, str], http.client.HTTPConnection]] = []
"""(scheme and host, connection), the latest used last"""


class Cut(Exception):  # noqa: N818  an answer among others, which never leaves this package
    """One file could not be fetched to its end. Its text is the reason."""


@contextlib.contextmanager
def answered(
    method: str, location: str, body: bytes | None = None, depth: int = 0
) -> Iterator[http.client.HTTPResponse]:
    """
    Give the answer to a request, the last of some redirections; a connection whose answer was read to the end is used again.

    Raises Passing, Lasting, Cut, FileNotFoundError, PermissionError, ValueError.
    """
    try:
        with contextlib.ExitStack() as stack:
            yield _last_answer(stack, method, location, body, depth)
    except http.client.InvalidURL as error:
        message = "it is no valid address"
        raise ValueError(message) from error
    except (PermissionError, FileNotFoundError):
        raise
    except ssl.SSLCertVerificationError as error:
        message = "its certificate is not valid"
        raise network.Lasting(message) from error
    except (http.client.IncompleteRead, http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError) as error:
        message = "the answer was cut"
        raise Cut(message) from error
    except (http.client.HTTPException, OSError) as error:
        raise network.Passing("no answer in time" if isinstance(error, TimeoutError) else "no connection") from error


def _last_answer(
    stack: contextlib.ExitStack, method: str, address: str, body: bytes | None, depth: int
) -> http.client.HTTPResponse:
    for _ in range(_MAX_REDIRECTIONS):
        answer = stack.enter_context(_one_answer(method, address, body, depth))
        if answer.status not in (301, 302, 303, 307, 308):
            _check_status(answer)
            return answer
        answer.read()
        address = _redirected(address, answer.headers.get("Location", ""))
    message = "it redirects again and again"
    raise ValueError(message)


@contextlib.contextmanager
def _one_answer(method: str, address: str, body: bytes | None, depth: int) -> Iterator[http.client.HTTPResponse]:
    parts = urllib.parse.urlsplit(address)
    # What is percent-encoded stays so; spaces and letters of other alphabets become it.
    path, query = (urllib.parse.quote(part, safe="/%:@!$&'()*+,;=~?") for part in (parts.path or "/", parts.query))
    headers = {"User-Agent": "pixfind", "Accept-Encoding": "identity", **_authorization(parts)}
    if method == "PROPFIND":
        headers |= {"Depth": str(depth), "Content-Type": "application/xml"}
    server = (parts.scheme, parts.netloc)
    while True:
        connection, is_used = _taken(server, parts.hostname or "", parts.port)
        try:
            connection.request(method, f"{path}?{query}" if query else path, body=body, headers=headers)
            answer = connection.getresponse()
            break
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            connection.close()
            # A server may close a connection that was idle, at any time.
            if not is_used:
                raise
        except BaseException:
            connection.close()
            raise
    try:
        yield answer
    finally:
        if answer.isclosed() and not answer.will_close:
            _give_back(server, connection)
        else:
            # What is left of the answer would be taken for the next one.
            answer.close()
            connection.close()


def _check_status(answer: http.client.HTTPResponse) -> None:
    if answer.status in (200, 207):
        return
    said = f"{answer.status} {answer.reason}"[:60]
    if answer.status in (404, 410):
        raise FileNotFoundError(f"it is not there ({said})")
    if answer.status in (401, 403):
        raise PermissionError(f"access denied ({said})")
    if answer.status in (429, 503):
        raise network.Passing(said)
    if answer.status >= 500:  # noqa: PLR2004  errors of servers
        raise Cut(said)
    message = f"the server answers {said}"
    raise ValueError(message)


def _redirected(address: str, to: str) -> str:
    """Return where a redirection leads, on the same host; raises ValueError for a different one."""
    before, after = (urllib.parse.urlsplit(each) for each in (address, urllib.parse.urljoin(address, to)))
    if after.hostname != before.hostname or after.scheme not in (before.scheme, "https"):
        message = f"it redirects to {after.scheme}://{after.hostname}, which was not named"
        raise ValueError(message)
    return after.geturl()


def _taken(server: tuple[str, str], host: str, port: int | None) -> tuple[http.client.HTTPConnection, bool]:
    """Return a connection to a server, and whether it was used before."""
    with _guard:
        for at, (its_server, connection) in enumerate(_idle):
            if its_server == server:
                del _idle[at]
                return connection, True
    if server[0] == "https":
        return http.client.HTTPSConnection(host, port, timeout=_SECONDS, context=_tls()), False
    return http.client.HTTPConnection(host, port, timeout=_SECONDS), False


def _give_back(server: tuple[str, str], connection: http.client.HTTPConnection) -> None:
    with _guard:
        _idle.append((server, connection))
        oldest = _idle.pop(0)[1] if len(_idle) > _MAX_IDLE else None
    if oldest is not None:
        oldest.close()


def close_idle() -> None:
    """Close the connections that no request uses."""
    with _guard:
        closing = [connection for _, connection in _idle]
        _idle.clear()
    for connection in closing:
        connection.close()


@functools.cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _authorization(parts: urllib.parse.SplitResult) -> dict[str, str]:
    known = _passwords(os.environ.get("NETRC") or os.path.expanduser("~/.netrc"))
    found = known.hosts.get(parts.hostname or "") if known is not None else None
    # Not in the clear, except to this machine.
    if found is None or (parts.scheme != "https" and parts.hostname not in ("localhost", "127.0.0.1", "::1")):
        return {}
    token = base64.b64encode(f"{found[0]}:{found[2]}".encode()).decode()
    return {"Authorization": f"Basic {token}"}


@functools.lru_cache(maxsize=4)
def _passwords(path: str) -> netrc.netrc | None:
    try:
        return netrc.netrc(path)
    except (OSError, netrc.NetrcParseError):
        return None
