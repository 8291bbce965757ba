"""A selection: a zip that is made while it is sent, a contact sheet, and the limits of both."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pixfind.server import selection
from pixfind.server.zip_stream import Names
from pixfind.testing import make_image, make_library


def ids_of(client: Any, count: int) -> list[int]:
    return [hit["image_id"] for hit in client.hits(f"/api/search?in=*&k={count}")]


def joined(ids: list[int]) -> str:
    return ",".join(map(str, ids))


def test_a_zip_holds_the_original_files(client: Any, drawn: Path) -> None:
    hits = client.hits("/api/search?q=sunset&k=5")
    answer = client.get(f"/api/selection/zip?ids={joined([hit['image_id'] for hit in hits])}")

    assert 'attachment; filename="pictures.zip"' == answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as made:
        assert made.testzip() is None
        assert [hit["name"] for hit in hits] == made.namelist()
        assert {zipfile.ZIP_STORED} == {each.compress_type for each in made.infolist()}
        for name in made.namelist():
            assert (drawn.parent / "pictures" / name).read_bytes() == made.read(name)


def test_a_selection_is_weighed_before_it_is_fetched(client: Any, drawn: Path) -> None:
    ids = ids_of(client, 4)
    names = [client.get(f"/api/images/{each}").json()["name"] for each in ids]
    found = client.get(f"/api/selection?ids={joined([*ids, *ids])}").json()

    assert (4, [], True) == (found["count"], found["unavailable"], found["fits"])
    assert sum((drawn.parent / "pictures" / name).stat().st_size for name in names) == found["bytes"]


def test_a_file_that_cannot_be_read_is_named_and_its_zip_refused(tmp_path: Path, serve: Callable[..., Any]) -> None:
    for name in ("a", "b", "c"):
        make_image(tmp_path / f"pictures/{name}.jpg", seed=ord(name))
    make_library(tmp_path / "library", tmp_path / "pictures").close()
    client = serve(tmp_path / "library")
    ids = ids_of(client, 3)
    away = client.get(f"/api/images/{ids[1]}").json()["path"]
    Path(away).unlink()

    found = client.get(f"/api/selection?ids={joined(ids)}").json()
    assert [ids[1]] == [each["image_id"] for each in found["unavailable"]]
    error = client.get(f"/api/selection/zip?ids={joined(ids)}", 404).json()["error"]
    assert "FilesUnavailable" == error["kind"]
    assert "1 of 3 pictures" in error["message"]
    assert client.get(f"/api/selection/zip?ids={ids[0]},{ids[2]}").content.startswith(b"PK")


def test_a_link_out_of_the_folder_is_in_no_zip(tmp_path: Path, serve: Callable[..., Any]) -> None:
    make_image(tmp_path / "pictures/a.jpg")
    make_image(tmp_path / "secret.jpg", seed=2)
    make_library(tmp_path / "library", tmp_path / "pictures").close()
    (tmp_path / "pictures/a.jpg").unlink()
    (tmp_path / "pictures/a.jpg").symlink_to(tmp_path / "secret.jpg")
    client = serve(tmp_path / "library")

    assert "FilesUnavailable" == client.get("/api/selection/zip?ids=1", 404).json()["error"]["kind"]


@pytest.mark.parametrize(
    "ids", ["", "1,", "a", "1;2", "0", "-1", "9" * 19, "9" * 40, "1," * 3000 + "1", "1 2", "\u0661"]
)
@pytest.mark.parametrize("part", ["", "/zip", "/sheet"])
def test_what_are_no_ids_is_refused(client: Any, ids: str, part: str) -> None:
    answer = client.session.get(f"{client.server.address}/api/selection{part}", params={"ids": ids}, timeout=600)
    if ids == "1," * 3000 + "1":
        # One picture, however often it is named.
        assert answer.status_code in (200, 422)
    else:
        assert answer.status_code in (400, 422)


def test_more_ids_than_allowed_are_refused(client: Any) -> None:
    ids = joined(list(range(1, selection.MAX_IMAGES + 2)))
    assert "1,000" in client.get(f"/api/selection/zip?ids={ids}", 400).json()["error"]["message"]
    ids = joined(list(range(1, selection.MAX_SHEET + 2)))
    assert "300" in client.get(f"/api/selection/sheet?ids={ids}", 400).json()["error"]["message"]


def test_a_zip_larger_than_allowed_is_refused(tmp_path: Path, serve: Callable[..., Any]) -> None:
    make_image(tmp_path / "pictures/a.jpg")
    make_library(tmp_path / "library", tmp_path / "pictures").close()
    with (tmp_path / "pictures/a.jpg").open("r+b") as file:
        file.truncate(selection.MAX_BYTES + 1)  # a hole: it takes no disk space
    client = serve(tmp_path / "library")

    assert not client.get("/api/selection?ids=1").json()["fits"]
    assert "SelectionTooLarge" == client.get("/api/selection/zip?ids=1", 413).json()["error"]["kind"]


def test_a_zip_needs_the_token(drawn: Path, serve: Callable[..., Any]) -> None:
    client = serve(drawn, token=True)
    client.session.headers.pop("Authorization", None)
    for part in ("", "/zip", "/sheet"):
        answer = client.session.get(f"{client.server.address}/api/selection{part}?ids=1", timeout=600)
        assert 401 == answer.status_code


def test_a_contact_sheet_is_one_page_with_the_pictures_inside(client: Any) -> None:
    hits = client.hits("/api/search?q=sunset&k=3")
    ids = joined([hit["image_id"] for hit in hits])
    answer = client.get(f"/api/selection/sheet?ids={ids}&title=<b>Sunsets")

    assert 'attachment; filename="contact-sheet.html"' == answer.headers["content-disposition"]
    assert "&lt;b&gt;Sunsets" in answer.text
    assert "3 pictures, as selected" in answer.text
    assert 3 == answer.text.count("data:image/jpeg;base64,")
    assert all(hit["name"] in answer.text for hit in hits)


def test_names_in_a_zip_are_unique_and_valid_everywhere() -> None:
    names = Names()
    given = [
        "a.jpg",
        "a.jpg",
        "A.JPG",
        "..\\evil.jpg",
        "a:b.jpg",
        ".jpg",
        "x\u202egpj.exe",
        "\ufffd.jpg",
        " .jpg",
        "x" * 300 + ".png",
    ]
    made = [names.unique(name) for name in given]

    assert ["a.jpg", "a (2).jpg", "A (3).JPG", "_evil.jpg", "a_b.jpg", "jpg", "x_gpj.exe", "_.jpg"] == made[:8]
    assert len({name.casefold() for name in made}) == len(made)
    assert max(map(len, made)) < 200
    assert not any(set(name) & set('<>:"/\\|?*') for name in made)
