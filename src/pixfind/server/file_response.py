"""
An open file as a response: whole, one range of it, or only that it has not changed.

Owns the headers of RFC 9110 for files. Must not know which file it is.
"""

import datetime as dt
import email.utils
import os
import re
from collections.abc import Iterator, Mapping
from typing import BinaryIO, Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

IS_HEAD: Final = "pixfind.head"
"""key in an ASGI scope: the request is HEAD, whatever its method says"""

_LAST_SECOND: Final = 253_402_300_799
"""of the year 9999, behind which dates have no form"""

_CHUNK: Final = 256 * 1024
_RANGE: Final = re.compile(r"bytes=(\d{0,19})-(\d{0,19})")


def of_file(
    request: Request, descriptor: int, headers: Mapping[str, str], media_type: str, version: str | None = None
) -> Response:
    """
    Return the response to a request for an open file, which is closed when the response has been sent.

    `version` identifies the bytes where the file is a copy, whose time and number say nothing; None: its own do. Several ranges at once
    are answered with the whole file, as RFC 9110 allows.
    """
    status = os.fstat(descriptor)
    version = version or f"{status.st_size:x}-{status.st_mtime_ns:x}-{status.st_ino:x}"
    tag = f'"{version}"'
    modified = dt.datetime.fromtimestamp(min(max(0, int(status.st_mtime)), _LAST_SECOND), dt.UTC)
    shared = {
        **headers,
        "ETag": tag,
        "Last-Modified": email.utils.format_datetime(modified, usegmt=True),
        "Accept-Ranges": "bytes",
    }
    if names(request.headers.get("if-none-match"), tag):
        os.close(descriptor)
        return Response(status_code=304, headers=shared)
    part = None
    if request.headers.get("if-range", tag) in (tag, shared["Last-Modified"]):
        part = _part(request.headers.get("range", ""), status.st_size)
    if part is not None and not part:
        os.close(descriptor)
        return Response(status_code=416, headers={**shared, "Content-Range": f"bytes */{status.st_size}"})
    code = 200 if part is None else 206
    part = range(status.st_size) if part is None else part
    if code == 206:  # noqa: PLR2004  partial content
        shared["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{status.st_size}"
    shared["Content-Length"] = str(len(part))
    file = os.fdopen(descriptor, "rb")
    if request.scope.get(IS_HEAD):
        part = range(0)
    return StreamingResponse(_chunks(file, part), code, shared, media_type)


def shown_as(name: str, media_type: str | None, *, is_video: bool) -> dict[str, str]:
    """Return the headers of a file called `name`, in the form of an address, of a type that a browser may display (None: it downloads it)."""
    # A browser shows a video in a page of its own, which has to load it.
    media = "media-src 'self'; " if is_video else ""
    return {
        "Content-Disposition": f"{'inline' if media_type else 'attachment'}; filename*=UTF-8''{name}",
        "Content-Security-Policy": f"default-src 'none'; {media}sandbox",
        "Cache-Control": "private, no-cache",
    }


def names(condition: str | None, tag: str) -> bool:
    """Tell whether If-None-Match names a tag: weakly compared, as it is for this header."""
    return condition is not None and any(
        given.strip().removeprefix("W/") in (tag, "*") for given in condition.split(",")
    )


def _part(header: str, size: int) -> range | None:
    """Return the bytes that a Range header asks for, none where the file has none of them; None: it asks for no single range."""
    match = _RANGE.fullmatch(header.strip())
    if match is None or match[1] == match[2] == "":
        return None
    if not match[1]:
        return range(max(0, size - int(match[2])), size)
    first, last = int(match[1]), int(match[2]) if match[2] else size - 1
    if match[2] and last < first:
        return None
    return range(first, min(size, last + 1)) if first < size else range(0)


def _chunks(file: BinaryIO, part: range) -> Iterator[bytes]:
    with file:
        file.seek(part.start)
        left = len(part)
        while left and (chunk := file.read(min(_CHUNK, left))):
            left -= len(chunk)
            yield chunk
