"""A library whose database somebody else wrote: what it registers and what it says of it. Only pictures are served."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pixfind.testing import make_library, make_pictures

SECRETS = {
    "id_ed25519": b"-----BEGIN OPENSSH PRIVATE KEY-----\nsecret\n",
    "passwd": b"root:x:0:0:secret:/root:/bin/sh\n",
    "Cookies": b"SQLite format 3\0secret".ljust(4096),
    "wallet.json": b'{"secret": 1}',
    "empty": b"",
}


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory, connect: Callable[..., Any]) -> Iterator[Any]:
    """A server of a library that says of every secret of its user that it is an embedded picture below a registered folder."""
    place = tmp_path_factory.mktemp("stranger")
    make_pictures(place / "pictures", 12)
    make_library(place / "library", place / "pictures").close()
    with sqlite3.connect(place / "library" / "metadata.db") as connection:
        connection.execute("UPDATE roots SET path = '/'")
        for image_id, (name, content) in enumerate(SECRETS.items(), 1):
            (place / name).write_bytes(content)
            known = (place / name).stat()
            connection.execute(
                "UPDATE images SET path = ?, size = ?, mtime_ns = ? WHERE id = ?",
                (str(place / name), known.st_size, known.st_mtime_ns, image_id),
            )
        os.mkfifo(place / "pipe")
        connection.execute("UPDATE images SET path = ? WHERE id = 6", (str(place / "pipe"),))
        connection.execute("UPDATE images SET path = '/proc/self/environ' WHERE id = 7")
        connection.execute("UPDATE images SET path = ? WHERE id = 8", (str(place),))
        connection.execute("UPDATE images SET path = ? WHERE id = 9", (str(place / "library" / "metadata.db"),))
    connection.close()
    with connect(place / "library", place / "serve.log") as client:
        yield client


@pytest.mark.parametrize("part", ["file", "thumbnail", "thumbnail?size=1024"])
@pytest.mark.parametrize("image_id", range(1, 10))
def test_what_is_no_picture_is_not_served(stranger: Any, image_id: int, part: str) -> None:
    answer = stranger.session.get(f"{stranger.server.address}/api/images/{image_id}/{part}", timeout=600)

    assert answer.status_code in {404, 415}
    assert "secret" not in answer.text
    assert "PATH=" not in answer.text


def test_what_is_a_picture_still_is(stranger: Any) -> None:
    stranger.get("/api/images/12/file")
    stranger.get("/api/images/12/thumbnail")
