"""A machine on which an extra is not installed."""

import contextlib
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def without_module(name: str) -> Iterator[None]:
    """Let `import` inside the block find no module `name`, which the tests themselves have."""
    installed = sys.modules.get(name)
    sys.modules[name] = None  # type: ignore[assignment]  # how Python says that there is none
    try:
        yield
    finally:
        if installed is None:
            del sys.modules[name]
        else:
            sys.modules[name] = installed
