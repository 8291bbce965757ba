"""
Tune: the fastest precision in which this model, on this machine, still gives the same answers.

Owns the comparison and the gate. Must not know the library on disk or how a report is printed.
The choice is remembered for this model, and `--precision auto` means it from then on.

Answers and not only cosines are compared: the scores of text queries lie so close together that an error which no image
query notices re-orders them.
"""

import dataclasses
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pixfind import errors
from pixfind.models import encoders, engines
from pixfind.models.files import Layout, ModelFiles
from pixfind.types import Choice

SAMPLE = 128
"""Pictures that are compared unless told otherwise."""

FEWEST = 32
"""With fewer pictures than this the top 10 is a third of them all, and agreeing on it says nothing."""

BATCH = 16
TOP = 10

QUERIES = (
    "a photo of a person",
    "a group of people",
    "a child playing",
    "a portrait of a woman",
    "a dog",
    "a cat",
    "a bird",
    "a wild animal",
    "an insect on a leaf",
    "a fish under water",
    "flowers in a garden",
    "a tree in autumn",
    "mountains with snow",
    "a beach at sunset",
    "a lake in a forest",
    "the night sky",
    "a city street",
    "an old building",
    "the inside of a room",
    "a car on a road",
    "a train",
    "a boat on the sea",
    "an aeroplane",
    "food on a plate",
    "fruit and vegetables",
    "a musical instrument",
    "sports",
    "a screenshot with text",
    "a document",
    "a drawing",
    "something red",
    "black and white",
)
"""Fixed, so that two runs of tune compare the same thing."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What a precision must reach to be chosen."""

    mean_cosine: float = 0.99
    """of a picture's embedding to the one in fp32"""
    agreement: float = 0.9
    """share of the 10 best answers that fp32 gives too, for images and for texts"""


@dataclass(frozen=True, slots=True)
class Row:
    """One candidate. The numbers are NaN when it could not be tried."""

    precision: str
    engine: str
    images_per_second: float
    """of the model alone"""
    mean_cosine: float
    worst_cosine: float
    image_agreement: float
    """share of the top 10 for image queries that fp32 gives too"""
    text_agreement: float
    """the same for QUERIES; NaN when the text tower is not at hand"""
    remark: str
    """why it is out: below the gate, or not to be had on this machine; empty when it passes"""

    @property
    def passes(self) -> bool:
        return not self.remark


@dataclass(frozen=True, slots=True)
class TuneReport:
    """What was compared, and what follows."""

    model: str
    device: str
    images: int
    gate: Gate
    rows: tuple[Row, ...]
    choice: Choice[str]
    """the precision for images"""

    def lines(self) -> list[str]:
        """Return the report as plain text."""
        head = f"{'precision':<10}{'engine':<13}{'images/s':>9}{'cosine':>9}{'worst':>9}{'images':>8}{'texts':>7}"
        body = [
            f"{row.precision:<10}{row.engine:<13}{row.images_per_second:>9.1f}{row.mean_cosine:>9.4f}"
            f"{row.worst_cosine:>9.4f}{row.image_agreement:>8.3f}{row.text_agreement:>7.3f}  {row.remark}".rstrip()
            for row in self.rows
        ]
        return [head, *body, f"{self.choice.value}: {self.choice.reason}"]


def tune(
    files: ModelFiles,
    pictures: Sequence[Image.Image],
    *,
    threads: int = 0,
    device: str = "auto",
    gate: Gate | None = None,
    remember: bool = True,
    progress: Callable[[str], None] | None = None,
) -> TuneReport:
    """
    Compare the precisions on these upright pictures.

    `progress` is told the precision that comes next. With `remember`, `auto` means the choice from now on.
    """
    gate = gate or Gate()
    told = progress or (lambda _: None)
    told("fp32")
    reference = _measure(files, pictures, threads=threads, precision="fp32", device=device)
    queries = _queries(files, threads)
    # fp32 is what the others are compared to; it is never out.
    rows = [dataclasses.replace(_row(reference, reference, queries, gate), remark="")]
    for precision in _candidates(files, reference.device):
        told(precision)
        rows.append(_try(files, pictures, reference, queries, gate, (precision, threads, device)))
    choice = _choose(rows, len(pictures), gate)
    if remember:
        engines.remember(files, choice)
    return TuneReport(files.name, reference.device, len(pictures), gate, tuple(rows), choice)


@dataclass(frozen=True, slots=True)
class _Measured:
    precision: str
    engine: str
    device: str
    rate: float
    rows: NDArray[np.float32]
    """[n, d] of unit length"""


def _candidates(files: ModelFiles, device: str) -> Iterable[str]:
    if files.layout is Layout.TORCH:
        return ("bf16",)
    # On a GPU the float graph is the only one that runs there.
    return ("int8", "bf16") if device == "cpu" else ()


_NOT_TO_BE_HAD = (
    errors.PrecisionMissing,
    errors.ExtraMissing,
    errors.RuntimeTooOld,
    errors.ModelFileWrong,
    errors.NotFinite,
)
"""what puts one precision out: the files work, or fp32 would have said otherwise"""


def _try(
    files: ModelFiles,
    pictures: Sequence[Image.Image],
    reference: _Measured,
    queries: NDArray[np.float32] | None,
    gate: Gate,
    how: tuple[str, int, str],
) -> Row:
    precision, threads, device = how
    try:
        measured = _measure(files, pictures, threads=threads, precision=precision, device=device)
    except _NOT_TO_BE_HAD as error:
        nan = float("nan")
        return Row(precision, "-", nan, nan, nan, nan, nan, str(error).partition("\n")[0])
    return _row(measured, reference, queries, gate)


def _measure(
    files: ModelFiles, pictures: Sequence[Image.Image], *, threads: int, precision: str, device: str
) -> _Measured:
    encoder = encoders.open_image_encoder(files, threads=threads, precision=precision, device=device)
    prepared = [encoder.prepare(picture) for picture in pictures]
    batches = [prepared[first : first + BATCH] for first in range(0, len(prepared), BATCH)]
    # The first run of a size lays out memory and is no measure.
    encoder.forward(batches[0])
    seconds, rows = [], []
    for batch in batches:
        start = time.perf_counter()
        raw = encoder.forward(batch)
        seconds.append((time.perf_counter() - start) / len(batch))
        rows.append(encoder.finish(raw).astype(np.float32))
    # The median, because other programs run on a user's machine too.
    return _Measured(
        encoder.precision,
        encoder.engine.value,
        encoder.device,
        1 / statistics.median(seconds),
        np.concatenate(rows),
    )


def _queries(files: ModelFiles, threads: int) -> NDArray[np.float32] | None:
    if not files.text.is_file():
        return None
    return encoders.open_text_encoder(files, threads=threads).encode(QUERIES)


def _row(measured: _Measured, reference: _Measured, queries: NDArray[np.float32] | None, gate: Gate) -> Row:
    # Rows in float16 are of unit length to three digits only.
    cosines = _cosines(measured.rows, reference.rows)
    row = Row(
        precision=measured.precision,
        engine=measured.engine,
        images_per_second=measured.rate,
        mean_cosine=float(cosines.mean()),
        worst_cosine=float(cosines.min()),
        image_agreement=agreement(_to_others(reference.rows), _to_others(measured.rows)),
        text_agreement=float("nan")
        if queries is None
        else agreement(queries @ reference.rows.T, queries @ measured.rows.T),
        remark="",
    )
    return _with_remark(row, gate)


def _with_remark(row: Row, gate: Gate) -> Row:
    below = [
        f"{what} {value:.3f} is below {limit}"
        for what, value, limit in (
            ("mean cosine", row.mean_cosine, gate.mean_cosine),
            ("image agreement", row.image_agreement, gate.agreement),
            ("text agreement", row.text_agreement, gate.agreement),
        )
        if value < limit
    ]
    return dataclasses.replace(row, remark=", ".join(below))


def _cosines(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return np.asarray((left * right).sum(axis=1) / norms, dtype=np.float32)


def _to_others(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    scores = rows @ rows.T
    np.fill_diagonal(scores, -np.inf)
    return scores


def agreement(reference: NDArray[np.float32], scores: NDArray[np.float32], top: int = TOP) -> float:
    """Return the mean share of each row's `top` best columns that both have; both are [queries, pictures]."""
    best = [np.argpartition(-part, min(top, part.shape[1] - 1), axis=1)[:, :top] for part in (reference, scores)]
    shares = [np.intersect1d(left, right).size / len(left) for left, right in zip(*best, strict=True)]
    return float(np.mean(shares))


def _choose(rows: Sequence[Row], images: int, gate: Gate) -> Choice[str]:
    exact, *_ = rows
    if images < FEWEST:
        return Choice(exact.precision, f"{images} pictures are too few to compare answers; {FEWEST} would do")
    best = max((row for row in rows if row.passes), key=lambda row: row.images_per_second)
    if best is exact:
        others = "; ".join(f"{row.precision}: {row.remark or 'slower'}" for row in rows[1:])
        return Choice(best.precision, f"the fastest that keeps the answers ({others})")
    return Choice(
        best.precision,
        f"{best.images_per_second / exact.images_per_second:.1f} times as fast as fp32, and its answers agree: "
        f"mean cosine {best.mean_cosine:.4f} >= {gate.mean_cosine}, top 10 {best.image_agreement:.3f} for images "
        f"and {best.text_agreement:.3f} for texts >= {gate.agreement}",
    )
