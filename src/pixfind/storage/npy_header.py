"""
The header of an .npy file, without NumPy: most readers want to know the shape only.

Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html, version 1.0.
Owns how a header is written and read. Must not know what the rows mean; `npy` appends them.
"""

import ast
from pathlib import Path
from typing import Any

from pixfind import errors
from pixfind.storage import disk

MAX_COUNT = 10**18
"""rows; no file has as many"""

_MAGIC = b"\x93NUMPY\x01\x00"
_MIN_BYTES = 128
_READ_BYTES = 512


def encode(descr: Any, shape: tuple[int, ...], length: int) -> bytes:
    """
    Return a header of exactly `length` bytes for rows of the type that `descr` describes (`numpy.lib.format.dtype_to_descr`).

    NumPy pads to a multiple of 64; we pad to a fixed length, so that a header with more rows takes the place of one with fewer.
    Raises ValueError when it does not fit.
    """
    text = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode("latin1")
    available = length - len(_MAGIC) - 2
    if len(text) + 1 > available:
        message = f"an .npy header of {len(text)} bytes does not fit into {length}"
        raise ValueError(message)
    return _MAGIC + available.to_bytes(2, "little") + text.ljust(available - 1) + b"\n"


def decode(path: Path, data: bytes) -> tuple[tuple[int, ...], Any]:
    """Return the shape and the `descr` of the header that `data` begins with; raises LibraryDamaged, naming `path`."""
    try:
        length = int.from_bytes(data.removeprefix(_MAGIC)[:2], "little") if data.startswith(_MAGIC) else 0
        fields = ast.literal_eval(data[10 : 10 + length].decode("latin1"))
        shape = tuple(fields["shape"])
        if not shape or any(type(length) is not int or not 0 <= length <= MAX_COUNT for length in shape):
            raise ValueError(f"shape {shape}"[:200])  # noqa: TRY301  one error for all that is wrong
        return shape, fields["descr"]
    except (ValueError, SyntaxError, KeyError, TypeError, MemoryError, RecursionError) as error:
        raise errors.LibraryDamaged(path=path, detail=f"its header cannot be read ({error})") from error


def shape(path: Path) -> tuple[int, ...]:
    """
    Return the shape in the header of an .npy file, (0,) for a file that is missing or whose first write was interrupted.

    Raises LibraryDamaged for a header that cannot be read, DiskFailed when the file cannot be read.
    """
    with disk.reading(path):
        try:
            with path.open("rb") as file:
                data = file.read(_READ_BYTES)
        except FileNotFoundError:
            return (0,)
    return decode(path, data)[0] if len(data) >= _MIN_BYTES else (0,)
