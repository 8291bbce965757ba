"""Register the images below folders."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from pixfind.images import source
from pixfind.library import roots, scan
from pixfind.library.library import Library
from pixfind.library.scan_report import ScanReport
from pixfind.workflows.events import FolderScanned, Observer, Step, ignore, start


def add(
    library: Library,
    folders: Sequence[str | os.PathLike[str]] = (),
    exclude: Sequence[str] = (),
    observer: Observer = ignore,
    *,
    include: Sequence[str] = (),
    configured: roots.Configured | None = None,
    in_archives: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> tuple[ScanReport, ...]:
    """
    Register what is new, changed, moved, gone or offline below `folders`, or below all that the library knows; one report for each.

    `exclude` leaves out more below them, from now on, and `include` takes back such globs; `configured` holds as long as the same command is configured so.
    `folders` may be archives, videos, lists and addresses; `in_archives` looks into archives below folders too, from now on; `settings` are remembered by
    those roots whose kind knows them. Call it inside `library.lock("add")`. Raises FolderNotReadable, ArchiveUnreadable, ListUnreadable and StoreUnreachable for
    what was never added and cannot be read, ColumnMissing, ColumnNotNamed and ExclusionUnknown.
    """
    scanned = folders or scan.outer_roots(library)
    if include:
        roots.include(library, [source.as_root(folder) for folder in scanned], include)
    reports = []
    for folder in scanned:
        progress = start(Step.SCAN, observer, os.fspath(folder))
        report = scan.add(
            library, folder, tuple(exclude), progress, configured=configured, in_archives=in_archives, settings=settings
        )
        observer(FolderScanned(os.fspath(folder), report))
        reports.append(report)
    return tuple(reports)
