"""
Labels: words that images are marked with, and which rows of the embeddings have them.

Owns the tables `labels` and `labelled`. A row is a content: copies have the labels of their original. Must not know how it is decided which
row has a label; `search.labelling` does.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy import float32
from numpy.typing import NDArray

from pixfind.library.catalogue import Catalogue

_FILE: Final = "labels.sql"
_STATE: Final = "labelled"


@dataclass(frozen=True, slots=True)
class Definition:
    """A label as its owner has written it."""

    name: str
    query: str
    """what its images show, in the query language"""
    min_z: float | None = None
    """the lowest `query_z` of its images; None: the cut-offs of searches decide"""


@dataclass(frozen=True, slots=True, eq=False)
class Label:
    """A label of a library."""

    id: int
    definition: Definition
    encoder: str | None
    """which text encoder has made the embedding; None until one has"""
    vector: NDArray[float32] | None
    """[d] unit length; None where the model knows no word of the query, or until it is made"""
    texts: float
    """how many texts the query amounts to (`QueryVector.texts`)"""


@dataclass(frozen=True, slots=True)
class Marked:
    """What the table `labelled` was made from."""

    key: str
    """of the definitions and of the calibration"""
    rows: int
    """of the embeddings, from the first on"""


def all_labels(catalogue: Catalogue) -> list[Label]:
    """Return the labels, in the order in which they were written."""
    found = catalogue.all_rows("all", _FILE)
    return [
        Label(number, Definition(name, query, min_z), encoder, _vector(vector), texts or 1.0)
        for number, name, query, min_z, encoder, vector, texts in found
    ]


def names(catalogue: Catalogue) -> list[str]:
    """Return the names of the labels, in the order in which they were written."""
    return [label.definition.name for label in all_labels(catalogue)]


def define(catalogue: Catalogue, definitions: Sequence[Definition]) -> None:
    """Replace the labels of a library; nothing has any of them until `search.labelling.update`."""
    with catalogue.transaction():
        forget(catalogue)
        catalogue.run("forget_all", _FILE)
        catalogue.run_many(
            "add", ({"name": one.name, "query": one.query, "min_z": one.min_z} for one in definitions), _FILE
        )


def set_vector(catalogue: Catalogue, label: Label, encoder: str, vector: NDArray[float32] | None, texts: float) -> None:
    """Keep the embedding of a label's query; None: the model knows no word of it."""
    content = b"" if vector is None else vector.astype("<f4").tobytes()
    catalogue.run("set_vector", _FILE, id=label.id, encoder=encoder, vector=content, texts=texts)


def marked(catalogue: Catalogue) -> Marked | None:
    """Return what the rows were marked from; None where none is."""
    try:
        return Marked(**json.loads(catalogue.setting(_STATE) or ""))
    except (ValueError, TypeError):
        return None


def mark(catalogue: Catalogue, pairs: Iterable[tuple[int, int]], state: Marked, *, afresh: bool) -> None:
    """Give rows labels, as pairs (row, id of the label), in one transaction; `afresh`: instead of those that they have."""
    with catalogue.transaction():
        if afresh:
            catalogue.run("unmark_all", _FILE)
        catalogue.run_many("mark", ({"row": row, "label_id": label_id} for row, label_id in pairs), _FILE)
        catalogue.set_setting(_STATE, json.dumps({"key": state.key, "rows": state.rows}))


def forget(catalogue: Catalogue) -> None:
    """Take the labels from all rows, whose contents may be others from now on; in a transaction of the caller."""
    catalogue.run("unmark_all", _FILE)
    catalogue.set_setting(_STATE, "")


def counts(catalogue: Catalogue) -> dict[str, int]:
    """Return name -> how many images have the label."""
    return dict(catalogue.all_rows("counts", _FILE))


def of_row(catalogue: Catalogue, row: int) -> list[str]:
    """Return the names of the labels of a row."""
    return [name for (name,) in catalogue.rows("of_row", _FILE, row=row)]


def _vector(content: bytes | None) -> NDArray[float32] | None:
    return np.frombuffer(content, dtype="<f4").astype(float32) if content else None
