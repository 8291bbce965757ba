"""A growing array keeps its promises: loadable at any time, never a row that was not promised."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from pixfind import errors
from pixfind.storage import disk, npy

F2 = np.dtype("<f2")


def rows(count: int, start: int = 0) -> np.ndarray:
    return np.arange(start, start + count * 4, dtype="<f2").reshape(count, 4)


def test_numpy_loads_a_growing_array_after_every_append(tmp_path: Path) -> None:
    with npy.GrowingArray(tmp_path / "a.npy", F2, (4,), write=True) as array:
        assert (0, 4) == np.load(tmp_path / "a.npy").shape
        for count in (1, 2, 3):
            array.append(rows(1, count))
            assert (count, 4) == np.load(tmp_path / "a.npy", mmap_mode="r").shape

    expected = np.concatenate([rows(1, count) for count in (1, 2, 3)])
    assert (expected == np.load(tmp_path / "a.npy")).all()


def test_rows_behind_the_count_are_cut_off_by_the_next_writer(tmp_path: Path) -> None:
    with npy.GrowingArray(tmp_path / "a.npy", F2, (4,), write=True) as array:
        array.append(rows(2))
    with (tmp_path / "a.npy").open("ab") as file:
        file.write(b"half a row")

    assert (2, 4) == np.load(tmp_path / "a.npy").shape
    with npy.GrowingArray(tmp_path / "a.npy", F2, (4,), write=True) as array:
        array.append(rows(1, 100))

    assert (np.concatenate([rows(2), rows(1, 100)]) == np.load(tmp_path / "a.npy")).all()


def test_a_write_cut_at_any_byte_leaves_the_old_rows_or_the_new(tmp_path: Path) -> None:
    with npy.GrowingArray(tmp_path / "whole.npy", F2, (4,), write=True) as array:
        array.append(rows(2))
        before = (tmp_path / "whole.npy").read_bytes()
        array.append(rows(3, 50))
    after = (tmp_path / "whole.npy").read_bytes()
    for cut in range(len(before), len(after) + 1):
        path = tmp_path / "cut.npy"
        # The header comes last, so until then the old one stands before new bytes.
        path.write_bytes(before[:128] + after[128:cut])
        with npy.GrowingArray(path, F2, (4,), write=True) as array:
            assert 2 == array.count
            assert (rows(2) == array.read(0, 2)).all()


def test_a_file_whose_first_write_was_cut_is_empty(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY")
    with npy.GrowingArray(tmp_path / "a.npy", F2, (4,), write=True) as array:
        assert 0 == array.count


def test_a_count_that_could_not_be_synced_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = iter([None, OSError(errno.EIO, "Input/output error")])

    def sync_rows_only(_: int) -> None:
        if failure := next(synced):
            raise failure

    with npy.GrowingArray(tmp_path / "a.npy", F2, (4,), write=True) as array:
        array.append(rows(2))
        with monkeypatch.context() as patched:
            patched.setattr(disk, "sync", sync_rows_only)
            with pytest.raises(errors.DiskFailed, match=r"a\.npy"):
                array.append(rows(1, 100))
        with npy.GrowingArray(tmp_path / "a.npy", F2, (4,)) as reader:
            assert 2 == reader.count
        array.append(rows(1, 200))

    assert (np.concatenate([rows(2), rows(1, 200)]) == np.load(tmp_path / "a.npy")).all()


def test_a_header_that_promises_more_than_is_there_is_told(tmp_path: Path) -> None:
    with npy.GrowingArray(tmp_path / "a.npy", F2, (4,), write=True) as array:
        array.append(rows(3))
    os.truncate(tmp_path / "a.npy", 128 + 8)
    with npy.GrowingArray(tmp_path / "a.npy", F2, (4,)) as array:
        assert 1 == array.rows_present()
        with pytest.raises(errors.LibraryDamaged, match="promises 3 rows"):
            array.read(0, 3)


def test_another_shape_or_type_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((2, 5), "<f4"))
    with pytest.raises(errors.LibraryDamaged, match="rows of"):
        npy.GrowingArray(tmp_path / "a.npy", F2, (4,))


@pytest.mark.parametrize("content", [b"x" * 600, b"\x93NUMPY\x01\x00\x76\x00{'descr': 1+1}".ljust(600)])
def test_a_header_that_is_no_header_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(errors.LibraryDamaged, match="header"):
        npy.GrowingArray(tmp_path / "a.npy", F2, (4,))


def test_publishing_leaves_the_old_file_when_the_block_fails(tmp_path: Path) -> None:
    disk.publish(tmp_path / "a", b"old")

    def fail(temporary: Path) -> None:
        temporary.write_bytes(b"new")
        raise RuntimeError

    with pytest.raises(RuntimeError), disk.publishing(tmp_path / "a") as temporary:
        fail(temporary)

    assert b"old" == (tmp_path / "a").read_bytes()
    assert [tmp_path / "a"] == list(tmp_path.iterdir())


@pytest.mark.parametrize(("before", "after"), [(None, 0o600), (0o600, 0o600), (0o640, 0o640), (0o664, 0o664)])
def test_a_published_file_is_for_its_owner_alone_unless_he_opened_it(
    tmp_path: Path, before: int | None, after: int
) -> None:
    umask = os.umask(0)
    if before is not None:
        (tmp_path / "a").touch(mode=before)
    disk.publish(tmp_path / "a", b"x")
    os.umask(umask)

    assert after == (tmp_path / "a").stat().st_mode & 0o777


def test_what_takes_the_place_of_a_link_is_for_its_owner_alone(tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"mine")
    (tmp_path / "a").symlink_to(tmp_path / "outside")
    disk.publish(tmp_path / "a", b"x")

    assert (b"x", b"mine") == ((tmp_path / "a").read_bytes(), (tmp_path / "outside").read_bytes())
    assert 0o600 == (tmp_path / "a").lstat().st_mode & 0o777
