"""
The command line.

Owns the options, the exit codes and which workflow a command calls; it contains no logic of its own. The module of a command is imported when it is
asked for, and heavy modules by the commands that need them.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn

from pixfind import errors, machine, telemetry
from pixfind.cli import options
from pixfind.cli.console import Console
from pixfind.storage import disk

if TYPE_CHECKING:
    from pixfind.cli.options import app

__all__ = ["app", "main"]


def __getattr__(name: str) -> Any:
    """Return the program with all commands, for those who look at them; `main` imports the module of one."""
    if name != "app":
        raise AttributeError(f"module 'pixfind.cli' has no attribute {name!r}")
    options.load()
    return options.app


COMPLETE = "_PIXFIND_COMPLETE"
"""the variable with which the script of a shell asks for completions"""

BUG = 70
"""exit code of an unexpected error: EX_SOFTWARE of sysexits.h; 1 is a search without a match"""


@contextlib.contextmanager
def _report_errors(console: Console) -> Iterator[None]:
    """Turn an error of ours into a message and an exit code, and report any other as a bug."""
    try:
        yield
    except errors.OperationError as error:
        if console.verbose:
            console.traceback()
        _exit_with(console, error)
    except (BrokenPipeError, KeyboardInterrupt):
        raise SystemExit(130) from None
    except Exception as error:  # noqa: BLE001 - any unexpected error is a bug to report
        if isinstance(error, OSError) and disk.is_failure(error):
            # A disk failure outside the library: of the output, or of the model's files.
            _exit_with(console, disk.translated(error, "used", error.filename or "a file"))
        console.traceback()
        console.error("This is a bug in pixfind. Report it and include the traceback above.")
        raise SystemExit(BUG) from None
    finally:
        # A second Ctrl-C while Python exits would change the exit code.
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _exit_with(console: Console, error: errors.OperationError) -> NoReturn:
    console.error(str(error))
    raise SystemExit(error.exit_code) from error


def _open_standard_streams() -> None:
    """Give a program that was started without standard input, output or error streams that lead nowhere: a file of ours would take their place."""
    for descriptor, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            with contextlib.suppress(OSError):
                os.dup2(opened := os.open(os.devnull, os.O_RDWR), descriptor)
                if opened != descriptor:
                    os.close(opened)
                # For the programs that this one starts as well.
                os.set_inheritable(descriptor, True)
                setattr(sys, name, open(descriptor, mode, encoding="utf-8", closefd=False))  # noqa: SIM115  a descriptor


def main() -> None:
    """Run a command; the entry point of `pixfind`."""
    _open_standard_streams()
    telemetry.disable_export()
    machine.begin_with_one_blas_thread()
    if COMPLETE in os.environ:
        from typer.completion import completion_init  # type: ignore[attr-defined]  # public, but not in its __all__

        completion_init()
    with _report_errors(Console(verbose="-v" in sys.argv or "--verbose" in sys.argv)):
        options.app()
