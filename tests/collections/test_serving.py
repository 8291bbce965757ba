"""`pixfind serve` of a collection: what it does for one library it does for several, and it says what it does not do."""

import io
import json
import os
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.collections.conftest import Split, refused
from tests.serve.conftest import Client, connected

from pixfind.collection import ids
from pixfind.testing import make_drawn_pictures, make_library
from pixfind.testing.servers import serving

PATIENCE = 600


def described(
    folder: Path, members: dict[str, Path | str], token_file: Path | None = None, timeout: float = 600
) -> Path:
    """Write a collection.toml of folders and addresses, of which all have one token."""
    lines = [f"timeout = {timeout}"]
    for name, where in members.items():
        lines += ["[[library]]", f"name = '{name}'", f"{'path' if isinstance(where, Path) else 'address'} = '{where}'"]
        if token_file is not None and isinstance(where, str):
            lines.append(f"token_file = '{token_file}'")
    file = folder / "collection.toml"
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def one(split: Split, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A server of the library that has all pictures."""
    with connected(split.whole, tmp_path_factory.mktemp("one") / "log") as client:
        yield client


@pytest.fixture(scope="module")
def three(split: Split, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A server of the three that have them between them, the second of them behind another server and a token."""
    place = tmp_path_factory.mktemp("three")
    with serving(split.parts[1], place / "nas.log", token=True) as nas:
        token = place / "nas.token"
        token.write_text(str(nas.token), encoding="ascii")
        file = described(place, {"a": split.parts[0], "nas": nas.address, "c": split.parts[2]}, token)
        with connected(file, place / "log") as client:
            yield client


def shown(hit: dict[str, Any]) -> tuple[Any, ...]:
    return hit["rank"], hit["score"], hit["width"], hit["height"], hit["taken"], hit["date"], hit["name"], hit["folded"]


def tied(hits: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Hits in an order that does not depend on which of two equal scores comes first."""
    return sorted(shown(hit)[1:] for hit in hits)


@pytest.mark.parametrize(
    "asked",
    ["q=sunset+over+the+sea", "q=snow&distinct=true", "q=red+square&all=true&k=90", "q=forest&all=true&min_size=200"],
)
def test_searches_show_what_one_library_shows_and_name_the_library(one: Client, three: Client, asked: str) -> None:
    mine, theirs = (client.json(f"/api/v1/search?{asked}") for client in (one, three))

    assert mine["hits"]
    assert tied(mine["hits"]) == tied(theirs["hits"])
    assert {None} == {hit["library"] for hit in mine["hits"]}
    assert {"a", "nas", "c"} >= {hit["library"] for hit in theirs["hits"]}
    assert [] == theirs["missing"]
    for field in ("offset", "more", "hidden", "rows", "remark", "unknown", "ignored"):
        assert mine[field] == theirs[field], field


def test_pages_of_a_ranked_list_follow_each_other(three: Client) -> None:
    whole = three.hits("/api/v1/search?q=snow&all=true&k=90")
    found, cursor = [], ""
    while cursor is not None:
        page = three.json(f"/api/v1/search?q=snow&all=true&k=20{cursor}")
        found += page["hits"]
        cursor = page["next"] and f"&cursor={page['next']}"

    assert [hit["image_id"] for hit in whole] == [hit["image_id"] for hit in found]
    assert list(range(1, 91)) == [hit["rank"] for hit in found]


def test_more_like_a_picture_of_any_library(one: Client, three: Client) -> None:
    for hit in {hit["library"]: hit for hit in three.hits("/api/v1/search?in=*&k=90")}.values():
        its = next(each for each in one.hits("/api/v1/search?in=*&k=90") if each["name"] == hit["name"])
        mine, theirs = (
            client.hits(f"/api/v1/images/{image_id}/similar?k=9")
            for client, image_id in ((one, its["image_id"]), (three, hit["image_id"]))
        )
        assert tied(mine) == tied(theirs)
        with_words = three.hits(f"/api/v1/search?q=snow+%2Bid:{hit['image_id']}&k=9")
        assert with_words


def test_a_picture_from_the_client_finds_itself(split: Split, three: Client) -> None:
    picture = next((split.whole.parent / "pictures/1").iterdir())
    answer = three.session.post(
        f"{three.server.address}/api/v1/search?k=3", data=picture.read_bytes(), timeout=PATIENCE
    )

    assert picture.name == answer.json()["hits"][0]["name"]


@pytest.fixture(scope="module")
def simultaneous(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Three libraries whose pictures all have one time, the last behind a server."""
    place = tmp_path_factory.mktemp("simultaneous")
    libraries = [place / name for name in ("a", "b", "c")]
    for number, library in enumerate(libraries):
        make_drawn_pictures(place / f"pictures-{number}", 8 + number)
        for picture in (place / f"pictures-{number}").iterdir():
            Image.open(picture).transpose(Image.Transpose(number)).save(
                place / f"pictures-{number}/{number}-{picture.stem}.png"
            )
            picture.unlink()
        for picture in (place / f"pictures-{number}").iterdir():
            os.utime(picture, (1_600_000_000, 1_600_000_000))
        make_library(library, place / f"pictures-{number}").close()
    with serving(libraries[2], place / "c.log") as last:
        file = described(place, {"a": libraries[0], "b": libraries[1], "c": last.address})
        with connected(file, place / "log") as client:
            yield client


@pytest.mark.parametrize("k", [1, 4, 9, 40])
def test_browsing_shows_each_picture_once_in_both_directions_also_at_one_instant(simultaneous: Client, k: int) -> None:
    forward: list[int] = []
    page = simultaneous.json(f"/api/v1/search?in=*&k={k}")
    while True:
        forward += [hit["image_id"] for hit in page["hits"]]
        assert list(range(page["offset"] + 1, page["offset"] + len(page["hits"]) + 1)) == [
            hit["rank"] for hit in page["hits"]
        ]
        if page["next"] is None:
            break
        page = simultaneous.json(f"/api/v1/search?in=*&k={k}&cursor={page['next']}")
    back = [hit["image_id"] for hit in page["hits"]]
    while page["previous"] is not None:
        page = simultaneous.json(f"/api/v1/search?in=*&k={k}&cursor={page['previous']}")
        back = [hit["image_id"] for hit in page["hits"]] + back

    assert 8 + 9 + 10 == len(set(forward)) == len(forward)
    assert forward == back == sorted(forward)


def test_without_a_query_there_is_no_score_to_sort_by(three: Client) -> None:
    assert three.hits("/api/v1/search?in=*&k=7") == three.hits("/api/v1/search?in=*&k=7&sort=score")


def test_an_offset_counts_in_the_joined_list(three: Client) -> None:
    whole = [hit["image_id"] for hit in three.hits("/api/v1/search?in=*&k=90")]

    assert 90 == len(whole)
    assert whole[50:60] == [hit["image_id"] for hit in three.hits("/api/v1/search?in=*&k=10&offset=50")]


def test_the_timeline_counts_all_and_leads_to_each_month(one: Client, three: Client) -> None:
    mine, theirs = (client.json("/api/v1/timeline") for client in (one, three))

    assert 90 == theirs["count"]
    assert [(each["month"], each["count"]) for each in mine["months"]] == [
        (each["month"], each["count"]) for each in theirs["months"]
    ]
    for month in theirs["months"]:
        hit, *_ = three.hits(f"/api/v1/search?in=*&k=1&cursor={month['cursor']}")
        assert hit["date"].startswith(month["month"])


@pytest.mark.parametrize("asked", ["", "in=*/1/*", "q=snow&all=true", "q=sunset"])
def test_facets_count_what_one_library_counts(one: Client, three: Client, asked: str) -> None:
    mine, theirs = (client.json(f"/api/v1/facets?{asked}") for client in (one, three))

    assert mine == theirs
    assert theirs["count"]


def test_folders_are_those_of_all_libraries(split: Split, three: Client) -> None:
    roots = three.json("/api/v1/folders")["folders"]

    assert [(str(split.whole.parent / f"pictures/{number}"), 30) for number in range(3)] == [
        (folder["path"], folder["count"]) for folder in roots
    ]
    below = three.json(f"/api/v1/folders?below={split.whole.parent}")["folders"]
    assert [("pictures", 90)] == [(folder["name"], folder["count"]) for folder in below]


def test_a_list_begins_with_the_image_whose_cursor_it_gets(simultaneous: Client, three: Client) -> None:
    for client in (simultaneous, three):
        everything = [hit["image_id"] for hit in client.hits("/api/v1/search?in=*&k=90")]
        for place in range(0, len(everything), 7):
            (cursor,) = client.json(f"/api/v1/images/{everything[place]}")["cursors"].values()
            page = client.hits(f"/api/v1/search?in=*&k=90&cursor={cursor}")
            assert everything[place:] == [hit["image_id"] for hit in page]


def of_each(client: Client) -> dict[str, dict[str, Any]]:
    """One hit of each library."""
    found = {hit["library"]: hit for hit in client.hits("/api/v1/search?in=*&k=90")}
    assert {"a", "nas", "c"} == set(found)
    return found


def test_one_image_of_each_library_is_shown(three: Client) -> None:
    for name, hit in of_each(three).items():
        image = f"/api/v1/images/{hit['image_id']}"
        metadata = three.json(image)
        assert (hit["image_id"], name, hit["path"]) == tuple(
            metadata[field] for field in ("image_id", "library", "path")
        )
        jpeg = Image.open(io.BytesIO(three.get(f"{image}/thumbnail?size=100").content))
        assert ("JPEG", 128) == (jpeg.format, max(jpeg.size))
        original = Path(hit["path"]).read_bytes()
        whole = three.get(f"{image}/file")
        assert original == whole.content
        assert hit["name"] in whole.headers["content-disposition"]
        assert "sandbox" in whole.headers["content-security-policy"]
        assert original[5:50] == three.get(f"{image}/file", 206, headers={"Range": "bytes=5-49"}).content
        assert b"" == three.get(f"{image}/file", 304, headers={"If-None-Match": whole.headers["etag"]}).content
        assert b"" == three.get(f"{image}/file", 416, headers={"Range": "bytes=99999999-"}).content
        assert (
            whole.headers["content-length"]
            == three.session.head(f"{three.server.address}{image}/file").headers["content-length"]
        )


@pytest.mark.parametrize("place", [0, 1, 2, 3, 4095])
def test_an_image_that_no_library_has_is_not_found(three: Client, place: int) -> None:
    for path in ("", "/thumbnail", "/file", "/similar"):
        error = three.json(f"/api/v1/images/{ids.joined(place, 99_999)}{path}", 404)["error"]
        assert error["kind"] in ("ImageNotFound", "FileUnavailable")


def test_a_selection_across_libraries_becomes_one_zip_and_one_sheet(three: Client) -> None:
    hits = of_each(three).values()
    chosen = ",".join(str(hit["image_id"]) for hit in hits)
    selection = three.json(f"/api/v1/selection?ids={chosen}")

    assert (3, sum(Path(hit["path"]).stat().st_size for hit in hits), []) == (
        selection["count"], selection["bytes"], selection["unavailable"],
    )  # fmt: skip
    with zipfile.ZipFile(io.BytesIO(three.get(f"/api/v1/selection/zip?ids={chosen}").content)) as packed:
        assert {hit["name"]: Path(hit["path"]).read_bytes() for hit in hits} == {
            name: packed.read(name) for name in packed.namelist()
        }
    sheet = three.get(f"/api/v1/selection/sheet?ids={chosen}").text
    assert all(hit["name"] in sheet for hit in hits)
    assert 3 == sheet.count("data:image/jpeg")
    absent = ids.joined(1, 99_999)
    selection = three.json(f"/api/v1/selection?ids={chosen},{absent}")
    assert [absent] == [each["image_id"] for each in selection["unavailable"]]


def test_a_sheet_has_the_pictures_of_libraries_with_the_same_paths(copied: Split, tmp_path: Path) -> None:
    """As on two machines that call their folder alike."""
    other = shutil.copytree(copied.parts[0], tmp_path / "other")
    file = described(tmp_path, {"one": copied.parts[0], "other": other})
    with connected(file, tmp_path / "log") as client:
        sheet = client.get(f"/api/v1/selection/sheet?ids={ids.joined(0, 1)},{ids.joined(1, 1)}").text

    assert 2 == sheet.count("data:image/jpeg")


def test_the_state_is_that_of_all_libraries_and_of_each(three: Client) -> None:
    state = three.json("/api/v1/status")

    assert (90, 90, 90, False) == (
        state["images"]["seen"], state["images"]["embedded"], state["searchable_rows"], state["can_control"],
    )  # fmt: skip
    assert [("a", 30, None), ("nas", 30, None), ("c", 30, None)] == [
        (each["name"], each["searchable_rows"], each["missing"]) for each in state["libraries"]
    ]
    with three.session.get(f"{three.server.address}/api/v1/events", stream=True, timeout=PATIENCE) as stream:
        event = next(line for line in stream.iter_lines() if line.startswith(b"data: "))
    assert state["libraries"] == json.loads(event.removeprefix(b"data: "))["libraries"]
    assert 'pixfind_images{outcome="embedded"} 90.0' in three.get("/metrics").text


def test_what_a_collection_does_not_do_it_says(three: Client) -> None:
    answer = three.session.post(
        f"{three.server.address}/api/v1/embed", json={"action": "start"}, headers={"X-Pixfind": "1"}, timeout=PATIENCE
    )

    assert (403, "EmbedElsewhere") == (answer.status_code, answer.json()["error"]["kind"])
    assert "cannot start" in answer.json()["detail"]
    assert "a, nas, c" in three.json("/api/v1/member/state", 404)["detail"]
    assert "names alone" in three.json("/api/v1/search?q=name:snow", 400)["detail"]


def test_programs_get_embeddings_and_neighbours(one: Client, three: Client) -> None:
    asked = {"input": ["snow"], "model": "starter"}
    mine, theirs = (
        client.session.post(f"{client.server.address}/v1/embeddings", json=asked, timeout=PATIENCE).json()["data"]
        for client in (one, three)
    )

    assert mine == theirs
    found = three.session.post(
        f"{three.server.address}/knn-service", json={"text": "snow", "num_images": 5}, timeout=PATIENCE
    ).json()
    assert [hit["image_id"] for hit in three.hits("/api/v1/search?q=snow&k=5")] == [each["id"] for each in found]
    assert three.json("/v1/models")["data"]


def failing_picture(folder: Path, number: int) -> None:
    folder.mkdir(parents=True)
    for each in range(number):
        (folder / f"broken-{number}-{each}.jpg").write_bytes(b"\xff\xd8\xff no picture")


def test_failures_of_all_libraries_are_one_list(tmp_path: Path) -> None:
    members: dict[str, Path | str] = {}
    for number in (2, 3):
        failing_picture(tmp_path / f"pictures-{number}", number)
        make_library(tmp_path / f"library-{number}", tmp_path / f"pictures-{number}").close()
        members[f"library-{number}"] = tmp_path / f"library-{number}"
    with connected(described(tmp_path, members), tmp_path / "log") as client:
        pages = [client.json(f"/api/v1/failures?k=2&offset={offset}") for offset in (0, 2, 4)]
        (reason,) = client.json("/api/v1/status")["failures"]

        assert [(2, True), (2, True), (1, False)] == [(len(page["failures"]), page["more"]) for page in pages]
        assert 5 == len({each["image_id"] for page in pages for each in page["failures"]})
        assert 5 == len(
            client.session.get(f"{client.server.address}/api/v1/failures", params={"reason": reason}).json()["failures"]
        )
        assert [] == client.hits("/api/v1/search?in=*")


def test_failures_are_as_many_at_once_as_one_library_gives(tmp_path: Path) -> None:
    failing_picture(tmp_path / "pictures", 2)
    make_library(tmp_path / "library", tmp_path / "pictures").close()
    with serving(tmp_path / "library", tmp_path / "nas.log") as nas:
        file = described(tmp_path, {"nas": nas.address, "a": tmp_path / "library"})
        with connected(file, tmp_path / "log") as client:
            found = client.json("/api/v1/failures?k=1000")
            last = client.json("/api/v1/failures?k=2")

    assert (4, False, []) == (len(found["failures"]), found["more"], found["missing"])
    assert (2, True) == (len(last["failures"]), last["more"])


def test_the_token_is_told_beside_the_file_of_the_collection(split: Split, tmp_path: Path) -> None:
    file = described(tmp_path, {"a": split.parts[0]})
    with serving(file, tmp_path / "log", token=True) as server:
        written = tmp_path / f"serve-{server.port}.token"
        assert server.token == written.read_text(encoding="ascii").strip()
        assert 0o600 == written.stat().st_mode & 0o777
        server.interrupt()

    assert not written.exists()


def test_a_watch_is_for_one_library(split: Split, tmp_path: Path) -> None:
    file = described(tmp_path, {"a": split.parts[0], "b": split.parts[1]})

    assert "keeps one library current" in refused("--library", file, "serve", "--watch")
