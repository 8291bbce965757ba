"""The commands that read, with several libraries."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.collections.conftest import Split, call, refused

from pixfind.cli import hit_pictures
from pixfind.collection import connection
from pixfind.testing import make_library, make_pictures
from pixfind.testing.commands import Commands
from pixfind.testing.servers import serving


def named(split: Split) -> list[str]:
    return [word for part in split.parts for word in ("--library", str(part))]


def test_a_search_shows_the_hits_of_all_libraries_and_names_them(split: Split) -> None:
    hits = json.loads(call("search", "snow", "-k", 90, "--all", "--json", "--timeout", 600, *named(split)).stdout)
    listed = call(*named(split), "search-text", "snow", "-k", 90, "--all", "--timeout", 600).stdout

    assert 90 == len(hits) == len(listed.splitlines())
    assert {"part-0", "part-1", "part-2"} == {hit["library"] for hit in hits}
    assert f"{hits[0]['path']}  [{hits[0]['library']}]" in listed


def test_a_library_that_is_away_is_named_and_the_exit_code_is_that_of_the_hits(copied: Split, tmp_path: Path) -> None:
    file = tmp_path / "collection.toml"
    entries = [f"[[library]]\npath = '{path}'" for path in (copied.parts[0], tmp_path / "away")]
    file.write_text("timeout = 600\n" + "\n".join(entries), encoding="utf-8")
    result = call("--library", file, "search", "snow", "--all", "--json")

    assert "warning: away did not answer: " in result.stderr
    assert {"left"} == {hit["library"] for hit in json.loads(result.stdout)}


def test_pictures_without_a_query_are_those_of_one_library(copied: Split) -> None:
    assert "pictures without a query are listed in one library" in refused(*named(copied), "search")


def test_exact_duplicates_are_found_across_libraries(copied: Split) -> None:
    (group,) = json.loads(call(*named(copied), "duplicates", "--exact", "--json").stdout)

    assert {"pictures-left", "pictures-right"} == {Path(member["path"]).parent.name for member in group["members"]}


def test_one_file_in_several_libraries_is_no_duplicate(tmp_path: Path) -> None:
    """Who deletes all but the first of a group loses no picture."""
    pictures = tmp_path / "pictures"
    first, second = make_pictures(pictures, 2)
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "hard link.jpg").hardlink_to(first)
    shutil.copy(second, tmp_path / "others" / "copy.jpg")
    for name, folder in (("one", pictures), ("two", pictures), ("three", tmp_path / "others")):
        make_library(tmp_path / name, folder).close()
    libraries = [word for name in ("three", "one", "two") for word in ("--library", tmp_path / name)]
    found = call(*libraries, "duplicates", "--exact", "--json")

    (group,) = json.loads(found.stdout)
    assert [str(tmp_path / "others" / "copy.jpg"), str(second)] == sorted(each["path"] for each in group["members"])


def test_what_is_gone_is_no_duplicate_across_libraries(tmp_path: Path) -> None:
    first, _ = make_pictures(tmp_path / "pictures", 2)
    shutil.copytree(tmp_path / "pictures", tmp_path / "copies")
    for name in ("pictures", "copies"):
        make_library(tmp_path / f"library of {name}", tmp_path / name).close()
    first.unlink()
    libraries = [word for name in ("pictures", "copies") for word in ("--library", tmp_path / f"library of {name}")]
    found = call(*libraries, "duplicates", "--exact", "--json")

    (group,) = json.loads(found.stdout)
    assert 2 == len(group["members"])
    assert "1 file left out: gone, or changed since they were indexed" in found.stderr


def test_the_state_of_each_library_is_shown(copied: Split) -> None:
    states = json.loads(call(*named(copied), "status", "--json").stdout)

    assert [("left", 8), ("right", 8)] == [(state["name"], state["images"]["embedded"]) for state in states]


def test_all_libraries_are_verified(copied: Split) -> None:
    assert [] == json.loads(call(*named(copied), "verify", "--json").stdout)


def test_thumbnails_of_another_machine_come_from_its_server_and_never_from_files_here(
    copied: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, commands: Commands
) -> None:
    read: list[str] = []
    from_file = hit_pictures.thumbnail
    monkeypatch.setattr(hit_pictures, "thumbnail", lambda path, side: (read.append(path), from_file(path, side))[1])
    left, right = copied.parts
    with serving(right, tmp_path / "log") as nas:
        where = ["--library", left, "--library", nas.address, "search", "snow", "-k", 60, "--all", "--timeout", 600]
        page = call(*where, "--html", "-").stdout
        listed = commands.run([*map(str, where), "--pictures", "iterm"]).stdout
        assert "lie on another machine" in refused(*where, "--copy-to", tmp_path / "copies")
        paths = call(*where, "--paths").stdout.splitlines()

    here = {path for path in paths if "pictures-left" in path}
    assert here == set(read)
    assert len(paths) == page.count("data:image/jpeg") == listed.count(b"\x1b]1337;File=") > len(here) > 0
    assert len(here) == page.count("file:///")


@pytest.mark.parametrize("answered", [(415, b"{}"), (200, b"no picture")])
def test_a_thumbnail_that_does_not_come_is_left_out(
    copied: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answered: tuple[int, bytes]
) -> None:
    ask = connection.Connection.request

    def request(of: connection.Connection, method: str, path: str, *more: Any) -> tuple[int, bytes]:
        return answered if "thumbnail" in path else ask(of, method, path, *more)

    monkeypatch.setattr(connection.Connection, "request", request)
    left, right = copied.parts
    with serving(right, tmp_path / "log") as nas:
        where = ["--library", left, "--library", nas.address, "--timeout", 600]
        page = call("search", "snow", "-k", 60, "--all", "--html", "-", *where).stdout

    assert 0 < page.count("no preview") < page.count("<figure")
