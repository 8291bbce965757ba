"""
The folders of a library as the page shows and changes them, and what the last run wrote.

Owns which changes may be asked for. A scan runs in a process of its own, as an embed that is started here does. Must not know HTTP.
"""

import json
import os
import re
from pathlib import Path
from typing import Final

from pixfind import errors
from pixfind.images import source
from pixfind.library import path_text, scan
from pixfind.library.library import Library
from pixfind.server import schemas
from pixfind.workflows import running

_LOG_BYTES: Final = 64_000
"""at the end of the log"""
_ESCAPE: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
"""colours and movements of a terminal"""


def roots(library: Library) -> schemas.Roots:
    """Return the folders of a library in the order in which they were registered, with their counts."""
    counts: dict[int, dict[str, int]] = {}
    for outcome, gone, root_id, number in library.catalogue.rows("ledger"):
        name = "gone" if gone else {"embedded": "searchable", "duplicate": "searchable"}.get(outcome, outcome)
        of_root = counts.setdefault(root_id, {})
        of_root[name or "pending"] = of_root.get(name or "pending", 0) + number
    return schemas.Roots(
        roots=[
            schemas.Root(
                path=path_text.to_text(root.path),
                images=counts.get(root.id, {}),
                offline=root.offline,
                exclude=json.loads(root.exclude),
                left_out=json.loads(root.left_out),
                in_archives=bool(root.in_archives),
            )
            for root in library.catalogue.roots()
        ]
    )


def act(library: Library, wanted: schemas.RootAction, *, can_add: bool) -> None:
    """
    Register a folder, scan one again, or leave files of one out; what is new is embedded.

    Raises RootsForbidden for what would show other files than before where `can_add` is false, InvalidRequest, FolderNotReadable, and AlreadyRunning
    while another process writes.
    """
    path = source.as_root(path_text.from_text(wanted.path))
    known = path in {root.path for root in library.catalogue.roots()}
    if not known and not can_add:
        raise errors.RootsForbidden
    if wanted.action != "add" and not known:
        raise errors.InvalidRequest(detail=f"{wanted.path} is no folder of this library")
    if wanted.action == "exclude" and not wanted.exclude:
        raise errors.InvalidRequest(detail="it names no pattern to leave out, such as drafts or *_old.jpg")
    if not known:
        # No addresses: the server would fetch from whatever host the page names.
        if source.is_address(path) or not Path(wanted.path).is_absolute():
            raise errors.InvalidRequest(detail=f"{wanted.path} is no absolute path of a folder")
        scan.check_folders([path], library)
        if not Path(path).is_dir():
            raise errors.FolderNotReadable(path=wanted.path, detail="it is a file")
    if (holder := library.holder()) is not None:
        raise errors.AlreadyRunning(verb=holder["verb"], pid=holder["pid"])
    rules = [f"--exclude={pattern}" for pattern in wanted.exclude]
    running.start_detached(library, ["--library", str(library.path), "index", *rules, "--", path])


def last_run(library: Library) -> schemas.LastRun:
    """Return what is known of the last command that wrote the library, and the end of its log."""
    run = next(library.catalogue.rows("last_run", "library.sql"), None)
    verb, _, _, started, ended, _ = run or (None,) * 6
    return schemas.LastRun(
        verb=verb,
        started=started,
        seconds=None if started is None or ended is None else ended - started,
        lines=_tail(library),
    )


def _tail(library: Library) -> list[str]:
    try:
        with (library.logs / "embed.log").open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            start = file.seek(max(0, size - _LOG_BYTES))
            text = file.read(_LOG_BYTES).decode("utf-8", "replace")
    except OSError:
        return []
    lines = _ESCAPE.sub("", text).replace("\r", "\n").splitlines()
    # Where it does not begin with the file, the first line is a part of one.
    return [line for line in lines[1 if start else 0 :] if line.strip()]
