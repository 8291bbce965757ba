"""Images are known by their id; what is outside the registered folders is never served."""

import io
import os
import shutil
import sqlite3
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pixfind.library import path_text, scan
from pixfind.testing import make_broken, make_image, make_library
from pixfind.testing.images import exif_block
from pixfind.testing.libraries import QUIET
from pixfind.workflows import make_thumbnails

SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>fetch("/api/status")</script></svg>'
HTML = b"<!doctype html><script>fetch('/api/status')</script>"


def ids(library: Path) -> dict[str, int]:
    with sqlite3.connect(library / "metadata.db") as connection:
        rows = connection.execute("SELECT id, path FROM images")
        return {Path(path_text.from_text(path)).name: number for number, path in rows}


def test_metadata_says_what_is_known(client: Any, drawn: Path) -> None:
    first = sorted((drawn.parent / "pictures").iterdir())[0]
    known = client.get(f"/api/images/{ids(drawn)[first.name]}").json()

    assert (str(first), first.name, str(first.parent)) == (known["path"], known["name"], known["root"])
    assert (first.stat().st_size, "embedded", []) == (known["bytes"], known["outcome"], known["also"])
    with Image.open(first) as image:
        assert image.size == (known["width"], known["height"])
    assert known["taken"][:2] == "20"


@pytest.mark.parametrize(
    ("asked", "made"), [(1, 128), (128, 128), (200, 256), (512, 512), (1000, 1024), (1025, 2048), (4096, 4096)]
)
def test_a_thumbnail_has_the_next_larger_size(client: Any, asked: int, made: int) -> None:
    answer = client.get(f"/api/images/2/thumbnail?size={asked}")
    with Image.open(io.BytesIO(answer.content)) as image:
        assert ("JPEG", min(made, 320)) == (image.format, max(image.size))
    assert "image/jpeg" == answer.headers["content-type"]

    again = client.get(f"/api/images/2/thumbnail?size={asked}", 304, headers={"If-None-Match": answer.headers["etag"]})
    assert b"" == again.content


def test_the_file_is_sent_as_it_is(client: Any, drawn: Path) -> None:
    first = sorted((drawn.parent / "pictures").iterdir())[0]
    answer = client.get(f"/api/images/{ids(drawn)[first.name]}/file")

    assert first.read_bytes() == answer.content
    assert ("image/jpeg", "nosniff") == (answer.headers["content-type"], answer.headers["x-content-type-options"])
    assert answer.headers["content-disposition"].startswith("inline")


@pytest.mark.parametrize(
    "image_id", ["0", "-1", "x", "1e3", "9" * 30, "%2e%2e", "../../etc/passwd", "..%2f..%2fetc%2fpasswd"]
)
@pytest.mark.parametrize("part", ["", "/thumbnail", "/file", "/similar"])
def test_what_is_no_id_is_no_image(client: Any, image_id: str, part: str) -> None:
    answer = client.session.get(f"{client.server.address}/api/images/{image_id}{part}", timeout=600)

    assert answer.status_code in (404, 422)
    assert "root:" not in answer.text


def test_an_id_that_nobody_has_is_told(client: Any) -> None:
    for part in ("", "/thumbnail", "/file"):
        error = client.get(f"/api/images/123456{part}", 404).json()["error"]
        assert ("ImageNotFound", "NoImage") == (error["kind"], error["former_kind"])
    assert "ImageNotFound" == client.get("/api/images/123456/similar", 404).json()["error"]["kind"]


# --- names and contents that mean harm -------------------------------------------------------------


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of pictures with names that are scripts, and of other files with the names of pictures."""
    place = tmp_path_factory.mktemp("hostile")
    pictures = place / "pictures"
    for seed, name in enumerate(
        [
            "<img src=x onerror=alert(1)>.jpg",
            'a"; filename="b.html.jpg',
            "new\nline\r\nX-Evil: 1.jpg",
            "ünïcode \u202egpj.jpg",
        ]
    ):
        make_image(pictures / name, seed=seed)
    shutil.copy(pictures / "ünïcode \u202egpj.jpg", pictures / os.fsdecode(b"not utf-8 \xff\xfe.jpg"))
    make_image(pictures / "phone.heic", seed=11)
    make_image(pictures / "exif.jpg", seed=17, exif=exif_block(make="<script>alert(1)</script>", position=(52.5, 13.4)))
    make_image(pictures / "gone.jpg", seed=12)
    make_image(pictures / "changed.jpg", seed=13)
    make_broken(pictures / "broken.jpg", "truncated", seed=14)
    (pictures / "drawing.jpg").write_bytes(SVG)
    (pictures / "page.png").write_bytes(HTML)
    (place / "secret.txt").write_text("the secret", encoding="utf-8")
    make_image(place / "outside.jpg", seed=15)
    make_image(pictures / "link.jpg", seed=16)
    make_library(place / "library", pictures).close()
    (pictures / "gone.jpg").unlink()
    (pictures / "link.jpg").unlink()
    (pictures / "link.jpg").symlink_to(place / "outside.jpg")
    return place / "library"


@pytest.fixture(scope="module")
def harmed(hostile: Path, connect: Callable[..., Any]) -> Iterator[Any]:
    with connect(hostile, hostile.parent / "serve.log") as client:
        yield client


def test_names_that_are_scripts_come_as_text(harmed: Any, hostile: Path) -> None:
    known = ids(hostile)
    for name in known:
        found = harmed.get(f"/api/images/{known[name]}")
        assert "application/json" == found.headers["content-type"]
        assert os.fsencode(name).decode("utf-8", "replace") == found.json()["name"]
    page = harmed.get("/")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]


def test_a_script_in_exif_comes_as_text_and_no_thumbnail_carries_it(harmed: Any, hostile: Path) -> None:
    image_id = ids(hostile)["exif.jpg"]

    assert "<script>" in harmed.get(f"/api/images/{image_id}").json()["camera"]
    thumbnail = harmed.get(f"/api/images/{image_id}/thumbnail").content
    assert b"script" not in thumbnail
    assert b"Exif" not in thumbnail


def test_names_cannot_add_headers(harmed: Any, hostile: Path) -> None:
    for name, image_id in ids(hostile).items():
        if name in ("gone.jpg", "link.jpg", "drawing.jpg", "page.png"):
            continue
        answer = harmed.get(f"/api/images/{image_id}/file")
        kind, _, encoded = answer.headers["content-disposition"].partition("; ")
        assert kind in ("inline", "attachment")
        assert os.fsencode(name) == urllib.parse.unquote_to_bytes(encoded.removeprefix("filename*=UTF-8''"))
        assert "x-evil" not in answer.headers


def test_a_name_that_is_not_utf_8_is_found_and_served(harmed: Any, hostile: Path) -> None:
    image_id = ids(hostile)[os.fsdecode(b"not utf-8 \xff\xfe.jpg")]

    assert "not utf-8 \ufffd\ufffd.jpg" == harmed.get(f"/api/images/{image_id}").json()["name"]
    assert harmed.hits(f"/api/search?q=id:{image_id}")
    harmed.get(f"/api/images/{image_id}/thumbnail")


@pytest.mark.parametrize(("name", "content"), [("drawing.jpg", SVG), ("page.png", HTML)])
def test_a_script_with_the_name_of_a_picture_is_not_served(
    harmed: Any, hostile: Path, name: str, content: bytes
) -> None:
    answer = harmed.get(f"/api/images/{ids(hostile)[name]}/file", 415)

    assert "NotAPicture" == answer.json()["error"]["kind"]
    assert content not in answer.content
    harmed.get(f"/api/images/{ids(hostile)[name]}/thumbnail", 415)


def test_what_a_browser_does_not_show_is_an_attachment_with_a_thumbnail(harmed: Any, hostile: Path) -> None:
    image_id = ids(hostile)["phone.heic"]
    answer = harmed.get(f"/api/images/{image_id}/file")

    assert answer.headers["content-disposition"].startswith("attachment")
    assert "nosniff" == answer.headers["x-content-type-options"]
    assert "sandbox" in answer.headers["content-security-policy"]
    with Image.open(io.BytesIO(harmed.get(f"/api/images/{image_id}/thumbnail").content)) as image:
        assert (64, 48) == image.size


def test_a_picture_that_failed_is_not_decoded_again(harmed: Any, hostile: Path) -> None:
    error = harmed.get(f"/api/images/{ids(hostile)['broken.jpg']}/thumbnail", 415).json()["error"]

    assert ("NoThumbnail", True) == (error["kind"], "truncated" in error["message"])


@pytest.mark.parametrize("part", ["thumbnail", "file"])
def test_a_link_out_of_the_folder_is_not_followed(harmed: Any, hostile: Path, part: str) -> None:
    answer = harmed.get(f"/api/images/{ids(hostile)['link.jpg']}/{part}", 403)

    assert "OutsideRoots" == answer.json()["error"]["kind"]
    assert "outside.jpg" not in answer.text


@pytest.mark.parametrize("part", ["thumbnail", "file"])
def test_a_picture_that_has_gone_is_told(harmed: Any, hostile: Path, part: str) -> None:
    assert (
        "FileUnavailable" == harmed.get(f"/api/images/{ids(hostile)['gone.jpg']}/{part}", 404).json()["error"]["kind"]
    )


def test_a_picture_that_changed_gets_a_thumbnail_of_what_it_shows_now(harmed: Any, hostile: Path) -> None:
    image_id, path = ids(hostile)["changed.jpg"], hostile.parent / "pictures/changed.jpg"
    before = harmed.get(f"/api/images/{image_id}/thumbnail")
    make_image(path, seed=99, size=(50, 50))
    after = harmed.get(f"/api/images/{image_id}/thumbnail", headers={"If-None-Match": before.headers["etag"]})

    with Image.open(io.BytesIO(after.content)) as image:
        assert (50, 50) == image.size


def test_a_pipe_in_the_place_of_a_picture_blocks_nobody(tmp_path: Path, serve: Callable[..., Any]) -> None:
    make_image(tmp_path / "pictures/a.jpg")
    make_library(tmp_path / "library", tmp_path / "pictures").close()
    (tmp_path / "pictures/a.jpg").unlink()
    os.mkfifo(tmp_path / "pictures/a.jpg")

    assert "FileUnavailable" == serve(tmp_path / "library").get("/api/images/1/file", 404).json()["error"]["kind"]


def test_a_registered_folder_may_itself_be_a_link(tmp_path: Path, serve: Callable[..., Any]) -> None:
    make_image(tmp_path / "elsewhere/a.jpg")
    (tmp_path / "pictures").symlink_to(tmp_path / "elsewhere")
    make_library(tmp_path / "library", tmp_path / "pictures").close()

    serve(tmp_path / "library").get("/api/images/1/file")


def test_a_link_into_another_registered_folder_is_served(tmp_path: Path, serve: Callable[..., Any]) -> None:
    """The same rule as that of the scan: tests/integration/test_scan.py."""
    make_image(tmp_path / "other/a.jpg")
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures/link.jpg").symlink_to(tmp_path / "other/a.jpg")
    library = make_library(tmp_path / "library", tmp_path / "other")
    with library, library.lock("add"):
        scan.add(library, tmp_path / "pictures")
        assert 2 == library.catalogue.ledger()["seen"]
    client = serve(tmp_path / "library")

    for image_id in ids(tmp_path / "library").values():
        client.get(f"/api/images/{image_id}/file")


def test_an_image_that_is_gone_from_the_library_is_not_served(tmp_path: Path, serve: Callable[..., Any]) -> None:
    for seed in range(2):
        make_image(tmp_path / f"pictures/{seed}.jpg", seed=seed)
    with make_library(tmp_path / "library", tmp_path / "pictures") as library:
        client = serve(library.path)
        client.get("/api/images/1/file")
        (tmp_path / "pictures/0.jpg").rename(tmp_path / "taken-away.jpg")
        with library.lock("add"):
            scan.add(library, tmp_path / "pictures")

    for part in ("", "/thumbnail", "/file"):
        client.get(f"/api/images/1{part}", 404)
    assert [2] == [hit["image_id"] for hit in client.hits("/api/search?q=circle&all=true")]


def test_the_thumbnails_may_be_thrown_away_while_it_runs(tmp_path: Path, serve: Callable[..., Any]) -> None:
    make_image(tmp_path / "pictures/a.jpg")
    make_library(tmp_path / "library", tmp_path / "pictures").close()
    client = serve(tmp_path / "library")
    before = client.get("/api/images/1/thumbnail").content
    shutil.rmtree(tmp_path / "library/thumbnails")

    assert before == client.get("/api/images/1/thumbnail").content


def test_a_small_thumbnail_comes_from_a_larger_one_that_was_made_ahead(
    tmp_path: Path, serve: Callable[..., Any]
) -> None:
    picture = make_image(tmp_path / "pictures/a.jpg", size=(800, 600))
    with make_library(tmp_path / "library", tmp_path / "pictures") as library, library.lock("test"):
        make_thumbnails.make_thumbnails(library, QUIET)
    # Of the file itself nothing but its first bytes would still be a picture.
    status = picture.stat()
    picture.write_bytes(picture.read_bytes()[:64].ljust(status.st_size, b"\0"))
    os.utime(picture, ns=(status.st_atime_ns, status.st_mtime_ns))
    client = serve(tmp_path / "library")
    for side in (512, 256, 128):
        shown = Image.open(io.BytesIO(client.get(f"/api/images/1/thumbnail?size={side}").content))
        assert side == max(shown.size)
    client.get("/api/images/1/thumbnail?size=1024", 415)
