"""
The logs of a run, in logs/.

Owns how they are opened. Logs are not part of the work: when one cannot be written, the work continues without it.
"""

import contextlib
import logging
import os
from io import TextIOWrapper
from pathlib import Path
from typing import IO

from pixfind.storage import disk


class _File(logging.FileHandler):
    """A log file, for its owner alone."""

    def _open(self) -> TextIOWrapper:
        return _opened(Path(self.baseFilename))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name of the base class
        """Drop a line that cannot be written: the base class would print a traceback into the terminal for each."""

    def close(self) -> None:
        with contextlib.suppress(OSError):
            super().close()


def handler(path: Path) -> logging.Handler:
    """Return what writes the lines of a logger to `path`."""
    try:
        made: logging.Handler = _File(path)
    except OSError:
        return logging.NullHandler()
    made.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    return made


def appending(path: Path) -> IO[str]:
    """Return `path` open for what another process prints."""
    try:
        return _opened(path)
    except OSError:
        return Path(os.devnull).open("a", encoding="utf-8")


def _opened(path: Path) -> TextIOWrapper:
    descriptor = disk.create(path, os.O_APPEND)
    return open(descriptor, "a", encoding="utf-8", errors="backslashreplace")  # noqa: PTH123 - a descriptor, not a path
