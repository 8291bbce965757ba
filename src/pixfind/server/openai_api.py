"""
Embeddings for other programs, in the format of OpenAI's API (POST /v1/embeddings).

Owns what an input may be: a text or a picture as a data URL, never an address to fetch. Must not know HTTP.
"""

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import Any

from numpy import float32
from numpy.typing import NDArray

from pixfind import errors
from pixfind.search.query import MAX_TEXT_CHARACTERS
from pixfind.server.batched_encoder import BatchedEncoder

MAX_INPUTS = 256
MAX_BYTES = 96 * 1024 * 1024
"""Of a body; base64 makes pictures a third larger."""

_ALIAS = "pixfind"
_ANY_MODEL = ("", _ALIAS)
_DATA = re.compile(r"data:(?:image/[\w.+-]+|application/octet-stream);base64,", re.IGNORECASE)
_ADDRESS = re.compile(r"(?:https?|ftp|file)://\S+", re.IGNORECASE)

REQUEST_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["input"],
    "properties": {
        "model": {"type": "string", "description": 'the model of the library, or "pixfind"', "default": "pixfind"},
        "input": {
            "description": "a text, a picture as a data URL, or a list of them; also {image: URL}, {text: WORDS}, "
            "{type: image_url, image_url: {url: URL}}",
            "anyOf": [
                {"type": "string", "maxLength": MAX_TEXT_CHARACTERS},
                {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": MAX_INPUTS,
                    "items": {"anyOf": [{"type": "string", "maxLength": MAX_TEXT_CHARACTERS}, {"type": "object"}]},
                },
            ],
        },
        "encoding_format": {
            "enum": ["float", "base64"],
            "default": "float",
            "description": "numbers, or base64 of little-endian float32",
        },
        "dimensions": {"type": ["integer", "null"], "description": "no other than the model's own"},
        "user": {"type": ["string", "null"], "description": "ignored"},
    },
}


@dataclass(frozen=True, slots=True)
class EmbeddingRequest:
    """A valid request: each input is a text or the bytes of a picture."""

    inputs: tuple[str | bytes, ...]
    base64: bool
    model: str
    dimensions: int | None


def parse_request(body: bytes) -> EmbeddingRequest:
    """Parse the body of a request; raises InvalidRequest, which names the invalid part."""
    try:
        values = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise errors.InvalidRequest(detail="the body is not JSON") from error
    if not isinstance(values, dict):
        raise errors.InvalidRequest(detail="the body is not an object")
    inputs = values.get("input")
    parts = inputs if isinstance(inputs, list) else [inputs]
    if not 0 < len(parts) <= MAX_INPUTS:
        raise errors.InvalidRequest(detail=f"input has {len(parts)} parts; it may have 1 to {MAX_INPUTS}")
    form, model, dimensions = values.get("encoding_format", "float"), values.get("model", ""), values.get("dimensions")
    if form not in ("float", "base64"):
        raise errors.InvalidRequest(detail='encoding_format is "float" or "base64"')
    if not isinstance(model, str) or not isinstance(dimensions, int | None):
        raise errors.InvalidRequest(detail="model is a text, dimensions a whole number")
    return EmbeddingRequest(
        tuple(_input(part, at) for at, part in enumerate(parts)), form == "base64", model, dimensions
    )


def models(model: str | None) -> dict[str, Any]:
    """Return the list of models as JSON values: the one of the library (None: it has none yet), and the name that stands for it."""
    names = [model, _ALIAS] if model else []
    return {
        "object": "list",
        "data": [{"id": name, "object": "model", "created": 0, "owned_by": "pixfind"} for name in names],
    }


def model(name: str, model: str | None) -> dict[str, Any]:
    """Return one of `models` as JSON values; raises ModelNotServed for any other name."""
    for one in models(model)["data"]:
        if one["id"] == name:
            return dict(one)
    raise errors.ModelNotServed(model=name[:100], known=model or "none yet: nothing is embedded")


async def embed(encoder: BatchedEncoder, request: EmbeddingRequest, model: str) -> dict[str, Any]:
    """Return the response as JSON values; raises ModelNotServed, InvalidRequest, ImageProblem, and what loading the model raises."""
    if request.model not in (*_ANY_MODEL, model):
        raise errors.ModelNotServed(model=request.model[:100], known=model)
    texts = [part for part in request.inputs if isinstance(part, str)]
    await encoder.ready(texts)
    rows = iter(encoder.encode_texts(texts) if texts else ())
    embeddings = [next(rows) if isinstance(part, str) else await encoder.file_ready(part) for part in request.inputs]
    if request.dimensions not in (None, len(embeddings[0])):
        raise errors.InvalidRequest(detail=f"dimensions: the model {model} has {len(embeddings[0])}")
    words = sum(len(text.split()) for text in texts)
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": at, "embedding": _encoded(vector) if request.base64 else vector.tolist()}
            for at, vector in enumerate(embeddings)
        ],
        "model": model,
        "usage": {"prompt_tokens": words, "total_tokens": words},
    }


def _encoded(vector: NDArray[float32]) -> str:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()


def _input(part: Any, at: int) -> str | bytes:
    """Return a text, or the bytes of a picture; raises InvalidRequest."""
    if isinstance(part, dict):
        part = _unwrap(part)
        if isinstance(part, str) and not _DATA.match(part) and _ADDRESS.match(part):
            raise errors.InvalidRequest(detail=f"input[{at}]: {_NEVER_FETCHED}")
    if not isinstance(part, str) or not part.strip():
        detail = (
            f"input[{at}]: it is a text, a data URL, or an object with one of them; token numbers are not supported"
        )
        raise errors.InvalidRequest(detail=detail)
    if match := _DATA.match(part):
        try:
            return base64.b64decode(part[match.end() :], validate=True)
        except (binascii.Error, ValueError) as error:
            raise errors.InvalidRequest(detail=f"input[{at}]: its base64 cannot be read") from error
    if part.startswith("data:"):
        raise errors.InvalidRequest(detail=f"input[{at}]: a data URL begins with data:image/TYPE;base64,")
    if len(part) > MAX_TEXT_CHARACTERS:
        detail = f"input[{at}]: it has {len(part):,} characters, over the limit of {MAX_TEXT_CHARACTERS:,}"
        raise errors.InvalidRequest(detail=detail)
    # JSON may contain unpaired surrogates, which no tokenizer accepts.
    return part.encode("utf-8", "replace").decode()


_NEVER_FETCHED = "addresses are never fetched; send the picture itself as data:image/jpeg;base64,..."


def _unwrap(part: dict[str, Any]) -> Any:
    """Return the text or the URL in an object, in any of the forms that clients use."""
    image = part.get("image_url", part.get("image"))
    if isinstance(image, dict):
        image = image.get("url")
    if image is None:
        return part.get("text")
    if isinstance(image, str) and not image.startswith("data:") and not _ADDRESS.match(image):
        return None
    return image
