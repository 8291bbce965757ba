"""`pixfind serve --on`: each library of a collection is served by a node of a real cluster, and killed there."""

import contextlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from tests.collections.conftest import Split
from tests.collections.test_serving import described
from tests.serve.conftest import Client

from pixfind import errors
from pixfind.collection.config import CollectionConfig, MemberConfig
from pixfind.server import on_cluster
from pixfind.server.server import Options
from pixfind.testing import wait_for
from pixfind.testing.clusters import Nodes
from pixfind.testing.servers import Server, serving

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs the ray extra"),
    pytest.mark.filterwarnings("default"),  # Ray's own, in Ray's threads
]

SEARCH = "/api/v1/search?q=sunset&k=60&all=true"
WORKER = "pixfind.server.worker_processes"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Nodes]:
    nodes = Nodes()
    for _ in range(2):
        nodes.add()
    yield nodes
    nodes.shut_down()


@pytest.fixture
def server(cluster: Nodes, split: Split, tmp_path: Path) -> Iterator[Server]:
    file = described(tmp_path, {part.name: part for part in split.parts})
    with serving(file, tmp_path / "log", "--on", cluster.address) as made:
        yield made
    wait_for(lambda: not answering())


def answering() -> dict[int, psutil.Process]:
    """The processes that serve a library on some node, by the id of the actor that started each."""
    found = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            parent = process.parent()
            if WORKER in process.cmdline() and parent is not None and "ray::" in parent.cmdline()[0]:
                found[parent.pid] = process
    return found


def found(server: Server) -> Any:
    answer = requests.get(server.address + SEARCH, timeout=600)
    assert 200 == answer.status_code, answer.text[:500]
    return answer.json()


def shown(answer: dict[str, Any]) -> list[tuple[float, str, str]]:
    return [(hit["score"], hit["library"], hit["path"]) for hit in answer["hits"]]


def test_it_answers_as_the_same_libraries_do_in_folders_of_one_machine(
    server: Server, split: Split, tmp_path: Path
) -> None:
    (tmp_path / "folders").mkdir()
    file = described(tmp_path / "folders", {part.name: part for part in split.parts})
    with serving(file, tmp_path / "folders" / "log") as one_machine:
        expected = found(one_machine)
    actual = found(server)

    assert shown(expected) == shown(actual)
    assert 60 == len(actual["hits"])
    hit = actual["hits"][0]
    thumbnail = Client(server).get(f"/api/v1/images/{hit['image_id']}/thumbnail")
    assert "image/jpeg" == thumbnail.headers["Content-Type"]
    assert len(split.parts) == len(answering())


@pytest.mark.parametrize("victim", ["actor", "process"])
def test_a_server_that_dies_returns_while_answers_go_on_and_name_what_is_missing(
    server: Server, split: Split, victim: str
) -> None:
    whole = shown(found(server))
    actor, process = next(iter(answering().items()))
    (psutil.Process(actor) if victim == "actor" else process).kill()

    def back() -> bool:
        answer = found(server)
        missing = {one["library"] for one in answer["missing"]}
        assert len(missing) <= 1
        assert [hit for hit in whole if hit[1] not in missing][:20] == shown(answer)[:20]
        now = {one.pid for one in answering().values()}
        return not missing and len(now) == len(split.parts) and process.pid not in now

    wait_for(back, limit=240)
    assert {part.name for part in split.parts} == {hit[1] for hit in whole}


def test_a_library_that_is_away_when_its_server_returns_is_served_again_once_it_is_back(
    server: Server, split: Split
) -> None:
    actor, process = next(iter(answering().items()))
    library = next(part for part in split.parts if any(str(part) in one.path for one in process.open_files()))
    away = library.with_name("away")
    library.rename(away)
    try:
        psutil.Process(actor).kill()
        wait_for(lambda: [library.name] == [one["library"] for one in found(server)["missing"]], limit=240)
    finally:
        away.rename(library)

    wait_for(lambda: not found(server)["missing"] and len(split.parts) == len(answering()), limit=240)


def test_a_library_that_no_node_has_is_named(cluster: Nodes, tmp_path: Path) -> None:
    config = CollectionConfig((MemberConfig("family", path=tmp_path / "nowhere"),))

    with pytest.raises(errors.LibraryOnNoNode, match=r"None of the 3 nodes .* has the library family"):
        on_cluster.run(config, cluster.address, Options(port=0), lambda ready: None)


def test_a_library_that_cannot_be_opened_there_ends_the_start_with_its_error(cluster: Nodes, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "metadata.db").write_bytes(b"this is no database" * 100)

    with pytest.raises(errors.LibraryDamaged, match="broken"):
        on_cluster.run(broken, cluster.address, Options(port=0), lambda ready: None)

    wait_for(lambda: not answering())


def test_a_lost_cluster_ends_the_server_with_an_error(split: Split, tmp_path: Path) -> None:
    nodes = Nodes()
    nodes.add()
    try:
        with serving(split.parts[0], tmp_path / "log", "--on", nodes.address) as server:
            assert 200 == requests.get(server.address + SEARCH, timeout=600).status_code
            nodes.kill_head()
            assert errors.ClusterUnreachable.exit_code == server.process.wait(600)
    finally:
        nodes.shut_down()
    assert "its head does not answer any more" in (tmp_path / "log").read_text(encoding="utf-8")
    wait_for(lambda: not answering())
