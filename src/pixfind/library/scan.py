"""
The scan: one walk over the user's folders that finds new, changed, moved and missing files.

Owns the rules for new, changed, moved, gone, excluded and offline. Reads names, sizes and times; a file's content only to prove
that it was moved. Must not know how pictures are decoded.
What it registers is pending, and `workflows.embed` continues from there.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pixfind import errors
from pixfind.images import source, suffixes
from pixfind.images.source import archives
from pixfind.library import path_text
from pixfind.library.catalogue import Root
from pixfind.library.known_files import KnownFiles
from pixfind.library.library import Library
from pixfind.library.walk import LEFT_OUT, File, Walk, batches, is_archive, prefix_of
from pixfind.types import Progress, no_progress

_MAX_NAMED = 20
_SAMPLE = 50


@dataclass(slots=True)
class ScanReport:
    """What one `add` found."""

    seen: int = 0
    new: int = 0
    changed: int = 0
    moved: int = 0
    returned: int = 0
    gone: int = 0
    excluded: int = 0
    offline: int = 0
    """images whose root is offline: kept as they are"""
    problems: int = 0
    """folders or files that could not be read; what is known of them is kept"""
    links_out: int = 0
    """links that lead out of the registered folders, and are left out"""
    left_out: Counter[str] = field(default_factory=Counter)
    """files of formats that are not decoded, by suffix: RAW, video ..."""
    named: dict[str, list[str]] = field(default_factory=dict)
    """the first few paths of each kind"""

    def note(self, kind: str, path: str, count: int = 1) -> None:
        """Count a path under `kind`, and keep the first few names."""
        self.note_all(kind, [path], count)

    def note_all(self, kind: str, paths: Sequence[str], count: int) -> None:
        """Count `count` paths under `kind`, and keep the first few names."""
        setattr(self, kind, getattr(self, kind) + count)
        if count:
            names = self.named.setdefault(kind, [])
            names += paths[: _MAX_NAMED - len(names)]


def add(
    library: Library,
    folder: Path,
    exclude: tuple[str, ...] = (),
    progress: Progress = no_progress,
    *,
    in_archives: bool = False,
) -> ScanReport:
    """
    Register the images below `folder`, or in an archive; return what is new, changed, moved, gone or offline.

    It becomes a root of the library. `in_archives` also registers what is in the archives below it, from now on. Raises FolderNotReadable
    for a folder that was never a root and cannot be read, and ArchiveUnreadable for an archive.
    """
    path = os.path.abspath(folder.expanduser())
    report = ScanReport()
    known = {root.path: root for root in library.catalogue.roots()}
    if path not in known:
        _check_folder(path)
        library.catalogue.run(
            "add_root",
            "scan.sql",
            path=path_text.to_text(path),
            device=os.stat(path).st_dev,
            exclude=json.dumps(exclude),
            added_at=time.time(),
        )
    elif exclude:
        _set_root(library, known[path], exclude=json.dumps(sorted({*json.loads(known[path].exclude), *exclude})))
        # Which of its members an archive has in the library depends on the rules.
        library.catalogue.run("forget_archives", "scan.sql", root_id=known[path].id)
    if in_archives:
        library.catalogue.run("look_into_archives", "scan.sql", path=path_text.to_text(path))
    refresh_roots(library)
    inside = prefix_of(path)
    # Roots inside this one (drives mounted there, folders added before) are walked as their own.
    queue = [root for root in library.catalogue.roots() if root.path == path or root.path.startswith(inside)]
    while queue:
        queue += scan_root(library, queue.pop(0), report, progress)
    return report


def outer_roots(library: Library) -> list[Path]:
    """Return the folders that a library knows, without those inside others: these are walked with them."""
    paths = [root.path for root in library.catalogue.roots() if os.path.isabs(root.path)]
    return [Path(path) for path in paths if not any(path.startswith(os.path.join(other, "")) for other in paths)]


def refresh_roots(library: Library) -> None:
    """Find out which roots are offline: missing, empty, or another device than before."""
    for root in library.catalogue.roots():
        offline, device = _presence(library, root)
        if (offline, device) != (root.offline, root.device):
            _set_root(library, root, offline=offline, device=device)


def _presence(library: Library, root: Root) -> tuple[str | None, int]:
    """Return (why the root is offline or None, the device to remember)."""
    try:
        device = os.stat(root.path).st_dev
        if is_archive(root.path):
            return None, device
        with os.scandir(root.path) as entries:
            empty = next(iter(entries), None) is None
    except OSError as error:
        return f"missing: {error.strerror}", root.device
    sample = list(library.catalogue.rows("sample_of_root", "scan.sql", root_id=root.id, limit=_SAMPLE))
    if not sample:
        return None, device
    if empty:
        return "empty: nothing is mounted there, or all files were removed", root.device
    # The number of a device may change after a restart: a few known files decide whether it is the same.
    if device != root.device and not any(_is_the_file(*file) for file in sample):
        return "another device is mounted there", root.device
    return None, device


def _is_the_file(path: str, size: int, mtime_ns: int) -> bool:
    return source.version(path) == (size, mtime_ns)


def check_folders(folders: list[Path], library: Library | None = None) -> None:
    """Raise FolderNotReadable for the first that cannot be read and that `library` does not know: before any work is done for the others."""
    known = {root.path for root in library.catalogue.roots()} if library else set()
    for folder in folders:
        if (path := os.path.abspath(folder.expanduser())) not in known:
            _check_folder(path)


def _check_folder(path: str) -> None:
    if is_archive(path) and os.path.isfile(path):
        next(archives.members(path), None)
        return
    try:
        with os.scandir(path):
            pass
    except OSError as error:
        raise errors.FolderNotReadable(path=path, detail=error.strerror) from error


def _set_root(library: Library, root: Root, **changes: object) -> None:
    values = {"device": root.device, "exclude": root.exclude, "offline": root.offline, **changes}
    library.catalogue.run("set_root", "scan.sql", id=root.id, **values)


# --- one root -------------------------------------------------------------------------------------


def scan_root(library: Library, root: Root, report: ScanReport, progress: Progress = no_progress) -> list[Root]:
    """Walk one root; return the roots found inside it: other devices."""
    catalogue = library.catalogue
    if root.offline:
        count = catalogue.value("count_of_root", "scan.sql", root_id=root.id)
        report.note("offline", f"{root.path} ({root.offline})", count)
        return []
    others = [other.path for other in catalogue.roots() if other.id != root.id]
    walk = Walk(root, others, skip={library.path.as_posix(), *others})
    known = KnownFiles(catalogue, root)
    seen = 0
    for batch in batches(walk.files()):
        register(library, root, batch, known, report)
        seen += len(batch)
        report.seen += len(batch)
        progress(report.seen, None)
    for archive in walk.archives:
        seen += scan_archive(library, root, archive, walk, known, report)
        progress(report.seen, None)
    note_problems(walk, report)
    raw_is_there = not walk.unread_raw.isdisjoint(walk.left_out)
    if not (seen or walk.links_out or walk.archives or raw_is_there) and next(
        catalogue.rows("sample_of_root", "scan.sql", root_id=root.id, limit=1), None
    ):
        # No pictures where there were some: this may be an empty mount point with a stray file.
        _set_root(library, root, offline="empty: none of its pictures is there")
        return scan_root(library, next(r for r in catalogue.roots() if r.id == root.id), report, progress)
    settle_unseen(library, root, walk, known, report, [root.path])
    report.left_out += walk.left_out
    if (left_out := json.dumps(dict(sorted(walk.left_out.items())))) != root.left_out:
        catalogue.run("set_left_out", "scan.sql", id=root.id, left_out=left_out)
    return [add_mount(library, path) for path in walk.mounts]


def note_problems(walk: Walk, report: ScanReport) -> None:
    """Count what a walk could not read, and links that it did not follow."""
    for path in walk.problems:
        report.note("problems", path)
    for path in walk.links_out:
        report.note("links_out", path)


def add_mount(library: Library, path: str) -> Root:
    """A drive mounted inside a root is a root of its own, so that it can be offline alone."""
    try:
        device = os.stat(path).st_dev
    except OSError:
        # Unmounted again: the next look at it finds that.
        device = 0
    library.catalogue.run(
        "add_root",
        "scan.sql",
        path=path_text.to_text(path),
        device=device,
        exclude="[]",
        added_at=time.time(),
    )
    return next(root for root in library.catalogue.roots() if root.path == path)


def scan_archive(library: Library, root: Root, archive: File, walk: Walk, known: KnownFiles, report: ScanReport) -> int:
    """Register the members of one archive, if it is another than at the last scan; return how many images it has."""
    catalogue, path = library.catalogue, path_text.to_text(archive.path)
    before = next(catalogue.rows("archive", "scan.sql", path=path), None)
    # An extra that was installed since reads what was left out.
    if (
        before is not None
        and before[:2] == (archive.size, archive.mtime_ns)
        and not _now_read(walk, json.loads(before[2]))
    ):
        first, last = path_text.range_below(archive.path + archives.MARK)
        members = catalogue.all_rows("members", "scan.sql", root_id=root.id, first=first, last=last)
        known.mark(image_id for (image_id,) in members)
        seen = len(members)
        walk.left_out.update(json.loads(before[2]))
        report.seen += seen
        return seen
    left_out: Counter[str] = Counter()
    seen = 0
    for batch in batches(_members(archive, walk, left_out)):
        register(library, root, batch, known, report)
        seen += len(batch)
    if archive.path not in walk.problems:
        catalogue.run(
            "remember_archive",
            "scan.sql",
            path=path,
            root_id=root.id,
            size=archive.size,
            mtime_ns=archive.mtime_ns,
            left_out=json.dumps(dict(sorted(left_out.items()))),
        )
    walk.left_out += left_out
    report.seen += seen
    return seen


def _now_read(walk: Walk, left_out: dict[str, int]) -> bool:
    return not walk.suffixes.isdisjoint(left_out)


def _members(archive: File, walk: Walk, left_out: Counter[str]) -> Iterator[File]:
    """Yield the images in an archive, count other known kinds in `left_out`, and note an archive that cannot be read to its end."""
    try:
        for member in archives.members(archive.path):
            suffix = suffixes.suffix(os.path.basename(member.location))
            if walk.exclusion(member.location):
                continue
            if suffix in walk.suffixes:
                yield File(member.location, member.size, member.mtime_ns)
            elif suffix in LEFT_OUT:
                left_out[suffix] += 1
    except errors.ArchiveUnreadable:
        walk.problems.append(archive.path)


def register(library: Library, root: Root, batch: list[File], known: KnownFiles, report: ScanReport) -> None:
    """Register files of a root: what is new, changed, moved there or back. Each counts as seen."""
    catalogue = library.catalogue
    arrivals = known.without_unchanged(batch)
    if not arrivals:
        return
    with catalogue.transaction():
        catalogue.run("begin_batch", "scan.sql")
        catalogue.run("forget_arrivals", "scan.sql")
        catalogue.run_many(
            "arrive",
            ({"path": path_text.to_text(f.path), "size": f.size, "mtime_ns": f.mtime_ns} for f in arrivals),
            "scan.sql",
        )
        for row in list(catalogue.rows("known_arrivals", "scan.sql", root_id=root.id)):
            _update_known(library, root, row, report)
        for path, size, mtime_ns in list(catalogue.rows("perhaps_moved", "scan.sql")):
            _register_moved(library, root, File(path, size, mtime_ns), report)
        # Each that moved has its row by now; all others are new.
        names = [path for (path,) in catalogue.rows("first_new_arrivals", "scan.sql", limit=_MAX_NAMED)]
        report.note_all("new", names, catalogue.run("insert_new_arrivals", "scan.sql", root_id=root.id))
        known.mark(image_id for (image_id,) in catalogue.rows("ids_of_arrivals", "scan.sql"))


def _update_known(library: Library, root: Root, row: tuple[object, ...], report: ScanReport) -> None:
    image_id, path, size, mtime_ns, changed, gone, outcome, _reason = row
    if changed:
        library.catalogue.run("changed_on_disk", image_id=image_id, size=size, mtime_ns=mtime_ns)
        report.note("changed", str(path))
    elif gone or outcome == "skipped":
        report.note("returned", str(path))
    library.catalogue.run("returned", "scan.sql", image_id=image_id, root_id=root.id)


def _register_moved(library: Library, root: Root, file: File, report: ScanReport) -> None:
    moved = _moved_from(library, file)
    if moved is not None:
        path = path_text.to_text(file.path)
        library.catalogue.run("move_image", "scan.sql", image_id=moved, path=path, root_id=root.id)
        report.note("moved", file.path)


def _moved_from(library: Library, file: File) -> int | None:
    """Return the image that this new file is under its former name: same size and time, not there any more, same content."""
    offline = [prefix_of(root.path) for root in library.catalogue.roots() if root.offline]
    movable = library.catalogue.rows("movable", "scan.sql", size=file.size, mtime_ns=file.mtime_ns)
    found: bytes | None = None
    for image_id, path, known_hash in list(movable):
        # A copy of a picture on a disconnected drive is a copy, not a move.
        if source.exists(path) or path.startswith(tuple(offline)):
            continue
        if known_hash is None:
            if os.path.basename(path) == os.path.basename(file.path):
                return int(image_id)
            continue
        try:
            found = found or source.read(file.path).fingerprint.hash
        except errors.ImageProblem:
            return None
        if found == known_hash:
            return int(image_id)
    return None


def settle_unseen(
    library: Library, root: Root, walk: Walk, known: KnownFiles, report: ScanReport, places: Sequence[str]
) -> None:
    """
    Mark images at and below `places` that the walk did not see as gone or excluded, except where it could not read.

    Forgets archives there that the walk did not see: one that returns is read again, because its members were marked as gone meanwhile.
    """
    kept = tuple(
        beginning
        for path in (*walk.problems, *walk.mounts, *walk.unsettled)
        for beginning in (os.path.join(path, ""), path + archives.MARK)
    )
    there = {archive.path for archive in walk.archives}
    catalogue = library.catalogue
    complete = places == [root.path] and known.all_seen()
    with catalogue.transaction():
        for first, last in (each for place in places for each in path_text.ranges_at(place, archives.MARK)):
            limits = {"root_id": root.id, "first": first, "last": last}
            for (path,) in list(catalogue.rows("archives_of_root", "scan.sql", **limits)):
                if path not in there:
                    catalogue.run("forget_archive", "scan.sql", path=path_text.to_text(path))
            for image_id, path in [] if complete else known.unseen(first, last):
                if path.startswith(kept) or path in walk.problems or path in walk.unsettled:
                    continue
                # Where its extra is not installed any more, what is known of a RAW file stays.
                if suffixes.suffix(os.path.basename(path)) not in walk.unread_raw or not source.exists(path):
                    _settle(library, image_id, path, walk.exclusion(path), report)


def _settle(library: Library, image_id: int, path: str, rule: str | None, report: ScanReport) -> None:
    if rule:
        reason = path_text.readable(f"excluded: {rule}")
        library.catalogue.run("exclude_image", "scan.sql", image_id=image_id, reason=reason)
        report.note("excluded", path)
    else:
        library.catalogue.run("mark_gone", "scan.sql", image_id=image_id)
        report.note("gone", path)
