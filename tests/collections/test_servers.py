"""Libraries at addresses: real servers, killed, started again, slow, of another model, with wrong tokens."""

import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.collections.conftest import Split

from pixfind import errors
from pixfind.collection.config import CollectionConfig, MemberConfig
from pixfind.collection.searcher import CollectionSearcher
from pixfind.library.labels import Definition
from pixfind.library.library import Library
from pixfind.search import filters
from pixfind.testing.servers import Server, serving
from pixfind.workflows import label

PATIENCE = 600.0
"""seconds that a busy machine may need; a server that answers is waited for as long"""


@pytest.fixture(scope="module")
def served(split: Split, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The second part behind a token."""
    log = tmp_path_factory.mktemp("served") / "log"
    with serving(split.parts[1], log, token=True) as server:
        yield server


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def with_address(
    split: Split, address: str, timeout: float = PATIENCE, token_file: Path | None = None
) -> CollectionConfig:
    first, _, last = (MemberConfig(part.name, path=part) for part in split.parts)
    return CollectionConfig((first, MemberConfig("nas", address=address, token_file=token_file), last), timeout)


def token_in(folder: Path, token: str | None) -> Path:
    assert token is not None
    file = folder / "nas.token"
    file.write_text(token + "\n", encoding="ascii")
    return file


@pytest.mark.parametrize("options", [{}, {"distinct": True}, {"each_file": True}])
def test_a_library_at_an_address_answers_as_in_a_folder(
    split: Split, served: Server, tmp_path: Path, options: dict[str, bool]
) -> None:
    remote = with_address(split, served.address, token_file=token_in(tmp_path, served.token))
    with CollectionSearcher(split.config()) as near, CollectionSearcher(remote) as far:
        for query in ("sunset over the sea", "beach +2:snow -red"):
            one = near.search(query, 40, distinct="distinct" in options, each_file="each_file" in options)
            other = far.search(query, 40, distinct="distinct" in options, each_file="each_file" in options)

            assert () == other.missing
            assert one.cutoff == other.cutoff
            assert [(hit.image_id, hit.score, hit.query_z, hit.image_z, hit.folded, hit.path) for hit in one.hits] == [
                (hit.image_id, hit.score, hit.query_z, hit.image_z, hit.folded, hit.path) for hit in other.hits
            ]
            assert {"part-0", "nas", "part-2"} == {hit.library for hit in other.hits}
        its = next(hit for hit in other.hits if hit.library == "nas")
        assert its.image_id == far.search(f"id:{its.image_id}", 1).hits[0].image_id


def test_a_label_with_a_minus_that_a_library_at_an_address_lacks_is_passed_by_its_images(
    split: Split, served: Server, tmp_path: Path
) -> None:
    labelled = shutil.copytree(split.parts[0], tmp_path / "labelled")
    with Library.open(labelled, write=True) as library, library.lock("label"):
        label.define(library, [Definition("all", "forest", -9.0)])
    nas = MemberConfig("nas", address=served.address, token_file=token_in(tmp_path, served.token))
    config = CollectionConfig((MemberConfig("labelled", path=labelled), nas), PATIENCE)
    with CollectionSearcher(config) as searcher:
        result = searcher.search("snow", 60, filters.parse(label="-all"), include_weak=True)
        with pytest.raises(errors.InvalidFilter, match="no library has this label"):
            searcher.search("snow", 60, filters.parse(label="-none"))

    assert () == result.missing
    assert (30, {"nas"}) == (len(result.hits), {hit.library for hit in result.hits})


def test_a_label_with_a_minus_is_not_refused_while_the_library_that_may_have_it_is_silent(
    split: Split, tmp_path: Path
) -> None:
    away, here = MemberConfig("away", path=tmp_path / "away"), MemberConfig("here", path=split.parts[0])
    with CollectionSearcher(CollectionConfig((away, here), PATIENCE)) as searcher:
        result = searcher.search("snow", 60, filters.parse(label="-all"), include_weak=True)

    assert ["away"] == [missing.library for missing in result.missing]
    assert {"here"} == {hit.library for hit in result.hits}


def test_a_wrong_token_is_named_and_shown_nowhere(split: Split, served: Server, tmp_path: Path) -> None:
    wrong = "secret-of-somebody-else-0123456789"
    config = with_address(split, served.address, token_file=token_in(tmp_path, wrong))
    with CollectionSearcher(config) as searcher:
        result = searcher.search("snow", 5)

    assert ["nas"] == [missing.library for missing in result.missing]
    assert "token" in result.missing[0].why
    assert wrong not in repr(result) + repr(config) + str(result.missing[0])
    assert {"part-0", "part-2"} >= {hit.library for hit in result.hits}
    assert result.hits


def test_a_server_that_accepts_and_does_not_answer_is_missing_in_time(split: Split, silent: str) -> None:
    with CollectionSearcher(with_address(split, silent, timeout=4.0)) as searcher:
        for place in (0, 2):
            # However long a busy machine takes to open them.
            searcher.submit(place, lambda member: member.state(PATIENCE)).result()
        first = searcher.search("snow", 5)
        again = searcher.search("snow", 5)

    for result in (first, again):
        assert "no answer within" in {missing.library: missing.why for missing in result.missing}["nas"]
        assert result.hits


def test_a_server_that_ends_and_comes_back_is_missing_in_between(split: Split, tmp_path: Path) -> None:
    with serving(split.parts[1], tmp_path / "log") as server:
        port = server.port
        with CollectionSearcher(with_address(split, server.address)) as searcher:
            before = searcher.search("snow", 30, include_weak=True)
            server.process.kill()
            server.process.wait()
            without = searcher.search("snow", 30, include_weak=True)
            with serving(split.parts[1], tmp_path / "log2", "--port", str(port)):
                after = searcher.search("snow", 30, include_weak=True)

    assert () == before.missing == after.missing
    assert ["nas"] == [missing.library for missing in without.missing]
    assert (90, 60, 90) == (before.rows, without.rows, after.rows)
    assert [hit.image_id for hit in before.hits] == [hit.image_id for hit in after.hits]
    assert [hit.image_id for hit in without.hits][:5] != [hit.image_id for hit in before.hits][:5] or "nas" not in {
        hit.library for hit in before.hits[:5]
    }


def test_a_server_that_is_killed_during_searches_costs_only_its_own_hits(split: Split, tmp_path: Path) -> None:
    with (
        serving(split.parts[1], tmp_path / "log") as server,
        CollectionSearcher(with_address(split, server.address)) as searcher,
    ):
        results = [searcher.search("snow", 20, include_weak=True)]
        killer = threading.Thread(target=server.process.kill)
        killer.start()
        while not results[-1].missing:
            results.append(searcher.search("snow", 20, include_weak=True))
        killer.join()

    for result in results:
        libraries = {hit.library for hit in result.hits}
        assert libraries == ({"part-0", "part-2"} if result.missing else {"part-0", "nas", "part-2"})
        assert 20 == len(result.hits)


def test_a_drive_that_is_away_is_missing(split: Split, tmp_path: Path) -> None:
    members = (MemberConfig("here", path=split.parts[0]), MemberConfig("away", path=tmp_path / "not-mounted"))
    with CollectionSearcher(CollectionConfig(members, PATIENCE)) as searcher:
        result = searcher.search("snow", 5)

    assert ["away"] == [missing.library for missing in result.missing]
    assert result.hits


def test_a_collection_of_which_nobody_answers_is_an_error(tmp_path: Path, silent: str) -> None:
    members = (MemberConfig("nas", address=silent), MemberConfig("away", path=tmp_path / "not-mounted"))
    with (
        CollectionSearcher(CollectionConfig(members, 0.5)) as searcher,
        pytest.raises(errors.CollectionUnavailable, match=r"nas: no answer(.|\n)*away: "),
    ):
        searcher.search("snow", 5)


def test_a_server_that_is_no_pixfind_is_missing(split: Split) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with CollectionSearcher(with_address(split, address)) as searcher:
            result = searcher.search("snow", 5)
        thread.join()

    assert "status 302" in result.missing[0].why
