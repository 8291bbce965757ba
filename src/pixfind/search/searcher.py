"""
Search: a query becomes one embedding, its nearest rows become hits.

Owns how terms are added up, how filters and images that are gone are answered exactly, and when a hit is worth showing.
Must not know how rows are found (`index`) or how the answer is shown (`console`, `sheet`).
"""

import json
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy import float16, float32, int64
from numpy.typing import NDArray

from pixfind import errors
from pixfind.images import decode, source
from pixfind.index import build, header, reader
from pixfind.library.library import Library, ModelIdentity
from pixfind.models import hub
from pixfind.models.encoders import ImageEncoder, TextEncoder, open_image_encoder, open_text_encoder
from pixfind.models.files import ModelFiles
from pixfind.search import calibration, duplicates
from pixfind.search.calibration import Background
from pixfind.search.filters import NO_FILTERS, Filters, kilometres
from pixfind.search.query import Query, Shows, Term, parse

_MORE = 100
"""Hits asked of the index beyond four times k, once some of the best k turned out to be gone."""

_LOOKS_PAST_FILTERS = (200, 2_000)
"""Best rows that a filter is tried on before all images are asked: most filters leave enough of them."""

_MOST_FOLDED = 5_000
"""Hits looked at for distinct ones."""

_CANCELLED = 1e-3
"""What rounding leaves of a query whose terms are equal."""

_LIMITS = decode.Limits(200_000_000)

Progress = Callable[[int, int | None], None]
"""(done, total)"""


@dataclass(frozen=True, slots=True)
class Hit:
    """One search answer."""

    rank: int
    """from 1"""
    path: str
    score: float
    """exact cosine between the query and the image"""
    image_id: int
    embedding_index: int
    unusual: float | None = None
    """spreads above what this query scores on this library; None for queries with pictures"""
    fitting: float | None = None
    """spreads above what everyday texts score on this very picture; None for queries with pictures"""
    also: tuple[str, ...] = ()
    """files with the same bytes"""
    folded: int = 0
    """hits that are nearly the same and not shown; 0 unless distinct ones were asked for"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a search found, and what to make of it."""

    query: Query
    hits: tuple[Hit, ...]
    hidden: int
    """of the best k, those below the cut-offs"""
    cutoff: float | None
    """how unusual a hit must be to be shown, unless it fits its picture; None when everything was shown"""
    unknown: tuple[str, ...]
    """texts of which the model knows no word; they took no part, unless nothing else was wanted"""
    rows: int
    """embeddings that were searched"""
    kind: header.Kind
    problem: str | None
    """why the index was not used; the answer is complete without it, only slower"""
    seconds: float

    def remark(self) -> str | None:
        """A sentence for an answer without hits, or one that left texts out; None when the hits say it all."""
        if self.unknown:
            names = ", ".join(map(repr, self.unknown))
            wanted = [term for term in self.query.terms if term.weight > 0]
            alone = bool(wanted) and all(term.shows is Shows.TEXT and term.value in self.unknown for term in wanted)
            left_out = "" if alone else "; the search went on without it"
            return f"no word of {names} is known to the model of this library{left_out}"
        if self.hits:
            return None
        if self.hidden:
            return "nothing in this library looks like that; the nearest pictures are shown with --all"
        return "no image passes the filters" if self.rows else "nothing is embedded yet"


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What `build_index` did."""

    index: build.IndexReport
    cutoff: float | None
    text_problem: str | None
    """why text queries could not be measured; recall and cut-off are missing then"""


class Towers:
    """The two encoders of a library's model, each loaded when it is first needed, by whichever thread needs it."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._text: TextEncoder | None = None
        self._image: ImageEncoder | None = None
        self._lock = threading.Lock()

    def text(self) -> TextEncoder:
        with self._lock:
            if self._text is None:
                self._text = open_text_encoder(self._files(text=True, image=False))
            return self._text

    def image(self) -> ImageEncoder:
        with self._lock:
            if self._image is None:
                model = self._library.model()
                precision = model.precision if model else "auto"
                self._image = open_image_encoder(self._files(), precision=precision)
            return self._image

    def encode(self, texts: Sequence[str]) -> NDArray[float32]:
        """Unit rows [n, d] of some texts; raises what loading the model raises."""
        return self.text().encode(texts)

    def unknown(self, text: str) -> bool:
        """Whether the model knows no word of the text."""
        return self.text().unknown(text)

    def picture(self, data: bytes) -> NDArray[float32]:
        """The unit row [d] of one image file; raises ImageProblem, and what loading the model raises."""
        encoder = self.image()
        decoded = decode.decode(data, limits=_LIMITS, shortest_side=encoder.decode_side)
        return _widened(encoder.finish(encoder.forward([encoder.prepare(decoded.image)]))[0])

    def _files(self, *, text: bool = False, image: bool = True) -> ModelFiles:
        model = self._library.model()
        if model is None:
            raise errors.NotEmbedded(path=self._library.path)
        files = hub.resolve(model.name, text=text, image=image)
        if files.hash and files.hash != model.hash:
            # A folder whose files were replaced: its texts would be asked of another model's pictures.
            self._library.remember_model(ModelIdentity(files.name, files.hash, files.dimension, model.precision))
        return files


class Opened:
    """Index and background as they are now. Several searchers of one library may share it; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: tuple[object, ...] = ()
        self._now: tuple[reader.Index, Background] | None = None

    def now(self, library: Library) -> tuple[reader.Index, Background]:
        """Open them again where another process has merged or built since; raises NotEmbedded."""
        with self._lock:
            seen = self.state(library)
            if seen != self._seen or self._now is None:
                self._now = self._open(library)
                self._seen = seen
            return self._now

    @staticmethod
    def state(library: Library) -> tuple[object, ...]:
        """What is other as soon as another process has merged or built."""
        return (_head(library.embeddings_path), _identity(library.index_path), _identity(background_path(library)))

    @property
    def generation(self) -> str:
        """A word that changes when the answers may; empty before the first search."""
        return "" if self._now is None else f"{abs(hash(self._seen)):x}"

    def _open(self, library: Library) -> tuple[reader.Index, Background]:
        model = library.model()
        if model is None or not library.merged_rows:
            raise errors.NotEmbedded(path=library.path)
        embeddings = library.embeddings()
        known = calibration.load(background_path(library), model.hash, model.dimension)
        return reader.open(library.index_path, embeddings), known or calibration.moments(embeddings)


class Searcher:
    """
    A library that is open for many searches: index, background and encoders stay loaded. One thread at a time.

    When the library's model is changed meanwhile, it answers with the new one from its next search on, whole: `library`, `towers` and
    `opened` are other objects then. One that was given towers or an `opened` to share stays with its library: whoever shares them replaces
    all at once (`superseded`).
    """

    def __init__(self, library: Library, towers: Towers | None = None, opened: Opened | None = None) -> None:
        # A home that was opened by its name does not answer: whoever asks it means it.
        self._follows = towers is None and opened is None and not library.superseded()
        self._given = library
        self._now: tuple[reader.Index, Background] | None = None
        self._use(library, towers or Towers(library), opened or Opened())

    def _use(self, library: Library, towers: Towers, opened: Opened) -> None:
        self.library, self.towers, self.opened = library, towers, opened
        library.catalogue.connection.create_function("km", 4, kilometres, deterministic=True)

    def _follow(self) -> None:
        """Move to the model that answers now."""
        if not self._follows or not self.library.superseded():
            return
        before, library = self.library, Library.open(self.library.path)
        self._use(library, Towers(library), Opened())
        if before is not self._given:
            before.close()

    def search(
        self,
        query: Query | str,
        k: int = 10,
        filters: Filters = NO_FILTERS,
        *,
        distinct: bool = False,
        everything: bool = False,
        pictures: Sequence[bytes] = (),
    ) -> Answer:
        """
        Return the k best hits, best first.

        `distinct` folds pictures that are nearly the same into the best of them; `everything` shows hits below the
        cut-off too. `pictures` are image files that hits should look like, beside what the query says; with them a
        query may be without terms. Raises QueryWrong, QueryImageWrong, NoSuchImage, QueryCancels, CountWrong, NotEmbedded, and what
        loading a model raises.
        """
        began = time.perf_counter()
        if k < 1:
            raise errors.CountWrong(k=k)
        query = parse(query) if isinstance(query, str) else query
        self._follow()
        self._now = opened, known = self.opened.now(self.library)
        asked, unknown = self._understood(query, pictures)
        vector, texts = self._vector(asked, pictures, opened, known)
        ranked = self._ranked(vector, k, filters, distinct=distinct)
        answer = self._answer(
            asked, unknown, vector, ranked[:k], None if pictures else texts, everything=everything, began=began
        )
        return replace(answer, query=query)

    def _understood(self, query: Query, pictures: Sequence[bytes]) -> tuple[Query, tuple[str, ...]]:
        """
        The query without the texts of which the model knows no word, and those texts.

        Such a text has an embedding, which would be noise. The query stays whole when nothing wanted would remain of it.
        """
        unknown = {term for term in query.terms if term.shows is Shows.TEXT and self.towers.unknown(term.value)}
        left = tuple(term for term in query.terms if term not in unknown)
        if not pictures and not any(term.weight > 0 for term in left):
            left = query.terms
        return replace(query, terms=left), tuple(term.value for term in query.terms if term in unknown)

    # --- from terms to one embedding --------------------------------------------------------------

    def _vector(
        self, query: Query, pictures: Sequence[bytes], opened: reader.Index, known: Background
    ) -> tuple[NDArray[float32], float]:
        """One unit row [d] for the whole query, and how many texts it amounts to."""
        vectors = self._vectors(query.terms, opened) + [self._picture_vector(data, opened) for data in pictures]
        if len(vectors) == 1:
            return vectors[0], 1.0
        wanted = [term.weight for term in query.terms] + [1.0] * len(pictures)
        # Pictures score several times as far apart as texts do: weighted as they are, one picture would drown all words.
        weights = np.array(wanted) / [known.spread(vector) for vector in vectors]
        total = weights @ np.array(vectors)
        length = float(np.linalg.norm(total))
        if length < _CANCELLED * np.abs(weights).sum():
            raise errors.QueryCancels(query=str(query))
        return (total / length).astype(float32), float(weights.sum() / length)

    def _vectors(self, terms: tuple[Term, ...], opened: reader.Index) -> list[NDArray[float32]]:
        texts = texts_of(terms)
        encoded = iter(self.towers.encode(texts) if texts else ())
        return [next(encoded) if term.shows is Shows.TEXT else self._image_vector(term, opened) for term in terms]

    def _image_vector(self, term: Term, opened: reader.Index) -> NDArray[float32]:
        if term.shows is Shows.ID:
            row = self.library.catalogue.value("row_of_image", "search.sql", image_id=int(term.value))
            if row is None or row >= len(opened.embeddings):
                raise errors.NoSuchImage(image_id=term.value, path=self.library.path)
            return _widened(opened.embeddings[row])
        return self._file_vector(term.value, opened)

    def _file_vector(self, name: str, opened: reader.Index) -> NDArray[float32]:
        try:
            data = source.read(str(Path(name).expanduser())).data
        except errors.Vanished as error:
            raise errors.QueryImageWrong(path=name, detail="there is no such file") from error
        except errors.ImageProblem as error:
            raise errors.QueryImageWrong(path=name, detail=str(error)) from error
        return self._picture_vector(data, opened, name)

    def _picture_vector(self, data: bytes, opened: reader.Index, name: str = "the picture") -> NDArray[float32]:
        row = self.library.catalogue.value("embedding_of_hash", hash=source.content_hash(data))
        if row is not None and row < len(opened.embeddings):
            # The same bytes are in the library: no model is needed at all.
            return _widened(opened.embeddings[row])
        try:
            return self.towers.picture(data)
        except errors.ImageProblem as error:
            raise errors.QueryImageWrong(path=name, detail=str(error)) from error

    # --- from one embedding to images -------------------------------------------------------------

    def _ranked(self, vector: NDArray[float32], k: int, filters: Filters, *, distinct: bool) -> list[Hit]:
        if not distinct:
            return self._images(vector, k, filters)
        opened, known = self._current()
        cosine = duplicates.threshold(known.mean)
        want = 3 * k
        while True:
            hits = self._images(vector, want, filters)
            groups = duplicates.fold(opened.embeddings[[hit.embedding_index for hit in hits]], cosine)
            if len(groups) >= k or len(hits) < want or want >= max(_MOST_FOLDED, 3 * k):
                return [replace(hits[places[0]], folded=len(places) - 1) for places in groups]
            want = min(3 * want, max(_MOST_FOLDED, 3 * k))

    def _images(self, vector: NDArray[float32], k: int, filters: Filters) -> list[Hit]:
        """The k best images that are there and pass the filters; fewer only when there are no more."""
        opened, _ = self._current()
        depths = [max(k, depth) for depth in _LOOKS_PAST_FILTERS] if filters else [k, 4 * k + _MORE]
        for depth in depths:
            hits = self._look(opened, vector, depth, filters, None)
            if len(hits) >= k or depth >= len(opened.embeddings):
                return hits[:k]
        # Rare images: ask the catalogue which rows may be hits at all, and score just those.
        rows = self.library.catalogue.rows("allowed_rows", "search.sql", **filters.parameters())
        allowed = np.fromiter((row for (row,) in rows), dtype=int64)
        return self._look(opened, vector, k, filters, allowed)[:k]

    def _look(
        self,
        opened: reader.Index,
        vector: NDArray[float32],
        depth: int,
        filters: Filters,
        allowed: NDArray[int64] | None,
    ) -> list[Hit]:
        rows, scores = (each[0] for each in opened.search(vector[None], depth, allowed))
        rows, scores = rows[rows >= 0], scores[rows >= 0]
        images = self._images_of(rows, filters)
        return [
            Hit(
                0,
                images[row][0][1],
                float(score),
                images[row][0][0],
                row,
                also=tuple(path for _, path in images[row][1:]),
            )
            for row, score in zip(rows.tolist(), scores.tolist(), strict=True)
            if row in images
        ]

    def _images_of(self, rows: NDArray[int64], filters: Filters) -> dict[int, list[tuple[int, str]]]:
        """The images (id, path) of each row that has any."""
        images: dict[int, list[tuple[int, str]]] = {}
        parameters = {"rows": json.dumps(rows.tolist()), **filters.parameters()}
        for row, image_id, path in self.library.catalogue.rows("hits", "search.sql", **parameters):
            images.setdefault(row, []).append((image_id, path))
        return images

    # --- what to make of it -----------------------------------------------------------------------

    def _answer(
        self,
        query: Query,
        unknown: tuple[str, ...],
        vector: NDArray[float32],
        hits: list[Hit],
        texts: float | None,
        *,
        everything: bool,
        began: float,
    ) -> Answer:
        opened, known = self._current()
        texts_only = texts is not None and all(term.shows is Shows.TEXT for term in query.terms)
        noise = any(term.shows is Shows.TEXT and term.value in unknown for term in query.terms)
        judged: list[tuple[float | None, float | None]] = [(None, None)] * len(hits)
        if texts is not None and texts_only and known.model and hits:
            rows = opened.embeddings[[hit.embedding_index for hit in hits]]
            scores = np.array([hit.score for hit in hits], dtype=float32)
            unusuals = known.unusual(vector, scores, rows, texts=texts).tolist()
            judged = list(zip(unusuals, known.fitting(scores, rows, texts=texts).tolist(), strict=True))
        shown = [
            (hit, *how)
            for hit, how in zip(hits, judged, strict=True)
            if everything or (not noise and _worth_showing(*how, known))
        ]
        return Answer(
            query=query,
            hits=tuple(
                # Not `replace`, which takes as long as all else that is done for a hit.
                Hit(
                    rank, hit.path, hit.score, hit.image_id, hit.embedding_index, unusual, fitting, hit.also, hit.folded
                )
                for rank, (hit, unusual, fitting) in enumerate(shown, 1)
            ),
            hidden=len(hits) - len(shown),
            cutoff=None if everything or not texts_only else known.cutoff,
            unknown=unknown,
            rows=len(opened.embeddings),
            kind=opened.facts.kind,
            problem=opened.problem,
            seconds=time.perf_counter() - began,
        )

    def _current(self) -> tuple[reader.Index, Background]:
        """What the search that runs has opened: the same from its first line to its last."""
        assert self._now is not None
        return self._now


def texts_of(terms: Sequence[Term]) -> list[str]:
    """The texts among the terms, as the model gets them."""
    # An argument that is not UTF-8 arrives as surrogates, which no tokenizer takes.
    return [os.fsencode(term.value).decode(errors="replace") for term in terms if term.shows is Shows.TEXT]


def search(
    library: Library,
    query: Query | str,
    k: int = 10,
    filters: Filters = NO_FILTERS,
    *,
    distinct: bool = False,
    everything: bool = False,
) -> Answer:
    """Search once; see Searcher.search."""
    return Searcher(library).search(query, k, filters, distinct=distinct, everything=everything)


def build_index(
    library: Library,
    progress: Progress | None = None,
    *,
    towers: Towers | None = None,
    kind: header.Kind | None = None,
    extend: bool = True,
) -> BuildReport:
    """
    Build or extend the index of all merged embeddings, measure its recall, and calibrate the cut-off.

    Without a text tower (no network yet) the index is built all the same, and the report says what is missing. Raises
    NotEmbedded before the model is known, IndexFloorMissed for a kind that was asked for.
    """
    embeddings = library.embeddings()
    everyday, nothing, problem = _background_texts(towers or Towers(library)) if len(embeddings) else (None, None, None)
    report = build.build(
        embeddings,
        library.index_path,
        live=library.live_rows(),
        queries=everyday,
        kind=kind,
        extend=extend,
        progress=progress,
    )
    model = library.model()
    if model is None or everyday is None or nothing is None:
        return BuildReport(report, None, problem)
    opened = reader.open(library.index_path, embeddings)
    made = calibration.measure(embeddings, everyday, nothing, lambda queries: opened.search(queries, 10), model.hash)
    calibration.save(background_path(library), made)
    return BuildReport(report, made.cutoff, problem)


def background_path(library: Library) -> Path:
    """Where the calibration lies: derived data, beside the index."""
    return library.data / "background.npz"


def _background_texts(
    towers: Towers,
) -> tuple[NDArray[float32] | None, NDArray[float32] | None, str | None]:
    try:
        encoder = towers.text()
        everyday = [text for text in calibration.queries("everyday") if not encoder.unknown(text)]
        # A phrase of which the model knows no word is answered by saying so; it tells nothing about scores.
        nothing = [text for text in calibration.queries("nothing") if not encoder.unknown(text)]
        return encoder.encode(everyday), encoder.encode(nothing), None
    except errors.LibraryError as error:
        return None, None, str(error)


def _widened(row: NDArray[float16]) -> NDArray[float32]:
    # Half floats are not quite of unit length; a score should be a cosine all the same.
    wide = row.astype(float32)
    unit: NDArray[float32] = wide / max(float(np.linalg.norm(wide)), 1e-12)
    return unit


def _worth_showing(unusual: float | None, fitting: float | None, known: Background) -> bool:
    return unusual is None or fitting is None or known.shows(unusual, fitting)


def _head(path: Path) -> bytes:
    """The header of an .npy file, which says how many rows it has."""
    try:
        with path.open("rb", buffering=0) as file:
            return file.read(128)
    except FileNotFoundError:
        return b""


def _identity(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file is replaced."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns
