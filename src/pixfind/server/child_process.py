"""
A process that ends with its parent: the parent holds the other end of its standard input.

Without it, a server that is killed would leave processes behind that nobody ends.
"""

import os
import threading
import time
from collections.abc import Callable

_END_SECONDS = 30.0
"""for what is in hand, once the parent is gone"""


def end_with_input(end: Callable[[], None]) -> None:
    """Call `end` in a thread once standard input is closed, and leave this process at once where it has not ended a while later."""
    threading.Thread(target=_end_with_input, args=(end,), daemon=True).start()


def _end_with_input(end: Callable[[], None]) -> None:
    while os.read(0, 1024):
        pass
    end()
    time.sleep(_END_SECONDS)
    # Safe at any instant, as a kill is.
    os._exit(1)
