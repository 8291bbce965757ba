"""kill -9 at every step of an export of sidecars: what is there is whole, and the next export leaves nothing of the one that was killed."""

import errno
import os
import shutil
import signal
import sys
from pathlib import Path

import pytest

from pixfind.library import scan, verify
from pixfind.library.library import Library
from pixfind.storage import disk
from pixfind.testing import make_library, make_pictures
from pixfind.testing.forks import forked
from pixfind.workflows.export import images
from pixfind.workflows.export_xmp import Sidecars, export_xmp

EVENTS = {"os.link", "os.remove", "os.rename"}


def exported(library: Path, word: str) -> Sidecars:
    with Library.open(library) as opened:
        return export_xmp(opened, {image.image_id: [word] for image in images(opened)}, None)


def killed(library: Path, step: int, *, has_links: bool = True) -> tuple[int, int]:
    """Export in a fork that is killed before its step `step` (0: never): a sync, a link, a rename, a deletion."""

    def work() -> int:
        taken = 0

        def count() -> None:
            nonlocal taken
            taken += 1
            if taken == step:
                os.kill(os.getpid(), signal.SIGKILL)

        sync = disk.sync

        def counted_sync(descriptor: int) -> None:
            count()
            sync(descriptor)

        def hear(event: str, _arguments: object) -> None:
            if event in EVENTS:
                count()

        def no_link(*_: object) -> None:
            raise OSError(errno.EPERM, "no links here")

        disk.sync = counted_sync
        if not has_links:
            os.link = no_link  # type: ignore[assignment]
        sys.addaudithook(hear)
        exported(library, "after")
        return taken

    return forked(work)


def sidecars(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.glob("*.xmp"))]


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix == ".tmp")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A library of three pictures, of which the first has a sidecar."""
    make_pictures(tmp_path / "pictures", 3)
    with make_library(tmp_path / "library", tmp_path / "pictures") as made:
        first = next(iter(images(made)))
        export_xmp(made, {first.image_id: ["before"]}, None)
    return tmp_path / "library"


def test_killed_at_any_step_the_next_export_finishes_and_tidies(place: Path, tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    shutil.copytree(pictures, tmp_path / "at-first")
    steps = killed(place, 0)[1]
    whole = sidecars(pictures)
    assert steps > 5
    assert [] == left(pictures)
    found = []
    for step in range(1, steps + 1):
        shutil.rmtree(pictures)
        shutil.copytree(tmp_path / "at-first", pictures)
        assert (signal.SIGKILL, -1) == killed(place, step)
        assert {*sidecars(pictures)} <= {*whole, whole[0].replace(b"after", b"before")}
        found += left(pictures)
        exported(place, "after")

        assert whole == sidecars(pictures)
        assert [] == left(pictures)
    assert len(found) > 1
    with Library.open(place) as library:
        assert [] == verify.verify(library)


def test_a_sidecar_that_was_cut_is_written_again_and_none_of_others(place: Path, tmp_path: Path) -> None:
    """Where the file system has no links, a new sidecar does not appear in one step."""
    first, second, third = (tmp_path / "pictures" / f"picture_0000{number}.jpg.xmp" for number in range(3))
    assert 0 == killed(place, 0, has_links=False)[0]
    whole = second.read_bytes()
    second.write_bytes(whole[:-20])
    third.write_bytes(whole[:-20].replace(b"after", b"their"))
    done = exported(place, "after")

    assert (1, 1, [str(third)]) == (done.changed, done.unchanged, done.kept)
    assert whole == first.read_bytes() == second.read_bytes()


def test_what_may_not_be_ours_stays(place: Path, tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    content = (pictures / "picture_00000.jpg.xmp").read_bytes()
    ended = [forked(os.getpid)[1] for _ in range(5)]
    others = {
        f".{os.getppid()}.pixfind.tmp": content,  # of a process that runs
        f".{ended[0]}.pixfind.tmp": b"somebody's notes",
        f".a{ended[1]}.pixfind.tmp": content,
        f".0{ended[1]}.pixfind.tmp": content,
        f"{ended[1]}.pixfind.tmp": content,
        f".{ended[1]}.pixfind.tmp.bak": content,
    }
    for name, written in others.items():
        (pictures / name).write_bytes(written)
    (pictures / f".{ended[1]}.pixfind.tmp").symlink_to(pictures / "picture_00000.jpg.xmp")
    (pictures / f".{ended[2]}.pixfind.tmp").mkdir()
    before = {path.name for path in pictures.iterdir()}
    ours = [pictures / f".{ended[3]}.pixfind.tmp", pictures / f".{ended[4]}.pixfind.tmp"]
    ours[0].write_bytes(content[:100])
    ours[1].write_bytes(b"")
    with Library.open(place, write=True) as library:
        export_xmp(library, {}, None, dry_run=True)
        assert all(path.exists() for path in ours)
        with library.lock("add"):
            assert 3 == scan.add(library, pictures).seen
        export_xmp(library, {}, None)

    # Its picture has no words any more.
    assert before - {"picture_00000.jpg.xmp"} == {path.name for path in pictures.iterdir()}
    assert others == {name: (pictures / name).read_bytes() for name in others}
