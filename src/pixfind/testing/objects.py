"""
A store of objects on localhost that does what stores do when they fail: throttles, refuses, cuts, lies about lengths, goes away, and returns.

It speaks as much of S3's protocol as a reader needs (https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html), of WebDAV's (RFC 4918), and plain HTTP.
"""

import contextlib
import datetime as dt
import email.utils
import hashlib
import http.server
import re
import threading
import urllib.parse
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Self
from xml.sax.saxutils import escape

_PAGE: Final = 1_000

CODES: Final = {
    "throttled": (503, "SlowDown"),
    "too many": (429, "TooManyRequests"),
    "expired": (400, "ExpiredToken"),
    "denied": (403, "AccessDenied"),
    "no bucket": (404, "NoSuchBucket"),
    "broken": (500, "InternalError"),
}
"""names of answers that are errors, with their status and the code of S3"""


@dataclass(frozen=True, slots=True)
class Stored:
    """One object."""

    data: bytes
    modified: float
    """seconds since 1970"""

    @property
    def tag(self) -> str:
        """The ETag, with its quotes."""
        return f'"{hashlib.md5(self.data, usedforsecurity=False).hexdigest()}"'


@dataclass(slots=True)
class Store:
    """A bucket, served at `address`; `fault` says what goes wrong."""

    bucket: str = "photos"
    objects: dict[str, Stored] = field(default_factory=dict)
    fault: Callable[[str, str], str | None] = lambda _method, _key: None
    """(GET, HEAD, LIST or PROPFIND, key) -> a name of CODES, "cut" for half the bytes, "more" for a length that is too large, "away" for
    no answer to this request and any later one, or None"""
    requests: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(method, key) -> how often it was asked for"""
    sent: int = 0
    """bytes of objects that were asked for"""
    authorizations: list[str] = field(default_factory=list)
    """headers with credentials, as they came"""
    _server: "http.server.ThreadingHTTPServer | None" = None
    _port: int = 0
    _guard: threading.Lock = field(default_factory=threading.Lock)
    _is_leaving: bool = False
    _leaving: threading.Thread | None = None

    @property
    def address(self) -> str:
        """What a client is given as endpoint."""
        return f"http://127.0.0.1:{self._port}"

    def put(self, key: str, data: bytes, modified: float = 1_700_000_000.0) -> None:
        """Store an object, or replace it."""
        self.objects[key] = Stored(data, modified)

    def open(self) -> None:
        """Begin to answer, at the same address as before; a store that is open or about to leave ends first."""
        self.close()
        store = self

        class Handler(_Handler):
            served = store

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

        self._is_leaving = False
        self._server = Server(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """Answer nobody: connections are refused, and those that are open end with their next request."""
        leaving, self._leaving = self._leaving, None
        if leaving is not None:
            # Its end must not be that of the server that `open` starts next.
            leaving.join()
        self._end()

    def _end(self) -> None:
        with self._guard:
            server, self._server = self._server, None
            if server is not None:
                server.shutdown()
                server.server_close()

    @property
    def is_open(self) -> bool:
        """Whether anybody is answered."""
        return self._server is not None and not self._is_leaving

    def leave(self) -> None:
        """Answer nobody from now on; called by a thread that answers, which cannot wait for its own end."""
        self._is_leaving = True
        self._leaving = threading.Thread(target=self._end)
        self._leaving.start()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def page(self, prefix: str, after: str) -> tuple[list[str], bool]:
        """Return the keys of one page of a listing, and whether there are more."""
        keys = sorted(key for key in self.objects if key.startswith(prefix))
        start = bisect_right(keys, after)
        return keys[start : start + _PAGE], start + _PAGE < len(keys)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    served: Store

    def do_GET(self) -> None:
        self._answer("GET")

    def do_HEAD(self) -> None:
        self._answer("HEAD")

    def do_PROPFIND(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer("PROPFIND")

    def _answer(self, method: str) -> None:
        if not self.served.is_open:
            # The store has gone away, and with it what was still connected.
            self.close_connection = True
            return
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        bucket, _, key = urllib.parse.unquote(url.path)[1:].partition("/")
        if "list-type" in query:
            method, key = "LIST", query.get("prefix", "")
        self.served.requests[method, key] += 1
        if "Authorization" in self.headers:
            self.served.authorizations.append(self.headers["Authorization"])
        fault = self.served.fault(method, key)
        if fault == "away":
            self.served.leave()
            self.close_connection = True
            return
        if fault in CODES or bucket != self.served.bucket:
            status, code = CODES[fault] if fault in CODES else CODES["no bucket"]
            self._send(status, f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode(), "application/xml")
        elif method == "LIST":
            self._send(200, self._listing(key, query), "application/xml")
        elif method == "PROPFIND":
            self._send(207, self._folder(url.path, key), "application/xml")
        elif key not in self.served.objects:
            self._send(404, b"<Error><Code>NoSuchKey</Code></Error>", "application/xml")
        else:
            self._object(self.served.objects[key], fault)

    def _listing(self, prefix: str, query: dict[str, str]) -> bytes:
        after = query.get("continuation-token") or query.get("start-after", "")
        keys, more = self.served.page(prefix, after)
        entries = "".join(_entry(key, self.served.objects[key]) for key in keys)
        rest = f"<NextContinuationToken>{escape(keys[-1])}</NextContinuationToken>" if more else ""
        return (
            f"<ListBucketResult><Name>{self.served.bucket}</Name><KeyCount>{len(keys)}</KeyCount>"
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{rest}{entries}</ListBucketResult>"
        ).encode()

    def _folder(self, path: str, key: str) -> bytes:
        inside = key.rstrip("/") + "/" if key else ""
        names = sorted(
            {name[len(inside) :].partition("/")[0::2] for name in self.served.objects if name.startswith(inside)}
        )
        base = path.rstrip("/") + "/"
        entries = [_resource(base, None)]
        for name, rest in dict(names).items():
            entries.append(
                _resource(base + urllib.parse.quote(name) + "/", None)
                if rest
                else _resource(base + urllib.parse.quote(name), self.served.objects[inside + name])
            )
        return f'<?xml version="1.0"?><D:multistatus xmlns:D="DAV:">{"".join(entries)}</D:multistatus>'.encode()

    def _object(self, stored: Stored, fault: str | None) -> None:
        data, asked = stored.data, re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if asked is not None:
            data = data[int(asked[1]) : int(asked[2]) + 1]
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {asked[1]}-{int(asked[1]) + len(data) - 1}/{len(stored.data)}")
        else:
            self.send_response(200)
        self.served.sent += 0 if self.command == "HEAD" else len(data)
        length = len(data) + (100 if fault == "more" else 0)
        self.send_header("Content-Length", str(length))
        self.send_header("ETag", stored.tag)
        self.send_header("Last-Modified", email.utils.formatdate(stored.modified, usegmt=True))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data[: len(data) // 2] if fault == "cut" else data)
        if fault in ("cut", "more"):
            self.close_connection = True

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name of the base class
        """Say nothing."""

    def handle(self) -> None:
        # A client that was killed has closed its end.
        with contextlib.suppress(ConnectionError):
            super().handle()


def _entry(key: str, stored: Stored) -> str:
    at = dt.datetime.fromtimestamp(stored.modified, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return (
        f"<Contents><Key>{escape(key)}</Key><LastModified>{at}</LastModified><ETag>{escape(stored.tag)}</ETag>"
        f"<Size>{len(stored.data)}</Size></Contents>"
    )


def _resource(path: str, stored: Stored | None) -> str:
    if stored is None:
        return (
            f"<D:response><D:href>{path}</D:href><D:propstat><D:prop><D:resourcetype><D:collection/></D:resourcetype></D:prop>"
            "<D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>"
        )
    return (
        f"<D:response><D:href>{path}</D:href><D:propstat><D:prop><D:resourcetype/>"
        f"<D:getcontentlength>{len(stored.data)}</D:getcontentlength><D:getetag>{escape(stored.tag)}</D:getetag>"
        f"<D:getlastmodified>{email.utils.formatdate(stored.modified, usegmt=True)}</D:getlastmodified>"
        "</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>"
    )


@contextlib.contextmanager
def serving(bucket: str = "photos") -> Iterator[Store]:
    """Serve an empty bucket until the end of the block."""
    with Store(bucket) as store:
        yield store
