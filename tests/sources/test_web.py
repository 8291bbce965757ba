"""Pictures on web servers: listed by WebDAV, read by address, and whatever a server may do."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pixfind import errors
from pixfind.embedding.runners.serial import Serial
from pixfind.images import source
from pixfind.images.source import web
from pixfind.library import scan
from pixfind.library.library import Library
from pixfind.library.scan_report import ScanReport
from pixfind.testing import make_pictures
from pixfind.testing.libraries import QUIET
from pixfind.testing.objects import Store, serving
from pixfind.workflows import embed as embedding
from pixfind.workflows.embed import embed
from pixfind.workflows.events import EmbedProgress, Event


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A server with ten pictures below /photos/: "trip/picture_00000.jpg" and so on; runs wait for it a second."""
    monkeypatch.setattr(embedding, "_PATIENCE_SECONDS", 1.0)
    monkeypatch.setattr(web, "_STRANGERS_PATIENCE", 0.0)
    monkeypatch.setattr(web, "_LISTING_PATIENCE", 0.0)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with serving() as made:
        for path in make_pictures(tmp_path / "drawn", 10):
            made.put(f"trip/{path.name}", path.read_bytes())
        yield made
    web._roots.clear()
    source.use(())


def add(library: Library, server: Store) -> ScanReport:
    source.use(())
    return scan.add(library, f"{server.address}/photos/")


def outcomes(library: Library) -> dict[str, int]:
    return embed(library, QUIET, runner=Serial()).outcomes


def test_what_webdav_lists_is_registered_and_embedded(library: Library, server: Store) -> None:
    server.put("trip/day 2/ü#1.jpg", server.objects["trip/picture_00001.jpg"].data + b"\0")
    server.put("trip/.hidden/a.jpg", b"x")
    server.put("notes.txt", b"x")

    assert 11 == add(library, server).new
    assert {"embedded": 11} == outcomes(library)
    again = add(library, server)
    assert (0, 0, 0) == (again.new, again.changed, again.gone)


def test_files_that_changed_and_went(library: Library, server: Store) -> None:
    add(library, server)
    outcomes(library)
    server.put("trip/picture_00001.jpg", server.objects["trip/picture_00001.jpg"].data, modified=1_700_000_009)
    del server.objects["trip/picture_00002.jpg"]
    report = add(library, server)

    assert (1, 1, 0) == (report.changed, report.gone, report.new)


@pytest.mark.parametrize("fault", ["throttled", "too many", "denied"])
def test_a_server_that_refuses_is_offline_and_none_of_its_pictures_fails(
    library: Library, server: Store, fault: str
) -> None:
    add(library, server)
    server.fault = lambda _method, _key: fault
    report = embed(library, QUIET, runner=Serial())

    assert ({}, 1) == (report.outcomes, len(report.left))
    assert all(root.offline for root in library.catalogue.roots() if source.is_address(root.path))
    server.fault = lambda _method, _key: None
    add(library, server)
    assert {"embedded": 10} == outcomes(library)


@pytest.mark.parametrize("fault", ["cut", "more", "denied", "broken"])
def test_one_file_that_cannot_be_read_fails_alone(library: Library, server: Store, fault: str) -> None:
    add(library, server)
    server.fault = lambda _method, key: fault if key.endswith("5.jpg") else None

    assert {"embedded": 9, "failed": 1} == outcomes(library)


def test_a_server_that_goes_away_and_returns_costs_nothing(
    library: Library, server: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding, "_PATIENCE_SECONDS", 60.0)
    add(library, server)
    fetched: list[str] = []
    said: list[str] = []

    def fault(method: str, key: str) -> str | None:
        if method == "GET":
            fetched.append(key)
        return "away" if method == "GET" and len(fetched) == 5 else None

    def watch(event: Event) -> None:
        if isinstance(event, EmbedProgress) and event.snapshot.held_back and not said:
            said.append(event.snapshot.line())
            server.close()
            server.open()

    server.fault = fault
    report = embed(library, QUIET, observer=watch)

    assert ({"embedded": 10}, {}) == (report.outcomes, report.left)
    assert said[0].startswith(f"held back by the network ({server.address}: ")


def test_one_address_is_read_without_a_root(server: Store) -> None:
    location = f"{server.address}/photos/trip/picture_00000.jpg"
    original = source.read(f"{location}?size=large")

    assert server.objects["trip/picture_00000.jpg"].data == original.data
    assert source.version(location) == (original.fingerprint.size, original.fingerprint.mtime_ns)
    assert source.exists(location)
    with pytest.raises(errors.FileMissing):
        source.read(f"{server.address}/photos/none.jpg")


def test_a_server_that_is_away_makes_a_single_address_unreadable(server: Store) -> None:
    server.close()
    with pytest.raises(errors.Unreadable, match="no connection"):
        source.read(f"{server.address}/photos/trip/picture_00000.jpg")


def test_a_file_that_is_too_large_is_not_fetched(server: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "MAX_BYTES", 100)
    with pytest.raises(errors.ObjectTooLarge):
        source.read(f"{server.address}/photos/trip/picture_00000.jpg")


def test_a_redirection_to_another_host_is_not_followed() -> None:
    asked: list[str] = []

    class Redirecting(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.headers["Host"])
            self.send_response(302)
            self.send_header("Location", "http://localhost/elsewhere.jpg")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Redirecting) as made:
        threading.Thread(target=made.serve_forever, args=(0.05,), daemon=True).start()
        with pytest.raises(errors.Unreadable, match="redirects to http://localhost, which was not named"):
            source.read(f"http://127.0.0.1:{made.server_port}/a.jpg")
        made.shutdown()

    assert [f"127.0.0.1:{made.server_port}"] == asked


@pytest.mark.parametrize("address", ["https://me:secret@example.org/a/", "https:///a", "https://example.org/a?b=c"])
def test_an_address_with_credentials_or_without_a_host_is_refused(library: Library, address: str) -> None:
    with pytest.raises(errors.AddressRefused) as refused:
        scan.add(library, address)
    assert "secret" not in str(refused.value)


def test_a_server_without_webdav_is_named(library: Library) -> None:
    class Plain(http.server.BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Plain) as made:
        threading.Thread(target=made.serve_forever, args=(0.05,), daemon=True).start()
        with pytest.raises(errors.StoreUnreachable, match="WebDAV"):
            scan.add(library, f"http://127.0.0.1:{made.server_port}/photos/")
        made.shutdown()


def test_passwords_come_from_netrc(server: Store, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password not-to-be-seen\n")
    (tmp_path / "netrc").chmod(0o600)
    source.read(f"{server.address}/photos/trip/picture_00000.jpg")

    assert ["Basic bWU6bm90LXRvLWJlLXNlZW4="] == server.authorizations
