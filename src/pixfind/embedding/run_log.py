"""The log of a run, logs/embed.log: a line a minute, pauses, the report."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from pixfind.storage import logs

log = logging.getLogger("pixfind.coordinator")


@contextlib.contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Write what the coordinator logs to the file at `path`, until the end of the block."""
    handler = logs.handler(path)
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        handler.close()
