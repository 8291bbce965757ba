"""
The command line: words in, words out.

Owns the options, the exit codes and which function is called; nothing is decided here. Heavy modules are imported inside the commands
that need them, so that `pixfind --help` answers at once.
"""

import contextlib
import signal
import sys
from collections.abc import Iterator
from typing import NoReturn

from pixfind import errors, telemetry
from pixfind.cli import (
    demo_command,
    index_commands,
    inspect_commands,
    model_commands,
    run_commands,
    search_commands,
    serve_commands,
)
from pixfind.cli.console import Console
from pixfind.cli.options import app
from pixfind.storage import disk

__all__ = [
    "app",
    "demo_command",
    "index_commands",
    "inspect_commands",
    "main",
    "model_commands",
    "run_commands",
    "search_commands",
    "serve_commands",
]


BUG = 70
"""exit code of an error that nobody foresaw: EX_SOFTWARE of sysexits.h; 1 is a search without a match"""


@contextlib.contextmanager
def _telling(console: Console) -> Iterator[None]:
    """Border: the process. Known errors become a message and an exit code, unknown ones are told as ours."""
    try:
        yield
    except errors.LibraryError as error:
        if console.verbose:
            console.traceback()
        _exit(console, error)
    except (BrokenPipeError, KeyboardInterrupt):
        raise SystemExit(130) from None
    except Exception as error:  # noqa: BLE001 - the fourth border
        if isinstance(error, OSError) and disk.is_failure(error):
            # Met outside the library: where the output goes, the model's own files.
            _exit(console, disk.told(error, "used", error.filename or "a file"))
        console.traceback()
        console.error("This is a bug in pixfind. Please report it and include the traceback above.")
        raise SystemExit(BUG) from None
    finally:
        # A second Ctrl-C while Python ends would only hide the exit code.
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _exit(console: Console, error: errors.LibraryError) -> NoReturn:
    console.error(str(error))
    raise SystemExit(error.exit_code) from error


def main() -> None:
    telemetry.disable_export()
    with _telling(Console(verbose="-v" in sys.argv or "--verbose" in sys.argv)):
        app()
