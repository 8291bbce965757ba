"""
Pictures of a folder, spread over every kind of source: a twelfth each.

Files of the folder, members of a zip, a cbz, a tar and a compressed tar, RAW files with and without a preview, frames of videos, objects of a bucket, members
of a tar in it, and what two lists name: files, and addresses of a web server.
"""

import contextlib
import io
import os
import shutil
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from PIL import Image

from pixfind.images.source import Sampling
from pixfind.library import scan
from pixfind.library.library import Library
from pixfind.testing.objects import Store
from pixfind.testing.raw import make_dng
from pixfind.testing.videos import make_video

_KINDS: Final = 12
_FRAMES: Final = 20
"""pictures in one video"""


class Root(NamedTuple):
    """One root to add."""

    address: str
    settings: dict[str, Any]


def spread(folder: Path, store: Store) -> list[Root]:
    """Move the JPEG files of a folder to where else pictures lie; return the roots that have all of them."""
    files = sorted(folder.glob("*.jpg"))
    shares = [files[place::_KINDS] for place in range(_KINDS)]
    _into_containers(folder, shares[1:5], shares[5])
    for place, some in enumerate(shares[6:8]):
        for file in some:
            with _picture(file) as image:
                make_dng(file.with_suffix(".dng"), image, preview=image if place else None)
    lists = list(_elsewhere(folder.parent, store, shares[8:]))
    for some in shares[1:]:
        for file in some:
            file.unlink()
    return [
        Root(str(folder), Sampling(every=0.5).settings()),
        Root(f"s3://{store.bucket}/trip", {"endpoint": store.address}),
        *lists,
    ]


def _into_containers(folder: Path, archived: Sequence[Sequence[Path]], filmed: Sequence[Path]) -> None:
    for name, some in zip(("a.zip", "b.cbz"), archived[:2], strict=True):
        with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in some:
                archive.write(file, f"trip/{file.name}")
    (folder / "c.tar").write_bytes(_tar(archived[2], "w"))
    (folder / "d.tar.gz").write_bytes(_tar(archived[3], "w:gz"))
    for first in range(0, len(filmed), _FRAMES):
        with contextlib.ExitStack() as stack:
            shown = [stack.enter_context(_picture(file)) for file in filmed[first : first + _FRAMES]]
            make_video(folder / f"e{first:05}.mp4", shown)


def _elsewhere(place: Path, store: Store, shares: Sequence[Sequence[Path]]) -> Iterator[Root]:
    """Put pictures into a bucket, into an archive in it, into a folder and on a web server; yield the lists that name the last two."""
    objects, members, listed, addressed = shares
    for file in objects:
        store.put(f"trip/{file.name}", file.read_bytes())
    store.put("trip/f.tar", _tar(members, "w"))
    (place / "elsewhere").mkdir()
    for file in listed:
        shutil.copy2(file, place / "elsewhere")
    (place / "files.csv").write_text("path\n" + "".join(f"elsewhere/{file.name}\n" for file in listed))
    yield Root(str(place / "files.csv"), {"column": "path"})
    for file in addressed:
        store.put(f"web/{file.name}", file.read_bytes())
    addresses = (f"{store.address}/{store.bucket}/web/{file.name}\n" for file in addressed)
    (place / "addresses.txt").write_text("".join(addresses))
    yield Root(str(place / "addresses.txt"), {})


def add(library: Library, roots: Sequence[Root]) -> None:
    """Register what lies in some roots, in archives too."""
    os.environ |= {"AWS_ACCESS_KEY_ID": "benchmark", "AWS_SECRET_ACCESS_KEY": "benchmark"}
    for root in roots:
        scan.add(library, root.address, in_archives=True, settings=root.settings)


def _tar(files: Sequence[Path], mode: str) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode) as tar:  # type: ignore[call-overload]
        for file in files:
            tar.add(file, f"trip/{file.name}")
    return made.getvalue()


@contextlib.contextmanager
def _picture(file: Path) -> Iterator[Image.Image]:
    with Image.open(file) as image:
        yield image.convert("RGB")
