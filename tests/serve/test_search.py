"""The search API gives what the command line gives."""

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from PIL import Image

from pixfind import errors
from pixfind.library.library import Library
from pixfind.server import schemas
from pixfind.server.search import SearchService
from pixfind.testing import decoders
from pixfind.testing.commands import Commands
from pixfind.testing.images import encode, png_bomb
from pixfind.worker.decoders import DecoderPool


@pytest.mark.parametrize(
    ("words", "parameters"),
    [
        (["sunset"], "q=sunset"),
        (["beach +sunset -2:snow"], "q=beach+%2Bsunset+-2:snow"),
        (["id:3", "+forest", "--distinct", "--all"], "q=id:3+%2Bforest&distinct=true&all=true"),
        (
            ["sky", "--after", "2021", "--before", "2024-06", "--landscape"],
            "q=sky&after=2021&before=2024-06&shape=landscape",
        ),
        (["sky", "--in", "*sea*", "--min-size", "200"], "q=sky&in=*sea*&min_size=200"),
    ],
    ids=["words", "terms", "image", "dates", "places"],
)
def test_the_api_finds_what_the_command_line_finds(
    client: Any, drawn: Path, commands: Commands, words: list[str], parameters: str
) -> None:
    found = json.loads(commands.run(["--library", str(drawn), "search", *words, "--json", "-k", "20"]).stdout)
    expected = [(hit["image_id"], pytest.approx(hit["score"], abs=1e-5), hit["folded"]) for hit in found]

    hits = client.hits(f"/api/search?{parameters}&k=20")

    assert expected == [(hit["image_id"], hit["score"], hit["folded"]) for hit in hits][: len(expected)]
    assert expected


def test_pages_add_up_to_one_long_page(client: Any) -> None:
    whole = client.get("/api/search?q=sky&all=true&k=45").json()
    pages = [client.get(f"/api/search?q=sky&all=true&k=15&offset={offset}").json() for offset in (0, 15, 30)]

    ids = [hit["image_id"] for hit in whole["hits"]]
    assert ids == [hit["image_id"] for page in pages for hit in page["hits"]]
    assert list(range(1, 46)) == [hit["rank"] for hit in whole["hits"]]
    assert [True, True, True] == [page["more"] for page in pages]
    assert not client.get("/api/search?q=sky&all=true&k=15&offset=45").json()["more"]
    assert [] == client.hits("/api/search?q=sky&all=true&offset=5000")


def test_an_uploaded_picture_finds_itself_first(client: Any, drawn: Path) -> None:
    picture = sorted((drawn.parent / "pictures").iterdir())[7]
    found = client.post("/api/search?k=5", data=picture.read_bytes(), headers={"Content-Type": "image/jpeg"}).json()

    assert str(picture) == found["hits"][0]["path"]
    assert found["hits"][0]["score"] > 0.999
    assert found["cutoff"] is None


def test_an_uploaded_picture_that_the_library_does_not_have_goes_through_the_model(client: Any, drawn: Path) -> None:
    """One byte after the end of a JPEG changes its hash and not what it shows."""
    picture = sorted((drawn.parent / "pictures").iterdir())[7]
    found = client.post("/api/search?k=5", data=picture.read_bytes() + b"\0").json()

    assert str(picture) == found["hits"][0]["path"]
    assert found["hits"][0]["score"] > 0.99


def test_words_are_added_to_an_uploaded_picture(client: Any, drawn: Path) -> None:
    picture = sorted((drawn.parent / "pictures").iterdir())[7]
    with Library.open(drawn) as library:
        (image_id,) = library.catalogue._connection.execute(
            "SELECT id FROM images WHERE path = ?", (str(picture),)
        ).fetchone()
    by_upload = client.post("/api/search?q=-snow&k=10", data=picture.read_bytes()).json()
    by_id = client.get(f"/api/search?q=id:{image_id}+-snow&k=10").json()

    assert [hit["image_id"] for hit in by_id["hits"]] == [hit["image_id"] for hit in by_upload["hits"]]


def test_similar_pictures_leave_out_the_picture_itself(client: Any) -> None:
    found = client.hits("/api/images/5/similar?k=10")
    by_term = client.hits("/api/search?q=id:5&k=11")

    assert 5 == by_term[0]["image_id"]
    assert [hit["image_id"] for hit in by_term[1:]] == [hit["image_id"] for hit in found]


def test_filters_alone_show_the_newest_first(client: Any) -> None:
    found = client.get("/api/search?after=2023&k=200").json()
    taken = [hit["taken"] for hit in found["hits"]]

    assert sorted(taken, reverse=True) == taken
    assert min(taken) >= "2023"
    assert all(hit["score"] is None for hit in found["hits"])
    pages = [client.hits(f"/api/search?after=2023&k=10&offset={offset}") for offset in (0, 10)]
    assert found["hits"][:20] == pages[0] + pages[1]


def test_an_answer_without_hits_says_why(client: Any) -> None:
    unknown = client.get("/api/search?q=xyzzyx").json()
    filtered = client.get("/api/search?q=sky&in=*/no/such/folder/*").json()

    assert ([], ["xyzzyx"]) == (unknown["hits"], unknown["unknown"])
    assert "does not know" in unknown["remark"]
    assert "No image passes the filters." == filtered["remark"]


@pytest.mark.parametrize(
    ("parameters", "status", "kind", "position"),
    [
        ("", 400, "InvalidQuery", 0),
        ("q=%20", 400, "InvalidQuery", 0),
        ("q=sky+%22open", 400, "InvalidQuery", 4),
        ("q=-people", 400, "InvalidQuery", 0),
        (f"q={'a' * 1001}", 400, "InvalidQuery", 1000),
        (f"q={'a' * 4001}", 422, "InvalidRequest", None),
        ("q=sky+-sky", 400, "QueryCancelsOut", None),
        ("q=id:99999", 404, "ImageNotFound", None),
        ("q=sky&after=tomorrow", 400, "InvalidFilter", None),
        ("q=sky&near=1,2", 400, "InvalidFilter", None),
        ("q=sky&min_size=-4", 400, "InvalidFilter", None),
        ("q=sky&min_size=99999999999999999999999", 400, "InvalidFilter", None),
        ("q=sky&k=0", 422, "InvalidRequest", None),
        ("q=sky&k=501", 422, "InvalidRequest", None),
        ("q=sky&offset=5001", 422, "InvalidRequest", None),
        ("q=sky&shape=round", 422, "InvalidRequest", None),
    ],
)
def test_what_cannot_be_read_is_told(
    client: Any, parameters: str, status: int, kind: str, position: int | None
) -> None:
    error = client.get(f"/api/search?{parameters}", status).json()["error"]

    assert (kind, position) == (error["kind"], error["position"])
    assert error["message"]


def test_a_refusal_has_the_values_of_its_message(client: Any) -> None:
    """For pages that say it in another language."""
    error = client.get("/api/search?after=gestern", 400).json()["error"]

    assert ("after", "gestern") == (error["values"]["option"], error["values"]["value"])
    assert {} == client.get("/api/search?k=0", 422).json()["error"]["values"]


@pytest.mark.parametrize(
    "text", ["snow ❄ \U0001f3d4", "\0", "\x7f\x1b[31m", "ä" * 900, "%s %n {0} {path}", "' OR 1=1 --"]
)
def test_any_words_are_searched_for(client: Any, text: str) -> None:
    client.get(f"/api/search?q={quote(chr(34) + text.replace(chr(34), '') + chr(34))}&k=3")
    client.get(f"/api/search?q=sky&in={quote(text)}&camera={quote(text[:200])}&k=3")


def test_bytes_that_are_not_utf_8_are_words_too(client: Any) -> None:
    client.get("/api/search?q=%ff%fe&k=3")


def test_uploads_that_crash_and_hang_a_decoder_end_alone(drawn: Path) -> None:
    """One crashes, one hangs, and a third is answered meanwhile."""
    picture = next((drawn.parent / "pictures").iterdir()).read_bytes()
    request = schemas.SearchRequest.model_validate({"k": 1})
    # Other bytes than those in the library, whose embedding is there already.
    other = picture + b"."

    async def upload() -> tuple[list[object], str]:
        pool = DecoderPool(2, 1 << 30, seconds=100, command=decoders.COMMAND)
        searches = SearchService(drawn, pool)
        hanging = asyncio.create_task(searches.search(request, picture + b"hang"))
        try:
            others = (searches.search(request, other), searches.search(request, picture + b"crash"))
            answers: list[object] = list(await asyncio.gather(*others, return_exceptions=True))
            assert not hanging.done()
        finally:
            pool.close()
            with pytest.raises(errors.DecodingFailed) as ended:
                await hanging
            searches.close()
        return answers, str(ended.value)

    (answer, crashed), hung = asyncio.run(upload())
    assert isinstance(answer, schemas.SearchResponse)
    assert 1 == len(answer.hits)
    assert isinstance(crashed, errors.DecodingFailed)
    assert "crashed" in str(crashed)
    assert "crashed" in hung, "killed with the pool"


@pytest.mark.skipif(sys.platform != "linux", reason="/proc says how much memory a process has used")
def test_a_large_upload_costs_the_server_no_memory(client: Any) -> None:
    def peak() -> int:
        status = Path(f"/proc/{client.server.process.pid}/status").read_text(encoding="ascii")
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) * 1024

    sizes = (64, 5000)
    small, large = (encode(Image.new("RGBA", (side, side), "navy"), ".png") for side in sizes)
    client.post("/api/search?k=1", data=small)
    before = peak()
    client.post("/api/search?k=1", data=large)

    assert peak() - before < 4 * sizes[1] ** 2, "not even the pixels themselves"
    bomb = client.post("/api/search", 413, data=png_bomb(14_000, 14_000)).json()["error"]
    assert ("UploadTooLarge", True) == (bomb["kind"], "196 megapixels" in bomb["message"])


def test_the_message_of_a_picture_that_is_a_pixel_too_large_has_two_numbers() -> None:
    refused = errors.UploadTooLarge(megapixels=44_739_243 / 1e6, limit=44_739_242 / 1e6)

    assert str(refused).startswith("The picture has 44.739243 megapixels, over the limit of 44.739242 for uploads")
