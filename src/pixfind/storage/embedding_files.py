"""
Embedding files: embeddings, and for each one an index row that names its image.

Owns the layout of a row (docs/reference/format.md), its checksums, and the order of writes: embeddings first, then the row.
Must not know which model made an embedding, or that SQLite exists.
Rows of worker files become part of the library in `library.commit`, and only there.
"""

import math
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pixfind.storage import npy
from pixfind.types import HASH_BYTES, EmbeddedImage, Fingerprint, ImageMetadata

EMBEDDING = np.dtype("<f2")

INDEX_ROW = np.dtype(
    [
        ("image_id", "<i8"),
        ("fingerprint", [("size", "<i8"), ("mtime_ns", "<i8"), ("hash", f"V{HASH_BYTES}")]),
        ("crc32", "<u4"),
        (
            "facts",
            [
                ("width", "<i4"),
                ("height", "<i4"),
                ("taken_at", "<i8"),
                ("camera", "S40"),
                ("latitude", "<f4"),
                ("longitude", "<f4"),
            ],
        ),
        ("entry_crc32", "<u4"),
    ]
)
"""
An index row: the image of an embedding, the bytes it was made from, and their metadata, so that a lost catalogue can be rebuilt.

`crc32` is of the embedding row, `entry_crc32` of the bytes of this entry before it: without it a flipped bit in a content hash would
be trusted when the catalogue is rebuilt.
"""

_ENTRY_BYTES = INDEX_ROW.itemsize - 4

UNKNOWN_TIME = np.iinfo(np.int64).min


def index_rows(rows: Sequence[EmbeddedImage], embeddings: NDArray[np.float16]) -> NDArray[Any]:
    """Return [n] INDEX_ROW for `rows` and their embeddings [n, d] float16."""
    table = np.zeros(len(rows), INDEX_ROW)
    for place, (row, embedding) in enumerate(zip(rows, embeddings, strict=True)):
        facts = row.metadata
        table[place] = (
            row.image_id,
            (row.fingerprint.size, row.fingerprint.mtime_ns, row.fingerprint.hash),
            zlib.crc32(embedding.tobytes()),
            (
                facts.width,
                facts.height,
                UNKNOWN_TIME if facts.taken_at is None else facts.taken_at,
                facts.camera.encode()[:40],
                np.nan if facts.latitude is None else facts.latitude,
                np.nan if facts.longitude is None else facts.longitude,
            ),
            0,
        )
        table[place]["entry_crc32"] = zlib.crc32(table[place].tobytes()[:_ENTRY_BYTES])
    return table


def images_of(table: NDArray[Any]) -> list[EmbeddedImage]:
    """Return the images that an INDEX_ROW table [n] describes."""
    # All at once: taking the fields out of one row after the other costs ten times as much.
    return [_image(*fields) for fields in table.tolist()]


def row_of(entry: np.void) -> EmbeddedImage:
    """Return the image that one INDEX_ROW entry describes."""
    return _image(*entry.tolist())


def _image(
    image_id: int, fingerprint: tuple[int, int, bytes], _crc32: int, facts: tuple[Any, ...], _entry_crc32: int
) -> EmbeddedImage:
    width, height, taken_at, camera, latitude, longitude = facts
    metadata = ImageMetadata(
        width=width,
        height=height,
        taken_at=None if taken_at == UNKNOWN_TIME else taken_at,
        camera=camera.decode(errors="ignore"),
        latitude=None if math.isnan(latitude) else latitude,
        longitude=None if math.isnan(longitude) else longitude,
    )
    return EmbeddedImage(image_id, Fingerprint(*fingerprint), metadata)


def crc_holds(table: NDArray[Any], embeddings: NDArray[np.float16]) -> NDArray[np.bool_]:
    """Return [n] bool: whether each embedding row, and the entry that names it, are the ones that were written."""
    rows = [zlib.crc32(embedding.tobytes()) for embedding in embeddings]
    entries = [zlib.crc32(entry.tobytes()[:_ENTRY_BYTES]) for entry in table]
    holds: NDArray[np.bool_] = (table["crc32"] == np.array(rows, np.uint32)) & (
        table["entry_crc32"] == np.array(entries, np.uint32)
    )
    return holds


def first_bad_row(table: NDArray[Any], embeddings: NDArray[np.float16]) -> int:
    """Return the place of the first row [of n] whose checksum does not hold, n when all do."""
    holds = crc_holds(table, embeddings)
    return len(holds) if holds.all() else int(holds.argmin())


class Pair:
    """
    Embeddings float16 [n, d] and the INDEX_ROW entries [n] that name them: two files, appended to in that order.

    The count of the pair is the smaller of the two counts: an embedding without a row was never promised.
    """

    def __init__(self, embeddings: Path, indices: Path, dimension: int, *, write: bool = False) -> None:
        self.embeddings = npy.GrowingArray(embeddings, EMBEDDING, (dimension,), write=write)
        try:
            self.indices = npy.GrowingArray(indices, INDEX_ROW, write=write)
        except BaseException:
            self.embeddings.close()
            raise
        if write:
            self.shorten(self.count)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close both files."""
        self.embeddings.close()
        self.indices.close()

    @property
    def count(self) -> int:
        """The rows that both files promise."""
        return min(self.embeddings.count, self.indices.count)

    def refresh(self) -> int:
        """Read both counts again: the writer may be another process."""
        # The indices first: the writer publishes them last, so their count is never ahead of the embeddings read after it.
        self.indices.refresh()
        self.embeddings.refresh()
        return self.count

    def append(self, table: NDArray[Any], embeddings: NDArray[np.float16]) -> range:
        """Make embeddings [n, d] and then their INDEX_ROW table [n] durable; return their range. Raises DiskFull and DiskFailed."""
        self.embeddings.append(embeddings)
        return self.indices.append(table)

    def write_behind(self, table: NDArray[Any], embeddings: NDArray[np.float16], start: int) -> None:
        """Write rows from `start` on, at or behind the count, without promising them; raises DiskFull and DiskFailed."""
        self.embeddings.write_behind(embeddings, start)
        self.indices.write_behind(table, start)

    def promise(self, count: int) -> None:
        """Make what was written behind the count durable and part of the files; raises DiskFull and DiskFailed."""
        self.embeddings.promise(count)
        self.indices.promise(count)

    def read(self, start: int, stop: int) -> tuple[NDArray[Any], NDArray[np.float16]]:
        """Return the INDEX_ROW table [n] and the embeddings [n, d] float16 of rows `start` to `stop`; raises LibraryDamaged when a file is too short."""
        return self.indices.read(start, stop), self.embeddings.read(start, stop)

    def sync(self) -> None:
        """Make all rows that can be read durable, whether or not their writer is alive. Embeddings without a row are left to it."""
        # The embeddings are durable already: only then is a row written.
        self.indices.sync()

    def shorten(self, count: int) -> None:
        """Forget all rows from `count` on, in the opposite order of writing."""
        for array in (self.indices, self.embeddings):
            if array.count > count:
                array.shorten(count)
