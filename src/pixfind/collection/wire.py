"""
The questions to a library at an address, and its answers, as JSON.

Owns the form that both sides share; docs/reference/api.md describes it. Arrays are base64 of little-endian numbers. What arrives is checked
in full: an answer of another server may hold anything.
"""

import base64
import dataclasses
import json
import math
import os
from typing import Any, Final

import numpy as np
from numpy import float16, float32
from numpy.typing import NDArray

from pixfind.collection import ids
from pixfind.collection.member import Found, MemberState
from pixfind.index.header import IndexKind
from pixfind.library import tokens
from pixfind.library.library import ModelIdentity
from pixfind.search import bursts, calibration, where
from pixfind.search import filters as filter_parser
from pixfind.search.bursts import Taken
from pixfind.search.filters import Filters, GeoCircle, Shape
from pixfind.search.query import MAX_QUERY_CHARACTERS, MAX_TERMS, MAX_TEXT_CHARACTERS, WORD_KINDS, Query, Term, TermKind
from pixfind.search.ranking import Candidate, Reach, Wanted
from pixfind.types import TextLine

PATH: Final = "/api/v1/member"
"""below it lie `state`, `nearest` and `embedding`"""

MAX_HITS: Final = 50_000
"""of one answer: some 90 MB"""

MAX_DIMENSION: Final = 16_384
_MAX_TEXT: Final = 100_000
_QUESTION: Final = frozenset({"vector", "k", "terms", "unit", "filters", "each_file"})
_REACH: Final = frozenset({"reach", "unknown"})
"""of a question to a server whose state says `reach`; older ones refuse them"""

_KINDS: Final = frozenset({TermKind.TEXT, *WORD_KINDS})
"""of terms with words, which a library may have"""


def state_to_json(state: MemberState, known_tag: str | None) -> dict[str, Any]:
    """Return a state; without its calibration where the other side has it already, by its tag."""
    left_out = state.calibration is None or state.tag == known_tag
    return {
        "tag": state.tag,
        "model": None if state.model is None else dataclasses.asdict(state.model),
        "rows": state.rows,
        "kind": str(state.kind),
        "problem": state.problem,
        "reach": True,
        "calibration": None if left_out else _base64(calibration.to_bytes(state.calibration)),  # type: ignore[arg-type]  # checked above
    }


def state_from_json(values: Any, known: MemberState | None) -> MemberState:
    """Return the state of an answer; with the calibration that is `known` where it has the same tag. Raises ValueError."""
    try:
        tag, rows, problem = _text(values["tag"]), int(values["rows"]), values["problem"]
        if values["model"] is None or rows == 0:
            return MemberState(tag)
        model = ModelIdentity(**values["model"])
        if type(model.dimension) is not int or not 0 < model.dimension <= MAX_DIMENSION or rows < 0:
            raise ValueError("dimension")
        for text in (model.name, model.hash, model.precision):
            _text(text)
        if known is not None and known.tag == tag:
            found = known.calibration
        else:
            content = base64.b64decode(values["calibration"], validate=True)
            found = calibration.from_bytes(content, model.dimension)
        if found is None:
            raise ValueError("calibration")
        problem = None if problem is None else _text(problem)
        return MemberState(
            tag, model, rows, found, IndexKind(values["kind"]), problem, takes_reach=values.get("reach") is True
        )
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(str(error)) from error


def wanted_to_json(wanted: Wanted, k: int, *, takes_reach: bool) -> dict[str, Any]:
    """Return a question for the nearest images, to a server that `takes_reach` or not. It has no key that an older server refuses, unless the search needs it."""
    reach = None if wanted.reach is None else list(wanted.reach)
    return {
        "vector": _base64(wanted.vector.astype("<f4").tobytes()),
        "k": k,
        "terms": [[str(term.kind), term.value, term.weight] for term in wanted.query.terms if term.kind in _KINDS],
        "unit": wanted.unit,
        **({"reach": reach, "unknown": list(wanted.unknown)} if takes_reach else {}),
        "filters": _filters_to_json(wanted.filters),
        "each_file": wanted.each_file,
    }


def wanted_from_json(values: Any) -> tuple[Wanted, int]:
    """Return the question in a request, and how many hits are asked for; raises ValueError, which names what is wrong."""
    if not isinstance(values, dict) or set(values) - _REACH != _QUESTION:
        raise ValueError(f"the body is not {{{', '.join(sorted(_QUESTION | _REACH))}}}")
    k, each_file = values["k"], values["each_file"]
    if type(k) is not int or not 1 <= k <= MAX_HITS:
        raise ValueError(f"k is not a number from 1 to {MAX_HITS:,}")
    if type(each_file) is not bool:
        raise ValueError("each_file is not true or false")
    unit = values["unit"]
    if type(unit) not in (int, float) or not 0 < unit < math.inf:
        raise ValueError("unit is not a number above 0")
    query = Query(_terms(values["terms"]))
    reach, unknown = _reach(values.get("reach")), _unknown(values.get("unknown", []))
    vector, filters = _vector(values["vector"]), _filters(values["filters"])
    return Wanted(vector, query, filters, each_file, float(unit), reach, unknown), k


def found_to_json(found: Found, dimension: int) -> dict[str, Any]:
    """Return the best hits of one library."""
    embeddings = np.array([one.embedding for one in found.candidates], dtype="<f2").reshape(-1, dimension)
    return {
        "tag": found.tag,
        "problem": found.problem,
        "unknown_labels": list(found.unknown),
        "embeddings": _base64(embeddings.tobytes()),
        "hits": [
            {
                "row": one.row,
                "score": one.score,
                "image_id": one.image_id,
                "path": _path_to_json(one.path),
                "content": None if one.content is None else one.content.hex(),
                "also": [_path_to_json(path) for path in one.also],
                "same_shot": [_path_to_json(path) for path in one.same_shot],
                "same_video": [_path_to_json(path) for path in one.same_video],
                "lift": one.lift,
                "named": one.named,
                "lines": [dataclasses.asdict(line) for line in one.lines],
                "date": one.date,
                "added": one.added,
                "taken": list(one.taken),
            }
            for one in found.candidates
        ],
    }


def found_from_json(values: Any, wanted: Wanted) -> Found:
    """Return the best hits in an answer; raises ValueError."""
    dimension = len(wanted.vector)
    try:
        embeddings = _rows(values["embeddings"], dimension)
        hits = values["hits"]
        if len(hits) != len(embeddings):
            raise ValueError("hits and embeddings differ in number")
        made = [_candidate(hit, row) for hit, row in zip(hits, embeddings, strict=True)]
        problem = values["problem"]
        # An older server names none: it refuses such labels.
        unknown = tuple(map(_text, values.get("unknown_labels", ())))
        return Found(_text(values["tag"]), made, None if problem is None else _text(problem), unknown)
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(str(error)) from error


def embedding_to_json(embedding: NDArray[float16] | None) -> dict[str, Any]:
    """Return the embedding [d] of an image; null where there is none."""
    return {"embedding": None if embedding is None else _base64(np.asarray(embedding, dtype="<f2").tobytes())}


def embedding_from_json(values: Any, dimension: int) -> NDArray[float16] | None:
    """Return the embedding in an answer; raises ValueError."""
    try:
        if values["embedding"] is None:
            return None
        rows = _rows(values["embedding"], dimension)
    except (KeyError, TypeError) as error:
        raise ValueError(str(error)) from error
    if len(rows) != 1:
        raise ValueError("not one embedding")
    first: NDArray[float16] = rows[0]
    return first


def _candidate(hit: Any, embedding: NDArray[float16]) -> Candidate:
    row, image_id, score = int(hit["row"]), int(hit["image_id"]), float(hit["score"])
    if not ids.is_of_library(image_id) or row < 0 or not math.isfinite(score + float(hit["lift"])):
        raise ValueError("a hit is out of range")
    return Candidate(
        row=row,
        score=score,
        image_id=image_id,
        path=_text(hit["path"]),
        embedding=embedding,
        content=None if hit["content"] is None else bytes.fromhex(hit["content"]),
        also=tuple(map(_text, hit["also"])),
        same_shot=tuple(map(_text, hit["same_shot"])),
        same_video=tuple(map(_text, hit["same_video"])),
        lift=float(hit["lift"]),
        named=bool(hit["named"]),
        lines=tuple(_line(line) for line in hit["lines"]),
        # An older server does not send these.
        date=_seconds(hit.get("date")),
        added=_seconds(hit.get("added")),
        taken=_taken(hit.get("taken", bursts.UNKNOWN)),
    )


def _taken(values: Any) -> Taken:
    at, camera = values
    return Taken(_seconds(at), _text(camera))


def _seconds(value: Any) -> int | None:
    if value is not None and (type(value) is not int or abs(value) >= 1 << 63):
        raise ValueError("a time is no number of seconds")
    return value


def _line(values: Any) -> TextLine:
    text, box = values["text"], tuple(float(number) for number in values["box"])
    if not all(map(math.isfinite, box)):
        raise ValueError("a line of text is none")
    return TextLine(_text(text), float(values["confidence"]), box)


def _filters_to_json(filters: Filters) -> dict[str, Any]:
    values = {key: value for key, value in dataclasses.asdict(filters).items() if value not in (None, ())}
    return {**values, "where": [f"{each.name} {each.operator} {each.value}" for each in filters.where]}


def _filters(values: Any) -> Filters:
    if not isinstance(values, dict):
        raise ValueError("filters is not an object")  # noqa: TRY004  one error for all that is wrong
    kinds: dict[str, Any] = {"inside": str, "camera": str, "shape": Shape, "album": str}
    kinds |= dict.fromkeys(("after", "before", "added_after", "added_before", "min_size", "max_size"), int)
    made: dict[str, Any] = {}
    # A lone surrogate is valid JSON and no text for SQLite.
    json.dumps(values, ensure_ascii=False).encode()
    for key, value in values.items():
        if key == "where":
            made[key] = where.parse([str(condition) for condition in value])
        elif key == "labels":
            made[key] = filter_parser.parse(label=[str(name) for name in value]).labels
        elif key == "near":
            made[key] = GeoCircle(**{name: float(number) for name, number in dict(value).items()})
        elif (
            key in kinds and (isinstance(value, str) == (kinds[key] is not int)) and not isinstance(value, bool | float)
        ):
            made[key] = kinds[key](value)
        else:
            raise ValueError(f"the filter {key[:80]!r} cannot be {str(value)[:80]!r}")
        if isinstance(made[key], int) and abs(made[key]) >= 1 << 63:
            raise ValueError(f"the filter {key!r} is out of range")
    return Filters(**made)


def _terms(values: Any) -> tuple[Term, ...]:
    if not isinstance(values, list) or len(values) > MAX_TERMS:
        raise ValueError(f"terms is not a list of at most {MAX_TERMS} terms")
    terms = []
    json.dumps(values, ensure_ascii=False).encode()
    for kind, value, weight in values:
        if kind not in _KINDS or not isinstance(value, str) or len(value) > MAX_TEXT_CHARACTERS:
            raise ValueError("terms has one that asks for no words")
        if (kind in WORD_KINDS and not tokens.wanted(value)) or not math.isfinite(float(weight)):
            raise ValueError("terms has one without a word or a weight")
        terms.append(Term(TermKind(kind), value, float(weight)))
    return tuple(terms)


def _reach(values: Any) -> Reach | None:
    if values is None:
        return None
    if not isinstance(values, list) or not all(type(each) in (int, float) and math.isfinite(each) for each in values):
        raise ValueError("reach is neither null nor two numbers")
    score, clear = values
    return Reach(float(score), float(clear))


def _unknown(values: Any) -> tuple[str, ...]:
    if not isinstance(values, list) or len(values) > MAX_QUERY_CHARACTERS:
        raise ValueError("unknown is not a list of words")
    if not all(isinstance(each, str) and len(each) <= MAX_TEXT_CHARACTERS for each in values):
        raise ValueError("unknown is not a list of words")
    return tuple(values)


def _vector(text: Any) -> NDArray[float32]:
    row: NDArray[float32] = np.frombuffer(base64.b64decode(str(text), validate=True), dtype="<f4").astype(float32)
    if not 0 < len(row) <= MAX_DIMENSION or not np.isfinite(row).all():
        raise ValueError("vector is not base64 of finite float32 numbers")
    return row


def _rows(text: Any, dimension: int) -> NDArray[float16]:
    flat = np.frombuffer(base64.b64decode(text, validate=True), dtype="<f2").astype(float16)
    rows: NDArray[float16] = flat.reshape(-1, dimension)
    if not np.isfinite(rows).all():
        raise ValueError("an embedding is not finite")
    return rows


def _path_to_json(path: str) -> str:
    # Names may hold any bytes; with surrogates they would be no JSON.
    return os.fsencode(path).decode("utf-8", "replace")


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > _MAX_TEXT:
        raise ValueError("a text is none")
    # A lone surrogate is valid JSON, and no text that can be passed on.
    value.encode()
    return value


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
