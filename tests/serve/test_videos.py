"""Frames of videos through the server: thumbnail, the video itself with ranges, one hit for each video, and no way out of the folders."""

import contextlib
import os
import zipfile
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pixfind import errors
from pixfind.images import source
from pixfind.library import scan
from pixfind.library.library import Library
from pixfind.search import build
from pixfind.server import images
from pixfind.testing import images as drawn
from pixfind.testing import make_image, make_library
from pixfind.testing.libraries import QUIET
from pixfind.testing.videos import make_video
from pixfind.worker.decoders import DecoderPool
from pixfind.workflows import index


def fill(place: Path) -> Path:
    """Make a library with a picture and two videos of three and two frames; return its path."""
    make_image(place / "pictures" / "a.jpg", seed=9)
    for name, seeds in (("one.mp4", (0, 1, 2)), ("two.webm", (5, 6))):
        shown = [drawn.picture(seed, (320, 240)) for seed in seeds]
        codec = "libvpx" if name.endswith("webm") else "libx264"
        make_video(place / "pictures" / name, shown, codec=codec)
    with make_library(place / "library", place / "pictures", embed=False) as library:
        index.index(library, [place / "pictures"], QUIET, settings=source.Sampling(every=1).settings())
        build.build_index(library)
    return place / "library"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, connect: Callable[..., Any]) -> Any:
    place = tmp_path_factory.mktemp("videos")
    with connect(fill(place), place / "serve.log") as made:
        yield made


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with Library.open(fill(tmp_path), write=True) as made:
        yield made


def frames(hits: list[dict[str, Any]]) -> list[str]:
    return sorted(Path(hit["path"]).name.partition("#")[0] for hit in hits)


@pytest.mark.parametrize("query", ["in=*", "q=red&all=true"])
@pytest.mark.parametrize("k", [1, 2, 50])
def test_each_video_is_one_hit_on_one_page(client: Any, query: str, k: int) -> None:
    hits, cursor = [], ""
    while cursor is not None:
        page = client.get(f"/api/search?{query}&k={k}{f'&cursor={cursor}' if cursor else ''}").json()
        hits += page["hits"]
        cursor = page["next"]
    assert ["a.jpg", "one.mp4", "two.webm"] == frames(hits)
    assert 6 == len(client.hits(f"/api/search?{query}&each_file=true"))


def test_a_hit_names_its_moment_and_the_others(client: Any) -> None:
    hit = next(hit for hit in client.hits("/api/search?q=red&all=true") if "one.mp4" in hit["path"])
    others = {Path(path).name for path in hit["same_video"]}
    assert {"one.mp4#t=0", "one.mp4#t=1", "one.mp4#t=2"} == {hit["name"], *others}
    assert hit["name"] == f"one.mp4#t={hit['time']:g}"
    assert hit["time"] == client.get(f"/api/images/{hit['image_id']}").json()["time"]
    assert client.hits("/api/search?in=*.jpg")[0]["time"] is None


@pytest.mark.parametrize(("name", "media_type"), [("one.mp4", "video/mp4"), ("two.webm", "video/webm")])
def test_the_file_of_a_frame_is_its_video_whole_and_in_ranges(client: Any, name: str, media_type: str) -> None:
    hit = next(hit for hit in client.hits("/api/search?in=*") if name in hit["path"])
    address = f"/api/images/{hit['image_id']}/file"
    whole = client.get(address)
    data = Path(hit["path"].partition("#")[0]).read_bytes()

    assert (data, media_type) == (whole.content, whole.headers["Content-Type"])
    assert f"inline; filename*=UTF-8''{name}" == whole.headers["Content-Disposition"]
    part = client.get(address, 206, headers={"Range": "bytes=100-"})
    assert (data[100:], f"bytes 100-{len(data) - 1}/{len(data)}") == (part.content, part.headers["Content-Range"])
    assert data[-9:] == client.get(address, 206, headers={"Range": "bytes=-9"}).content
    client.get(address, 304, headers={"If-None-Match": whole.headers["ETag"]})


def test_a_frame_has_a_thumbnail(client: Any) -> None:
    hit = next(hit for hit in client.hits("/api/search?in=*") if "one.mp4" in hit["path"])
    thumbnail = client.get(f"/api/images/{hit['image_id']}/thumbnail?size=128").content
    assert (128, 96) == Image.open(BytesIO(thumbnail)).size


def test_a_selection_has_each_video_once(client: Any) -> None:
    ids = [hit["image_id"] for hit in client.hits("/api/search?in=*&each_file=true")]
    data = client.get(f"/api/selection/zip?ids={','.join(map(str, ids))}").content
    with zipfile.ZipFile(BytesIO(data)) as archive:
        assert ["a.jpg", "one.mp4", "two.webm"] == sorted(archive.namelist())


def test_no_video_is_opened_in_the_process_of_the_server_and_a_thumbnail_is_kept(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = next(images.image(library, each) for each in range(1, 7) if images.image(library, each).is_video)
    monkeypatch.setattr(source, "read", lambda location: pytest.fail(f"{location} was read"))
    monkeypatch.setattr(source, "version", lambda location: pytest.fail(f"{location} was opened"))
    with contextlib.closing(DecoderPool(1, 1 << 30)) as decoders:
        thumbnails = images.Thumbnails(library.path / "thumbnails", decoders)
        first = thumbnails.get(library, record.image_id, 128)
        monkeypatch.setattr(decoders, "run", lambda *_: pytest.fail("it was made again"))
        assert first == thumbnails.get(library, record.image_id, 128)


def test_a_video_that_has_changed_gives_no_thumbnail_of_another(library: Library, tmp_path: Path) -> None:
    record = next(images.image(library, each) for each in range(1, 7) if images.image(library, each).is_video)
    other = drawn.picture(77, (320, 240))
    make_video(tmp_path / "other.mp4", [other] * 3).replace(record.file)
    with contextlib.closing(DecoderPool(1, 1 << 30)) as decoders:
        thumbnails = images.Thumbnails(library.path / "thumbnails", decoders)
        thumbnails.get(library, record.image_id, 128)
    assert record.hash is not None
    assert not list((library.path / "thumbnails").glob(f"*/{record.hash.hex()}*"))


def test_a_video_that_is_exchanged_for_a_link_or_another_file_is_not_sent(library: Library, tmp_path: Path) -> None:
    record = next(images.image(library, each) for each in range(1, 7) if images.image(library, each).is_video)
    place = Path(record.file)
    place.unlink()
    (tmp_path / "secret").write_bytes(b"root:x:0:0")
    place.symlink_to(tmp_path / "secret")
    with pytest.raises(errors.OutsideRoots):
        images.open_file(library, record)
    place.unlink()
    place.write_bytes(b"root:x:0:0")
    with pytest.raises(errors.NotAPicture):
        images.open_file(library, record)


def test_the_process_that_takes_a_frame_reads_the_file_that_was_checked(library: Library, tmp_path: Path) -> None:
    record = next(images.image(library, each) for each in range(1, 7) if images.image(library, each).is_video)
    status = os.stat(record.file)  # noqa: PTH116
    with contextlib.closing(DecoderPool(1, 1 << 30)) as decoders:
        assert decoders.frame_thumbnail(record.path, (status.st_dev, status.st_ino), 64)
        make_video(tmp_path / "other.mp4", 3).replace(record.file)
        with pytest.raises(errors.FileMissing):
            decoders.frame_thumbnail(record.path, (status.st_dev, status.st_ino), 64)
    scan.add(library, tmp_path / "pictures")
