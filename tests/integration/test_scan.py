"""What becomes of files: new, changed, moved, gone, returned, excluded, offline."""

import os
import shutil
from pathlib import Path

import pytest

from pixfind import errors
from pixfind.embedding.runners.serial import Serial
from pixfind.library import path_text, roots, scan, verify
from pixfind.library.library import Library
from pixfind.testing import make_image, make_pictures
from pixfind.testing.libraries import QUIET
from pixfind.workflows.embed import embed as embed_pending
from pixfind.workflows.merge import merge


def embed(library: Library) -> int:
    report = embed_pending(library, QUIET, runner=Serial())
    merge(library)
    return report.images


def indices(library: Library) -> dict[str, int | None]:
    rows = library.catalogue._connection.execute("SELECT path, embedding_index FROM images WHERE gone = 0")
    return {path_text.from_text(path): row for path, row in rows}


def test_a_second_scan_finds_nothing_new(library: Library, pictures: Path) -> None:
    report = scan.add(library, pictures)

    assert (40, 0, 0, 0, 0) == (report.seen, report.new, report.changed, report.moved, report.gone)


def test_a_renamed_and_a_moved_file_keep_their_embeddings(embedded: Library, pictures: Path) -> None:
    before = indices(embedded)
    (pictures / "deep" / "er").mkdir(parents=True)
    (pictures / "picture_00000.jpg").rename(pictures / "renamed.jpg")
    (pictures / "picture_00001.jpg").rename(pictures / "deep" / "er" / "picture_00001.jpg")
    report = scan.add(embedded, pictures)
    after = indices(embedded)

    assert (2, 0, 0) == (report.moved, report.new, report.gone)
    assert before[str(pictures / "picture_00000.jpg")] == after[str(pictures / "renamed.jpg")]
    assert before[str(pictures / "picture_00001.jpg")] == after[str(pictures / "deep/er/picture_00001.jpg")]
    assert 0 == embed(embedded)


def test_a_new_file_with_the_size_and_time_of_a_lost_one_is_not_taken_for_it(embedded: Library, pictures: Path) -> None:
    old = pictures / "picture_00000.jpg"
    found = old.stat()
    old.unlink()
    other = make_image(pictures / "other.bmp", seed=99)
    other.write_bytes(os.urandom(found.st_size))
    os.utime(other, ns=(found.st_mtime_ns, found.st_mtime_ns))
    report = scan.add(embedded, pictures)

    assert (1, 0, 1) == (report.new, report.moved, report.gone)


def test_a_changed_file_is_embedded_again_and_its_old_row_is_dead(embedded: Library, pictures: Path) -> None:
    path = make_image(pictures / "picture_00003.jpg", seed=777)
    report = scan.add(embedded, pictures)
    assert (1, 0) == (report.changed, report.new)
    assert indices(embedded)[str(path)] is None

    assert 1 == embed(embedded)
    assert 40 == indices(embedded)[str(path)]
    assert 40 == embedded.live_rows().sum()
    assert 41 == embedded.merged_rows


def test_a_deleted_file_is_gone_and_returns_with_its_embedding(
    embedded: Library, pictures: Path, tmp_path: Path
) -> None:
    path = pictures / "picture_00005.jpg"
    before = indices(embedded)[str(path)]
    path.rename(tmp_path / "away.jpg")
    assert 1 == scan.add(embedded, pictures).gone
    assert (39, 1) == tuple(embedded.catalogue.ledger()[name] for name in ("seen", "gone"))
    assert not embedded.live_rows()[before]

    (tmp_path / "away.jpg").rename(path)
    assert 1 == scan.add(embedded, pictures).returned
    assert before == indices(embedded)[str(path)]
    assert 0 == embed(embedded)


def test_an_unplugged_drive_deletes_nothing_and_costs_nothing_when_it_returns(
    embedded: Library, pictures: Path, tmp_path: Path
) -> None:
    before = indices(embedded)
    pictures.rename(tmp_path / "unplugged")
    for empty in (False, True):
        if empty:
            pictures.mkdir()  # what is left of a mount point
        report = scan.add(embedded, pictures)
        assert (0, 40) == (report.gone, report.offline)
        assert 40 == embedded.catalogue.ledger()["offline"]
        assert before == indices(embedded)
        assert embedded.live_rows().all()
        assert 0 == embed(embedded)
    (pictures / "stray.txt").write_text("not a picture")
    assert 0 == scan.add(embedded, pictures).gone

    shutil.rmtree(pictures)
    (tmp_path / "unplugged").rename(pictures)
    report = scan.add(embedded, pictures)
    assert (0, 0, 0) == (report.gone, report.new, report.offline)
    assert 0 == embed(embedded)


def test_another_device_in_the_place_of_a_root_is_offline(embedded: Library, pictures: Path, tmp_path: Path) -> None:
    pictures.rename(tmp_path / "unplugged")
    make_pictures(pictures, 3, first=500)
    # What a mount changes: the number of the device.
    embedded.catalogue._connection.execute("UPDATE roots SET device = device + 1")
    report = scan.add(embedded, pictures)

    assert (0, 0, 40) == (report.gone, report.new, report.offline)
    assert "another device" in next(root.offline or "" for root in embedded.catalogue.roots())


def test_the_same_drive_under_another_number_stays_online(embedded: Library, pictures: Path) -> None:
    embedded.catalogue._connection.execute("UPDATE roots SET device = device + 1")

    report = scan.add(embedded, pictures)

    assert (40, 0, 0) == (report.seen, report.offline, report.new)


def test_pending_images_of_an_offline_root_wait(library: Library, pictures: Path, tmp_path: Path) -> None:
    pictures.rename(tmp_path / "unplugged")
    scan.refresh_roots(library)

    assert 0 == embed(library)
    assert 40 == library.catalogue.ledger()["pending"]


def test_a_copy_of_a_picture_on_an_unplugged_drive_is_not_taken_for_a_move(
    embedded: Library, pictures: Path, tmp_path: Path
) -> None:
    (tmp_path / "copy").mkdir()
    shutil.copy2(pictures / "picture_00000.jpg", tmp_path / "copy" / "picture_00000.jpg")
    pictures.rename(tmp_path / "unplugged")
    report = scan.add(embedded, tmp_path / "copy")

    assert (1, 0) == (report.new, report.moved)


def test_excluded_files_are_left_out_and_told(embedded: Library, pictures: Path) -> None:
    make_pictures(pictures / "thumbs", 3, first=200)
    report = scan.add(embedded, pictures, ("thumbs", "*_0000[0-4].jpg"))
    counts = embedded.catalogue.ledger()

    assert (0, 5, 0) == (report.new, report.excluded, report.gone)
    assert (40, 35, 5) == tuple(counts[name] for name in ("seen", "embedded", "skipped"))
    assert 0 == scan.add(embedded, pictures).excluded


def test_what_was_left_out_and_returns_keeps_its_embedding(embedded: Library, pictures: Path) -> None:
    shutil.copy2(pictures / "picture_00000.jpg", pictures / "copy.jpg")
    scan.add(embedded, pictures)
    embed(embedded)
    before = indices(embedded)
    scan.add(embedded, pictures, ("*.jpg",))
    # The table of contents is made again while no image points to the rows.
    with embedded.catalogue.transaction():
        embedded.catalogue.contents.rebuild()
    make_image(pictures / "picture_00003.jpg", seed=99)
    roots.include(embedded, [str(pictures)], ["*.jpg"])
    report = scan.add(embedded, pictures)
    after = indices(embedded)

    assert (40, 1) == (report.returned, report.changed)
    waiting = {str(pictures / name) for name in ("picture_00003.jpg", "copy.jpg")}
    assert waiting == {path for path, row in after.items() if row is None}
    assert waiting == {path for path, row in before.items() if row != after[path]}
    assert [] == verify.verify(embedded)
    assert {"embedded": 1, "duplicate": 1} == embed_pending(embedded, QUIET, runner=Serial()).outcomes
    merge(embedded)
    assert before[str(pictures / "copy.jpg")] == indices(embedded)[str(pictures / "copy.jpg")]
    assert [] == verify.verify(embedded)


def test_a_row_that_is_damaged_meanwhile_is_not_taken_back(embedded: Library, pictures: Path) -> None:
    scan.add(embedded, pictures, ("*.jpg",))
    with embedded.embeddings_path.open("r+b") as file:
        file.seek(-2, os.SEEK_END)
        file.write(b"\xff\xff")
    roots.include(embedded, [str(pictures)], ["*.jpg"])
    scan.add(embedded, pictures)

    assert 1 == embed(embedded)
    assert [] == verify.verify(embedded)


def test_a_time_beyond_64_bits_is_registered_with_the_others(library: Library, pictures: Path) -> None:
    path = make_image(pictures / "from_the_future.jpg", seed=77)
    os.utime(path, (10_500_000_000, 10_500_000_000))

    assert 1 == scan.add(library, pictures).new
    assert 0 == scan.add(library, pictures).changed
    embed(library)
    assert 41 == library.catalogue.ledger()["embedded"]


def test_names_of_every_kind_are_registered(library: Library, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    names = [
        b"UPPER.JPG",
        b"with space.jpeg",
        b"new\nline.png",
        b"not-utf8-\xff\xfe.jpg",
        "snö 雪.jpg".encode(),
        b"'quote\".jpg",
    ]
    source = make_image(tmp_path / "one.jpg").read_bytes()
    for name in names:
        (folder / os.fsdecode(name)).write_bytes(source + name)
    report = scan.add(library, folder)

    assert len(names) == report.new
    found = {os.fsencode(Path(path).name) for path in indices(library) if path.startswith(str(folder))}
    assert set(names) == found
    assert len(names) == scan.add(library, folder).seen
    embed(library)
    assert 0 == library.catalogue.ledger()["failed"]


def test_hidden_folders_loops_pipes_and_dead_links_do_not_stop_the_walk(library: Library, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    make_pictures(folder / ".hidden", 1)
    make_pictures(folder / "@eaDir", 1)
    make_pictures(folder / "seen", 2, first=300)
    (folder / "loop").symlink_to(folder)
    (folder / "dead.jpg").symlink_to(folder / "nowhere.jpg")
    os.mkfifo(folder / "pipe.jpg")
    (folder / "folder.jpg").mkdir()
    report = scan.add(library, folder)

    assert (2, 1) == (report.new, report.problems)
    assert [str(folder / "dead.jpg")] == report.named["problems"]


def test_a_link_is_a_picture_when_it_leads_into_a_registered_folder(library: Library, tmp_path: Path) -> None:
    """The same rule as in the server, which shows no other: tests/serve/test_images.py."""
    inside, other, outside = (tmp_path / name for name in ("inside", "other", "outside"))
    for folder in (inside, other, outside):
        make_pictures(folder, 1)
    target = next(outside.iterdir())
    (inside / "within.jpg").symlink_to(next(inside.iterdir()))
    (inside / "to-other.jpg").symlink_to(next(other.iterdir()))
    (inside / "to-outside.jpg").symlink_to(target)
    (tmp_path / "inside and more.jpg").symlink_to(target)
    (inside / "to-neighbour.jpg").symlink_to(tmp_path / "inside and more.jpg")
    first = scan.add(library, inside)

    assert (2, 3) == (first.new, first.links_out)
    assert str(inside / "to-outside.jpg") in first.named["links_out"]
    assert 1 == scan.add(library, other).new
    again = scan.add(library, inside)
    assert (1, 2, 0) == (again.new, again.links_out, again.gone)
    scan.add(library, outside)
    assert (2, 0) == ((now := scan.add(library, inside)).new, now.links_out)


def test_a_picture_that_becomes_a_link_to_elsewhere_is_gone(library: Library, tmp_path: Path) -> None:
    make_pictures(tmp_path / "inside", 1)
    make_pictures(tmp_path / "outside", 1)
    scan.add(library, tmp_path / "inside")
    picture = next((tmp_path / "inside").iterdir())
    picture.unlink()
    picture.symlink_to(next((tmp_path / "outside").iterdir()))
    report = scan.add(library, tmp_path / "inside")

    assert (0, 1, 1, 0) == (report.seen, report.gone, report.links_out, report.offline)


def test_a_folder_that_cannot_be_read_keeps_its_images(
    embedded: Library, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_pictures(pictures / "locked", 2, first=100)
    scan.add(embedded, pictures)
    scandir = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    # chmod does not stop root, who may run these tests.
    monkeypatch.setattr(os, "scandir", refuse)
    report = scan.add(embedded, pictures)

    assert (0, 1) == (report.gone, report.problems)


def test_a_folder_inside_a_root_can_be_added_and_keeps_its_images(embedded: Library, pictures: Path) -> None:
    make_pictures(pictures / "inner", 2, first=100)
    scan.add(embedded, pictures)
    report = scan.add(embedded, pictures / "inner")
    assert (2, 0, 0) == (report.seen, report.new, report.returned)
    report = scan.add(embedded, pictures)

    assert (42, 0, 0) == (report.seen, report.new, report.gone)


def test_a_folder_that_does_not_exist_is_told(library: Library, tmp_path: Path) -> None:
    with pytest.raises(errors.FolderNotReadable, match="nowhere"):
        scan.add(library, tmp_path / "nowhere")


def test_the_library_does_not_index_itself(tmp_path: Path) -> None:
    with Library.create(tmp_path / "pictures" / "library") as library:
        make_pictures(tmp_path / "pictures", 1)
        make_pictures(tmp_path / "pictures" / "library" / "thumbnails", 2)
        assert 1 == scan.add(library, tmp_path / "pictures").new


def test_a_root_inside_another_that_goes_away_meanwhile_is_offline(library: Library, pictures: Path) -> None:
    nested = pictures / "drive"
    make_image(nested / "a.jpg", seed=300)
    scan.add(library, nested)
    scan.add(library, pictures)

    def unplug(_done: int, _total: int | None) -> None:
        if nested.exists():
            nested.rename(pictures.with_name("unplugged"))

    report = scan.add(library, pictures, progress=unplug)
    assert (0, 1) == (report.gone, report.offline)
    assert 41 == library.catalogue.ledger()["seen"]
    pictures.with_name("unplugged").rename(nested)
    report = scan.add(library, pictures)
    assert (0, 0, 0) == (report.new, report.gone, report.offline)


def test_a_rule_for_all_pictures_of_a_root_excludes_them(embedded: Library, pictures: Path) -> None:
    report = scan.add(embedded, pictures, ("*.jpg",))

    assert (40, 0) == (report.excluded, report.offline)
    assert 40 == embedded.catalogue.ledger()["skipped"]


def test_a_rule_does_not_make_pictures_of_an_empty_mount_point_gone(embedded: Library, pictures: Path) -> None:
    for picture in pictures.glob("*.jpg"):
        picture.unlink()
    (pictures / "stray.tmp").write_bytes(b"x")

    report = scan.add(embedded, pictures, ("picture_00001.jpg",))

    assert (0, 40) == (report.gone, report.offline)


def test_a_library_in_the_folder_with_the_pictures_finds_no_thumbnails_of_its_own(tmp_path: Path) -> None:
    make_pictures(tmp_path / "pictures", 3)
    with Library.create(tmp_path / "pictures") as library:
        (library.path / "thumbnails/00").mkdir(parents=True)
        make_image(library.path / "thumbnails/00/one.jpg")
        with library.lock("add"):
            assert 3 == scan.add(library, library.path).seen


def test_thumbnails_of_another_library_are_no_pictures(library: Library, pictures: Path) -> None:
    Library.create(pictures / "theirs").close()
    (pictures / "theirs/thumbnails/00").mkdir(parents=True)
    make_image(pictures / "theirs/thumbnails/00/one.jpg")
    make_image(pictures / "theirs/mine.jpg", seed=77)
    with library.lock("add"):
        assert 41 == scan.add(library, pictures).seen


def test_an_empty_name_is_not_the_present_folder(library: Library) -> None:
    with pytest.raises(errors.FolderNotReadable, match="the name is empty"):
        scan.check_folders([""], library)
