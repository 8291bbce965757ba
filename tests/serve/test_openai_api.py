"""What other programs ask for: embeddings in the form of OpenAI's API, figures for Prometheus, a health check."""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from pixfind.library import scan
from pixfind.library.library import Library
from pixfind.search.encoders import Encoders
from pixfind.testing import make_library, make_pictures


def _data_url(picture: Path) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(picture.read_bytes()).decode()


def _embed(client: Any, **asked: Any) -> dict[str, Any]:
    answer: dict[str, Any] = client.post("/v1/embeddings", json=asked).json()
    return answer


def test_embeddings_are_those_of_the_model(client: Any, drawn: Path) -> None:
    texts = ["sunset over the sea", "a red flower"]
    with Library.open(drawn) as library:
        expected = Encoders(library).encode_texts(texts)
    answer = _embed(client, model="starter", input=texts)

    assert ("list", "starter", {"prompt_tokens": 7, "total_tokens": 7}) == (
        answer["object"],
        answer["model"],
        answer["usage"],
    )
    assert [("embedding", 0), ("embedding", 1)] == [(row["object"], row["index"]) for row in answer["data"]]
    np.testing.assert_allclose(expected, [row["embedding"] for row in answer["data"]], atol=1e-5)


def test_base64_holds_the_same_floats(client: Any) -> None:
    plain = _embed(client, input="sky")["data"][0]["embedding"]
    coded = _embed(client, input="sky", encoding_format="base64")["data"][0]["embedding"]

    np.testing.assert_array_equal(np.array(plain, "<f4"), np.frombuffer(base64.b64decode(coded), "<f4"))


def test_a_picture_is_embedded_in_each_form_that_clients_send(client: Any, drawn: Path) -> None:
    with Library.open(drawn) as library:
        path, row = next(library.catalogue._connection.execute("SELECT path, embedding_index FROM images LIMIT 1"))
        expected = np.array(library.embeddings()[row], dtype=np.float32)
    url = _data_url(Path(path))
    forms = [url, {"image": url}, {"image_url": url}, {"type": "image_url", "image_url": {"url": url}}]
    answer = _embed(client, model="pixfind", input=[*forms, "sky", {"text": "sky"}])

    rows = [np.array(row["embedding"]) for row in answer["data"]]
    for row in rows[:4]:
        np.testing.assert_allclose(expected, row, atol=2e-3)
    np.testing.assert_array_equal(rows[4], rows[5])
    assert 6 == len(_embed(client, input=[*forms, "sky", "sea"])["data"])


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:1/a.jpg", "https://example.org/a.jpg", "file:///etc/passwd", "ftp://x/a.jpg"]
)
def test_an_address_is_never_fetched(client: Any, address: str) -> None:
    for part in ({"image": address}, {"type": "image_url", "image_url": {"url": address}}):
        error = client.post("/v1/embeddings", 400, json={"input": [part]}).json()["error"]
        assert "never fetched" in error["message"]


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({}, 400),
        ({"input": []}, 400),
        ({"input": ""}, 400),
        ({"input": [1, 2, 3]}, 400),
        ({"input": [[1, 2]]}, 400),
        ({"input": ["sky"] * 257}, 400),
        ({"input": "a" * 1001}, 400),
        ({"input": "data:image/png;base64,!!!"}, 400),
        ({"input": "data:text/html,<script>"}, 400),
        ({"input": "data:image/png;base64,aGVsbG8="}, 415),
        ({"input": {"image": 5}}, 400),
        ({"input": {"image": {"url": None}}}, 400),
        ({"input": "sky", "model": "text-embedding-3-small"}, 404),
        ({"input": "sky", "model": 5}, 400),
        ({"input": "sky", "dimensions": 64}, 400),
        ({"input": "sky", "encoding_format": "hex"}, 400),
    ],
)  # fmt: skip
def test_what_cannot_be_embedded_is_told(client: Any, asked: dict[str, Any], status: int) -> None:
    assert client.post("/v1/embeddings", status, json=asked).json()["error"]["message"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"sky"', b"\xff\xfe", b"[" * 100_000, b'{"input": NaN}'])
def test_a_body_that_is_no_request_is_told(client: Any, body: bytes) -> None:
    client.post("/v1/embeddings", 400, data=body)


def test_half_a_character_is_a_text(client: Any) -> None:
    client.post("/v1/embeddings", data=b'{"input": "\\ud83d sky"}')


def _metrics(client: Any) -> dict[tuple[str, str], float]:
    text = client.get("/metrics").text
    return {
        (sample.name, ",".join(f"{value}" for value in sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_figures_count_what_was_asked(client: Any) -> None:
    before = _metrics(client)
    for n in range(5):
        client.get(f"/api/search?q=unusual+words+{n}+{id(before)}&k=1")
    client.get("/api/images/99999", 404)
    after = _metrics(client)

    def more(name: str, label: str) -> float:
        return after[name, label] - before.get((name, label), 0)

    assert 5 == more("pixfind_request_seconds_count", "search,200")
    assert 1 == more("pixfind_request_seconds_count", "metadata,404")
    assert 5 == more("pixfind_done_total", "encoded texts")
    assert 5 == more("pixfind_search_seconds_count", "")
    assert after["process_resident_memory_bytes", ""] > 1e7


def test_the_figures_have_the_ledger(client: Any) -> None:
    found = _metrics(client)
    images = {label: value for (name, label), value in found.items() if name == "pixfind_images"}

    assert 60 == sum(images.values()) == images["embedded"]
    assert (60, 60, 0) == tuple(
        found[name, ""] for name in ("pixfind_embeddings", "pixfind_index_rows", "pixfind_embed_running")
    )
    assert {"encode", "search", "look"} == {label for name, label in found if name == "pixfind_waiting"}


def test_unknown_paths_make_no_figures_of_their_own(client: Any) -> None:
    for n in range(5):
        client.get(f"/made-up/{n}", 404)

    assert not [label for _, label in _metrics(client) if "made-up" in label]


def test_the_health_check_answers(client: Any) -> None:
    assert {"ok": True} == client.get("/healthz").json()


def test_texts_of_many_clients_go_through_the_model_together(serve: Callable[..., Any], drawn: Path) -> None:
    """Two hundred texts from forty clients at once take far fewer runs of the model."""
    from concurrent.futures import ThreadPoolExecutor

    client = serve(drawn)
    with ThreadPoolExecutor(40) as clients:
        list(clients.map(lambda n: client.get(f"/api/search?q=word+number+{n}&k=1"), range(200)))
    found = _metrics(client)

    assert found["pixfind_done_total", "encoded texts"] >= 200
    assert found["pixfind_done_total", "encoder batches"] < 0.8 * found["pixfind_done_total", "encoded texts"]


def test_an_answer_is_given_again_until_the_library_changes(tmp_path: Path, serve: Callable[..., Any]) -> None:
    make_pictures(tmp_path / "pictures", 3)
    with make_library(tmp_path / "library", tmp_path / "pictures") as library:
        client = serve(library.path)
        asked = [client.get("/api/search?q=red&all=true").json() for _ in range(3)]
        assert 2 == _metrics(client)["pixfind_done_total", "answers given again"]
        assert asked[0] == asked[1] == asked[2]

        (tmp_path / "pictures/picture_00001.jpg").rename(tmp_path / "away.jpg")
        with library.lock("add"):
            scan.add(library, tmp_path / "pictures")
        found = client.hits("/api/search?q=red&all=true")

    assert {"picture_00000.jpg", "picture_00002.jpg"} == {hit["name"] for hit in found}


def test_the_models_are_those_that_a_request_may_name(client: Any) -> None:
    listed = [model["id"] for model in client.get("/v1/models").json()["data"]]

    assert ["starter", "pixfind"] == listed
    for name in listed:
        client.post("/v1/embeddings", json={"model": name, "input": "sky"})
        assert name == client.get(f"/v1/models/{name}").json()["id"]
    assert "other" in client.get("/v1/models/other", 404).json()["error"]["message"]
