"""
Bring the index and the score calibration of a library up to date.

Owns when either is rebuilt. `index.build` makes the codes.
"""

from collections.abc import Callable
from dataclasses import dataclass

from numpy import float16
from numpy.typing import NDArray

from pixfind import errors
from pixfind.index import build, header, reader
from pixfind.library.library import Library
from pixfind.search import calibration, reference_embeddings
from pixfind.search.calibration import ScoreCalibration
from pixfind.search.encoders import Encoders
from pixfind.search.reference_embeddings import ReferenceEmbeddings

_DRIFT = 0.05
"""Share of new rows above which the calibration is measured again: fewer change it by less than its own error."""

MIN_ALIGNMENT = 1.5
"""Of a text encoder from another publisher with the images (`ScoreCalibration.alignment`): encoders that do not belong together reach 1.4, the starter's own 4."""

Progress = Callable[[int, int | None], None]
"""Called with rows done and rows in total (None: not known)."""


@dataclass(frozen=True, slots=True)
class BuildReport:
    """The result of `build_index`."""

    header: header.IndexHeader
    """of the index file"""
    built: build.IndexReport | None
    """None when the index was up to date, and nothing was done"""
    cutoff: float | None
    """the `query_z` from which hits are shown; None when it could not be measured"""
    text_problem: str | None
    """why text queries could not be measured; recall and cut-off are missing then"""


def build_index(
    library: Library,
    progress: Progress | None = None,
    *,
    encoders: Encoders | None = None,
    kind: header.IndexKind | None = None,
    extend: bool = True,
    thorough: bool = False,
) -> BuildReport:
    """
    Build or extend the index of all merged embeddings, measure its recall, and calibrate the cut-off.

    Does nothing when all of that is up to date, but for a few rows that searches score without codes (`thorough` reads the whole file to check), except with `kind` or `extend=False`, which always
    build.
    Without a text encoder (not downloaded yet) the index is built too, and the report names what is missing. Raises
    NotEmbedded before the library has a model, IndexFloorMissed when the requested `kind` misses the recall floor.
    """
    embeddings = library.embeddings()
    known = _known_calibration(library)
    covering = _covering(library, embeddings, thorough=thorough) if kind is None and extend else None
    used = encoders or Encoders(library)
    if covering is not None and known is not None and _is_measured(covering, known, len(embeddings)):
        problem = None
        if _misfits(known):
            # The full encoder could not be had before.
            known, problem = _with_full_text(library, embeddings, known, used)
        return BuildReport(covering, None, known.query_cutoff, problem)
    texts, problem = _reference(used) if len(embeddings) else (None, None)
    if covering is not None and texts is None:
        # The index is right, and without texts nothing more can be measured: as before the text encoder is downloaded.
        return BuildReport(covering, None, None if known is None else known.query_cutoff, problem)
    report = build.build(
        embeddings,
        library.index_path,
        live=library.live_rows(),
        queries=None if texts is None else texts.reference,
        kind=kind,
        extend=extend,
        progress=progress,
    )
    if texts is not None and (known is None or _drifted(known.rows, len(embeddings))):
        known = _calibrate(library, embeddings, texts)
        if _misfits(known):
            known, problem = _with_full_text(library, embeddings, known, used)
    return BuildReport(report.header, report, None if known is None else known.query_cutoff, problem)


def is_due(library: Library) -> bool:
    """Tell whether `build_index` would build, having read the whole index file to check; raises NotEmbedded."""
    embeddings, known = library.embeddings(), _known_calibration(library)
    covering = _covering(library, embeddings, thorough=True)
    return covering is None or known is None or not _is_measured(covering, known, len(embeddings))


def _covering(library: Library, embeddings: NDArray[float16], *, thorough: bool) -> header.IndexHeader | None:
    """Return the header of the index file if it is one of these embeddings, of nearly all; None when a build is needed."""
    found, problem = header.read_header(library.index_path)
    if found is None or problem is not None or not found.suffices(len(embeddings)) or header.misfit(found, embeddings):
        return None
    return None if thorough and header.check(library.index_path, embeddings) is not None else found


def _misfits(known: ScoreCalibration) -> bool:
    found = known.alignment()
    return found is not None and found < MIN_ALIGNMENT


def _is_measured(found: header.IndexHeader, known: ScoreCalibration, rows: int) -> bool:
    return found.recall_text is not None and not _drifted(known.rows, rows)


def _known_calibration(library: Library) -> ScoreCalibration | None:
    """Return the calibration, unless it was measured with another image or text encoder than the library has now."""
    model = library.model()
    known = None if model is None else calibration.load(calibration.path(library.data), model.hash, model.dimension)
    if model is None or known is None:
        return None
    if known.query_cutoff is not None and known.negative is None:
        # An older version measured it, and did not keep what collections need.
        return None
    here = reference_embeddings.key_on_this_machine(model.name)
    return known if here in {None, known.text_encoder} else None


def _drifted(measured: int, rows: int) -> bool:
    return rows < measured or rows > measured * (1 + _DRIFT)


def _reference(encoders: Encoders) -> tuple[ReferenceEmbeddings | None, str | None]:
    """Return the embeddings of the built-in queries, or why they are not available."""
    try:
        return reference_embeddings.get(encoders), None
    except errors.OperationError as error:
        return None, str(error)


def _with_full_text(
    library: Library, embeddings: NDArray[float16], known: ScoreCalibration, encoders: Encoders
) -> tuple[ScoreCalibration, str | None]:
    """Measure again with the full text encoder where the one that did not fit is in half precision; return a problem where it cannot be had."""
    try:
        if encoders.use_full_text():
            known = _calibrate(library, embeddings, reference_embeddings.get(encoders))
    except errors.OperationError as error:
        return (
            known,
            f"the text encoder in half precision does not fit these images, and the full one is not here: {error}",
        )
    return known, None


def _calibrate(library: Library, embeddings: NDArray[float16], texts: ReferenceEmbeddings) -> ScoreCalibration:
    model = library.model()
    assert model is not None, "a library with embeddings has a model"
    index = reader.open(library.index_path, embeddings)
    made = calibration.measure(
        embeddings, texts.reference, texts.negative, lambda queries: index.search(queries, 10), model.hash, texts.key
    )
    calibration.save(calibration.path(library.data), made)
    return made
