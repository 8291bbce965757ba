"""Signals: Ctrl-C and SIGTERM while a run embeds (the first stops it cleanly, the second at once), and those that would end a process without a clean-up."""

import contextlib
import signal
import threading
from collections.abc import Callable, Collection, Iterator


@contextlib.contextmanager
def stopping_on_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` for each SIGINT and SIGTERM until the end of the block, as `calling_on_signals` does."""
    with calling_on_signals((signal.SIGINT, signal.SIGTERM), lambda _: stop()):
        yield


@contextlib.contextmanager
def calling_on_signals(numbers: Collection[int], call: Callable[[int], None]) -> Iterator[None]:
    """Call `call` with the number of each of these signals until the end of the block. Other threads than the main one cannot take signals: nothing changes there."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in numbers:
            before[number] = signal.signal(number, lambda received, _: call(received))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
