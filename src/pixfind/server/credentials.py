"""
The token that opens the server, and the sessions of browsers that have shown it.

Owns where the token comes from, the files that tell it to its owner, and what a session cookie contains. Must not know HTTP.

A cookie reaches every server on this host, whatever its port, so it never contains the token: a session is an expiry time with a signature made
from the token. It needs no memory here, outlasts a restart where the token does, and ends with the token.
Why there is a token on this machine too: docs/decisions/0012.
"""

import contextlib
import hashlib
import hmac
import html
import os
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from pixfind import errors
from pixfind.storage import disk

SESSION_SECONDS = 30 * 86_400

_TOKEN = re.compile(r"[!-~]{20,512}")
"""visible ASCII, which fits into a header; long enough that nobody guesses it"""

_SESSION = re.compile(r"(\d{1,12})\.([0-9a-f]{64})")
_OTHERS = 0o077
"""mode bits of everyone but the owner"""


@dataclass(frozen=True, slots=True)
class Token:
    """The token of one server."""

    text: str = field(repr=False)

    @classmethod
    def new(cls) -> "Token":
        return cls(secrets.token_urlsafe(32))

    def matches(self, given: str) -> bool:
        """Tell whether this is the token, in constant time, so that response times reveal nothing of it."""
        return hmac.compare_digest(_hash(given), _hash(self.text))

    def session(self, now: float) -> str:
        """Return the value of a session cookie that ends SESSION_SECONDS after `now`, in seconds since 1970."""
        ends = str(int(now) + SESSION_SECONDS)
        return f"{ends}.{self._signature(ends)}"

    def opens(self, session: str, now: float) -> bool:
        """Tell whether a session was made with this token and has not ended."""
        found = _SESSION.fullmatch(session)
        return found is not None and hmac.compare_digest(found[2], self._signature(found[1])) and now < int(found[1])

    def _signature(self, ends: str) -> str:
        return hmac.new(self.text.encode(), f"pixfind session {ends}".encode(), "sha256").hexdigest()


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


def from_file(path: Path) -> Token:
    """
    Return the token in a file, made with a new token where it is missing.

    Raises InvalidTokenFile for a file that others can read or that holds no token, NotWritable, DiskFull.
    """
    try:
        text = _read(path).strip()
    except FileNotFoundError:
        token = Token.new()
        with disk.writing(path):
            private = _make_private(path)
        if not private:
            raise errors.InvalidTokenFile(path=path, detail="its file system cannot keep a file from others") from None
        _write(path, token.text)
        return token
    except OSError as error:
        raise errors.InvalidTokenFile(path=path, detail=error.strerror or str(error)) from error
    if not _TOKEN.fullmatch(text):
        raise errors.InvalidTokenFile(
            path=path, detail="it should hold 20 to 512 visible ASCII characters and no space"
        )
    return Token(text)


def _read(path: Path) -> str:
    with path.open("rb") as file:
        # The file that is open, not the one that has its name a moment later.
        mode = os.fstat(file.fileno()).st_mode
        if os.name != "nt" and mode & _OTHERS:
            raise errors.InvalidTokenFile(path=path, detail=f"others may use it (its mode is {mode & 0o777:03o})")
        return file.read(1024).decode("ascii", "replace")


def _make_private(path: Path) -> bool:
    """Make an empty file that only its owner can read; return False, and leave none, where a file system has no modes (a memory card)."""
    disk.make_folder(path.parent)
    descriptor = disk.create(path, os.O_EXCL)
    try:
        private = os.name == "nt" or not os.fstat(descriptor).st_mode & _OTHERS
    finally:
        os.close(descriptor)
    if not private:
        path.unlink()
    return private


def _write(path: Path, text: str) -> None:
    disk.publish(path, f"{text}\n".encode())


@dataclass(slots=True)
class OwnerFiles:
    """What tells the token of a running server to its owner: files in a folder that nobody else can read."""

    folder: Path | None
    """None: there is none, and so no file"""
    port: int
    _made: list[Path] = field(default_factory=list)

    def write_token(self, token: Token) -> Path | None:
        """Write the token for programs of the owner; return the file, None where the folder cannot keep one private."""
        return self._publish("token", token.text)

    def write_page(self, address: str) -> Path | None:
        """
        Write a page that leads a browser to `address`; return the file, None where the folder cannot keep one private.

        A browser is started with this file and not with the address: all users of a machine can read the arguments of a program.
        """
        target = html.escape(address)
        return self._publish(
            "html",
            f'<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0; url={target}">'
            f'<title>pixfind</title><p><a href="{target}">pixfind</a></p>',
        )

    def delete(self) -> None:
        """Delete the files: without the server they are of no use."""
        for path in self._made:
            with contextlib.suppress(OSError):
                path.unlink()

    def _publish(self, kind: str, text: str) -> Path | None:
        if self.folder is None:
            return None
        path = self.folder / f"serve-{self.port}.{kind}"
        try:
            # What a killed server left would give its mode to the new file.
            path.unlink(missing_ok=True)
            if not _make_private(path):
                return None
            _write(path, text)
        except (OSError, *disk.FAILURES):
            # A server only needs to read its library.
            return None
        self._made.append(path)
        return path
