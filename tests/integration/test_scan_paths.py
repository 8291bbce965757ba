"""The scan of some paths ends where a full scan does, and reads nothing else."""

import contextlib
import json
import os
import random
import shutil
import sqlite3
import zipfile
from pathlib import Path
from typing import Any

import pytest

from pixfind import errors
from pixfind.embedding.runners.serial import Serial
from pixfind.images import source
from pixfind.library import path_text, scan
from pixfind.library.library import Library
from pixfind.library.scan_paths import may_matter, scan_paths
from pixfind.library.scan_report import ScanReport
from pixfind.testing import make_image, make_pictures
from pixfind.testing.libraries import QUIET
from pixfind.workflows.embed import embed
from pixfind.workflows.merge import merge

ROUNDS = 4
CHANGES = 8


class Tree:
    """Three roots, one inside another, with all that a folder may hold; its changes note the paths that they touch."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.roots = [folder / "one", folder / "two", folder / "one" / "inner"]
        self.outside = folder / "outside"
        self.touched: set[str] = set()
        self.count = 0
        for root in [*self.roots, self.outside]:
            root.mkdir()
            # A root without any picture left is offline.
            self.write(root / "anchor.jpg")
        for _ in range(40):
            self.write(self.some_path())

    def write(self, path: Path) -> None:
        """Write a file with a content and a time of its own; an archive has members."""
        self.count += 1
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # never through a link
        if path.suffix == ".zip":
            with zipfile.ZipFile(path, "w") as archive:
                for number in range(self.random.randrange(4)):
                    archive.writestr(f"{number}/{self.random.choice('ab')}.jpg", f"{path.name} {self.count} {number}")
        else:
            path.write_bytes(b"content %d" % self.count + b"." * self.random.randrange(3))
        at = 10**18 + self.count * 10**9
        os.utime(path, ns=(at, at))
        self.touched.add(str(path))

    def some_folder(self) -> Path:
        """Return a folder that may exist; some of them are left out of the scan."""
        folder = self.random.choice([*self.roots, self.outside])
        for _ in range(self.random.randrange(3)):
            folder /= self.random.choice(["a", "b.jpg", "draft", ".hidden", "@eaDir", "c.zip", os.fsdecode(b"caf\xe9")])
            if folder.is_file():
                return folder.parent
        return folder

    def some_path(self) -> Path:
        names = ["x.jpg", "y.png", "draft.jpg", ".dot.jpg", "notes.txt", "z.zip", "z2.zip", os.fsdecode(b"caf\xe9.jpg")]
        while (path := self.some_folder() / self.random.choice(names)).is_dir():
            pass
        return path

    def existing(self, *, folders: bool = False) -> Path | None:
        found = [
            path
            for root in [*self.roots[:2], self.outside]
            for path in root.rglob("*")
            if path.is_dir() == folders and path.name != "anchor.jpg" and path not in self.roots
        ]
        return self.random.choice(sorted(found)) if found else None

    def change(self) -> None:
        self.random.choice(
            [self.make, self.make, self.overwrite, self.delete, self.move, self.move, self.move_folder, self.link]
        )()

    def make(self) -> None:
        self.write(self.some_path())

    def overwrite(self) -> None:
        if (path := self.existing()) is not None and not path.is_symlink():
            self.write(path)

    def delete(self) -> None:
        if path := self.existing(folders=self.random.random() < 0.3):
            self.touched.add(str(path))
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    def move(self) -> None:
        if (path := self.existing()) and not (to := self.some_path()).exists():
            self._rename(path, to)

    def move_folder(self) -> None:
        path, to = self.existing(folders=True), self.some_folder() / self.random.choice(["a", "moved", "draft"])
        if path and not path.is_symlink() and not to.exists() and not to.is_relative_to(path):
            self._rename(path, to)

    def link(self) -> None:
        # A link changes with what it leads to, which only a full scan sees: these lead to what never changes.
        target = self.random.choice([*self.roots, self.outside]) / "anchor.jpg"
        path = self.some_folder() / self.random.choice(["link.jpg", "link.zip"])
        if not os.path.lexists(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(target)
            self.touched.add(str(path))

    def _rename(self, path: Path, to: Path) -> None:
        to.parent.mkdir(parents=True, exist_ok=True)
        path.rename(to)
        # What a folder held is not named one by one.
        self.touched |= {str(path), str(to)}


def with_roots(path: Path, tree: Tree) -> Library:
    library = Library.create(path)
    scan.add(library, tree.roots[0], exclude=("*draft*",))
    scan.add(library, tree.roots[1], in_archives=True)
    scan.add(library, tree.roots[2], in_archives=True)
    return library


def know_contents(library: Library) -> None:
    """Give each image the hash that an embed would: by it the scan knows what was moved."""
    connection = library.catalogue._connection
    for image_id, text in connection.execute("SELECT id, path FROM images WHERE hash IS NULL AND gone = 0").fetchall():
        try:
            content = source.read(path_text.from_text(text)).fingerprint.hash
        except errors.ImageProblem:
            continue
        connection.execute("UPDATE images SET hash = ? WHERE id = ?", (content, image_id))


def catalogue(library: Library) -> dict[str, Any]:
    connection = library.catalogue._connection
    images = connection.execute(
        "SELECT images.path, size, mtime_ns, gone, outcome, reason, hash, roots.path FROM images JOIN roots ON roots.id = root_id"
    )
    return {
        **{row[0]: row[1:] for row in images},
        "archives": sorted(connection.execute("SELECT path, root_id, size, mtime_ns, left_out FROM archives")),
        "roots": sorted(connection.execute("SELECT path, device, exclude, offline, in_archives FROM roots")),
    }


@pytest.mark.parametrize("seed", range(12))
def test_any_changes_end_as_a_full_scan_does(tmp_path: Path, seed: int) -> None:
    tree = Tree(tmp_path, seed)
    with with_roots(tmp_path / "by-paths", tree) as by_paths, with_roots(tmp_path / "in-full", tree) as in_full:
        for _ in range(ROUNDS):
            know_contents(by_paths)
            know_contents(in_full)
            tree.touched.clear()
            for _ in range(CHANGES):
                tree.change()
            scan_paths(by_paths, tree.touched)
            for root in scan.outer_roots(in_full):
                scan.add(in_full, root)

            assert catalogue(in_full) == catalogue(by_paths), json.dumps(sorted(map(ascii, tree.touched)), indent=1)


# --- one kind of change at a time -----------------------------------------------------------------


@pytest.fixture
def two_roots(embedded: Library, tmp_path: Path) -> Path:
    """A second root of the library, with two pictures."""
    make_pictures(tmp_path / "second", 2, first=100)
    scan.add(embedded, tmp_path / "second")
    embed_pending(embedded)
    return tmp_path / "second"


def embed_pending(library: Library) -> int:
    report = embed(library, QUIET, runner=Serial())
    merge(library)
    return report.images


def counts(report: ScanReport) -> dict[str, int]:
    names = ("seen", "new", "changed", "moved", "returned", "gone", "excluded", "offline", "problems")
    return {name: count for name in names if (count := getattr(report, name))}


def test_a_picture_keeps_its_embedding_when_it_moves_to_another_root(
    embedded: Library, pictures: Path, two_roots: Path
) -> None:
    before, after = pictures / "picture_00003.jpg", two_roots / "deep" / "renamed.jpg"
    after.parent.mkdir()
    before.rename(after)

    assert {"seen": 1, "moved": 1} == counts(scan_paths(embedded, [str(before), str(after.parent)]))
    assert 0 == embed_pending(embedded)


def test_only_the_changed_paths_are_read(embedded: Library, pictures: Path) -> None:
    make_image(pictures / "picture_00001.jpg", seed=500)
    make_image(pictures / "picture_00002.jpg", seed=501)
    (pictures / "picture_00003.jpg").unlink()

    assert {"seen": 1, "changed": 1} == counts(scan_paths(embedded, [str(pictures / "picture_00001.jpg")]))
    assert {"seen": 1, "changed": 1} == counts(scan_paths(embedded, [str(pictures / "picture_00002.jpg")]))
    assert {"gone": 1} == counts(scan_paths(embedded, [str(pictures / "picture_00003.jpg")]))


def test_paths_outside_the_roots_change_nothing(embedded: Library, tmp_path: Path) -> None:
    make_image(tmp_path / "elsewhere.jpg", seed=3)

    assert {} == counts(
        scan_paths(embedded, [str(tmp_path / "elsewhere.jpg"), str(tmp_path / "never"), "/proc/1/x.jpg"])
    )


def test_what_is_below_an_unplugged_drive_is_kept_and_its_return_is_a_full_scan(
    embedded: Library, pictures: Path, tmp_path: Path
) -> None:
    paths = [str(path) for path in pictures.iterdir()]
    pictures.rename(tmp_path / "unplugged")
    assert {"offline": 40} == counts(scan_paths(embedded, [*paths, str(pictures)]))
    assert {} == counts(scan_paths(embedded, paths))
    pictures.mkdir()  # what is left of a mount point
    assert {} == counts(scan_paths(embedded, paths))
    assert 40 == embedded.catalogue.ledger()["offline"]
    pictures.rmdir()
    make_image(tmp_path / "unplugged" / "new.jpg", seed=600)
    (tmp_path / "unplugged").rename(pictures)

    assert {"seen": 41, "new": 1} == counts(scan_paths(embedded, [str(tmp_path)]))
    assert 1 == embed_pending(embedded)


def test_deleting_all_pictures_of_a_root_takes_it_offline_as_a_full_scan_does(
    embedded: Library, pictures: Path
) -> None:
    (pictures / "stray.txt").write_text("what a system leaves on an empty mount point")
    paths = sorted(pictures.glob("*.jpg"))
    for path in paths:
        path.unlink()

    assert {"offline": 40} == counts(scan_paths(embedded, map(str, paths)))
    assert embedded.live_rows().all()


def test_a_file_that_is_being_written_is_left_as_it_is_known(embedded: Library, pictures: Path) -> None:
    known, new = pictures / "picture_00001.jpg", pictures / "new.jpg"
    for path in (known, new):
        make_image(path, seed=700)

    assert {"seen": 39} == counts(
        scan_paths(
            embedded, [str(pictures / "no-root"), *map(str, pictures.iterdir())], unsettled={str(known), str(new)}
        )
    )
    assert {"seen": 2, "new": 1, "changed": 1} == counts(scan_paths(embedded, [str(known), str(new)]))


def test_a_folder_that_cannot_be_read_loses_nothing(
    embedded: Library, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = pictures / "deep"
    make_pictures(deep, 2, first=300)
    scan.add(embedded, pictures)
    scandir = os.scandir

    def refusing(path: str) -> Any:
        if path == str(deep):
            raise PermissionError
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)

    assert {"problems": 1} == counts(scan_paths(embedded, [str(deep)]))
    embed_pending(embedded)


def test_a_drive_mounted_inside_a_root_becomes_a_root(
    embedded: Library, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive = pictures / "drive"
    make_pictures(drive, 3, first=400)
    lstat = os.lstat
    monkeypatch.setattr(os, "lstat", lambda path: _elsewhere(lstat(path), path, drive))
    stat = os.stat
    monkeypatch.setattr(os, "stat", lambda path, **options: _elsewhere(stat(path, **options), path, drive))

    assert {"seen": 3, "new": 3} == counts(scan_paths(embedded, [str(drive / "picture_00400.jpg")]))
    assert [str(pictures), str(drive)] == [root.path for root in embedded.catalogue.roots()]


def test_what_holds_for_a_root_holds_for_the_drives_mounted_in_it(
    embedded: Library, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive = pictures / "drive"
    make_pictures(drive, 3, first=400)
    make_pictures(drive / "private", 2, first=500)
    with zipfile.ZipFile(drive / "backup.zip", "w") as archive:
        archive.writestr("old.jpg", b"content")
    scan.add(embedded, pictures, ("*_00401.jpg", "drive/private"), in_archives=True)
    stat = os.stat
    monkeypatch.setattr(os, "stat", lambda path, **options: _elsewhere(stat(path, **options), path, drive))
    lstat = os.lstat
    monkeypatch.setattr(os, "lstat", lambda path: _elsewhere(lstat(path), path, drive))

    scan_paths(embedded, [str(drive / "picture_00400.jpg")])
    assert [str(pictures), str(drive)] == [root.path for root in embedded.catalogue.roots()]

    scan.add(embedded, pictures)
    on_it = {path for (path,) in _present(embedded) if path.startswith(str(drive))}
    assert {str(drive / "picture_00400.jpg"), str(drive / "picture_00402.jpg")} < on_it
    assert all("backup.zip!/" in path for path in on_it if "picture_0040" not in path)
    assert any("backup.zip!/" in path for path in on_it)

    scan.add(embedded, pictures, ("backup.zip*",))
    assert not any("backup.zip!/" in path for (path,) in _present(embedded))


def _present(library: Library) -> list[tuple[str]]:
    with contextlib.closing(sqlite3.connect(library.catalogue.path)) as database:
        return database.execute("SELECT path FROM images WHERE gone = 0 AND outcome IS NOT 'skipped'").fetchall()


def _elsewhere(found: os.stat_result, path: Any, drive: Path) -> os.stat_result:
    """The result as it would be for what lies on a drive of its own."""
    if not isinstance(path, (str, Path)) or not Path(path).is_relative_to(drive):
        return found
    values = list(found)
    values[2] += 1000  # st_dev
    return os.stat_result(values, {"st_mtime_ns": found.st_mtime_ns})


def test_what_cannot_matter_is_known_without_a_scan(embedded: Library, pictures: Path, tmp_path: Path) -> None:
    (pictures / "folder").mkdir()
    matter = ["new.jpg", "new.zip", "folder", "picture_00000.jpg", ".", ".."]
    gone = pictures / "picture_00001.jpg"
    gone.rename(tmp_path / "away")

    assert [True] * len(matter) == [may_matter(embedded, os.path.normpath(pictures / name)) for name in matter]
    assert may_matter(embedded, str(gone))
    for name in (
        "notes.txt",
        "gone.2019",
        ".new.jpg",
        ".cache/new.jpg",
        "@eaDir/new.jpg",
        "../new.jpg",
        "../library/new.jpg",
    ):
        assert not may_matter(embedded, os.path.normpath(pictures / name)), name
