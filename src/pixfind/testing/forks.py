"""
Work in a fork of this process that may be killed in the middle: Python and its libraries start once.
"""

import os
import traceback
from collections.abc import Callable


def forked(work: Callable[[], int]) -> tuple[int, int]:
    """Call `work` in a fork; return its wait status, and what `work` returned, -1 when it was killed or raised."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.write(writing, str(work()).encode())
            code = 0
        except BaseException:  # noqa: BLE001 - border: the process
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(writing)
    status = os.waitpid(child, 0)[1]
    returned = int(os.read(reading, 20) or -1)
    os.close(reading)
    return status, returned
