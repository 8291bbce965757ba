"""
Compressed streams: any part of what a gzip file (RFC 1952) holds, without unpacking it to disk.

Owns the way to an offset: the state of the decompressor is kept at regular distances, and behind the latest reads, so that a read begins at the
nearest state before it. Must not know what the bytes are; `archives` reads compressed tars with it. No file stays open between reads.
"""

import bisect
import collections
import io
import os
import threading
import zlib
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, Final

MAX_EXPANSION: Final = 100
"""A file that holds more times its own size is not read: only bombs do, and pictures without any grain."""

FREE_BYTES: Final = 64 << 20
"""to which every file may expand"""

_MAX_STATES: Final = 128
"""of some 45 kB each"""

_FIRST_DISTANCE: Final = 1 << 20
_RECENT: Final = 4
_CHUNK: Final = 1 << 16
_GZIP: Final = 31
"""zlib's `wbits` for a stream with the header and the checksum of gzip"""


@dataclass(frozen=True, slots=True)
class _State:
    """A place in the stream from which it can be read on."""

    at: int
    """bytes before it"""
    compressed_at: int
    """bytes of the file before it"""
    inflate: Any
    """zlib's decompressor; its bytes so far are part of it"""


class GzipStream:
    """What a gzip file holds. Any number of threads may read."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._limit = MAX_EXPANSION * os.stat(path).st_size + FREE_BYTES
        self._states = [_State(0, 0, zlib.decompressobj(_GZIP))]
        self._distance = _FIRST_DISTANCE
        self._recent: collections.deque[_State] = collections.deque(maxlen=_RECENT)
        self._guard = threading.Lock()

    def open(self, file: BinaryIO) -> io.BufferedReader:
        """Return the stream from its start as a file; `file` is the gzip file, which the caller closes. Reading remembers states."""
        return io.BufferedReader(_File(self, file))

    def read(self, offset: int, size: int) -> bytes:
        """Return `size` bytes from an offset, fewer at the end; raises OSError, EOFError for a cut file, zlib.error for a damaged one."""
        # One after the other: several threads that begin at one state would each read the same again.
        with self._guard, open(self._path, "rb", buffering=0) as file:
            cursor = _Cursor(self, file, self._before(offset))
            cursor.skip(offset - cursor.state.at)
            data = cursor.read(size)
            self._recent.append(cursor.state)
            return data

    def remember(self, state: _State) -> None:
        """Keep a state where none is near before it; raises ValueError for a bomb."""
        if state.at > self._limit:
            message = f"it expands to more than {MAX_EXPANSION} times its size"
            raise ValueError(message)
        if state.at < self._states[-1].at + self._distance:
            return
        self._states.append(replace(state, inflate=state.inflate.copy()))
        if len(self._states) > _MAX_STATES:
            self._states = self._states[::2]
            self._distance *= 2

    def _before(self, offset: int) -> _State:
        known = self._states[bisect.bisect_right(self._states, offset, key=lambda state: state.at) - 1]
        nearest = max([known, *(state for state in self._recent if state.at <= offset)], key=lambda state: state.at)
        return replace(nearest, inflate=nearest.inflate.copy())


class _Cursor:
    """One reader that goes forward."""

    def __init__(self, stream: GzipStream, file: BinaryIO, state: _State) -> None:
        self.state = state
        self._stream = stream
        self._file = file

    def read(self, size: int) -> bytes:
        """Return the next bytes, fewer at the end."""
        parts = []
        while size > 0 and (part := self._next(size)):
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def skip(self, size: int) -> None:
        """Read so many bytes and forget them, or all up to the end."""
        while size > 0 and (part := self._next(min(size, _FIRST_DISTANCE))):
            size -= len(part)

    def _next(self, size: int) -> bytes:
        """Return some bytes, none at the end."""
        while True:
            at, compressed_at, inflate = self.state.at, self.state.compressed_at, self.state.inflate
            self._file.seek(compressed_at)
            chunk = self._file.read(_CHUNK)
            if inflate.eof:
                # Another stream may follow, as parallel programs write them; or zeros, as tapes have them.
                if not chunk.strip(b"\0"):
                    return b""
                inflate = zlib.decompressobj(_GZIP)
            part: bytes = inflate.decompress(chunk, size)
            if not part and not chunk and not inflate.eof:
                message = "the compressed data end too early"
                raise EOFError(message)
            used = len(chunk) - len(inflate.unused_data if inflate.eof else inflate.unconsumed_tail)
            self.state = _State(at + len(part), compressed_at + used, inflate)
            self._stream.remember(self.state)
            if part:
                return part


class _File(io.RawIOBase):
    """A stream as a file; going forward costs nothing but reading."""

    def __init__(self, stream: GzipStream, file: BinaryIO) -> None:
        self._stream = stream
        self._cursor = _Cursor(stream, file, _State(0, 0, zlib.decompressobj(_GZIP)))
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_END:
            raise io.UnsupportedOperation
        self._at = offset + (self._at if whence == os.SEEK_CUR else 0)
        return self._at

    def readinto(self, buffer: Any) -> int:
        if self._at < self._cursor.state.at:
            data = self._stream.read(self._at, len(buffer))
        else:
            self._cursor.skip(self._at - self._cursor.state.at)
            data = self._cursor.read(len(buffer)) if self._cursor.state.at == self._at else b""
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
