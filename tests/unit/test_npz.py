"""Archives of arrays that promise more than they hold: refused before any memory is taken for them."""

import io
import resource
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pixfind import errors
from pixfind.search import calibration, similarity_map
from pixfind.storage import npy_header, npz

ROOM = 1 << 30
"""bytes of address space that a test may take"""


@pytest.fixture(autouse=True)
def _little_memory() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_AS)
    if sys.platform == "linux":
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def archive(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as made:
        for name, content in members.items():
            made.writestr(name, content)
    return file


def array(shape: tuple[Any, ...], data: bytes, descr: Any = "<f4") -> bytes:
    return npy_header.encode(descr, shape, 128) + data


def test_what_savez_writes_is_read() -> None:
    wanted = {
        "facts": np.array("text"),
        "square": np.arange(6, dtype=np.float32).reshape(2, 3),
        "turned": np.asfortranarray(np.arange(6, dtype=np.int64).reshape(2, 3)),
        "empty": np.zeros((0, 4), np.uint16),
    }
    file = io.BytesIO()
    np.savez(file, **wanted)  # type: ignore[arg-type]  # NumPy's own types take the name for an option
    found = npz.read(file)

    assert wanted.keys() == found.keys()
    for name, each in wanted.items():
        assert each.dtype == found[name].dtype
        assert each.tolist() == found[name].tolist()
        assert found[name].flags.writeable


@pytest.mark.parametrize(
    "content",
    [
        array((10**12,), b"\0" * 400),
        array((10**9, 10**9), b"\0" * 400),
        array((2**62, 4), b""),
        array((99,), b"\0" * 400),
        array((101,), b"\0" * 400),
        array((-1,), b"\0" * 400),
        array((-10, -10), b"\0" * 400),
        array((10**12,), b"", "|S0"),
        array((100,), b"\0" * 800, "|O"),
        array(("x",), b"\0" * 400),
        b"\x93NUMPY\x03\x00" + b"\0" * 100,
        b"\x93NUMPY\x02\x00\xff\xff\xff\xff{",
        b"",
        b"no array",
    ],
)
def test_a_header_that_does_not_fit_its_member_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        npz.read(archive({"a.npy": content}))


def test_what_would_be_larger_than_the_file_is_refused() -> None:
    content = array((1 << 29,), bytes(4 << 20))
    with pytest.raises(ValueError, match="fit"):
        npz.read(archive({"a.npy": content}, zipfile.ZIP_DEFLATED))
    lying = (
        archive({"a.npy": array((1,), b"\0" * 4)}).getvalue().replace((132).to_bytes(4, "little"), b"\xff\xff\xff\x7f")
    )
    with pytest.raises(ValueError, match="fit"):
        npz.read(io.BytesIO(lying))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", b"no archive"])
def test_what_is_no_archive_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        npz.read(io.BytesIO(content))


def test_such_a_calibration_and_such_a_map_are_none(tmp_path: Path) -> None:
    content = archive({"facts.npy": array((10**13,), b"", "<U8")}).getvalue()
    (tmp_path / "archive").write_bytes(content)

    assert calibration.from_bytes(content, 64) is None
    assert similarity_map.load(tmp_path / "archive") is None


@pytest.mark.parametrize("shape", [(), (-5, 64), ("x", 64), (10**30, 64), (1.5,), (True,)])
def test_a_shape_that_no_array_has_is_damage(tmp_path: Path, shape: tuple[Any, ...]) -> None:
    (tmp_path / "a.npy").write_bytes(array(shape, bytes(200)))

    with pytest.raises(errors.LibraryDamaged, match="header"):
        npy_header.shape(tmp_path / "a.npy")
