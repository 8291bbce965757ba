"""The comparison of what a walk finds with what is known: exact, whatever lies between the files and however they are named."""

import os
import random
from pathlib import Path

import pytest

from pixfind.images.source import File
from pixfind.library import known_files, scan
from pixfind.library.known_files import KnownFiles
from pixfind.library.library import Library
from pixfind.library.scan_report import ScanReport

_NAMES = ("a.jpg", "b!.jpg", "c d.jpg", "é.jpg", "z\\xff.jpg", "\udcff.jpg", "z\\x5cxff.jpg", "0.jpg")
_FOLDERS = ("", "a", "a/b", "a-b", "a.jpg.d", "a/b/é", "z")


def _write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def _change(root: Path, dice: random.Random) -> None:
    """Make, rewrite, touch, move and delete some files."""
    there = [path for path in root.rglob("*.jpg") if path.is_file()]
    for path in dice.sample(there, min(len(there), 12)):
        kind = dice.randrange(4)
        if kind == 0:
            path.unlink()
        elif kind == 1:
            os.utime(path, ns=(0, dice.randrange(10**18)))
        elif kind == 2:
            path.write_text("x" * dice.randrange(50))
        else:
            path.rename(path.with_name(f"moved {dice.randrange(10**6)}.jpg"))
    for _ in range(6):
        _write(root / dice.choice(_FOLDERS) / dice.choice(_NAMES), "y" * dice.randrange(50))


def _catalogue(library: Library) -> list[tuple[object, ...]]:
    rows = library.catalogue.all_rows(
        "between", "scan.sql", root_id=1, first="", last="\U0010ffff", last_id=0, limit=-1
    )
    gone = dict(library.catalogue._connection.execute("SELECT path, gone FROM images").fetchall())
    return [(*row[:3], gone[row[0]]) for row in rows]


@pytest.mark.parametrize("rows_read", [0, 3, 4_000])
def test_a_scan_finds_the_same_whether_files_are_compared_or_looked_up(
    rows_read: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_files, "_STRETCH", 4)
    dice = random.Random(rows_read)
    root = tmp_path / "pictures"
    for folder in _FOLDERS:
        for name in _NAMES:
            _write(root / folder / name, "x" * len(name))
    with Library.create(tmp_path / "one") as one, Library.create(tmp_path / "other") as other:
        for _ in range(4):
            monkeypatch.setattr(known_files, "_MAX_ROWS", rows_read)
            found = scan.add(one, root)
            monkeypatch.setattr(known_files, "_MAX_ROWS", -1)
            looked_up = scan.add(other, root)

            assert looked_up == found
            assert _catalogue(other) == _catalogue(one)
            _change(root, dice)


def test_files_that_are_known_as_they_are_need_no_lookup(library: Library, pictures: Path) -> None:
    known = KnownFiles(library.catalogue, library.catalogue.roots()[0])
    files = [
        File(str(path), path.stat().st_size, path.stat().st_mtime_ns)
        for path in sorted(pictures.iterdir(), reverse=True)
    ]

    assert [] == known.without_unchanged(files)
    assert known.all_seen()


def test_an_image_that_was_not_seen_is_missed(library: Library, pictures: Path) -> None:
    known = KnownFiles(library.catalogue, library.catalogue.roots()[0])
    path = pictures / "picture_00000.jpg"

    known.without_unchanged([File(str(path), path.stat().st_size, path.stat().st_mtime_ns)])

    assert not known.all_seen()
    assert list(range(2, 41)) == [image_id for image_id, _ in known.unseen("", "\U0010ffff")]


def test_of_two_entries_of_one_path_the_last_counts(library: Library, pictures: Path) -> None:
    path = pictures / "picture_00000.jpg"
    now = File(str(path), path.stat().st_size, path.stat().st_mtime_ns)
    known = KnownFiles(library.catalogue, library.catalogue.roots()[0])

    assert [] == known.without_unchanged([now._replace(size=1), now])
    assert [now._replace(size=1)] == known.without_unchanged([now, now._replace(size=1)])


def test_a_scan_with_nothing_new_writes_nothing(library: Library, pictures: Path) -> None:
    before = library.catalogue._connection.total_changes

    assert ScanReport(seen=40) == scan.add(library, pictures)
    assert before == library.catalogue._connection.total_changes
