"""
`python -m pixfind.server.watch_child LIBRARY`: the watch of `pixfind serve --watch`, in a process of its own.

The same as `pixfind watch`, but it ends with its standard input, which the server holds. Standard output is for the reason of its end, standard error
for the log.
"""

import _thread
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import NoReturn

from pixfind import errors
from pixfind.embedding.runners.warm import Warm
from pixfind.workflows import watch

_END_SECONDS = 30.0
"""for what is in hand, once the server is gone"""


def main() -> NoReturn:
    """Watch the library that the first argument names, until standard input ends or a stop is requested."""
    threading.Thread(target=_end_with_input, daemon=True).start()
    code = 0
    try:
        with Warm() as runner:
            watch.watch(Path(sys.argv[1]), runner=runner)
    except errors.OperationError as error:
        sys.stdout.write(str(error))
        code = error.exit_code
    sys.exit(code)


def _end_with_input() -> None:
    while os.read(0, 1024):
        pass
    _thread.interrupt_main(signal.SIGTERM)
    time.sleep(_END_SECONDS)
    # Safe at any instant, as a kill is.
    os._exit(1)


if __name__ == "__main__":
    main()
