"""Searches in the form of clip-retrieval, sent as its ClipClient sends them: clip_client.py of clip-retrieval 2.45."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

from pixfind.library.library import Library
from pixfind.search import searcher


def sent(**given: Any) -> str:
    """The body that ClipClient makes: every field of it, always."""
    return json.dumps(
        {
            "text": None,
            "image": None,
            "image_url": None,
            "embedding_input": None,
            "deduplicate": True,
            "use_safety_model": True,
            "use_violence_detector": True,
            "indice_name": "pixfind",
            "use_mclip": False,
            "aesthetic_score": 9,
            "aesthetic_weight": 0.5,
            "modality": "image",
            "num_images": 5,
            "num_result_ids": 5,
            **given,
        }
    )


def asked(client: Any, status: int = 200, **given: Any) -> Any:
    return client.post("/knn-service", status, data=sent(**given)).json()


def test_a_text_finds_what_the_command_line_finds(client: Any, drawn: Path) -> None:
    with Library.open(drawn) as library:
        hits = searcher.search(library, "sunset", 5, distinct=True, include_weak=True).hits
    found = asked(client, text="sunset")

    assert [hit.image_id for hit in hits] == [one["id"] for one in found]
    np.testing.assert_allclose([hit.score for hit in hits], [one["similarity"] for one in found], atol=1e-5)
    assert hits[0].path == found[0]["image_path"]
    assert Path(hits[0].path).read_bytes() == requests.get(found[0]["url"], timeout=600).content


def test_signs_in_a_text_mean_nothing(client: Any) -> None:
    assert 5 == len(asked(client, text='-snow "'))


def test_a_picture_and_an_embedding_find_the_picture_itself(client: Any, drawn: Path) -> None:
    with Library.open(drawn) as library:
        row, image_id, path = next(
            library.catalogue._connection.execute("SELECT embedding_index, id, path FROM images WHERE id = 7")
        )
        vector = library.embeddings()[row].astype(float).tolist()
    picture = base64.b64encode(Path(path).read_bytes()).decode()

    assert image_id == asked(client, image=picture, deduplicate=False)[0]["id"]
    for given in (vector, [vector], [3 * number for number in vector]):
        best = asked(client, embedding_input=given, deduplicate=False)[0]
        assert image_id == best["id"]
        assert best["similarity"] == pytest.approx(1, abs=1e-3)


def test_the_names_of_indices_are_listed(client: Any) -> None:
    assert ["pixfind"] == client.get("/indices-list").json()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "one of text, image"),
        ({"text": "sky", "image": "aGk="}, "one of text, image"),
        ({"text": 5}, "no text"),
        ({"text": " "}, "no text"),
        ({"text": "a" * 100_000}, "over the limit"),
        ({"image_url": "http://127.0.0.1/a.jpg"}, "never fetched"),
        ({"image": "%%%"}, "no base64"),
        ({"image": {"a": 1}}, "no base64"),
        ({"embedding_input": [1, 2]}, "128 finite numbers"),
        ({"embedding_input": [0] * 128}, "not all zero"),
        ({"embedding_input": ["a"] * 128}, "list of numbers"),
        ({"embedding_input": [1e40] * 128}, "finite"),
        ({"embedding_input": {"a": 1}}, "embedding_input"),
        ({"text": "sky", "indice_name": "laion5B"}, '"pixfind"'),
        ({"text": "sky", "modality": "text"}, "pictures only"),
        ({"text": "sky", "num_images": 0}, "num_images"),
        ({"text": "sky", "num_images": "5"}, "num_images"),
        ({"text": "sky", "num_images": 10**6}, "num_images"),
    ],
    ids=str,
)
def test_what_cannot_be_answered_is_refused(client: Any, given: dict[str, Any], said: str) -> None:
    assert said in asked(client, 400, **given)["error"]["message"]


def test_a_body_that_is_no_object_is_refused(client: Any) -> None:
    for body in ("", "[]", "{", '"text"'):
        client.post("/knn-service", 400, data=body)


def test_the_token_may_be_the_password_of_an_address(one: Path, serve: Callable[..., Any]) -> None:
    """ClipClient takes an address and no headers."""
    client = serve(one, token=True)
    host = client.server.address.removeprefix("http://")
    token = client.server.token
    for user in ("", "me"):
        with_token = f"http://{user}:{token}@{host}/knn-service"
        assert 200 == requests.post(with_token, data=sent(text="sky"), timeout=600).status_code
    for wrong in (f":{token}x@", f"{token}@", ":@"):
        refused = requests.post(f"http://{wrong}{host}/knn-service", data=sent(text="sky"), timeout=600)
        assert refused.status_code in (401, 429)
