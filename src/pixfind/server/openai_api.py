"""
Embeddings for other programs, in the form that clients of OpenAI's API send and expect.

Owns what an input may be: words, a picture as a data URL, and never an address to fetch. Must not know HTTP.
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
from pixfind.search.query import LONGEST_TEXT
from pixfind.server.batched_encoder import BatchedEncoder

MOST_INPUTS = 256
MOST_BYTES = 96 * 1024 * 1024
"""A body: pictures grow by a third as base64."""

_ANY_MODEL = ("", "pixfind")
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
                {"type": "string", "maxLength": LONGEST_TEXT},
                {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": MOST_INPUTS,
                    "items": {"anyOf": [{"type": "string", "maxLength": LONGEST_TEXT}, {"type": "object"}]},
                },
            ],
        },
        "encoding_format": {"enum": ["float", "base64"], "default": "float"},
        "dimensions": {"type": ["integer", "null"], "description": "no other than the model's own"},
        "user": {"type": ["string", "null"]},
    },
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that was understood: each input is a text or the bytes of a picture."""

    inputs: tuple[str | bytes, ...]
    base64: bool
    model: str
    dimensions: int | None


def read(body: bytes) -> Asked:
    """Read the body of a request; raises InputWrong, which says which part."""
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise errors.InputWrong(detail="the body is not JSON") from error
    if not isinstance(asked, dict):
        raise errors.InputWrong(detail="the body is not an object")
    inputs = asked.get("input")
    given = inputs if isinstance(inputs, list) else [inputs]
    if not 0 < len(given) <= MOST_INPUTS:
        raise errors.InputWrong(detail=f"input has {len(given)} parts; it may have 1 to {MOST_INPUTS}")
    form, model, dimensions = asked.get("encoding_format", "float"), asked.get("model", ""), asked.get("dimensions")
    if form not in ("float", "base64"):
        raise errors.InputWrong(detail='encoding_format is "float" or "base64"')
    if not isinstance(model, str) or not isinstance(dimensions, int | None):
        raise errors.InputWrong(detail="model is a text, dimensions a whole number")
    return Asked(tuple(_input(part, at) for at, part in enumerate(given)), form == "base64", model, dimensions)


async def embed(encoder: BatchedEncoder, asked: Asked, model: str) -> dict[str, Any]:
    """Return the answer as JSON values; raises InputWrong, ImageProblem, and what loading the model raises."""
    if asked.model not in (*_ANY_MODEL, model):
        raise errors.OtherModelAsked(model=asked.model[:100], known=model)
    texts = [part for part in asked.inputs if isinstance(part, str)]
    await encoder.ready(texts)
    rows = iter(encoder.encode_texts(texts) if texts else ())
    vectors = [next(rows) if isinstance(part, str) else await encoder.file_ready(part) for part in asked.inputs]
    if asked.dimensions not in (None, len(vectors[0])):
        raise errors.InputWrong(detail=f"dimensions: the model {model} has {len(vectors[0])}")
    words = sum(len(text.split()) for text in texts)
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": at, "embedding": _encoded(vector) if asked.base64 else vector.tolist()}
            for at, vector in enumerate(vectors)
        ],
        "model": model,
        "usage": {"prompt_tokens": words, "total_tokens": words},
    }


def _encoded(vector: NDArray[float32]) -> str:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()


def _input(part: Any, at: int) -> str | bytes:
    """A text, or the bytes of a picture."""
    if isinstance(part, dict):
        part = _inside(part)
        if isinstance(part, str) and not _DATA.match(part) and _ADDRESS.match(part):
            raise errors.InputWrong(detail=f"input[{at}]: {_NEVER_FETCHED}")
    if not isinstance(part, str) or not part.strip():
        detail = f"input[{at}]: it is a text, a data URL, or an object with one of them; token numbers are not known"
        raise errors.InputWrong(detail=detail)
    if match := _DATA.match(part):
        try:
            return base64.b64decode(part[match.end() :], validate=True)
        except (binascii.Error, ValueError) as error:
            raise errors.InputWrong(detail=f"input[{at}]: its base64 cannot be read") from error
    if part.startswith("data:"):
        raise errors.InputWrong(detail=f"input[{at}]: a data URL begins with data:image/TYPE;base64,")
    if len(part) > LONGEST_TEXT:
        detail = f"input[{at}]: it has {len(part):,} characters, over the limit of {LONGEST_TEXT:,}"
        raise errors.InputWrong(detail=detail)
    # JSON may hold halves of characters, which no tokenizer takes.
    return part.encode("utf-8", "replace").decode()


_NEVER_FETCHED = "addresses are never fetched; send the picture itself as data:image/jpeg;base64,..."


def _inside(part: dict[str, Any]) -> Any:
    """The text or the URL that an object holds, in any of the forms that clients use."""
    image = part.get("image_url", part.get("image"))
    if isinstance(image, dict):
        image = image.get("url")
    if image is None:
        return part.get("text")
    if isinstance(image, str) and not image.startswith("data:") and not _ADDRESS.match(image):
        return None
    return image
