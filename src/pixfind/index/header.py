"""
The index file: a FAISS index, a line of JSON about it (`IndexHeader`), the length of that line, a magic.

Owns this layout and how the file is published: by one rename, so that codes and header always belong together. FAISS can read such a
file, because it ignores what follows its own part.
Must not know how codes are made or searched. Problems of a file are returned, never raised: an exact scan needs no file.
"""

import json
import os
import struct
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from pixfind.storage import disk
from pixfind.types import numbered

if TYPE_CHECKING:
    from numpy import float16
    from numpy.typing import NDArray

_MAGIC = b"pixfind1"
_TAIL = struct.Struct("<Q8s")
_CHECKED_ROWS = 16
_TAIL_SHARE = 100
_MAX_TAIL = 20_000
"""Rows beyond the codes that are left there: 1 in _TAIL_SHARE, and so many at most. A search scores each exactly."""


class IndexKind(StrEnum):
    """How candidates are found. The scores are exact in all of them."""

    EXACT = "exact"
    """every row is scored; nothing is built"""
    PQ2 = "codes"
    """product quantization, 2 bits a dimension (4 for an odd dimension), all codes scanned"""
    PQ4 = "wide codes"
    """product quantization, 4 bits a dimension, all codes scanned: for embeddings on which 2 bits miss the recall floor"""
    IVF_PQ = "lists"
    """inverted lists (IVF) of 2-bit codes, of which the nearest lists are scanned"""


@dataclass(frozen=True, slots=True)
class IndexHeader:
    """What the file records about its codes and how they were measured."""

    kind: IndexKind
    reason: str
    """why this kind"""
    rows: int
    """how many of the embeddings, from the first on, the file covers"""
    dimension: int
    rerank: int = 0
    """candidates that are scored exactly for ten hits"""
    probes: int = 0
    """lists scanned, for IndexKind.IVF_PQ"""
    trained_on: int = 0
    """rows of the library when the codes were trained"""
    measured_on: int = 0
    """rows of the library when the recall was measured"""
    recall_text: float | None = None
    """recall@10 against the exact scan; None when no text-like queries were given"""
    recall_image: float | None = None
    rows_crc: int = 0
    """checksum of a few rows, to check that the file belongs to these embeddings"""
    faiss_bytes: int = 0
    faiss_crc: int = 0

    def suffices(self, rows: int) -> bool:
        """Tell whether a library of so many rows needs no build: what lies beyond the codes is scored exactly, and costs a search little."""
        return rows - self.rows <= min(self.rows // _TAIL_SHARE, _MAX_TAIL)

    @property
    def recall(self) -> float:
        """The lower of the two recalls; 1 for a library without rows."""
        return min(1.0 if each is None else each for each in (self.recall_text, self.recall_image))


def read_header(path: Path) -> tuple[IndexHeader | None, str | None]:
    """Return the header of a file (None: unreadable) and what is wrong with the file (None: nothing). Reads the end of the file only."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL.size))
            length, magic = _TAIL.unpack(file.read(_TAIL.size))
            if magic != _MAGIC or length + _TAIL.size > size:
                return None, f"{path} was not finished or not made by pixfind"
            file.seek(size - _TAIL.size - length)
            fields = json.loads(file.read(length))
            header = IndexHeader(**{**fields, "kind": IndexKind(fields["kind"])})
    except FileNotFoundError:
        return None, f"{path} does not exist yet"
    except OSError as error:
        return None, f"{path} cannot be read ({error.strerror})"
    except (struct.error, ValueError, TypeError, KeyError):
        return None, f"{path} was not finished or not made by this version of pixfind"
    if header.faiss_bytes + length + _TAIL.size != size:
        return None, f"{path} has lost bytes"
    return header, None


def check(path: Path, embeddings: "NDArray[float16]") -> str | None:
    """Read the whole file and return what is wrong with it; None when nothing is."""
    header, problem = read_header(path)
    if header is None or problem is not None:
        return problem
    try:
        if _crc(path, header.faiss_bytes) != header.faiss_crc:
            return f"{path} has changed bytes"
    except OSError as error:
        return f"{path} cannot be read ({error.strerror})"
    return misfit(header, embeddings)


def misfit(header: IndexHeader, embeddings: "NDArray[float16]") -> str | None:
    """Return why the file does not belong to these embeddings [N, d]; None when it does."""
    rows, dimension = embeddings.shape
    if header.dimension != dimension:
        return f"the index is of {header.dimension} dimensions, the embeddings of {dimension}"
    if header.rows > rows:
        return f"the index covers {numbered(header.rows, 'row')} of {rows}"
    if rows_crc(embeddings[: header.rows]) != header.rows_crc:
        return "the index was made from other embeddings"
    return None


def rows_crc(embeddings: "NDArray[float16]") -> int:
    """Return the CRC-32 of a few evenly spaced rows. Embeddings are append-only, so it never changes for the same number of rows."""
    # `status` reads headers, and needs no arrays for it.
    import numpy as np

    places = np.linspace(0, len(embeddings) - 1, _CHECKED_ROWS if len(embeddings) else 0).astype(np.int64)
    return zlib.crc32(b"".join(embeddings[place].tobytes() for place in places))


def publish(
    path: Path, header: IndexHeader, embeddings: "NDArray[float16]", write: Callable[[Path], None]
) -> tuple[IndexHeader, int]:
    """
    Let `write` write the FAISS part, add the header, and replace `path` by one rename.

    Returns the completed header and the size of the file in bytes. Raises what `disk.publishing` raises.
    """
    with disk.publishing(path) as temporary:
        write(temporary)
        length = temporary.stat().st_size
        header = replace(
            header,
            rows_crc=rows_crc(embeddings[: header.rows]),
            faiss_bytes=length,
            faiss_crc=_crc(temporary, length),
        )
        line = json.dumps(asdict(header)).encode()
        with temporary.open("ab") as file:
            file.write(line + _TAIL.pack(len(line), _MAGIC))
        return header, temporary.stat().st_size


def _crc(path: Path, length: int) -> int:
    crc = 0
    with path.open("rb") as file:
        while length > 0 and (data := file.read(min(length, 1 << 22))):
            crc, length = zlib.crc32(data, crc), length - len(data)
    return crc
