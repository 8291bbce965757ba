"""
Reads .npz archives, which may come from anybody: a library that somebody else has had, another server.

Owns that no more memory is taken than the file has bytes: what a header promises is compared with them before anything is allocated. Must not know what the arrays mean.
Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html, in a zip archive that is not compressed, as `numpy.savez` writes it.
"""

import io
import math
import zipfile
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format  # noqa: A004 - the name of NumPy's module
from numpy.typing import NDArray

_SUFFIX = ".npy"
_HEADERS = {(1, 0): format.read_array_header_1_0, (2, 0): format.read_array_header_2_0}


def read(file: BinaryIO) -> dict[str, NDArray[Any]]:
    """Return the arrays of an archive by their names; raises ValueError for anything that is none, and OSError. Loads no pickles."""
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            # Two members may lie over each other, and a compressed one has any size.
            _refuse_unless(all(member.compress_type == zipfile.ZIP_STORED for member in members))
            _refuse_unless(sum(member.file_size for member in members) <= file.seek(0, io.SEEK_END))
            return {member.filename.removesuffix(_SUFFIX): _array(archive, member) for member in members}
    except (OSError, ValueError):
        raise
    except Exception as error:  # the file may be anything, and what reads it raises anything
        raise ValueError(f"no archive of arrays: {error}") from error


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    with archive.open(member) as opened:
        shape, is_fortran, dtype = _HEADERS[format.read_magic(opened)](opened)
        _refuse_unless(not dtype.hasobject and min(shape, default=0) >= 0)
        _refuse_unless(math.prod(shape) * dtype.itemsize == member.file_size - opened.tell())
        flat = np.frombuffer(bytearray(opened.read()), dtype)
        return flat.reshape(shape, order="F" if is_fortran else "C")


def _refuse_unless(holds: bool) -> None:
    if not holds:
        raise ValueError("no archive of arrays that fit into it")
