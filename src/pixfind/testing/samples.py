"""
A decoder of sample pictures that misbehaves: `python -m pixfind.testing.samples HOW ARGUMENT`, in the place of `python -m pixfind.worker.sample`.

It does as `workers` of this package when a picture's path contains the argument.
"""

import sys

from pixfind.images import decode
from pixfind.images.pixels import Pixels
from pixfind.models.preprocess import Preprocessing
from pixfind.testing import workers
from pixfind.worker import sample

_HOWS = {"crash": workers.crash, "hang": workers.hang_whole, "eat-memory": workers.eat_memory, "exit": workers.leave}


def command(how: str, argument: str) -> tuple[str, ...]:
    """Return the command of a decoder that behaves as `how` says, for `sample.prepared`."""
    assert how in _HOWS
    return (sys.executable, "-m", "pixfind.testing.samples", how, argument)


def main() -> None:
    how, argument = sys.argv[1:]
    load = sample.load

    def poisoned(path: str, made: Preprocessing, limits: decode.Limits) -> Pixels:
        if argument in path:
            _HOWS[how]()
        return load(path, made, limits)

    sample.load = poisoned
    sample.main()


if __name__ == "__main__":
    main()
