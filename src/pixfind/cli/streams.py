"""
Standard output and standard error of a command, whose readers may leave: `pixfind status | head -1`.
"""

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def results_may_be_unread() -> Iterator[None]:
    """Exit quietly when the reader of the results has gone: nothing is left to do."""
    try:
        yield
    except BrokenPipeError:
        # Python flushes standard output at exit, and would print an error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None


@contextlib.contextmanager
def messages_may_be_unread() -> Iterator[None]:
    """Drop this message and all later ones when their reader has gone, as in `pixfind index 2>&1 | head -1`: the work is wanted all the same."""
    try:
        yield
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
