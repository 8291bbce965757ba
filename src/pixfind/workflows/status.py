"""
What there is and how it stands: the ledger, the running embed, the index, the disk.

Only reads, and cheaply: `pixfind status` answers at once for millions of images.
"""

import contextlib
import itertools
import shutil
import time
from dataclasses import asdict, dataclass
from typing import Any

from pixfind.index import header
from pixfind.library import roots, texts, watch_lock
from pixfind.library.library import Library
from pixfind.workflows import inactive_models

_FRESH_SECONDS = 15.0

_PARTS = {"staged": "next", "previous": "previous", "retired": "aside"}


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
    change: dict[str, Any] | None
    """model, precision, images (its ledger), merged_rows and index_rows of the model that is to answer next; None when none is"""
    kept: list[dict[str, Any]]
    """the same of models that answered before ("previous") or were abandoned ("aside")"""
    running: bool
    run: dict[str, Any] | None
    """command, pid, host and start of the process that holds the library"""
    watch: dict[str, Any] | None
    """pid, rescan_minutes and rescanned (folder -> why it is scanned so often) of the watch that keeps the library current; None when none runs"""
    workers: list[dict[str, Any]]
    images_per_second: float | None
    eta_seconds: float | None
    bottleneck: str | None
    """disk, network, decode, model or budget"""
    because: str | None
    """the figures behind it"""
    paused: str | None
    """why a running embed rests"""
    pause: dict[str, Any] | None
    """the same as kind, message and values"""
    held_back: str | None
    """for which store or server a running embed waits, and why"""
    stages: dict[str, float]
    """stage -> seconds a second over the last minute, all workers together"""
    bytes_per_second: float | None
    cores: float | None
    """cores that the running embed uses"""
    failures: dict[str, int]
    """reason -> images"""
    texts: dict[str, int] | None
    """pictures by what reading their text has come to: read, no text, failed, pending; None where nobody asked for it"""
    left_out: dict[str, int]
    """suffix -> files of that kind below the roots, which pixfind does not read"""
    offline: dict[str, str]
    """root -> why"""
    roots: list[dict[str, Any]]
    """what was added, and how it is scanned: the fields of `RootState`"""
    bytes: int
    """on disk, the library's own"""
    free_bytes: int

    def values(self) -> dict[str, Any]:
        return {slot: getattr(self, slot) for slot in self.__slots__}


def status(library: Library) -> Status:
    """Return the state of a library; raises LibraryDamaged where the catalogue cannot be read."""
    holder = library.holder()
    live = _live(library) if holder else {}
    if live and time.time() - live["written_at"] > _FRESH_SECONDS:
        live = {}
    pause = live.get("pause")
    watched = watch_lock.read(library.path)
    images, of_roots = library.catalogue.ledger_and_roots()
    model = library.model()
    beside = inactive_models.inactive(library)
    facts, _ = header.read_header(library.index_path)
    return Status(
        library=str(library.path),
        images=images,
        merged_rows=library.merged_rows,
        index_rows=facts.rows if facts else 0,
        recall=facts.recall_text if facts else None,
        model=model.name if model else None,
        precision=model.precision if model else None,
        change=next((_values(model) for model in beside if model.role == "staged"), None),
        kept=[_values(model) for model in beside if model.role != "staged"],
        running=holder is not None,
        run=holder,
        watch=asdict(watched) if watched else None,
        workers=live.get("workers", []),
        images_per_second=live.get("images_per_second"),
        eta_seconds=live.get("eta_seconds"),
        bottleneck=live.get("bottleneck"),
        because=live.get("because"),
        paused=pause["message"] if pause else None,
        pause=pause,
        held_back=live.get("held_back"),
        stages=live.get("stages", {}),
        bytes_per_second=live.get("bytes_per_second"),
        cores=live.get("cores"),
        failures=dict(library.catalogue.rows("failures_by_reason")),
        texts=texts.ledger(library.catalogue) if texts.wanted(library.catalogue) else None,
        left_out=roots.left_out(library),
        offline={root.path: root.offline for root in library.catalogue.roots() if root.offline},
        roots=[asdict(root) for root in roots.states(library, of_roots)],
        bytes=_bytes(library),
        free_bytes=shutil.disk_usage(library.path).free,
    )


def _live(library: Library) -> dict[str, Any]:
    """Return what the running embed last said about itself."""
    from pixfind.embedding import progress

    return progress.read(library.path) or {}


def _values(model: inactive_models.InactiveModel) -> dict[str, Any]:
    """Return the JSON of a model beside the active one; its keys and the names of roles are older than those of the code."""
    values = asdict(model)
    return {"part": _PARTS[values.pop("role")], **values}


def _bytes(library: Library) -> int:
    # Of all generations: what is kept for a rollback takes space too.
    own = [library.path.glob("metadata.db*")]
    own += [(library.path / folder).rglob("*") for folder in ("data", "logs", "models")]
    total = 0
    for path in itertools.chain(*own):
        # What is deleted meanwhile takes none.
        with contextlib.suppress(FileNotFoundError):
            total += path.stat().st_size if path.is_file() else 0
    return total
