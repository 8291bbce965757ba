"""
A hub on localhost that speaks as much of the real one's HTTP as a download needs, and misbehaves when told to.

    with hub.serving() as state:
        state.repos["someone/clip"] = folder
        ...  # HF_ENDPOINT=state.address
"""

import contextlib
import hashlib
import http.server
import json
import threading
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"
CHUNK = 8192
"""Bytes that a test lets the client hand over at a time; the real client takes 10 MB."""

LARGE = 100_000
"""Bytes from which this hub keeps a file outside git, as the real one does from 10 MB."""


class Hub:
    """Repositories by name, what was asked for, and the faults to show."""

    def __init__(self) -> None:
        self.repos: dict[str, Path] = {}
        self.commit = COMMIT
        self.cut: dict[str, int] = {}
        """how many more times this file ends half-way"""
        self.longer: set[str] = set()
        """files with more bytes than the hub announced"""
        self.flip: set[str] = set()
        """files with one wrong byte"""
        self.shorter: set[str] = set()
        """files whose answer ends early and says that this is their length"""
        self.whole: set[str] = set()
        """files that are always sent from their beginning, whatever part was asked for"""
        self.refused: set[str] = set()
        """files of which no part is sent (416), only the whole"""
        self.address = ""
        """what HF_ENDPOINT is to be"""
        self.asked: list[tuple[str, str]] = []
        """file and Range of every request for content"""
        self.api_calls = 0

    def fetched(self) -> list[str]:
        return sorted({name for name, _ in self.asked})


class Handler(http.server.BaseHTTPRequestHandler):
    hub: Hub

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path.startswith("/api/models/"):
            self._info(path.removeprefix("/api/models/"))
        elif path.startswith("/content/"):
            _, _, owner, name, file = path.split("/", 4)
            self._content(f"{owner}/{name}", urllib.parse.unquote(file))
        else:
            _, owner, name, _, commit, file = path.split("/", 5)
            self._resolve(f"{owner}/{name}", commit, urllib.parse.unquote(file))

    def _info(self, path: str) -> None:
        self.hub.api_calls += 1
        repo, _, _revision = path.partition("/revision/")
        if repo not in self.hub.repos:
            self._answer(404, b'{"error": "Repository not found"}', {"X-Error-Code": "RepoNotFound"})
            return
        folder = self.hub.repos[repo]
        found = [_sibling(folder, file) for file in sorted(folder.rglob("*")) if file.is_file()]
        body = {"id": repo, "sha": self.hub.commit, "siblings": found, "private": False, "tags": []}
        self._answer(200, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def _resolve(self, repo: str, commit: str, file: str) -> None:
        assert commit == self.hub.commit, "the download must be pinned to the commit"
        if (self.hub.repos[repo] / file).stat().st_size >= LARGE:
            self._answer(302, b"", {"Location": f"/content/{repo}/{urllib.parse.quote(file)}"})
        else:
            self._content(repo, file)

    def _content(self, repo: str, file: str) -> None:
        self.hub.asked.append((file, self.headers.get("Range", "")))
        data = bytearray((self.hub.repos[repo] / file).read_bytes())
        if file in self.hub.flip:
            data[len(data) // 2] ^= 1
        if file in self.hub.longer:
            data += b"more"
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        if start and file in self.hub.refused:
            self._answer(416, b"", {"Content-Range": f"bytes */{len(data)}"})
            return
        start = 0 if file in self.hub.whole else start
        part = bytes(data[start:])[: -7 if file in self.hub.shorter else None]
        cut = self.hub.cut.get(file, 0)
        self.hub.cut[file] = max(0, cut - 1)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(part)))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        self.wfile.write(part[: len(part) // 2] if cut else part)
        if cut:
            self.close_connection = True

    def _answer(self, code: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(code)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def _sibling(folder: Path, file: Path) -> dict[str, Any]:
    data = file.read_bytes()
    blob = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
    made: dict[str, Any] = {"rfilename": file.relative_to(folder).as_posix(), "size": len(data), "blobId": blob}
    if len(data) >= LARGE:
        made["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
    return made


@contextlib.contextmanager
def serving() -> Iterator[Hub]:
    """Serve repositories from 127.0.0.1 in the block."""
    state = Hub()
    handler = type("Bound", (Handler,), {"hub": state})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        state.address = f"http://127.0.0.1:{listening.server_port}"
        yield state
        listening.shutdown()
        thread.join()
