"""Objects through the server: thumbnail, original, and nobody asked for what is not registered."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pixfind import errors
from pixfind.embedding.runners.serial import Serial
from pixfind.images import source
from pixfind.library import scan
from pixfind.library.library import Library
from pixfind.server import images
from pixfind.testing import make_library, make_pictures
from pixfind.testing.libraries import QUIET
from pixfind.testing.objects import Store, serving
from pixfind.worker.decoders import DecoderPool
from pixfind.workflows.embed import embed

pytest.importorskip("obstore")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A public bucket with one picture, "trip/a.jpg"."""
    (path,) = make_pictures(tmp_path / "drawn", 1, size=(400, 300))
    with serving() as made:
        made.put("trip/a.jpg", path.read_bytes())
        yield made
    source.use(())


@pytest.fixture
def library(tmp_path: Path, store: Store) -> Iterator[Library]:
    """A library with this picture."""
    (tmp_path / "pictures").mkdir()
    with make_library(tmp_path / "library", tmp_path / "pictures", embed=False) as made:
        scan.add(made, "s3://photos/trip", settings={"endpoint": store.address, "anonymous": True})
        embed(made, QUIET, runner=Serial())
        yield made


def test_an_object_has_a_thumbnail_and_is_sent_as_it_is(library: Library, store: Store) -> None:
    record = images.image(library, 1)
    assert ("a.jpg", "s3://photos/trip/a.jpg") == (record.name, record.path)
    with os.fdopen(images.open_file(library, record), "rb") as file:
        assert store.objects["trip/a.jpg"].data == file.read()
    with contextlib.closing(DecoderPool(1, 1 << 30)) as decoders:
        thumbnails = images.Thumbnails(library.path / "thumbnails", decoders)
        thumbnail = thumbnails.get(library, 1, 128)
        assert b"\xff\xd8\xff" == thumbnail[:3]
        store.close()
        assert thumbnail == thumbnails.get(library, 1, 128)
        with pytest.raises(errors.FileUnavailable):
            images.open_file(library, record)


def test_an_address_outside_the_roots_is_never_asked_for(library: Library, store: Store) -> None:
    store.put("diary/a.jpg", store.objects["trip/a.jpg"].data)
    library.catalogue._connection.execute("UPDATE images SET path = 's3://photos/diary/a.jpg'")
    store.requests.clear()

    with pytest.raises(errors.OutsideRoots):
        images.open_file(library, images.image(library, 1))
    with contextlib.closing(DecoderPool(1, 1 << 30)) as decoders, pytest.raises(errors.OutsideRoots):
        images.Thumbnails(library.path / "thumbnails", decoders).get(library, 1, 128)
    assert not store.requests


def test_an_object_that_is_no_picture_is_not_sent(library: Library, store: Store) -> None:
    store.put("trip/a.jpg", b"the diary of somebody")

    with pytest.raises(errors.NotAPicture):
        images.open_file(library, images.image(library, 1))
