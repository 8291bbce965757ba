"""An output option never destroys what it is pointed at: every kind of thing that a name can stand for, in a folder of its own."""

import errno
import os
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pixfind import errors
from pixfind.storage.output import Output


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.endswith(".tmp")]


def test_a_new_file_is_made_as_any_program_makes_one(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    Output.at(tmp_path / "page.html").write(b"page")

    assert b"page" == (tmp_path / "page.html").read_bytes()
    assert (tmp_path / "other").stat().st_mode == (tmp_path / "page.html").stat().st_mode
    assert [] == leftovers(tmp_path)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755])
def test_a_file_is_replaced_in_one_step_and_keeps_its_mode(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "page.html"
    path.write_bytes(b"before")
    path.chmod(mode)
    with path.open("rb") as reader:
        Output.at(path).write(b"after")

        assert b"before" == reader.read(), "who has it open sees the old file, never a part of the new one"
    assert b"after" == path.read_bytes()
    assert mode == stat.S_IMODE(path.stat().st_mode)
    assert [] == leftovers(tmp_path)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root may make a file that is somebody else's")
def test_a_file_keeps_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.touch()
    os.chown(path, 4321, 1234)
    Output.at(path).write(b"page")

    assert (4321, 1234) == (path.stat().st_uid, path.stat().st_gid)


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "page.html").write_bytes(b"before")
    (tmp_path / "link.html").symlink_to("there/page.html")
    Output.at(tmp_path / "link.html").write(b"after")

    assert (tmp_path / "link.html").is_symlink()
    assert b"after" == (tmp_path / "there" / "page.html").read_bytes()


def test_a_dangling_link_gets_the_file_it_names(tmp_path: Path) -> None:
    (tmp_path / "link.html").symlink_to("new.html")
    Output.at(tmp_path / "link.html").write(b"page")

    assert "new.html" == str((tmp_path / "link.html").readlink())
    assert b"page" == (tmp_path / "new.html").read_bytes()


def test_a_named_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(path.read_bytes()))
    reader.start()
    Output.at(path).write(b"page" * 100_000)
    reader.join()

    assert [b"page" * 100_000] == read
    assert stat.S_ISFIFO(path.stat().st_mode)


def test_a_device_is_written_to_and_stays_one(tmp_path: Path) -> None:
    (tmp_path / "null").symlink_to("/dev/null")
    Output.at(tmp_path / "null").write(b"page")
    with pytest.raises(errors.DiskFull, match="/dev/full"):
        Output.at("/dev/full").write(b"page")

    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("folder", "folder"),
        ("socket", "socket"),
        ("read-only", "read-only"),
        ("loop", os.strerror(errno.ELOOP)),
        ("below a file", "folder|[Nn]ot a directory"),
        ("below nothing", "no folder"),
        ("dangling into nothing", "no folder"),
    ],
)
def test_what_cannot_be_written_is_refused_before_any_work_and_left_as_it_is(
    tmp_path: Path, kind: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "page.html"
    match kind:
        case "folder":
            path.mkdir()
        case "socket":
            monkeypatch.chdir(tmp_path)  # the name of a socket is short
            with socket.socket(socket.AF_UNIX) as listening:
                listening.bind("page.html")
        case "read-only":
            path.write_bytes(b"keep")
            path.chmod(0o444)
        case "loop":
            path.symlink_to("page.html")
        case "below a file":
            path.touch()
            path = path / "page.html"
        case "below nothing":
            path = tmp_path / "nowhere" / "page.html"
        case "dangling into nothing":
            path.symlink_to("nowhere/page.html")
    before = sorted((entry.name, entry.lstat().st_mode, entry.lstat().st_ino) for entry in tmp_path.iterdir())
    with pytest.raises(errors.OutputNotWritable, match=why):
        Output.at(path)

    assert before == sorted((entry.name, entry.lstat().st_mode, entry.lstat().st_ino) for entry in tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["folder", "pipe", "link to a folder"])
def test_what_takes_the_place_meanwhile_is_not_renamed_over(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "page.html"
    named = Output.at(path)
    if kind == "pipe":
        os.mkfifo(path)
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        named.write(b"page")
        assert b"page" == os.read(descriptor, 10)
        os.close(descriptor)
    else:
        (tmp_path / "folder").mkdir()
        path.mkdir() if kind == "folder" else path.symlink_to("folder")
        with pytest.raises(errors.OutputNotWritable):
            named.write(b"page")
    assert (kind in ("folder", "link to a folder") and path.is_dir()) or stat.S_ISFIFO(path.stat().st_mode)
    assert [] == leftovers(tmp_path)


def write(path: str, **options: object) -> "subprocess.CompletedProcess[bytes]":
    """Write `page` to `path` between two printed lines, in a process of its own."""
    program = (
        "import sys; from pixfind.storage.output import Output; print('before');"
        "Output.at(sys.argv[1]).write(b'page\\n'); print('after')"
    )
    return subprocess.run([sys.executable, "-c", program, path], check=True, timeout=600, **options)  # type: ignore[call-overload]


@pytest.mark.parametrize("path", ["-", "/dev/stdout", "/dev/fd/1"])
def test_standard_output_has_several_names(path: str) -> None:
    assert b"before\npage\nafter\n" == write(path, stdout=subprocess.PIPE).stdout


@pytest.mark.parametrize("path", ["-", "/dev/stdout", "out.txt"])
def test_a_file_that_is_standard_output_is_not_taken_away_from_under_it(tmp_path: Path, path: str) -> None:
    with (tmp_path / "out.txt").open("wb") as out:
        write(path, stdout=out, cwd=tmp_path)

    assert b"before\npage\nafter\n" == (tmp_path / "out.txt").read_bytes()
