"""
`python -m pixfind.server.watch_child LIBRARY`: the watch of `pixfind serve --watch`, in a process of its own.

The same as `pixfind watch`, but it ends with its standard input, which the server holds. Standard output is for the reason of its end (`types.Reason` as
JSON), standard error for the log.
"""

import _thread
import json
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

from pixfind import errors
from pixfind.embedding.runners.warm import Warm
from pixfind.server import child_process, error_values
from pixfind.types import Reason
from pixfind.workflows import watch


def main() -> NoReturn:
    """Watch the library that the first argument names, until standard input ends or a stop is requested."""
    child_process.end_with_input(lambda: _thread.interrupt_main(signal.SIGTERM))
    code = 0
    try:
        with Warm() as runner:
            watch.watch(Path(sys.argv[1]), runner=runner)
    except errors.OperationError as error:
        said = Reason(type(error).__name__, str(error), error_values.values(error))
        sys.stdout.write(json.dumps(asdict(said)))
        code = error.exit_code
    sys.exit(code)


if __name__ == "__main__":
    main()
