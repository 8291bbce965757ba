"""
Clients that others wrote: OpenAI's own for `/v1/embeddings`, clip-retrieval's for `/knn-service`.

clip-retrieval itself brings PyTorch, FAISS and Spark. Its client is one module that needs `requests` alone: it lies in tests/golden, as version 2.45.0
has it, and is loaded by its path.
"""

import base64
import importlib.util
from collections.abc import Callable, Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest

from pixfind.library.library import Library
from pixfind.search import searcher
from pixfind.search.encoders import Encoders

CLIP_CLIENT = Path(__file__).parents[1] / "golden" / "clip-retrieval" / "clip_client.py.txt"


@pytest.fixture(scope="module")
def clip_client() -> Any:
    spec = importlib.util.spec_from_loader("clip_client", SourceFileLoader("clip_client", str(CLIP_CLIENT)))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def openai_client(client: Any) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{client.server.address}/v1", api_key="none is needed", max_retries=0) as made:
        yield made


def test_openai_gets_the_embeddings_of_the_model(openai_client: openai.OpenAI, drawn: Path) -> None:
    texts = ["sunset over the sea", "a red flower"]
    with Library.open(drawn) as library:
        expected = Encoders(library).encode_texts(texts)
    # It asks for base64 unless it is told not to, and decodes it.
    for answer in (
        openai_client.embeddings.create(model="pixfind", input=texts),
        openai_client.embeddings.create(model="pixfind", input=texts, encoding_format="float"),
    ):
        np.testing.assert_allclose(expected, [row.embedding for row in answer.data], atol=1e-5)
    assert ("starter", 7) == (answer.model, answer.usage.total_tokens)


def test_openai_embeds_a_picture(openai_client: openai.OpenAI, drawn: Path) -> None:
    with Library.open(drawn) as library:
        path, row = next(library.catalogue._connection.execute("SELECT path, embedding_index FROM images LIMIT 1"))
        expected = np.array(library.embeddings()[row], dtype=np.float32)
    url = "data:image/jpeg;base64," + base64.b64encode(Path(path).read_bytes()).decode()
    answer = openai_client.embeddings.create(model="starter", input=url)

    np.testing.assert_allclose(expected, answer.data[0].embedding, atol=2e-3)


def test_openai_lists_the_models(openai_client: openai.OpenAI) -> None:
    assert ["starter", "pixfind"] == [model.id for model in openai_client.models.list()]
    assert "pixfind" == openai_client.models.retrieve("pixfind").id


def test_openai_raises_its_own_errors(openai_client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="text-embedding-3-small"):
        openai_client.embeddings.create(model="text-embedding-3-small", input="sky")
    with pytest.raises(openai.BadRequestError, match="characters"):
        openai_client.embeddings.create(model="pixfind", input="a" * 1001)


def test_openai_shows_the_token(drawn: Path, connect: Callable[..., Any], tmp_path: Path) -> None:
    with connect(drawn, tmp_path / "serve.log", token=True) as made:
        address = f"{made.server.address}/v1"
        with (
            openai.OpenAI(base_url=address, api_key="wrong", max_retries=0) as stranger,
            pytest.raises(openai.AuthenticationError),
        ):
            stranger.models.list()
        with openai.OpenAI(base_url=address, api_key=made.server.token, max_retries=0) as owner:
            assert 128 == len(owner.embeddings.create(model="pixfind", input="sky").data[0].embedding)


def test_clip_client_finds_what_the_command_line_finds(clip_client: Any, client: Any, drawn: Path) -> None:
    with Library.open(drawn) as library:
        hits = searcher.search(library, "sunset", 5, distinct=True, include_weak=True).hits
        path, row = next(library.catalogue._connection.execute("SELECT path, embedding_index FROM images WHERE id = 7"))
        embedding = library.embeddings()[row].astype(float).tolist()
    asked = clip_client.ClipClient(
        url=f"{client.server.address}/knn-service",
        indice_name="pixfind",
        modality=clip_client.Modality.IMAGE,
        num_images=5,
    )

    assert [hit.image_id for hit in hits] == [one["id"] for one in asked.query(text="sunset")]
    assert 7 == asked.query(image=path)[0]["id"]
    assert 7 == asked.query(embedding_input=embedding)[0]["id"]


def test_clip_client_shows_the_token_in_the_address(
    clip_client: Any, drawn: Path, connect: Callable[..., Any], tmp_path: Path
) -> None:
    with connect(drawn, tmp_path / "serve.log", token=True) as made:
        address = made.server.address.replace("http://", f"http://:{made.server.token}@")
        asked = clip_client.ClipClient(url=f"{address}/knn-service", indice_name="pixfind", num_images=3)

        assert 3 == len(asked.query(text="sunset"))
