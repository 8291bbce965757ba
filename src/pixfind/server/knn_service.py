"""
Searches in the form of clip-retrieval's backend (POST /knn-service), so that its ClipClient and programs made for it work with a library.

Owns what its fields mean here: compute_query of KnnService in clip_back.py (clip-retrieval 2.45) has the originals. Must not know HTTP.
"""

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy import float32
from numpy.typing import NDArray

from pixfind import errors
from pixfind.search import query as language
from pixfind.search.query import MAX_TEXT_CHARACTERS, Query
from pixfind.server import schemas

INDEX_NAME = "pixfind"
"""The one index that a library has, for `indice_name`."""

MAX_BYTES = 96 * 1024 * 1024
"""of a body; base64 makes a picture a third larger"""

REQUEST_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "text": {
            "type": ["string", "null"],
            "maxLength": MAX_TEXT_CHARACTERS,
            "description": "words; signs mean nothing",
        },
        "image": {"type": ["string", "null"], "description": "a picture as base64"},
        "embedding_input": {
            "type": ["array", "null"],
            "items": {"type": "number"},
            "description": "an embedding of the library's model, of any length but zero",
        },
        "indice_name": {"type": ["string", "null"], "description": INDEX_NAME, "default": INDEX_NAME},
        "modality": {"enum": ["image", None], "default": "image", "description": "a library has pictures only"},
        "num_images": {
            "type": ["integer", "null"],
            "minimum": 1,
            "maximum": schemas.MAX_HITS,
            "default": 40,
            "description": "hits to show",
        },
        "deduplicate": {"type": ["boolean", "null"], "description": "fold near-duplicates into the best of them"},
    },
}


@dataclass(frozen=True, slots=True)
class KnnRequest:
    """A valid request: exactly one of the three is given."""

    query: Query
    """of the text; without terms where there is none"""
    picture: bytes | None
    vector: NDArray[float32] | None
    """unit row [d]"""
    page: schemas.Page


def parse_request(body: bytes, dimension: int) -> KnnRequest:
    """
    Parse the body of a request for a library with embeddings [`dimension`]; raises InvalidRequest, which names the invalid part.

    Fields for what pixfind does not do (safety and aesthetic models, several languages) are ignored, as `ClipClient` always sends them.
    """
    try:
        values = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise errors.InvalidRequest(detail="the body is not JSON") from error
    if not isinstance(values, dict):
        raise errors.InvalidRequest(detail="the body is not an object")
    if values.get("image_url"):
        raise errors.InvalidRequest(detail="image_url: addresses are never fetched; send the picture itself as image")
    if values.get("indice_name") not in (None, "", INDEX_NAME):
        raise errors.InvalidRequest(detail=f'indice_name: the index of this library is "{INDEX_NAME}"')
    if values.get("modality") not in (None, "image"):
        raise errors.InvalidRequest(detail='modality: a library has pictures only: "image"')
    given = [name for name in ("text", "image", "embedding_input") if values.get(name)]
    if len(given) != 1:
        raise errors.InvalidRequest(detail="one of text, image and embedding_input is needed")
    return KnnRequest(
        _text(values["text"]) if given == ["text"] else Query(()),
        _picture(values["image"]) if given == ["image"] else None,
        _vector(values["embedding_input"], dimension) if given == ["embedding_input"] else None,
        _page(values),
    )


def answer(found: schemas.SearchResponse, address: str) -> list[dict[str, Any]]:
    """Return the results as clip-retrieval does; `url` is below `address`, that of this server."""
    return [
        {
            "id": hit.image_id,
            "similarity": hit.score,
            "caption": hit.name,
            "url": f"{address}api/v1/images/{hit.image_id}/file",
            "image_path": hit.path,
        }
        for hit in found.hits
    ]


def _text(text: Any) -> Query:
    if not isinstance(text, str) or not text.strip():
        raise errors.InvalidRequest(detail="text: it is no text")
    if len(text) > MAX_TEXT_CHARACTERS:
        raise errors.InvalidRequest(
            detail=f"text: it has {len(text):,} characters, over the limit of {MAX_TEXT_CHARACTERS:,}"
        )
    return language.text(text.encode("utf-8", "replace").decode())


def _picture(image: Any) -> bytes:
    try:
        return base64.b64decode(image, validate=True)
    except (binascii.Error, ValueError, TypeError) as error:
        raise errors.InvalidRequest(detail="image: it is no base64") from error


def _vector(numbers: Any, dimension: int) -> NDArray[float32]:
    if isinstance(numbers, list) and len(numbers) == 1 and isinstance(numbers[0], list):
        numbers = numbers[0]
    try:
        vector: NDArray[float32] = np.asarray(numbers, dtype=float32)
    except (ValueError, TypeError, OverflowError) as error:
        raise errors.InvalidRequest(detail="embedding_input: it is no list of numbers") from error
    # In double precision: a length may be beyond what float32 holds.
    wide = vector.astype(np.float64)
    length = float(np.linalg.norm(wide))
    if vector.shape != (dimension,) or not np.isfinite(length) or length == 0:
        raise errors.InvalidRequest(detail=f"embedding_input: {dimension} finite numbers are needed, not all zero")
    return (wide / length).astype(float32)


def _page(values: dict[str, Any]) -> schemas.Page:
    count = values.get("num_images")
    count = 40 if count is None else count
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= schemas.MAX_HITS:
        raise errors.InvalidRequest(detail=f"num_images: a whole number from 1 to {schemas.MAX_HITS} is needed")
    # As clip-retrieval: the nearest, however far they are.
    return schemas.Page(k=count, distinct=bool(values.get("deduplicate")), include_weak=True)  # type: ignore[call-arg]
