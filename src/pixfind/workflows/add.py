"""Register the images below folders."""

from collections.abc import Sequence
from pathlib import Path

from pixfind.library import scan
from pixfind.library.library import Library
from pixfind.library.scan import ScanReport
from pixfind.workflows.events import FolderScanned, Observer, Step, ignore, start


def add(
    library: Library, folders: Sequence[Path] = (), exclude: Sequence[str] = (), observer: Observer = ignore
) -> tuple[ScanReport, ...]:
    """
    Register what is new, changed, moved, gone or offline below `folders`, or below all that the library knows; one report for each.

    Call it inside `library.lock("add")`. Raises FolderNotReadable for a folder that was never added and cannot be read.
    """
    reports = []
    for folder in folders or scan.outer_roots(library):
        progress = start(Step.SCAN, observer, str(folder))
        report = scan.add(library, folder, tuple(exclude), progress)
        observer(FolderScanned(folder, report))
        reports.append(report)
    return tuple(reports)
