"""
A decoder process that misbehaves: `python -m pixfind.testing.decoders`, in the place of `python -m pixfind.worker.decoder_process`.

It does what the last bytes of a picture say: see `HOWS`. All other pictures it decodes.
"""

import sys
from collections.abc import Callable

from pixfind.images import decode, thumbnails
from pixfind.images.decode import Decoded, Limits
from pixfind.testing import workers
from pixfind.worker import decoder_process

COMMAND = (sys.executable, "-m", "pixfind.testing.decoders")


def _chatter() -> None:
    """Print what a library should not."""
    sys.stdout.write("a warning of a library\n")
    sys.stdout.flush()


HOWS: dict[bytes, Callable[[], object]] = {
    b"crash": workers.crash,
    b"hang": workers.hang_whole,
    b"fill the memory": lambda: bytearray(4 << 30),
    b"print": _chatter,
}


def main() -> None:
    """Run the process."""
    whole = decode.decode

    def misbehaving(data: bytes, *, limits: Limits, shortest_side: int | None = None) -> Decoded:
        for how, act in HOWS.items():
            if data.endswith(how):
                act()
        return whole(data, limits=limits, shortest_side=shortest_side)

    decode.decode = vars(thumbnails)["decode"] = misbehaving
    decoder_process.main()


if __name__ == "__main__":
    main()
