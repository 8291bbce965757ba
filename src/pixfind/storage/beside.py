"""
Small files in folders of the user, beside files that are not ours.

Owns that each is there whole or not at all, that none takes the place of a file that has come meanwhile, and that what a kill left is removed by the next run.
Must not know what is in them.
"""

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pixfind import machine
from pixfind.storage import disk, output

_TEMPORARY: Final = re.compile(r"\.([1-9][0-9]{0,9})\.pixfind\.tmp")


def write(place: Path, content: bytes, *, replaces: bool) -> None:
    """Write a file, for whomever the umask lets read it, whole or not at all; a new one never in the place of a file that has come meanwhile."""
    with _temporary(place) as path:
        with path.open("xb") as file:
            if replaces:
                output.keep_mode(file.fileno(), place)
            file.write(content)
            file.flush()
            disk.sync(file.fileno())
        if replaces:
            path.replace(place)
            return
        try:
            os.link(path, place)
        except FileExistsError:
            raise
        except OSError:
            # A file system without hard links.
            with place.open("xb") as file:
                file.write(content)


def tidy(folder: Path, beginning: bytes) -> None:
    """
    Remove what `write` left in a folder when its process was killed: files with such a name that are this user's, hold nothing but what is written with this
    `beginning`, and whose process has ended.
    """
    with contextlib.suppress(OSError):
        found = [entry.name for entry in os.scandir(folder) if _TEMPORARY.fullmatch(entry.name)]
        for path in (folder / name for name in found):
            if _is_left_behind(path, beginning):
                path.unlink(missing_ok=True)


def _is_left_behind(path: Path, beginning: bytes) -> bool:
    named = _TEMPORARY.fullmatch(path.name)
    status = path.lstat()
    is_ours = stat.S_ISREG(status.st_mode) and (not hasattr(os, "geteuid") or status.st_uid == os.geteuid())
    if named is None or not is_ours or machine.started_at(int(named[1])) is not None:
        return False
    with path.open("rb") as file:
        start = file.read(len(beginning))
    return beginning.startswith(start)


@contextlib.contextmanager
def _temporary(place: Path) -> Iterator[Path]:
    path = place.with_name(f".{os.getpid()}.pixfind.tmp")
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)
