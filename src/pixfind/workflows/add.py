"""Register the images below folders."""

from collections.abc import Sequence
from pathlib import Path

from pixfind.library import scan
from pixfind.library.library import Library
from pixfind.library.scan import ScanReport
from pixfind.workflows.events import FolderScanned, Observer, Step, ignore, start


def add(
    library: Library,
    folders: Sequence[Path] = (),
    exclude: Sequence[str] = (),
    observer: Observer = ignore,
    *,
    in_archives: bool = False,
) -> tuple[ScanReport, ...]:
    """
    Register what is new, changed, moved, gone or offline below `folders`, or below all that the library knows; one report for each.

    `folders` may be archives; `in_archives` looks into those below folders too, from now on. Call it inside `library.lock("add")`. Raises
    FolderNotReadable and ArchiveUnreadable for what was never added and cannot be read.
    """
    reports = []
    for folder in folders or scan.outer_roots(library):
        progress = start(Step.SCAN, observer, str(folder))
        report = scan.add(library, folder, tuple(exclude), progress, in_archives=in_archives)
        observer(FolderScanned(folder, report))
        reports.append(report)
    return tuple(reports)
