"""Compressed tars: members are read in any order, by several threads, and no bomb is expanded."""

import contextlib
import gzip
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from tests.sources.conftest import embedded
from tests.sources.test_archives import Make, add, make_tar, make_tgz, make_zip, outcomes

from pixfind import errors
from pixfind.images import source
from pixfind.images.source import archives, gzip_stream
from pixfind.library import scan
from pixfind.library.library import Library
from pixfind.testing.images import encode, picture


def many(count: int, size: int = 40_000) -> dict[str, bytes]:
    random = np.random.default_rng(count)
    return {f"a/{number:03}.jpg": random.bytes(size + number) for number in range(count)}


def test_members_of_a_compressed_tar_are_read_in_any_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gzip_stream, "_FIRST_DISTANCE", 100_000)
    monkeypatch.setattr(gzip_stream, "_MAX_STATES", 8)
    members = many(60)
    path = make_tgz(tmp_path / "a.tar.gz", members)
    assert list(members) == [each.path.partition(archives.MARK)[2] for each in archives.members(str(path))]
    for name in (*members, *reversed(members), *np.random.default_rng(1).permutation(list(members)).tolist()):
        assert members[name] == archives.read(f"{path}!/{name}").data


@pytest.mark.parametrize(("make", "file"), [(make_zip, "a.zip"), (make_tgz, "a.tar.gz")])
def test_members_get_their_ids_in_the_order_of_the_archive(
    library: Library, tmp_path: Path, make: Make, file: str
) -> None:
    """Workers read by ids: a compressed tar in another order would be inflated again and again."""
    members = many(60)
    names = np.random.default_rng(1).permutation(list(members)).tolist()
    path = make(tmp_path / "pictures" / file, {name: members[name] for name in names})
    add(library, tmp_path / "pictures")

    assert [f"{path}!/{name}" for name in names] == [each.path for each in library.catalogue.pending()]


def test_a_tar_of_several_compressed_streams_is_read_to_its_end(tmp_path: Path) -> None:
    """As parallel programs write them."""
    members = many(6)
    data = make_tar(tmp_path / "plain.tar", members).read_bytes()
    path = tmp_path / "a.tar.gz"
    pieces = [data[at : at + 70_001] for at in range(0, len(data), 70_001)]
    path.write_bytes(b"".join(map(gzip.compress, pieces)) + bytes(700))
    assert members == {name: archives.read(f"{path}!/{name}").data for name in members}


def test_threads_read_a_compressed_tar_together(tmp_path: Path) -> None:
    members = many(30)
    path = str(make_tgz(tmp_path / "a.tar.gz", members))
    with ThreadPoolExecutor(8) as threads:
        assert list(members.values()) == list(threads.map(lambda name: archives.read(f"{path}!/{name}").data, members))


def test_what_comes_before_the_cut_of_a_compressed_tar_is_read(library: Library, tmp_path: Path) -> None:
    members = {f"{seed}.png": encode(picture(seed, (200, 150)), ".png") for seed in range(10)}
    path = make_tgz(tmp_path / "pictures" / "a.tgz", members)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    report = add(library, path)
    assert 1 == report.problems
    assert 3 <= report.new < 10
    embedded(library)
    known = outcomes(library)
    assert {"embedded", "failed"} >= {outcome for outcome, _ in known.values()}
    assert all("in its archive" in str(reason) for outcome, reason in known.values() if outcome == "failed")


def test_flipped_bytes_of_a_compressed_tar_are_members_or_problems(tmp_path: Path) -> None:
    whole = make_tgz(tmp_path / "whole.tgz", many(5, 3_000)).read_bytes()
    random, path = np.random.default_rng(3), tmp_path / "a.tgz"
    for number in range(60):
        data = bytearray(whole)
        data[random.integers(len(data))] ^= 1 << int(random.integers(8))
        path.write_bytes(data)
        os.utime(path, ns=(number, number))
        try:
            listed = [each.path for each in archives.members(str(path))]
        except errors.ArchiveUnreadable:
            continue
        for location in listed:
            with contextlib.suppress(errors.ImageProblem):
                source.read(location)


def test_a_compressed_bomb_is_not_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gzip_stream, "FREE_BYTES", 1 << 20)
    path = make_tgz(tmp_path / "a.tar.gz", {"flat.bmp": bytes(40 << 20)})
    with pytest.raises(errors.ArchiveUnreadable, match="more than 100 times its size"):
        list(archives.members(str(path)))


def test_other_archives_are_counted(library: Library, tmp_path: Path) -> None:
    for name in ("a.7z", "b.tar.xz", "c.RAR", "d.gz", "e.tar.gz"):
        (tmp_path / "pictures" / name).write_bytes(b"x")
    report = scan.add(library, tmp_path / "pictures")
    assert {".7z": 1, ".tar.xz": 1, ".rar": 1, ".tar.gz": 1} == dict(report.left_out)
