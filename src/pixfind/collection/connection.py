"""
A connection to the `pixfind serve` of a library.

Owns its limits of time and size, and the token, which goes into the header of a request and nowhere else. No redirect is followed and no
proxy of the environment is used: only the named address is ever connected to. Must not know what is asked.
"""

import http.client
import json
import re
import ssl
import time
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from pixfind import errors
from pixfind.collection.config import MemberConfig
from pixfind.collection.member import NoAnswerError
from pixfind.search import filter_names

T = TypeVar("T")

_PAUSE_SECONDS: Final = 5.0
"""After an address let a request time out it is not asked for so long: every answer would wait for it in vain."""

_MAX_BYTES: Final = 256 << 20
_CHUNK: Final = 256 << 10
_OK, _BAD_REQUEST = 200, 400
MAX_TEXT: Final = 200
"""characters of a refusal, and of a field in it"""

_FILTER: Final = re.compile(
    r"(?P<option>[^\n]+?) cannot be (?P<quote>['\"])(?P<value>[^\n]*?)(?P=quote): (?P<detail>[^\n]*)\."
)
"""the message of InvalidFilter: the fields themselves are not sent"""


@dataclass(slots=True)
class Patience:
    """Until when an address is not asked, because it let us wait; shared by all connections to it."""

    clock: Callable[[], float] = time.monotonic
    again_at: float = 0.0
    waited: float = 0.0
    """how long the last time, in seconds"""

    def check(self) -> None:
        """Raise NoAnswerError during the pause after a request that timed out."""
        pause = self.again_at - self.clock()
        if pause > 0:
            raise NoAnswerError(f"no answer within {self.waited:.1f} s; it is asked again in {pause:.0f} s")

    def lose(self, seconds: float) -> None:
        """Begin a pause: a request took longer than `seconds`."""
        self.again_at, self.waited = self.clock() + _PAUSE_SECONDS, seconds


class Connection:
    """One connection, kept open between requests and made again where it has ended. One thread at a time."""

    def __init__(self, config: MemberConfig, patience: Patience | None = None) -> None:
        self._config = config
        self._patience = patience or Patience()
        self._connection: http.client.HTTPConnection | None = None

    def ask(self, method: str, path: str, body: bytes | None, seconds: float) -> bytes:
        """Return the body of an answer; raises NoAnswerError, also for one that is no success, and InvalidFilter where that is why."""
        status, data = self.request(method, path, body, seconds)
        if (refused := _refused_filter(status, data)) is not None:
            raise refused
        if status != _OK:
            raise NoAnswerError(refusal(status, data))
        return data

    def request(self, method: str, path: str, body: bytes | None, seconds: float) -> tuple[int, bytes]:
        """Return the status and the body of an answer; raises NoAnswerError where none is complete within `seconds`."""

        def exchange(deadline: float) -> tuple[int, bytes]:
            response = self._send(method, path, body, {}, deadline)
            data = bytearray()
            while part := self._part(response, deadline):
                data += part
                if len(data) > _MAX_BYTES:
                    raise NoAnswerError(f"its answer is over {_MAX_BYTES >> 20} MB")
            return response.status, bytes(data)

        return self._within(seconds, exchange)

    def open(self, path: str, headers: Mapping[str, str], seconds: float) -> http.client.HTTPResponse:
        """Return an answer of which `part` gives the body; raises NoAnswerError where it does not begin within `seconds`."""
        return self._within(seconds, lambda deadline: self._send("GET", path, None, headers, deadline))

    def part(self, response: http.client.HTTPResponse, seconds: float) -> bytes:
        """Return the next bytes of a body, none at its end; raises NoAnswerError where none arrive within `seconds`."""
        return self._within(seconds, lambda deadline: self._part(response, deadline), again=False)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _within(self, seconds: float, exchange: Callable[[float], T], *, again: bool = True) -> T:
        """Return what an exchange gives that has `seconds`; tried twice where an idle connection may have been closed. Raises NoAnswerError."""
        self._patience.check()
        deadline = self._patience.clock() + seconds
        reused = again and self._connection is not None
        try:
            try:
                return exchange(deadline)
            except (ConnectionError, http.client.HTTPException):
                # The server may have closed an idle connection, or started again since.
                if not reused:
                    raise
                self.close()
                return exchange(deadline)
        except BaseException as error:
            # What is left of the answer must not be taken for the next one.
            self.close()
            if isinstance(error, TimeoutError):
                self._patience.lose(seconds)
                raise NoAnswerError(f"no answer within {seconds:.1f} s") from error
            if isinstance(error, OSError | http.client.HTTPException):
                why = getattr(error, "strerror", None) or "the connection ended before the answer"
                raise NoAnswerError(str(why).lower()) from error
            raise

    def _send(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], deadline: float
    ) -> http.client.HTTPResponse:
        connection = self._connection or _connect(self._config, self._left(deadline))
        self._connection = connection
        self._wait_until(deadline)
        connection.request(method, path, body, _with_token(self._config, headers))
        self._wait_until(deadline)
        return connection.getresponse()

    def _part(self, response: http.client.HTTPResponse, deadline: float) -> bytes:
        # Before each part: an answer that trickles is late, however often bytes arrive.
        self._wait_until(deadline)
        part = response.read1(_CHUNK)
        if not part and response.length:
            raise http.client.IncompleteRead(part, response.length)
        return part

    def _wait_until(self, deadline: float) -> None:
        left = self._left(deadline)
        if self._connection is not None and self._connection.sock is not None:
            self._connection.sock.settimeout(left)

    def _left(self, deadline: float) -> float:
        left = deadline - self._patience.clock()
        if left <= 0:
            raise TimeoutError
        return left


def _connect(config: MemberConfig, seconds: float) -> http.client.HTTPConnection:
    """Return a connection to the named address, and to no other; it is made when it is first used."""
    parts = urllib.parse.urlsplit(str(config.address))
    assert parts.hostname is not None
    if parts.scheme == "https":
        return http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=seconds, context=ssl.create_default_context()
        )
    return http.client.HTTPConnection(parts.hostname, parts.port, timeout=seconds)


def _with_token(config: MemberConfig, headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of a request, with the token; raises InvalidCollection where the token cannot be had."""
    token = config.token()
    return {**headers, **({} if token is None else {"Authorization": f"Bearer {token}"})}


def refusal(status: int, data: bytes) -> str:
    """Return why a server refused, in words that hold no token."""
    if status == 401:  # noqa: PLR2004  HTTP
        return "the token is missing or wrong; name it with token_env or token_file in collection.toml"
    if status == 404:  # noqa: PLR2004  HTTP
        return "the server does not know this question; it may be an older pixfind"
    try:
        message = str(json.loads(data)["detail"]).splitlines()[0]
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        message = "it is no pixfind"
    return f"status {status}: {message[:MAX_TEXT]}"


def _refused_filter(status: int, data: bytes) -> errors.InvalidFilter | None:
    """Return the error of a library that lacks what a filter names, as one in a folder raises it; None for any other answer."""
    if status != _BAD_REQUEST:
        return None
    try:
        error = json.loads(data)["error"]
        found = _FILTER.fullmatch(error["message"]) if error["kind"] == errors.InvalidFilter.__name__ else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if found is None:
        return None
    fields = {name: text[:MAX_TEXT] for name, text in found.groupdict().items() if name != "quote"}
    # A server says the parameter of its API.
    return errors.InvalidFilter(**fields | {"option": filter_names.option_of(fields["option"])})
