"""
The scan: one walk over the user's folders that finds new, changed, moved and missing files.

Owns the rules for new, changed, moved, gone, excluded and offline. Reads names, sizes and times; a file's content only to prove
that it was moved. Must not know how pictures are decoded.
What it registers is pending, and `workflows.embed` continues from there.
"""

import fnmatch
import json
import os
import re
import stat
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from pixfind import errors
from pixfind.images import source, suffixes
from pixfind.library import links, path_text
from pixfind.library.catalogue import Root
from pixfind.library.library import Library
from pixfind.types import Progress, no_progress

_BATCH = 50_000
"""Files registered in one transaction: the index on sizes is written at random places, so many rows share what a few would write each."""
_BATCH_SECONDS = 1.0
"""after which a batch is registered, however small: a slow disk shows progress, and a crash costs a second of the walk"""
_MAX_NAMED = 20
_SAMPLE = 50

#: Folders that hold no pictures of the user: thumbnails, bins, file system internals. Hidden ones are left out by their dot.
_NOT_THE_USERS = frozenset({"@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found"})


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


class _File(NamedTuple):
    path: str
    size: int
    mtime_ns: int


def add(library: Library, folder: Path, exclude: tuple[str, ...] = (), progress: Progress = no_progress) -> ScanReport:
    """
    Register the images below `folder`; return what is new, changed, moved, gone or offline.

    The folder becomes a root of the library. Raises FolderNotReadable for a folder that was never a root and cannot be read.
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
    refresh_roots(library)
    inside = os.path.join(path, "")
    # Roots inside this one (drives mounted there, folders added before) are walked as their own.
    queue = [root for root in library.catalogue.roots() if root.path == path or root.path.startswith(inside)]
    while queue:
        queue += _scan_root(library, queue.pop(0), report, progress)
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
    try:
        found = os.stat(path)
    except OSError:
        return False
    return (found.st_size, source.mtime_ns(found)) == (size, mtime_ns)


def check_folders(folders: list[Path], library: Library | None = None) -> None:
    """Raise FolderNotReadable for the first that cannot be read and that `library` does not know: before any work is done for the others."""
    known = {root.path for root in library.catalogue.roots()} if library else set()
    for folder in folders:
        if (path := os.path.abspath(folder.expanduser())) not in known:
            _check_folder(path)


def _check_folder(path: str) -> None:
    try:
        with os.scandir(path):
            pass
    except OSError as error:
        raise errors.FolderNotReadable(path=path, detail=error.strerror) from error


def _set_root(library: Library, root: Root, **changes: object) -> None:
    values = {"device": root.device, "exclude": root.exclude, "offline": root.offline, **changes}
    library.catalogue.run("set_root", "scan.sql", id=root.id, **values)


# --- one root -------------------------------------------------------------------------------------


def _scan_root(library: Library, root: Root, report: ScanReport, progress: Progress) -> list[Root]:
    """Walk one root; return the roots found inside it: other devices."""
    catalogue = library.catalogue
    if root.offline:
        count = catalogue.value("count_of_root", "scan.sql", root_id=root.id)
        report.note("offline", f"{root.path} ({root.offline})", count)
        return []
    others = [other.path for other in catalogue.roots() if other.id != root.id]
    walk = _Walk(root, others, skip={library.path.as_posix(), *others})
    catalogue.run("begin_scan", "scan.sql")
    catalogue.run("forget_seen", "scan.sql")
    seen = 0
    for batch in walk.batches():
        _register(library, root, batch, report)
        seen += len(batch)
        report.seen += len(batch)
        progress(report.seen, None)
    for path in walk.problems:
        report.note("problems", path)
    for path in walk.links_out:
        report.note("links_out", path)
    if (
        not seen
        and not walk.links_out
        and next(catalogue.rows("sample_of_root", "scan.sql", root_id=root.id, limit=1), None)
    ):
        # No pictures where there were some: this may be an empty mount point with a stray file.
        _set_root(library, root, offline="empty: none of its pictures is there")
        return _scan_root(library, next(r for r in catalogue.roots() if r.id == root.id), report, progress)
    _settle_unseen(library, root, walk, report)
    report.left_out += walk.left_out
    catalogue.run("set_left_out", "scan.sql", id=root.id, left_out=json.dumps(dict(sorted(walk.left_out.items()))))
    return [_add_mount(library, path) for path in walk.mounts]


def _add_mount(library: Library, path: str) -> Root:
    """A drive mounted inside a root is a root of its own, so that it can be offline alone."""
    library.catalogue.run(
        "add_root",
        "scan.sql",
        path=path_text.to_text(path),
        device=os.stat(path).st_dev,
        exclude="[]",
        added_at=time.time(),
    )
    return next(root for root in library.catalogue.roots() if root.path == path)


def _register(library: Library, root: Root, batch: list[_File], report: ScanReport) -> None:
    catalogue = library.catalogue
    with catalogue.transaction():
        catalogue.run("begin_batch", "scan.sql")
        catalogue.run("forget_arrivals", "scan.sql")
        catalogue.run_many(
            "arrive",
            ({"path": path_text.to_text(f.path), "size": f.size, "mtime_ns": f.mtime_ns} for f in batch),
            "scan.sql",
        )
        for row in list(catalogue.rows("known_arrivals", "scan.sql", root_id=root.id)):
            _update_known(library, root, row, report)
        for path, size, mtime_ns in list(catalogue.rows("perhaps_moved", "scan.sql")):
            _register_moved(library, root, _File(path, size, mtime_ns), report)
        # Each that moved has its row by now; all others are new.
        names = [path for (path,) in catalogue.rows("first_new_arrivals", "scan.sql", limit=_MAX_NAMED)]
        report.note_all("new", names, catalogue.run("insert_new_arrivals", "scan.sql", root_id=root.id))
        catalogue.run("remember_seen", "scan.sql")


def _update_known(library: Library, root: Root, row: tuple[object, ...], report: ScanReport) -> None:
    image_id, path, size, mtime_ns, changed, gone, outcome, _reason = row
    if changed:
        library.catalogue.run("changed_on_disk", image_id=image_id, size=size, mtime_ns=mtime_ns)
        report.note("changed", str(path))
    elif gone or outcome == "skipped":
        report.note("returned", str(path))
    library.catalogue.run("returned", "scan.sql", image_id=image_id, root_id=root.id)


def _register_moved(library: Library, root: Root, file: _File, report: ScanReport) -> None:
    moved = _moved_from(library, file)
    if moved is not None:
        path = path_text.to_text(file.path)
        library.catalogue.run("move_image", "scan.sql", image_id=moved, path=path, root_id=root.id)
        report.note("moved", file.path)


def _moved_from(library: Library, file: _File) -> int | None:
    """Return the image that this new file is under its former name: same size and time, not there any more, same content."""
    offline = [os.path.join(root.path, "") for root in library.catalogue.roots() if root.offline]
    movable = library.catalogue.rows("movable", "scan.sql", size=file.size, mtime_ns=file.mtime_ns)
    found: bytes | None = None
    for image_id, path, known_hash in list(movable):
        # A copy of a picture on a disconnected drive is a copy, not a move.
        if os.path.lexists(path) or path.startswith(tuple(offline)):
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


def _settle_unseen(library: Library, root: Root, walk: "_Walk", report: ScanReport) -> None:
    """Mark images that the walk did not see as gone or excluded, except below folders that it could not read."""
    kept = tuple(os.path.join(path, "") for path in (*walk.problems, *walk.mounts))
    inside = os.path.join(root.path, "")
    # Paths below "/a/" sort between "/a/" and "/a0": "0" comes right after "/".
    first = path_text.to_text(inside)
    last = first[:-1] + chr(ord(first[-1]) + 1)
    unseen = library.catalogue.rows("unseen", "scan.sql", root_id=root.id, first=first, last=last)
    with library.catalogue.transaction():
        for image_id, path in list(unseen):
            if path.startswith(kept) or path in walk.problems:
                continue
            if rule := walk.exclusion(os.path.relpath(path, root.path)):
                library.catalogue.run(
                    "exclude_image", "scan.sql", image_id=image_id, reason=path_text.readable(f"excluded: {rule}")
                )
                report.note("excluded", path)
            else:
                library.catalogue.run("mark_gone", "scan.sql", image_id=image_id)
                report.note("gone", path)


class _Walk:
    """The files of one root, without those of other devices and other roots."""

    def __init__(self, root: Root, others: list[str], skip: set[str]) -> None:
        self.problems: list[str] = []
        self.links_out: list[str] = []
        self.mounts: list[str] = []
        self.left_out: Counter[str] = Counter()
        self._root = root
        self._roots = [root.path, *others]
        self._skip = skip
        self._rules = [(glob, re.compile(fnmatch.translate(glob))) for glob in json.loads(root.exclude)]

    def batches(self) -> Iterator[list[_File]]:
        batch: list[_File] = []
        began = time.monotonic()
        for file in self._files():
            batch.append(file)
            if len(batch) >= _BATCH or time.monotonic() - began >= _BATCH_SECONDS:
                yield batch
                batch, began = [], time.monotonic()
        if batch:
            yield batch

    def exclusion(self, relative: str) -> str | None:
        """Return the glob that leaves out this path, or a folder above it."""
        if not self._rules:
            return None
        parts = relative.split(os.sep)
        names = [*parts, *(os.sep.join(parts[: end + 1]) for end in range(len(parts)))]
        return next((glob for glob, rule in self._rules if any(rule.match(name) for name in names)), None)

    def _is_excluded(self, entry: os.DirEntry[str]) -> bool:
        # Without rules nothing is compared: the relative path alone would cost half of a walk.
        return bool(self._rules) and self.exclusion(os.path.relpath(entry.path, self._root.path)) is not None

    def _files(self) -> Iterator[_File]:
        folders = [self._root.path]
        device = os.stat(self._root.path).st_dev
        while folders:
            folder = folders.pop()
            try:
                with os.scandir(folder) as entries:
                    for entry in entries:
                        yield from self._entry(entry, folders, device)
            except OSError:
                self.problems.append(folder)

    def _entry(self, entry: os.DirEntry[str], folders: list[str], device: int) -> Iterator[_File]:
        if entry.name.startswith(".") or entry.path in self._skip:
            return
        try:
            if entry.is_dir(follow_symlinks=False):
                self._folder(entry, folders, device)
                return
            suffix = suffixes.suffix(entry.name)
            if suffix in suffixes.SUFFIXES and not self._is_excluded(entry):
                found = entry.stat()
                # Links to folders are not followed (loops); links to files may be; a pipe or a device is no picture.
                if not stat.S_ISREG(found.st_mode):
                    return
                if entry.is_symlink() and not links.leads_into(entry.path, self._roots):
                    self.links_out.append(entry.path)
                else:
                    yield _File(entry.path, found.st_size, source.mtime_ns(found))
            elif suffix in suffixes.KNOWN_UNREAD and not self._is_excluded(entry):
                self.left_out[suffix] += 1
        except OSError:
            self.problems.append(entry.path)

    def _folder(self, entry: os.DirEntry[str], folders: list[str], device: int) -> None:
        if entry.name in _NOT_THE_USERS or self._is_excluded(entry):
            return
        if entry.stat(follow_symlinks=False).st_dev != device:
            self.mounts.append(entry.path)
        else:
            folders.append(entry.path)
