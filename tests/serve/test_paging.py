"""Pages of hits: with cursors every picture is reached once, also while the library changes."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pixfind.embedding.runners.serial import Serial
from pixfind.library import scan
from pixfind.library.library import Library
from pixfind.search import build
from pixfind.testing import make_library, make_pictures
from pixfind.testing.images import make_image
from pixfind.testing.libraries import QUIET
from pixfind.workflows.embed import embed
from pixfind.workflows.merge import merge


def pages(client: Any, path: str, *, k: int = 7, cursor: str | None = None) -> Iterator[dict[str, Any]]:
    """The pages of a list, each behind the one before."""
    while True:
        page = client.get(f"{path}&k={k}{f'&cursor={cursor}' if cursor else ''}").json()
        yield page
        cursor = page["next"]
        if cursor is None:
            return


def ids(found: list[dict[str, Any]]) -> list[int]:
    return [hit["image_id"] for page in found for hit in page["hits"]]


@pytest.mark.parametrize("path", ["/api/search?in=*", "/api/search?q=sky&all=true", "/api/images/5/similar?all=true"])
def test_cursors_lead_through_the_whole_list(client: Any, path: str) -> None:
    whole = client.get(f"{path}&k=100").json()
    found = list(pages(client, path))

    assert ids([whole]) == ids(found)
    assert list(range(1, len(ids(found)) + 1)) == [hit["rank"] for page in found for hit in page["hits"]]
    assert [True] * (len(found) - 1) + [False] == [page["more"] for page in found]


def add(library: Library, folder: Path) -> None:
    with library.lock("add"):
        scan.add(library, folder)
        embed(library, QUIET, runner=Serial())
        merge(library)
    build.build_index(library)


@pytest.mark.parametrize("query", ["in=*", "q=sky&all=true"])
def test_a_list_is_continued_where_it_was_left_while_the_library_changes(
    serve: Callable[..., Any], tmp_path: Path, query: str
) -> None:
    pictures = tmp_path / "pictures"
    made = make_pictures(pictures, 24)
    with make_library(tmp_path / "library", pictures) as library:
        build.build_index(library)
    client = serve(tmp_path / "library")
    before = ids([client.get(f"/api/search?{query}&k=100").json()])
    first = client.get(f"/api/search?{query}&k=7").json()
    # The pictures of the first page: the last one is deleted, the others have copies; new ones are ranked anywhere.
    paths = {hit["image_id"]: Path(hit["path"]) for hit in first["hits"]}
    last = first["hits"][-1]["image_id"]
    paths[last].unlink()
    make_image(pictures / "new.jpg", seed=1000)
    for number, image_id in enumerate([*paths][:6]):
        make_image(pictures / f"near-{number}.jpg", seed=made.index(paths[image_id]), quality=60)
    with Library.open(tmp_path / "library", write=True) as library:
        add(library, pictures)

    rest = ids(list(pages(client, f"/api/search?{query}", cursor=first["next"])))

    assert len(rest) == len(set(rest))
    seen = [image_id for image_id in rest if image_id in before]
    assert before[7:] == seen


def test_a_ranked_list_says_that_it_is_not_continued(client: Any) -> None:
    at_the_end = client.get("/api/search?q=sky&all=true&k=5&cursor=best:5000:0.9:1").json()

    assert at_the_end["more"]
    assert at_the_end["next"] is None
    assert 5001 == at_the_end["hits"][0]["rank"]
    client.get("/api/search?q=sky&cursor=best:5001:0.9:1", 400)


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "best:1:2",
        "best:a:0.5:1",
        "best:1:nan:1",
        "best:-1:0.5:1",
        "newest:5:1000:3",
        "oldest:5:0.1:3",
        f"best:1:0.5:{2**63}",
    ],
)
def test_a_cursor_that_no_response_has_named_is_refused(client: Any, cursor: str) -> None:
    error = client.get(f"/api/search?q=sky&cursor={cursor}", 400).json()["error"]

    assert "InvalidRequest" == error["kind"]
    assert "cursor" in error["message"]


def test_a_cursor_and_an_offset_exclude_each_other(client: Any) -> None:
    error = client.get("/api/search?q=sky&offset=5&cursor=best:1:0.5:1", 400).json()["error"]

    assert "exclude each other" in error["message"]
