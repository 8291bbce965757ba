"""
From the terms of a query to one embedding.

Owns the weighted sum of terms, which words the model does not know, and which texts are ignored because it knows no word of them.
Must not know how rows are found.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy import float16, float32
from numpy.typing import NDArray

from pixfind import errors
from pixfind.images import source
from pixfind.library.library import Library
from pixfind.search.calibration import ScoreCalibration
from pixfind.search.encoders import Encoders, unit_rows
from pixfind.search.query import Query, Term, TermKind
from pixfind.search.snapshot import Snapshot

_MIN_RELATIVE_LENGTH = 1e-3
"""A sum shorter than this, relative to its weights, is rounding error: the terms cancel each other."""


@dataclass(frozen=True, slots=True)
class QueryVector:
    """A query as one embedding."""

    vector: NDArray[float32]
    """[d], unit length"""
    texts: float | None
    """how many texts the query amounts to (0 for "this but not that"); None where images take part"""
    unknown: tuple[str, ...]
    """words of the query that the model does not know"""
    ignored: tuple[str, ...]
    """texts of which the model knows no word"""
    noise: bool
    """whether an unknown text is part of the query, because no other positive term was left"""
    lists_words: bool = False
    """whether the model has a list of the words that it knows"""


NONE = QueryVector(np.empty(0, float32), None, (), (), noise=False)
"""of a query that asks for words alone"""


class KnownImages(Protocol):
    """The images whose embeddings are there, so that no model is needed for them."""

    def of_content(self, content: bytes) -> NDArray[float16] | None:
        """Return the embedding [d] of an image with this hash; None where there is none."""

    def of_id(self, image_id: int) -> NDArray[float16]:
        """Return the embedding [d] of an image; raises ImageNotFound."""


class LibraryImages:
    """The images of one library."""

    def __init__(self, library: Library, snapshot: Snapshot) -> None:
        self._library, self._embeddings = library, snapshot.index.embeddings

    def of_content(self, content: bytes) -> NDArray[float16] | None:
        row = self._library.catalogue.contents.row(content)
        return None if row is None or row >= len(self._embeddings) else self._embeddings[row]

    def of_id(self, image_id: int) -> NDArray[float16]:
        row = self._library.catalogue.value("row_of_image", "search.sql", image_id=image_id)
        if row is None or row >= len(self._embeddings):
            raise errors.ImageNotFound(image_id=image_id, path=self._library.path)
        embedding: NDArray[float16] = self._embeddings[row]
        return embedding


def encode(
    images: KnownImages,
    encoders: Encoders,
    known: ScoreCalibration,
    query: Query,
    files: Sequence[bytes] = (),
    vectors: Sequence[NDArray[float32]] = (),
) -> QueryVector:
    """
    Return the weighted sum of the terms of a query, image `files` (their bytes) and unit `vectors` [d], at unit length.

    Raises InvalidQueryImage, ImageNotFound, QueryCancelsOut, and what loading a model raises.
    """
    sources = _TermEncoder(images, encoders)
    unknown = _unknown_words(query, encoders)
    query, ignored = _drop_unknown(query, encoders, require_positive=not files and not vectors)
    rows = [*sources.of_terms(query.terms), *map(sources.of_bytes, files), *vectors]
    vector, texts = _weighted_sum(query, rows, known)
    texts_only = not files and not vectors and all(term.kind is TermKind.TEXT for term in query.terms)
    noise = any(term.kind is TermKind.TEXT and term.value in ignored for term in query.terms)
    # A text that is not wanted beside words that are: every image with the words is a hit.
    judged = texts_only and any(term.weight > 0 for term in query.terms)
    lists_words = judged and encoders.lists_words()
    return QueryVector(vector, texts if judged else None, unknown, ignored, noise, lists_words)


def texts_of(terms: Sequence[Term]) -> list[str]:
    """Return the texts among the terms, as valid Unicode."""
    return [valid_unicode(term.value) for term in terms if term.kind is TermKind.TEXT]


def valid_unicode(text: str) -> str:
    """Return a text that any tokenizer accepts: an argument that is not UTF-8 arrives with surrogates."""
    return re.sub("[\ud800-\udfff]", "\N{REPLACEMENT CHARACTER}", text)


def _unknown_words(query: Query, encoders: Encoders) -> tuple[str, ...]:
    """Return the words of the texts that the model does not know; of a text without a word, the text."""
    found: dict[str, None] = {}
    for text in (term.value for term in query.terms if term.kind is TermKind.TEXT):
        found.update(dict.fromkeys(encoders.unknown_words(text) or ((text,) if encoders.unknown(text) else ())))
    return tuple(found)


def _drop_unknown(query: Query, encoders: Encoders, *, require_positive: bool) -> tuple[Query, tuple[str, ...]]:
    """
    Return the query without the texts of which the model knows no word, and those texts.

    The embedding of such a text would be noise. The query is returned unchanged when no positive term would remain.
    """
    unknown = {term for term in query.terms if term.kind is TermKind.TEXT and encoders.unknown(term.value)}
    left = tuple(term for term in query.terms if term not in unknown)
    if require_positive and not any(term.weight > 0 for term in left):
        left = query.terms
    return replace(query, terms=left), tuple(term.value for term in query.terms if term in unknown)


def _weighted_sum(
    query: Query, rows: Sequence[NDArray[float32]], known: ScoreCalibration
) -> tuple[NDArray[float32], float]:
    """Return one unit row [d] for the whole query, and how many texts it amounts to."""
    if len(rows) == 1 and all(term.weight > 0 for term in query.terms):
        return rows[0], 1.0
    wanted = [term.weight for term in query.terms] + [1.0] * (len(rows) - len(query.terms))
    # Divided by the standard deviation of their scores: scores of images vary several times as much as those of texts, and would dominate.
    weights = np.array(wanted) / [known.standard_deviation(row) for row in rows]
    total = weights @ np.array(rows)
    length = float(np.linalg.norm(total))
    if length < _MIN_RELATIVE_LENGTH * np.abs(weights).sum():
        raise errors.QueryCancelsOut(query=str(query))
    return (total / length).astype(float32), float(weights.sum() / length)


class _TermEncoder:
    """Embeds terms: with the model, or from what is embedded already."""

    def __init__(self, images: KnownImages, encoders: Encoders) -> None:
        self._images, self._encoders = images, encoders

    def of_terms(self, terms: tuple[Term, ...]) -> list[NDArray[float32]]:
        texts = texts_of(terms)
        encoded = iter(self._encoders.encode_texts(texts) if texts else ())
        return [next(encoded) if term.kind is TermKind.TEXT else self._of_image(term) for term in terms]

    def of_bytes(self, data: bytes, name: str = "the picture") -> NDArray[float32]:
        embedding = self._images.of_content(source.content_hash(data))
        if embedding is not None:
            # An image with the same bytes is here: no model is needed.
            return unit_rows(embedding)
        try:
            return self._encoders.encode_file(data)
        except errors.ImageProblem as error:
            raise errors.InvalidQueryImage(path=name, detail=str(error)) from error

    def _of_image(self, term: Term) -> NDArray[float32]:
        if term.kind is TermKind.FILE:
            return self._of_file(term.value)
        return unit_rows(self._images.of_id(int(term.value)))

    def _of_file(self, name: str) -> NDArray[float32]:
        try:
            data = source.read(str(Path(name).expanduser())).data
        except errors.FileMissing as error:
            raise errors.InvalidQueryImage(path=name, detail="there is no such file") from error
        except errors.ImageProblem as error:
            raise errors.InvalidQueryImage(path=name, detail=str(error)) from error
        return self.of_bytes(data, name)
