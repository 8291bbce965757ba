"""
The scan of some paths: what a full scan of their roots would find there, without a walk over all the rest.

For a program that knows which files have changed (`workflows.watch`). Owns which roots and which parts of them are looked at; what
becomes of the files found there is `scan`'s to decide. One thing is left to the next full scan: how many files of kinds that are not
read there are.
"""

import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from pixfind.images import source, suffixes
from pixfind.images.source import FolderWalk
from pixfind.library import path_text, scan
from pixfind.library.catalogue import Root
from pixfind.library.known_files import KnownFiles
from pixfind.library.library import Library
from pixfind.library.scan_report import ScanReport
from pixfind.types import Progress, no_progress


@dataclass(slots=True)
class _Part:
    """The changed places of one root."""

    root: Root
    walk: FolderWalk
    known: KnownFiles
    places: list[str] = field(default_factory=list)
    seen: int = 0
    """images and archives found at these places"""


def scan_paths(
    library: Library,
    paths: Iterable[str],
    progress: Progress = no_progress,
    *,
    unsettled: Collection[str] = (),
) -> ScanReport:
    """
    Register what is new, changed, moved, gone or offline at and below `paths`; call it inside `library.lock`.

    `paths` are absolute: files and folders that were made, changed, moved or deleted. Those outside the roots are ignored. A root that was
    offline and has returned, or that lies at or below one of the paths, is scanned as a whole. `unsettled`: files that are still being
    written; what is known of them stays as it is.
    """
    report = ScanReport()
    offline = {root.id for root in library.catalogue.roots() if root.offline}
    scan.refresh_roots(library)
    roots = library.catalogue.roots()
    changed = _outermost(paths)
    as_a_whole = [root for root in roots if _is_to_be_walked(root, changed, was_offline=root.id in offline)]
    parts = _parts(library, roots, changed, {root.id for root in as_a_whole}, frozenset(unsettled))
    queue = list(as_a_whole)
    # All that is new comes before anything that is gone, so that what was moved from one root to another counts as moved, not as gone.
    for part in parts:
        _register(library, part, report, progress)
    seen_roots = {root.id: root for root in _refreshed(library)}
    for part in parts:
        root = seen_roots[part.root.id]
        if root.offline or _all_would_be_gone(library, part):
            # The whole scan decides whether its pictures were deleted or the drive is not there.
            queue.append(root)
        else:
            scan.settle_unseen(library, root, part.walk, part.known, report, part.places)
        scan.note_problems(part.walk, report)
        queue += [scan.add_mount(library, root, path) for path in part.walk.mounts]
    while queue:
        queue += scan.scan_root(library, queue.pop(0), report, progress)
    scan.take_back(library, report)
    return report


def may_matter(library: Library, path: str) -> bool:
    """Tell whether `scan_paths` may find anything at a path: a picture, an archive, a folder, or the place of one that was known. Only reads."""
    roots = [root.path for root in library.catalogue.roots()]
    if any(is_below(root, path) for root in roots):
        return True
    below = [path.removeprefix(os.path.join(root, "")) for root in roots if is_below(path, root)]
    if not below or is_below(path, library.path.as_posix()) or source.is_left_out(min(below, key=len)):
        return False
    name = os.path.basename(path)
    if suffixes.is_image_name(name) or source.may_be_container(name) or os.path.isdir(path):
        return True
    ranges = path_text.ranges_at(path, source.inside(path))
    return any(library.catalogue.value("any_at", "scan.sql", first=first, last=last) for first, last in ranges)


def is_below(path: str, folder: str) -> bool:
    """Tell by the names alone whether a path is a folder or lies below it."""
    return os.path.join(path, "").startswith(os.path.join(folder, ""))


def _outermost(paths: Iterable[str]) -> list[str]:
    """Return paths without those below others."""
    kept: list[str] = []
    for path in sorted({os.path.abspath(path) for path in paths}, key=lambda path: os.path.join(path, "")):
        if not kept or not is_below(path, kept[-1]):
            kept.append(path)
    return kept


def _is_to_be_walked(root: Root, changed: list[str], *, was_offline: bool) -> bool:
    """Tell whether one of the changed paths is the root or lies above it, or the root has gone offline or returned."""
    if was_offline or root.offline:
        return was_offline != bool(root.offline)
    return any(is_below(root.path, path) for path in changed)


def _parts(
    library: Library, roots: list[Root], changed: list[str], as_a_whole: set[int], unsettled: frozenset[str]
) -> list[_Part]:
    """Return the changed places by root, each within the innermost root that holds it."""
    parts: dict[int, _Part] = {}
    deepest_first = sorted(roots, key=lambda root: -len(root.path))
    for path in changed:
        root = next((each for each in deepest_first if path.startswith(os.path.join(each.path, ""))), None)
        if root is None or root.offline or root.id in as_a_whole:
            continue
        if root.id not in parts:
            if (walk := source.walk_parts(scan.order(library, root, unsettled=unsettled))) is None:
                continue
            parts[root.id] = _Part(root, walk, KnownFiles(library.catalogue, root))
        parts[root.id].places.append(parts[root.id].walk.topmost(path))
    for part in parts.values():
        part.places = _outermost(part.places)
    return [parts[root.id] for root in roots if root.id in parts]


def _register(library: Library, part: _Part, report: ScanReport, progress: Progress) -> None:
    for batch in source.batches(part.walk.files_at(part.places)):
        ours = [file for file in batch if scan.is_ours(part.walk, file.path)]
        scan.register(library, part.root, ours, part.known, report)
        part.seen += len(batch)
        report.seen += len(ours)
        progress(report.seen, None)
    for archive in part.walk.containers:
        part.seen += 1 + scan.scan_archive(library, part.root, archive, part.walk, part.known, report)
        progress(report.seen, None)


def _refreshed(library: Library) -> list[Root]:
    """Look again whether the roots are there: a drive may have been unplugged while its files were looked at."""
    scan.refresh_roots(library)
    return library.catalogue.roots()


def _all_would_be_gone(library: Library, part: _Part) -> bool:
    """Tell whether no picture of a root would be left."""
    if part.seen or part.walk.links_out:
        return False
    gone = 0
    for first, last in (each for place in part.places for each in scan.ranges_at(part.root, place)):
        gone += len(part.known.unseen(first, last))
    left = library.catalogue.rows("present_of_root", "scan.sql", root_id=part.root.id, limit=gone + 1)
    return bool(gone) and sum(1 for _ in left) <= gone
