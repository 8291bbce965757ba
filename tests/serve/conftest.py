"""One real server for the tests that only read, and the means to start others."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from pixfind.library import verify
from pixfind.library.library import Library
from pixfind.testing import make_drawn_pictures, make_image, make_library
from pixfind.testing.servers import Server, serving
from pixfind.workflows.build_index import build_index


class Client:
    """A real HTTP client of one server, with a connection that is kept."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.session = requests.Session()

    def get(self, path: str, status: int = 200, **options: Any) -> requests.Response:
        return self.send("GET", path, status, **options)

    def post(self, path: str, status: int = 200, **options: Any) -> requests.Response:
        return self.send("POST", path, status, **options)

    def send(self, method: str, path: str, status: int = 200, **options: Any) -> requests.Response:
        answer = self.session.request(method, self.server.address + path, timeout=600, **options)
        assert status == answer.status_code, answer.text[:500]
        return answer

    def json(self, path: str, status: int = 200) -> Any:
        return self.get(path, status).json()

    def hits(self, path: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.json(path)["hits"]
        return found


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A library with 60 drawn pictures, embedded and indexed. Ends with `verify`."""
    place = tmp_path_factory.mktemp("drawn")
    make_drawn_pictures(place / "pictures", 60)
    with make_library(place / "library", place / "pictures") as library:
        build_index(library)
    yield place / "library"
    with Library.open(place / "library") as library:
        assert [] == verify.verify(library)


@pytest.fixture(scope="session")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of one picture."""
    place = tmp_path_factory.mktemp("one")
    make_image(place / "pictures/a.jpg")
    make_library(place / "library", place / "pictures").close()
    return place / "library"


@contextlib.contextmanager
def connected(library: Path, log: Path, *options: str, token: bool = False) -> Iterator[Client]:
    """A client of a new server; nothing it does may be a bug."""
    with serving(library, log, *options, token=token) as server:
        yield Client(server)
    assert "Traceback" not in log.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def connect() -> Callable[..., contextlib.AbstractContextManager[Client]]:
    """Start a server of a library; see `connected`."""
    return connected


@pytest.fixture(scope="session")
def client(drawn: Path) -> Iterator[Client]:
    """A client of a server of the drawn pictures."""
    with connected(drawn, drawn.parent / "serve.log") as made:
        yield made


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Client]]:
    """Start servers that end with the test."""
    with contextlib.ExitStack() as running:

        def start(library: Path, *options: str, token: bool = False) -> Client:
            log = tmp_path / f"serve-{len(list(tmp_path.glob('serve-*')))}.log"
            return running.enter_context(connected(library, log, *options, token=token))

        yield start
