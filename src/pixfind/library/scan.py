"""
The scan: one walk over the user's folders that finds new, changed, moved and missing files.

Owns the rules for new, changed, moved, gone, excluded and offline. Reads names, sizes and times; a file's content only to prove
that it was moved. Must not know how pictures are decoded.
What it registers is pending, and `workflows.embed` continues from there.
"""

import contextlib
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pixfind import errors
from pixfind.images import source, suffixes
from pixfind.images.source import File, Walk
from pixfind.library import path_text, roots
from pixfind.library.catalogue import Root
from pixfind.library.fields import Fields
from pixfind.library.known_files import KnownFiles, takes
from pixfind.library.library import Library
from pixfind.library.scan_report import MAX_NAMED, ScanReport
from pixfind.types import Progress, no_progress

_SAMPLE = 50


def add(
    library: Library,
    folder: str | os.PathLike[str],
    exclude: tuple[str, ...] = (),
    progress: Progress = no_progress,
    *,
    configured: roots.Configured | None = None,
    in_archives: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> ScanReport:
    """
    Register the images below `folder`, or in an archive or a list; return what is new, changed, moved, gone or offline.

    It becomes a root of the library. `exclude` holds from now on, until `roots.include` takes it back; `configured` in the place of what the
    same command was configured with before. `in_archives` also registers what is in the archives below it, from now on; `settings`, for its source,
    are remembered, and replace those of a known root one by one. Raises FolderNotReadable for a folder that was never a root and cannot be read,
    ArchiveUnreadable for an archive, ListUnreadable, ColumnMissing and ColumnNotNamed for a list, and ExtraNotInstalled.
    """
    source.check_settings(settings or {})
    path = source.as_root(folder)
    if settings is not None:
        settings = {name: value for name, value in settings.items() if name in source.settings_of(path)}
    report = ScanReport()
    known = next((root for root in library.catalogue.roots() if root.path == path), None)
    remembered = {} if known is None else json.loads(known.settings)
    after = {**remembered, **(settings or {})}
    if known is None or after != remembered:
        source.check(path, after)
    # A root without its exclusions, as a crash could leave it, would have pictures that nobody wants.
    with library.catalogue.transaction():
        if known is None:
            _add_root(library, path, after)
        elif after != remembered:
            roots.set_settings(library, known, after)
            # Which frames of a video are registered depends on them.
            roots.forget_containers(library, path)
        roots.exclude(library, path, exclude, configured)
        if in_archives:
            library.catalogue.run("look_into_archives", "scan.sql", path=path_text.to_text(path))
    refresh_roots(library)
    inside = os.path.join(path, "")
    # Roots inside this one (drives mounted there, folders added before) are walked as their own.
    queue = [root for root in library.catalogue.roots() if root.path == path or root.path.startswith(inside)]
    while queue:
        queue += scan_root(library, queue.pop(0), report, progress)
    take_back(library, report)
    return report


def take_back(library: Library, report: ScanReport) -> None:
    """Give images that a scan found again, after they were left out, the embeddings that they had."""
    if report.returned or report.moved:
        # Here: a scan that finds none does without it.
        from pixfind.library import commit

        # A scan needs no embeddings: damage is reported by what does.
        with contextlib.suppress(errors.LibraryDamaged):
            commit.take_back(library)


def outer_roots(library: Library) -> list[str]:
    """Return the folders that a library knows, without those inside others: these are walked with them."""
    # A path of another system is none here.
    paths = [
        each.path for each in library.catalogue.roots() if os.path.isabs(each.path) or source.is_address(each.path)
    ]
    return [path for path in paths if not any(path.startswith(os.path.join(other, "")) for other in paths)]


def refresh_roots(library: Library) -> None:
    """Find out which roots are offline: missing, empty, or another device than before."""
    for root in library.catalogue.roots():
        offline, device = presence(library, root)
        if (offline, device) != (root.offline, root.device):
            roots.set_root(library, root, offline=offline, device=device)


def presence(library: Library, root: Root) -> tuple[str | None, int]:
    """Return (why the root is offline now or None, the device to remember)."""
    found = source.reachable(root.path, roots.settings(root))
    if found.problem is not None:
        return found.problem, root.device
    device = root.device if found.device is None else found.device
    sample = list(library.catalogue.rows("sample_of_root", "scan.sql", root_id=root.id, limit=_SAMPLE))
    if not sample:
        return None, device
    if found.empty:
        return "empty: nothing is mounted there, or all files were removed", root.device
    # The number of a device may change after a restart: a few known files decide whether it is the same.
    if device != root.device and not any(_is_the_file(*file) for file in sample):
        return "another device is mounted there", root.device
    return None, device


def _is_the_file(path: str, size: int, mtime_ns: int) -> bool:
    return source.version(path) == (size, mtime_ns)


def check_folders(
    folders: Sequence[str | os.PathLike[str]],
    library: Library | None = None,
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Raise FolderNotReadable, or as `add` does, for the first that cannot be read and that `library` does not know: before any work is done for the others."""
    source.check_settings(settings or {})
    known = {root.path for root in library.catalogue.roots()} if library else set()
    for folder in folders:
        if not os.fspath(folder):
            # Most likely a variable of a script that is not set; the present folder is `.`.
            raise errors.FolderNotReadable(path='""', detail="the name is empty")
        if (path := source.as_root(folder)) not in known:
            source.check(path, settings or {})


def order(library: Library, root: Root, *, unsettled: frozenset[str] = frozenset()) -> source.Order:
    """Return what a walk over a root is to find: what holds for it, and for the roots in which it is mounted."""
    known = library.catalogue.roots()
    others = [other.path for other in known if other.id != root.id]
    outer = roots.mounted_in(root, known)
    settings = {name: value for each in (*reversed(outer), root) for name, value in roots.settings(each).items()}
    return source.Order(
        root.path,
        settings,
        exclude=tuple((each.path, glob) for each in (root, *outer) for glob in roots.exclusions(each)),
        containers=source.container_suffixes(settings, in_archives=any(each.in_archives for each in (root, *outer))),
        others=tuple(others),
        skip=frozenset((library.path.as_posix(), *others)),
        unsettled=unsettled,
        part=_part(root, outer),
    )


def _part(root: Root, outer: Sequence[Root]) -> source.Part | None:
    """Return which part of a root is this library's; a drive that is mounted in it is divided by the same names as if it were a folder."""
    for each in (*reversed(outer), root):
        if (text := json.loads(each.settings).get(source.PART)) is not None:
            return source.part_of(each.path, text)
    return None


def is_ours(walk: Walk, location: str) -> bool:
    """Tell whether what a walk finds belongs to this library: where several divide the root, only a part does."""
    return walk.order.part is None or walk.order.part.has(location)


# --- one root -------------------------------------------------------------------------------------


def scan_root(library: Library, root: Root, report: ScanReport, progress: Progress = no_progress) -> list[Root]:
    """Walk one root; return the roots found inside it: other devices."""
    catalogue = library.catalogue
    if root.offline:
        count = catalogue.value("count_of_root", "scan.sql", root_id=root.id)
        report.note("offline", f"{root.path} ({root.offline})", count)
        return []
    walk = source.walk(order(library, root))
    known, fields = KnownFiles(catalogue, root), Fields(catalogue, root)
    seen = 0
    for batch in source.batches(walk.files()):
        ours = [file for file in batch if is_ours(walk, file.path)]
        register(library, root, ours, known, report)
        repeated = fields.keep(walk.fields)
        report.note_all("repeated", repeated, len(repeated))
        walk.fields.clear()
        # Those of other parts show as well that the root is there.
        seen += len(batch)
        report.seen += len(ours)
        progress(report.seen, None)
    for archive in walk.containers:
        seen += scan_archive(library, root, archive, walk, known, report)
        progress(report.seen, None)
    note_problems(walk, report)
    unread_are_there = not walk.unread.isdisjoint(walk.left_out)
    unknown = root.path in walk.reasons
    if not (seen or walk.links_out or walk.containers or unread_are_there or unknown) and any(
        walk.exclusion(path) is None
        for path, *_ in catalogue.rows("sample_of_root", "scan.sql", root_id=root.id, limit=-1)
    ):
        # No pictures where there were some: this may be an empty mount point with a stray file.
        roots.set_root(library, root, offline="empty: none of its pictures is there")
        return scan_root(library, next(r for r in catalogue.roots() if r.id == root.id), report, progress)
    settle_unseen(library, root, walk, known, report, [root.path])
    if not walk.problems:
        fields.forget_others()
    report.left_out += walk.left_out
    if (left_out := json.dumps(dict(sorted(walk.left_out.items())))) != root.left_out:
        catalogue.run("set_left_out", "scan.sql", id=root.id, left_out=left_out)
    return [add_mount(library, root, path) for path in walk.mounts]


def note_problems(walk: Walk, report: ScanReport) -> None:
    """Count what a walk could not read, links that it did not follow, and entries of a list that are no pictures."""
    for path in walk.problems:
        report.note("problems", f"{path} ({walk.reasons[path]})" if path in walk.reasons else path)
    for kind, count in walk.without_file.items():
        report.note_all(kind, walk.named_without_file[kind], count)
    for path in walk.links_out:
        report.note("links_out", path)


def add_mount(library: Library, root: Root, path: str) -> Root:
    """A drive mounted inside a root is a root of its own, so that it can be offline alone; what holds for the outer one holds for it."""
    _add_root(library, path, {roots.MOUNTED_IN: root.id})
    return next(root for root in library.catalogue.roots() if root.path == path)


def _add_root(library: Library, path: str, settings: Mapping[str, Any]) -> None:
    library.catalogue.run(
        "add_root",
        "scan.sql",
        path=path_text.to_text(path),
        # What has gone again meanwhile is found by the next look at it.
        device=source.reachable(path, settings).device or 0,
        exclude="[]",
        added_at=time.time(),
        settings=json.dumps(settings),
    )


def scan_archive(library: Library, root: Root, archive: File, walk: Walk, known: KnownFiles, report: ScanReport) -> int:
    """Register the members of one archive, if it is another than at the last scan; return how many images it has. One of another part has none."""
    if archive.path != root.path and not is_ours(walk, archive.path):
        return 0
    catalogue, path = library.catalogue, path_text.to_text(archive.path)
    before = next(catalogue.rows("archive", "scan.sql", path=path), None)
    # An extra that was installed since reads what was left out.
    if (
        before is not None
        and before[:2] == (archive.size, archive.mtime_ns)
        and not _now_read(walk, json.loads(before[2]))
    ):
        seen = 0
        for first, last in path_text.ranges_at(archive.path, source.inside(archive.path)):
            members = catalogue.all_rows("members", "scan.sql", root_id=root.id, first=first, last=last)
            known.mark(image_id for (image_id,) in members)
            seen += len(members)
        walk.left_out.update(json.loads(before[2]))
        report.seen += seen
        return seen
    left_out: Counter[str] = Counter()
    seen = 0
    for batch in source.batches(_members(archive, walk, left_out)):
        # A compressed tar is inflated from the beginning to wherever a member lies: in its own order, once.
        register(library, root, batch, known, report, in_order=True)
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
    in_video = suffixes.suffix(os.path.basename(archive.path)) in suffixes.VIDEOS
    try:
        for member in source.members(archive.path, walk.order.settings):
            suffix = suffixes.suffix(os.path.basename(member.path))
            if walk.exclusion(member.path) or not is_ours(walk, member.path):
                continue
            # All that a video has are pictures; in an archive a video is not looked into.
            if suffix in walk.suffixes or in_video:
                yield member
            elif suffix in suffixes.COUNTED:
                left_out[suffix] += 1
    except errors.OperationError as error:
        walk.problems.append(archive.path)
        walk.reasons[archive.path] = str(error.fields.get("detail", ""))


def register(
    library: Library, root: Root, batch: list[File], known: KnownFiles, report: ScanReport, *, in_order: bool = False
) -> None:
    """
    Register files of a root: what is new, changed, moved there or back. Each counts as seen.

    New images get their ids in the order of the paths, so that those of a folder follow each other; with `in_order` in that of the batch.
    """
    catalogue = library.catalogue
    arrivals = known.without_unchanged(batch)
    if in_order:
        position = {file.path: number for number, file in enumerate(batch)}
        arrivals.sort(key=lambda file: position[file.path])
    if not arrivals:
        return
    with catalogue.transaction():
        catalogue.run("begin_batch", "scan.sql")
        catalogue.run("forget_arrivals", "scan.sql")
        catalogue.run_many(
            "arrive",
            (
                {"path": path_text.to_text(f.path), "size": f.size, "mtime_ns": f.mtime_ns, "position": number}
                for number, f in enumerate(arrivals)
            ),
            "scan.sql",
        )
        for row in list(catalogue.rows("known_arrivals", "scan.sql", root_id=root.id, takes=takes(root))):
            _update_known(library, root, row, report)
        for path, size, mtime_ns in list(catalogue.rows("perhaps_moved", "scan.sql")):
            _register_moved(library, root, File(path, size, mtime_ns), report)
        # Each that moved has its row by now; all others are new.
        names = [path for (path,) in catalogue.rows("first_new_arrivals", "scan.sql", limit=MAX_NAMED)]
        added = catalogue.run("insert_new_arrivals", "scan.sql", root_id=root.id, now=int(time.time()))
        report.note_all("new", names, added)
        ids = catalogue.rows("ids_of_arrivals", "scan.sql", root_id=root.id)
        known.mark(image_id for (image_id,) in ids)


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
    movable = library.catalogue.rows("movable", "scan.sql", size=file.size, mtime_ns=file.mtime_ns)
    found: bytes | None = None
    for image_id, path, known_hash, offline in list(movable):
        # A copy of a picture on a disconnected drive is a copy, not a move.
        if offline or source.exists(path):
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
        beginning for path in (*walk.problems, *walk.mounts, *walk.unsettled) for beginning in source.inside(path)
    )
    there = {archive.path for archive in walk.containers}
    catalogue = library.catalogue
    complete = places == [root.path] and known.all_seen()
    with catalogue.transaction():
        for first, last in (each for place in places for each in ranges_at(root, place)):
            limits = {"root_id": root.id, "first": first, "last": last}
            for (path,) in list(catalogue.rows("archives_of_root", "scan.sql", **limits)):
                if path not in there:
                    catalogue.run("forget_archive", "scan.sql", path=path_text.to_text(path))
            for image_id, path in [] if complete or root.path in walk.problems else known.unseen(first, last):
                if path.startswith(kept) or path in walk.problems or path in walk.unsettled:
                    continue
                # Where its extra is not installed any more, what is known of a RAW file or a video stays.
                if suffixes.suffix(os.path.basename(path)) not in walk.unread or not source.exists(path):
                    rule = walk.exclusion(path) or (None if is_ours(walk, path) else f"not in part {walk.order.part}")
                    _settle(library, image_id, path, rule, report)


def ranges_at(root: Root, place: str) -> tuple[tuple[str, str], ...]:
    """Return the ranges of the texts of locations at and in a place of a root."""
    if place == root.path and source.prefix(place) is None:
        return (("", chr(sys.maxunicode)),)
    return path_text.ranges_at(place, source.inside(place))


def _settle(library: Library, image_id: int, path: str, rule: str | None, report: ScanReport) -> None:
    if rule:
        reason = path_text.readable(f"excluded: {rule}")
        library.catalogue.run("exclude_image", "scan.sql", image_id=image_id, reason=reason)
        report.note("excluded", path)
    else:
        library.catalogue.run("mark_gone", "scan.sql", image_id=image_id)
        report.note("gone", path)
