"""Pictures that have moved get their new paths and keep their embeddings."""

import os
import shutil
import zipfile
from pathlib import Path

import pytest

from pixfind import errors
from pixfind.embedding.runners.serial import Serial
from pixfind.library import path_text, scan, verify
from pixfind.library.library import Library
from pixfind.library.relocate import Move, preview
from pixfind.search import searcher
from pixfind.testing import make_image, make_pictures
from pixfind.testing.libraries import QUIET
from pixfind.workflows import inactive_models
from pixfind.workflows import index as workflow
from pixfind.workflows.relocate import relocate

CLIP = str(Path(__file__).parents[1] / "golden" / "clip-tiny")


def indices(library: Library) -> dict[str, int | None]:
    rows = library.catalogue._connection.execute("SELECT path, embedding_index FROM images WHERE gone = 0")
    return {path_text.from_text(path): row for path, row in rows}


def move(library: Library, old: object, new: object, *, anyway: bool = False) -> int:
    with library.lock("relocate"):
        return relocate(library, Move.between(str(old), str(new)), anyway=anyway).images


def nothing_is_new(library: Library, folder: Path) -> None:
    report = scan.add(library, folder)
    counts = (report.new, report.changed, report.moved, report.gone, report.returned, report.offline)
    assert (0, 0, 0, 0, 0, 0) == counts


def test_every_path_is_new_and_every_embedding_stays(embedded: Library, pictures: Path, tmp_path: Path) -> None:
    before = indices(embedded)
    new = tmp_path / "elsewhere" / "photos"
    shutil.move(pictures, new)

    assert 40 == move(embedded, pictures, new)
    assert {str(new / Path(path).name): row for path, row in before.items()} == indices(embedded)
    nothing_is_new(embedded, new)
    assert {str(new)} == {str(Path(hit.path).parent) for hit in searcher.search(embedded, "sky", 5).hits}


def test_new_paths_may_be_old_paths_of_other_images(library: Library, tmp_path: Path) -> None:
    # The new path of a/0.jpg is the old path of a/a/0.jpg, which comes later.
    old = tmp_path / "a"
    (old / "a").mkdir(parents=True)
    make_image(old / "0.jpg", seed=50)
    make_image(old / "a" / "0.jpg", seed=51)
    scan.add(library, old)
    old.rename(tmp_path / "staging")
    old.mkdir()
    (tmp_path / "staging").rename(old / "a")

    assert 2 == move(library, old, old / "a")
    inside = {path for path in indices(library) if path.startswith(str(old))}
    assert {str(old / "a" / "0.jpg"), str(old / "a" / "a" / "0.jpg")} == inside
    nothing_is_new(library, old / "a")


def test_two_images_do_not_get_one_path(library: Library, pictures: Path) -> None:
    (pictures / "deep").mkdir()
    make_image(pictures / "deep" / "picture_00001.jpg", seed=52)
    scan.add(library, pictures)
    with pytest.raises(errors.RelocationRefused, match="two cannot become one"):
        move(library, pictures / "deep", pictures, anyway=True)


def test_a_dry_run_changes_nothing(embedded: Library, pictures: Path, tmp_path: Path) -> None:
    shutil.copytree(pictures, tmp_path / "new")
    before = indices(embedded)
    with Library.open(embedded.path) as reader:
        found = preview(reader, Move.between(str(pictures), str(tmp_path / "new")))

    assert (40, 40, 40) == (found.images, found.embedded, found.sample.same)
    assert [(str(pictures), str(tmp_path / "new"))] == found.roots
    assert before == indices(embedded)


def test_a_place_without_the_pictures_is_refused_unless_meant(
    embedded: Library, pictures: Path, tmp_path: Path
) -> None:
    make_pictures(tmp_path / "others", 40, first=100)
    for new in (tmp_path / "nowhere", tmp_path / "others"):
        with pytest.raises(errors.NotMovedThere):
            move(embedded, pictures, new)
    assert str(pictures) == embedded.catalogue.roots()[0].path

    move(embedded, pictures, tmp_path / "nowhere", anyway=True)
    (root,) = embedded.catalogue.roots()
    assert str(tmp_path / "nowhere") == root.path
    assert "missing" in str(root.offline)


def test_a_file_of_the_same_size_and_time_with_other_bytes_is_not_the_picture(
    embedded: Library, pictures: Path, tmp_path: Path
) -> None:
    new = shutil.copytree(pictures, tmp_path / "new")
    for path in sorted(new.iterdir()):
        found = path.stat()
        path.write_bytes(os.urandom(found.st_size))
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    sample = preview(embedded, Move.between(str(pictures), str(new)), anyway=True).sample

    assert 5 == sample.different


def test_rounded_times_are_taken_over_for_every_model(embedded: Library, pictures: Path, tmp_path: Path) -> None:
    for path in pictures.iterdir():
        os.utime(path, ns=(0, 1_700_000_001_123_456_789))
    scan.add(embedded, pictures)
    options = QUIET.__class__(workers=1, share=1.0, nice=0)
    workflow.index(embedded, options=options, runner=Serial())
    switched = options.__class__(workers=1, share=1.0, nice=0, model=CLIP)
    workflow.index(embedded, options=switched, runner=Serial())
    new = shutil.copytree(pictures, tmp_path / "new")
    for path in new.iterdir():
        os.utime(path, ns=(0, 1_700_000_002_000_000_000))
    with Library.open(embedded.path, write=True) as active:
        move(active, pictures, new)
        nothing_is_new(active, new)
        (previous,) = [
            (indices(other), [root.path for root in other.catalogue.roots()], verify.verify(other))
            for other in inactive_models.open_inactive(active)
        ]
    assert {str(new)} == {str(Path(path).parent) for path in previous[0]}
    assert None not in previous[0].values(), "the other model keeps its embeddings"
    assert ([str(new)], []) == previous[1:]


def test_other_times_are_named(embedded: Library, pictures: Path, tmp_path: Path) -> None:
    new = shutil.copytree(pictures, tmp_path / "new")
    for path in new.iterdir():
        os.utime(path, (1, 1))
    with pytest.raises(errors.NotMovedThere, match="copy them with their times"):
        move(embedded, pictures, new)


def test_members_of_archives_move_with_their_archive_to_another_device(library: Library, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    make_pictures(tmp_path / "loose", 3, first=60)
    old.mkdir()
    with zipfile.ZipFile(old / "trip.zip", "w") as archive:
        for path in sorted((tmp_path / "loose").iterdir()):
            archive.write(path, path.name)
    scan.add(library, old, in_archives=True)
    library.catalogue._connection.execute("UPDATE roots SET device = 1 WHERE path = ?", (str(old),))
    old.rename(new)

    assert 3 == move(library, old, new)
    inside = {path for path in indices(library) if path.startswith(str(new))}
    assert {f"{new}/trip.zip!/picture_0006{number}.jpg" for number in range(3)} == inside
    assert [] == list(library.catalogue._connection.execute("SELECT path FROM archives")), (
        "the next scan reads them again"
    )
    assert [None, None] == [root.offline for root in library.catalogue.roots()]
    nothing_is_new(library, new)


@pytest.mark.parametrize("by", ["archive", "folder"])
def test_an_archive_that_was_added_by_itself_moves(library: Library, by: str, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    with zipfile.ZipFile(old / "trip.zip", "w") as archive:
        for path in make_pictures(tmp_path / "drawn", 3):
            archive.write(path, path.name)
    scan.add(library, old / "trip.zip")
    old.rename(new)
    moved = (old / "trip.zip", new / "trip.zip") if by == "archive" else (old, new)

    assert 3 == move(library, *moved)
    assert [f"{new}/trip.zip!/picture_{n:05}.jpg" for n in range(3)] == sorted(
        path for path in indices(library) if "trip.zip" in path
    )
    report = scan.add(library, new / "trip.zip")
    assert (3, 0, 0, 0) == (report.seen, report.new, report.moved, report.gone)


def test_part_of_a_root_moves_inside_it_and_not_out_of_it(library: Library, pictures: Path, tmp_path: Path) -> None:
    (pictures / "2019").mkdir()
    make_image(pictures / "2019" / "one.jpg", seed=70)
    scan.add(library, pictures)
    with pytest.raises(errors.RelocationRefused, match="no folder of this library"):
        move(library, pictures / "2019", tmp_path / "outside", anyway=True)
    (pictures / "archive").mkdir()
    (pictures / "2019").rename(pictures / "archive" / "2019")

    assert 1 == move(library, pictures / "2019", pictures / "archive" / "2019")
    nothing_is_new(library, pictures)


def test_two_folders_do_not_become_one(library: Library, pictures: Path, tmp_path: Path) -> None:
    make_pictures(tmp_path / "other", 1, first=90)
    scan.add(library, tmp_path / "other")
    with pytest.raises(errors.RelocationRefused, match="a folder of this library already"):
        move(library, pictures, tmp_path / "other", anyway=True)


def test_names_that_are_not_utf8_and_names_that_begin_alike(library: Library, pictures: Path, tmp_path: Path) -> None:
    odd = os.fsdecode(b"caf\xe9 \\x41.jpg")
    make_image(pictures / "plain.jpg", seed=71).rename(pictures / odd)
    make_pictures(tmp_path / "pictures-2", 1, first=80)
    for folder in (pictures, tmp_path / "pictures-2"):
        scan.add(library, folder)
    new = tmp_path / os.fsdecode(b"n\xe9w")
    pictures.rename(new)

    assert 41 == move(library, pictures, new)
    assert str(new / odd) in indices(library)
    assert str(tmp_path / "pictures-2" / "picture_00080.jpg") in indices(library)
    nothing_is_new(library, new)


@pytest.mark.skipif(os.name == "nt", reason="paths of Windows are its own there")
def test_a_library_of_windows_moves_here(library: Library, pictures: Path) -> None:
    (pictures / "deep").mkdir()
    make_image(pictures / "deep" / "xab.jpg", seed=72)
    scan.add(library, pictures)
    statement = library.catalogue._connection.execute
    for table in ("images", "roots"):
        for number, path in statement(f"SELECT id, path FROM {table}").fetchall():  # noqa: S608  two names of ours
            windows = "C:\\Pictures" + path.removeprefix(str(pictures)).replace("/", "\\")
            statement(f"UPDATE {table} SET path = ? WHERE id = ?", (path_text.to_text(windows), number))  # noqa: S608

    assert 41 == move(library, "C:\\Pictures", pictures)
    nothing_is_new(library, pictures)
    with pytest.raises(errors.OtherPathStyle):
        Move.between(str(pictures), "D:\\Pictures")
