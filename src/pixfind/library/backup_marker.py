"""
The file that says of a folder that it is a backup, of which library, since when, and whether the next one is being made.

Owns its name and what `verify` needs of it; what a backup remembers there is for `workflows.backup` to say.
"""

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pixfind.storage import disk

NAME: Final = "backup.json"

_UNFINISHED: Final = "unfinished"


def write(library: Path, about: Mapping[str, Any]) -> None:
    """Say what a backup is, which is complete now or has not begun; raises DiskFull, NotWritable and DiskFailed."""
    disk.publish(library / NAME, (json.dumps(about, indent=2) + "\n").encode())


def begin(library: Path) -> None:
    """Say that the next one is being made: until it is complete there may be rows that the database does not name yet. Raises as `write`."""
    write(library, {**_read(library), _UNFINISHED: True})


def is_unfinished(library: Path) -> bool:
    """Tell whether a library is a backup that is being made, or whose making was killed; the backup is still what it was before."""
    return _read(library).get(_UNFINISHED) is True


def _read(library: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError, RecursionError):
        found = json.loads((library / NAME).read_text(encoding="utf-8"))
        if isinstance(found, dict):
            return found
    return {}
