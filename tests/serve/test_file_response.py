"""Original pictures as RFC 9110 has files: whole, in part, or only whether they have changed."""

import email.utils
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from pixfind.testing import wait_for


@pytest.fixture(scope="module")
def picture(drawn: Path) -> tuple[str, bytes]:
    """The address of a picture, and its bytes."""
    path = sorted((drawn.parent / "pictures").iterdir())[0]
    with sqlite3.connect(drawn / "metadata.db") as connection:
        (image_id,) = connection.execute("SELECT id FROM images WHERE path = ?", (str(path),)).fetchone()
    return f"/api/images/{image_id}/file", path.read_bytes()


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("bytes=0-9", 0, 9), ("bytes=5-5", 5, 5), ("bytes=100-", 100, None), ("bytes=-7", -7, None), ("bytes=10-999999999", 10, None),
     ("bytes=-999999999", 0, None)],
)  # fmt: skip
def test_a_range_is_sent_alone(
    client: Any, picture: tuple[str, bytes], asked: str, first: int, last: int | None
) -> None:
    address, data = picture
    answer = client.get(address, 206, headers={"Range": asked})
    wanted = range(len(data))[first : None if last is None else last + 1]

    assert data[wanted.start : wanted.stop] == answer.content
    assert f"bytes {wanted.start}-{wanted.stop - 1}/{len(data)}" == answer.headers["content-range"]
    assert str(len(wanted)) == answer.headers["content-length"]


@pytest.mark.parametrize(
    "asked", ["bytes=0-1,5-6", "bytes=", "bytes=-", "bytes=9-1", "bytes=a-b", "items=0-1", "0-1", ""]
)
def test_what_is_no_single_range_gets_the_whole_file(client: Any, picture: tuple[str, bytes], asked: str) -> None:
    assert picture[1] == client.get(picture[0], headers={"Range": asked}).content


@pytest.mark.parametrize("asked", ["bytes=999999999-", "bytes=-0"])
def test_a_range_beyond_the_file_is_refused_with_its_length(
    client: Any, picture: tuple[str, bytes], asked: str
) -> None:
    answer = client.get(picture[0], 416, headers={"Range": asked})

    assert f"bytes */{len(picture[1])}" == answer.headers["content-range"]


def test_a_file_that_is_known_is_not_sent_again(client: Any, picture: tuple[str, bytes]) -> None:
    tag = client.get(picture[0]).headers["etag"]
    for named in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        assert b"" == client.get(picture[0], 304, headers={"If-None-Match": named}).content
    client.get(picture[0], headers={"If-None-Match": '"other"'})


def test_a_range_of_a_file_that_has_changed_is_the_whole_file(client: Any, picture: tuple[str, bytes]) -> None:
    """A download that continues must not be put together from two pictures."""
    address, data = picture
    head = client.get(address).headers
    for now in (head["etag"], head["last-modified"]):
        client.get(address, 206, headers={"Range": "bytes=0-9", "If-Range": now})
    for before in ('"other"', email.utils.formatdate(0, usegmt=True)):
        assert data == client.get(address, headers={"Range": "bytes=0-9", "If-Range": before}).content


def test_head_is_get_without_the_body(client: Any, picture: tuple[str, bytes]) -> None:
    address, data = picture
    answer = client.send("HEAD", address)
    assert (b"", str(len(data))) == (answer.content, answer.headers["content-length"])
    for path in (
        "/",
        "/api/status",
        "/api/search?q=sky",
        address.replace("file", "thumbnail"),
        "/api/events",
        "/healthz",
    ):
        assert b"" == client.send("HEAD", path).content
    client.send("HEAD", "/api/images/999999/file", 404)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="/proc says which files are open")
def test_no_answer_keeps_the_file_open(client: Any, picture: tuple[str, bytes]) -> None:
    address, _ = picture
    tag = client.get(address).headers["etag"]

    def opened() -> int:
        return sum(
            os.path.realpath(file).endswith(".jpg") for file in Path(f"/proc/{client.server.process.pid}/fd").iterdir()
        )

    client.send("HEAD", address)
    client.get(address, 304, headers={"If-None-Match": tag})
    client.get(address, 206, headers={"Range": "bytes=0-9"})
    client.get(address, 416, headers={"Range": "bytes=-0"})
    wait_for(lambda: opened() == 0)
