"""Archives in archives: looked into once, within the limits of the outer one."""

import zipfile
from pathlib import Path

import pytest
from tests.sources.conftest import embedded
from tests.sources.test_archives import Make, add, make_tar, make_tgz, make_zip

from pixfind.images import source
from pixfind.images.source import archives, gzip_stream
from pixfind.library import scan
from pixfind.library.library import Library


@pytest.fixture
def inner(tmp_path: Path, images: dict[str, bytes]) -> dict[str, bytes]:
    """Two archives as members: a zip with five pictures and a tar with the other five."""
    names = list(images)
    first = make_zip(tmp_path / "first.zip", {name: images[name] for name in names[:5]})
    second = make_tar(tmp_path / "second.tar", {name: images[name] for name in names[5:]})
    return {"sub/first.zip": first.read_bytes(), "second.tar": second.read_bytes()}


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("a.zip", make_zip),
        ("stored.zip", lambda path, members: make_zip(path, members, zipfile.ZIP_STORED)),
        ("a.tar", make_tar),
        ("a.tar.gz", make_tgz),
    ],
)
def test_an_archive_in_an_archive_is_looked_into(
    library: Library, images: dict[str, bytes], inner: dict[str, bytes], name: str, make: Make, tmp_path: Path
) -> None:
    path = make(tmp_path / "pictures" / name, inner)
    report = add(library, path.parent)
    assert (10, {}, 10) == (report.new, dict(report.left_out), embedded(library))

    for number, (member, data) in enumerate(images.items()):
        location = f"{path}!/{'sub/first.zip' if number < 5 else 'second.tar'}!/{member}"
        original = source.read(location)
        assert data == original.data
        assert source.version(location) == (original.fingerprint.size, original.fingerprint.mtime_ns)
        assert (str(path), True) == (source.file_of(location), source.exists(location))
    assert not source.exists(f"{path}!/second.tar!/nothing.jpg")
    assert 0 == add(library, path.parent).gone


def test_an_archive_in_an_archive_in_an_archive_is_counted(
    library: Library, inner: dict[str, bytes], tmp_path: Path
) -> None:
    middle = make_zip(tmp_path / "middle.zip", {"x.jpg": b"x", **inner})
    make_zip(tmp_path / "pictures" / "a.zip", {"middle.zip": middle.read_bytes()})
    report = add(library, tmp_path / "pictures")
    assert (1, {".zip": 1, ".tar": 1}) == (report.new, dict(report.left_out))


def test_an_inner_archive_is_excluded_by_its_name(library: Library, inner: dict[str, bytes], tmp_path: Path) -> None:
    make_zip(tmp_path / "pictures" / "outer.zip", inner)
    before = add(library, tmp_path / "pictures").new
    excluded = scan.add(library, tmp_path / "pictures", ("first.zip",)).excluded

    assert 0 < excluded < before
    assert before - excluded == add(library, tmp_path / "pictures").seen


@pytest.mark.parametrize(
    "data",
    [b"", b"PK\5\6" + b"\xff" * 18, b"nothing" * 99, None],
    ids=["empty", "directory elsewhere", "text", "cut"],
)
def test_an_inner_archive_that_cannot_be_read_is_counted_and_the_others_are_read(
    library: Library, inner: dict[str, bytes], tmp_path: Path, data: bytes | None
) -> None:
    whole = inner["sub/first.zip"]
    make_zip(tmp_path / "pictures" / "a.zip", {**inner, "bad.zip": whole[: len(whole) // 2] if data is None else data})
    report = add(library, tmp_path / "pictures")
    assert (10, {".zip": 1}) == (report.new, dict(report.left_out))
    assert 10 == embedded(library)


def test_an_inner_archive_that_is_too_large_or_would_be_a_bomb_is_counted(
    library: Library, inner: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_zip(tmp_path / "pictures" / "a.zip", inner)
    monkeypatch.setattr(archives, "MAX_NESTED_BYTES", len(inner["second.tar"]) - 1)
    report = add(library, tmp_path / "pictures")
    assert (5, {".tar": 1}) == (report.new, dict(report.left_out))

    monkeypatch.setattr(gzip_stream, "MAX_EXPANSION", 1)
    monkeypatch.setattr(gzip_stream, "FREE_BYTES", 0)
    zeros = make_zip(tmp_path / "pictures" / "bomb.zip", {f"{number}.tar": bytes(1 << 20) for number in range(9)})
    members = [each.path for each in archives.members(str(zeros))]
    assert [f"{zeros}!/{number}.tar" for number in range(9)] == members


def test_a_changed_inner_archive_is_read_again(library: Library, images: dict[str, bytes], tmp_path: Path) -> None:
    names = list(images)

    def write(count: int) -> None:
        inside = make_zip(tmp_path / "inside.zip", {name: images[name] for name in names[:count]})
        make_zip(tmp_path / "pictures" / "a.zip", {"inside.zip": inside.read_bytes()})

    write(4)
    assert 4 == add(library, tmp_path / "pictures").new
    embedded(library)
    write(6)
    report = add(library, tmp_path / "pictures")
    assert (2, 0, 0) == (report.new, report.gone, report.changed), "members are known by their own checksums"
    assert 2 == embedded(library)
    write(1)
    assert 5 == add(library, tmp_path / "pictures").gone


def test_a_folder_in_an_archive_may_be_named_as_an_archive(
    library: Library, images: dict[str, bytes], tmp_path: Path
) -> None:
    make_zip(tmp_path / "pictures" / "a.zip", {f"b.zip!/{name}": data for name, data in images.items()})
    assert (10, 10) == (add(library, tmp_path / "pictures").new, embedded(library))
