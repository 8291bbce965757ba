"""Pictures of lists through the server: filtered by their fields, shown, and no way out of what the list names."""

import contextlib
import json
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pixfind import errors
from pixfind.library.library import Library
from pixfind.server import images
from pixfind.testing import make_library, make_pictures
from pixfind.testing.libraries import QUIET
from pixfind.testing.servers import Server, serving
from pixfind.worker.decoders import DecoderPool
from pixfind.workflows.index import index


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    """A library of a list of four pictures with the fields "license" and "n"."""
    pictures = make_pictures(tmp_path / "elsewhere", 4, size=(400, 300))
    (tmp_path / "pictures").mkdir()
    lines = [f"{path},{'CC0' if n % 2 else 'mit'},{n * 100}\n" for n, path in enumerate(pictures)]
    (tmp_path / "list.csv").write_text("url,license,n\n" + "".join(lines), "utf-8")
    with make_library(tmp_path / "library", tmp_path / "pictures", embed=False) as made:
        index(made, [tmp_path / "list.csv"], QUIET, settings={"column": "url", "keep": ["license", "n"]})
        yield made


@pytest.fixture
def server(library: Library, tmp_path: Path) -> Iterator[Server]:
    with serving(library.path, tmp_path / "serve.log") as running:
        yield running


def ask(server: Server, path: str, *parameters: tuple[str, str]) -> Any:
    query = f"?{urllib.parse.urlencode(parameters)}" if parameters else ""
    with urllib.request.urlopen(f"{server.address}/api/{path}{query}") as answer:  # noqa: S310  on this machine
        return json.load(answer)


def test_where_filters_searches_and_what_is_looked_through(server: Server) -> None:
    for more in ((), (("q", "red"), ("all", "true"))):
        found = ask(server, "search", ("where", "license=cc0"), *more)
        assert {"picture_00001.jpg", "picture_00003.jpg"} == {hit["name"] for hit in found["hits"]}
        both = ask(server, "search", ("where", "license=cc0"), ("where", "n<200"), *more)
        assert ["picture_00001.jpg"] == [hit["name"] for hit in both["hits"]]
    assert ["license", "n"] == ask(server, "status")["fields"]
    assert {"license": "mit", "n": "0"} == ask(server, "images/1")["fields"]
    assert 2 == ask(server, "timeline", ("where", "license=cc0"))["count"]


@pytest.mark.parametrize("condition", ["licence=cc0", "license"])
def test_what_is_no_condition_is_refused(condition: str, server: Server) -> None:
    for more in ((), (("q", "red"),)):
        with pytest.raises(urllib.error.HTTPError) as refused:
            ask(server, "search", ("where", condition), *more)
        assert "InvalidFilter" == json.load(refused.value)["error"]["kind"]


def test_a_named_file_is_shown_and_a_link_out_of_its_folder_is_not(library: Library, tmp_path: Path) -> None:
    record = images.image(library, 1)
    with os.fdopen(images.open_file(library, record), "rb") as file:
        assert Path(record.path).read_bytes() == file.read()
    with contextlib.closing(DecoderPool(1, 1 << 30)) as decoders:
        thumbnail = images.Thumbnails(library.path / "thumbnails", decoders).get(library, 1, 128)
    assert b"\xff\xd8\xff" == thumbnail[:3]

    Path(record.path).rename(tmp_path / "private.jpg")
    Path(record.path).symlink_to(tmp_path / "private.jpg")
    with pytest.raises(errors.OutsideRoots):
        images.open_file(library, record)
