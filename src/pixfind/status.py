"""
What there is and how it stands: the ledger, the running embed, the index, the disk.

Only reads, and cheaply: `pixfind status` answers at once for millions of images.
"""

import shutil
import sqlite3
import time
from dataclasses import dataclass
from typing import Any

from pixfind import errors, index, progress
from pixfind.library import Library

_FRESH_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Status:
    """The state of a library at one moment; `values` has the JSON that `status --json` prints."""

    library: str
    images: dict[str, int]
    """the ledger: seen = embedded + duplicate + failed + skipped + pending"""
    merged_rows: int
    index_rows: int
    recall: float | None
    """recall@10 that the index reached on text-like queries when it was built"""
    model: str | None
    precision: str | None
    running: bool
    run: dict[str, Any] | None
    """verb, pid, host and start of the process that holds the library"""
    workers: list[dict[str, Any]]
    images_per_second: float | None
    eta_seconds: float | None
    bottleneck: str | None
    failures: dict[str, int]
    """reason -> images"""
    offline: dict[str, str]
    """root -> why"""
    bytes: int
    """on disk, the library's own"""
    free_bytes: int

    def values(self) -> dict[str, Any]:
        return {slot: getattr(self, slot) for slot in self.__slots__}


def status(library: Library) -> Status:
    """Return the state of a library; raises LibraryDamaged where the catalogue cannot be read."""
    holder = library.holder()
    live = progress.read(library.path) if holder else None
    if live and time.time() - live["written_at"] > _FRESH_SECONDS:
        live = None
    try:
        images = library.catalogue.ledger()
    except sqlite3.DatabaseError as error:
        raise errors.LibraryDamaged(path=library.catalogue.path, detail=str(error)) from error
    model = library.model()
    facts, _ = index.read_facts(library.index_path)
    return Status(
        library=str(library.path),
        images=images,
        merged_rows=library.merged_rows,
        index_rows=facts.rows if facts else 0,
        recall=facts.recall_text if facts else None,
        model=model.name if model else None,
        precision=model.precision if model else None,
        running=holder is not None,
        run=holder,
        workers=live["workers"] if live else [],
        images_per_second=live["images_per_second"] if live else None,
        eta_seconds=live["eta_seconds"] if live else None,
        bottleneck=live["bottleneck"] if live else None,
        failures=dict(library.catalogue.rows("failures_by_reason")),
        offline={root.path: root.offline for root in library.catalogue.roots() if root.offline},
        bytes=_bytes(library),
        free_bytes=shutil.disk_usage(library.path).free,
    )


def _bytes(library: Library) -> int:
    own = [*library.path.glob("metadata.db*"), *library.data.glob("*"), *library.logs.glob("*")]
    return sum(path.stat().st_size for path in own if path.is_file())
