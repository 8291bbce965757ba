"""
The command line: words in, words out.

Owns the options, the exit codes and which verb is called; nothing is decided here. Heavy modules are imported inside the commands
that need them, so that `pixfind --help` answers at once.
"""

import contextlib
import signal
import sys
from collections.abc import Iterator

from pixfind import errors
from pixfind.cli import filling, finding, looking
from pixfind.cli.program import app
from pixfind.console import Console

__all__ = ["app", "filling", "finding", "looking", "main"]


@contextlib.contextmanager
def _telling(console: Console) -> Iterator[None]:
    """Border: the process. Known errors become a message and an exit code, unknown ones are told as ours."""
    try:
        yield
    except errors.LibraryError as error:
        if console.verbose:
            console.traceback()
        console.error(str(error))
        raise SystemExit(error.exit_code) from error
    except (BrokenPipeError, KeyboardInterrupt):
        raise SystemExit(130) from None
    except Exception:  # noqa: BLE001 - the fourth border
        console.traceback()
        console.error("This is a bug in pixfind; please report it with what stands above.")
        raise SystemExit(1) from None
    finally:
        # A second Ctrl-C while Python ends would only hide the exit code.
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def main() -> None:
    with _telling(Console(verbose="-v" in sys.argv or "--verbose" in sys.argv)):
        app()
