"""
Tune: find the fastest precision in which a model, on this machine, still gives the same answers.

Owns the comparison and its thresholds. Must not know the library on disk or how a report is printed.
The choice is stored for this model, and `--precision auto` uses it from then on.

Answers are compared, not only cosines: the scores of text queries are so close together that errors which do not affect image
queries change their order.
"""

import contextlib
import dataclasses
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pixfind import errors
from pixfind.models import encoders, engines, text_source, trials
from pixfind.models.files import Layout, ModelFiles
from pixfind.storage import disk
from pixfind.types import Choice, Split, numbered

SAMPLE = 128
"""Pictures that are compared by default."""

MIN_SAMPLE = 32
"""With fewer pictures the top 10 are more than a third of them all, and agreement on them proves nothing."""

BATCH = 16
TOP = 10
_FAR_BEHIND = 2.0

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
"""Fixed, so that the results of two runs can be compared."""


@dataclass(frozen=True, slots=True)
class Gate:
    """The thresholds that a precision must reach to be chosen."""

    mean_cosine: float = 0.99
    """between the embeddings of a picture in this precision and in fp32"""
    agreement: float = 0.9
    """share of the top 10 that fp32 has too, for image queries and for text queries"""


@dataclass(frozen=True, slots=True)
class TuneResult:
    """The measurements of one precision; NaN when it is not available."""

    precision: str
    engine: str
    images_per_second: float
    """of the model alone, without reading and decoding"""
    mean_cosine: float
    worst_cosine: float
    image_agreement: float
    """share of the top 10 for image queries that fp32 has too"""
    text_agreement: float
    """the same for QUERIES; NaN when the text encoder is not on this machine"""
    remark: str
    """why it is rejected: below a threshold, or not available on this machine; empty when it passes"""

    @property
    def passes(self) -> bool:
        """Whether it reaches all thresholds."""
        return not self.remark


@dataclass(frozen=True, slots=True)
class TuneReport:
    """The measurements and the choice."""

    model: str
    device: str
    images: int
    gate: Gate
    rows: tuple[TuneResult, ...]
    choice: Choice[str]
    """the precision for images"""
    tried: tuple[trials.Trial, ...] = ()
    """ways to use the cores, the fastest first; empty where none was tried"""
    trial_seconds: float = 0.0

    def lines(self) -> list[str]:
        """Return the report as plain text."""
        head = f"{'precision':<24}{'engine':<13}{'images/s':>9}{'cosine':>9}{'worst':>9}{'images':>8}{'texts':>7}"
        body = [
            f"{row.precision:<24}{row.engine:<13}{row.images_per_second:>9.1f}{row.mean_cosine:>9.4f}"
            f"{row.worst_cosine:>9.4f}{row.image_agreement:>8.3f}{row.text_agreement:>7.3f}  {row.remark}".rstrip()
            for row in self.rows
        ]
        return [head, *body, *self._trial_lines(), f"{self.choice.value}: {self.choice.reason}"]

    def _trial_lines(self) -> list[str]:
        if not self.tried:
            return []
        best = self.tried[0]
        head = f"{'precision':<24}{'workers':>8}{'threads':>9}{'batch':>7}{'images/s':>10}"
        body = [
            f"{way.precision:<24}{way.workers:>8}{way.threads:>9}{batch:>7}{rate:>10.1f}"
            for way, batch, rate in ((trial.way, trial.batch, trial.images_per_second) for trial in self.tried)
        ]
        told = f"{numbered(best.way.workers, 'worker')} of {numbered(best.way.threads, 'thread')}, batches of {best.batch}: the fastest"
        return [head, *body, f"{told} of {len(body)} that were tried in {self.trial_seconds:.0f} s"]


def tune(
    files: ModelFiles,
    pictures: Sequence[NDArray[np.uint8]],
    *,
    threads: int = 0,
    device: str = "auto",
    gate: Gate | None = None,
    cores: int = 0,
    max_workers: int = 1,
    remember: bool = True,
    progress: Callable[[str], None] | None = None,
) -> TuneReport:
    """
    Compare the precisions on these pictures [side, side, 3], prepared for the model, and choose the fastest that passes the gate.

    With `cores`, those that pass are tried with several workers that share so many, at most `max_workers`, and the fastest way is chosen.
    `progress` is called with each precision before it is measured. With `remember`, the choice is stored for `auto`.
    Raises what opening the model in fp32 raises; a precision that is not available is reported in its row.
    """
    gate = gate or Gate()
    report_progress = progress or (lambda _: None)
    report_progress("fp32")
    reference = _measure(files, pictures, threads=threads, precision="fp32", device=device)
    queries = _queries(files, threads)
    # fp32 is the reference of the others; it is never rejected.
    rows = [dataclasses.replace(_result(reference, reference, queries, gate), remark="")]
    for precision in _candidates(files, reference.device):
        report_progress(precision)
        rows.append(_try(files, pictures, reference, queries, gate, (precision, threads, device)))
    began = time.monotonic()
    tried: list[trials.Trial] = []
    if cores and len(pictures) >= MIN_SAMPLE and reference.device == "cpu" and files.layout is not Layout.TORCH:
        tried = _try_ways(files, pictures, trials.ways(_worth_trying(rows), cores, max_workers))
    fastest = tried[0] if tried else None
    choice = _choose(rows, len(pictures), gate, fastest.way.precision if fastest else None)
    split = None if fastest is None else Split(cores, fastest.way.workers, fastest.batch)
    if remember:
        # A cache that is full or read-only: the next run compares again.
        with contextlib.suppress(*disk.FAILURES):
            engines.save_tuned(files, choice, split)
    seconds = time.monotonic() - began
    return TuneReport(files.name, reference.device, len(pictures), gate, tuple(rows), choice, tuple(tried), seconds)


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
    return ("int8", "bf16", "int8-openvino") if device == "cpu" else ()


def _worth_trying(rows: Sequence[TuneResult]) -> list[str]:
    """
    Return the precisions that pass and are not far behind: no way to use the cores makes one twice as fast.

    The fastest first: on a busy machine the time may be over after its first trial.
    """
    passing = sorted((row for row in rows if row.passes), key=lambda row: -row.images_per_second)
    best = passing[0].images_per_second
    return [row.precision for row in passing if row.images_per_second * _FAR_BEHIND > best]


def _try_ways(
    files: ModelFiles, pictures: Sequence[NDArray[np.uint8]], ways: Sequence[trials.Way]
) -> list[trials.Trial]:
    def measure(way: trials.Way, rounds: int) -> trials.Trial | None:
        try:
            opened = [
                encoders.open_image_encoder(files, threads=way.threads, precision=way.precision, device="cpu")
                for _ in range(way.workers)
            ]
            return trials.measured(way, opened, pictures, rounds)
        except (*_UNAVAILABLE, MemoryError):
            return None

    return trials.halve(ways, measure)


_UNAVAILABLE = (
    errors.PrecisionUnavailable,
    errors.ExtraNotInstalled,
    errors.RuntimeOutdated,
    errors.InvalidModelFile,
    errors.NotFinite,
    *disk.FAILURES,
)
"""errors that mean that a precision is not available: the files themselves work, as fp32 has shown"""


def _try(
    files: ModelFiles,
    pictures: Sequence[NDArray[np.uint8]],
    reference: _Measured,
    queries: NDArray[np.float32] | None,
    gate: Gate,
    how: tuple[str, int, str],
) -> TuneResult:
    precision, threads, device = how
    try:
        measured = _measure(files, pictures, threads=threads, precision=precision, device=device)
    except _UNAVAILABLE as error:
        nan = float("nan")
        return TuneResult(precision, "-", nan, nan, nan, nan, nan, str(error).partition("\n")[0])
    return _result(measured, reference, queries, gate)


def _measure(
    files: ModelFiles, pictures: Sequence[NDArray[np.uint8]], *, threads: int, precision: str, device: str
) -> _Measured:
    encoder = encoders.open_image_encoder(files, threads=threads, precision=precision, device=device)
    batches = [pictures[first : first + BATCH] for first in range(0, len(pictures), BATCH)]
    # The first run of a batch size allocates memory, so it is not timed.
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
    texts = files
    if not files.text.is_file():
        if not text_source.is_here(files.name):
            return None
        texts = text_source.resolve(files.name, offline=True).value
    return encoders.open_text_encoder(texts, threads=threads).encode(QUERIES)


def _result(measured: _Measured, reference: _Measured, queries: NDArray[np.float32] | None, gate: Gate) -> TuneResult:
    # Rows in float16 are of unit length to three digits only.
    cosines = _cosines(measured.rows, reference.rows)
    row = TuneResult(
        precision=measured.precision,
        engine=measured.engine,
        images_per_second=measured.rate,
        mean_cosine=float(cosines.mean()),
        worst_cosine=float(cosines.min()),
        image_agreement=agreement(_between_pictures(reference.rows), _between_pictures(measured.rows)),
        text_agreement=float("nan")
        if queries is None
        else agreement(queries @ reference.rows.T, queries @ measured.rows.T),
        remark="",
    )
    return _checked(row, gate)


def _checked(row: TuneResult, gate: Gate) -> TuneResult:
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


def _between_pictures(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    scores = rows @ rows.T
    np.fill_diagonal(scores, -np.inf)
    return scores


def agreement(reference: NDArray[np.float32], scores: NDArray[np.float32], top: int = TOP) -> float:
    """Return the mean share of the `top` best columns of each row that both score matrices [queries, pictures] have."""
    best = [np.argpartition(-part, min(top, part.shape[1] - 1), axis=1)[:, :top] for part in (reference, scores)]
    shares = [np.intersect1d(left, right).size / len(left) for left, right in zip(*best, strict=True)]
    return float(np.mean(shares))


def _choose(rows: Sequence[TuneResult], images: int, gate: Gate, fastest: str | None = None) -> Choice[str]:
    exact, *_ = rows
    if images < MIN_SAMPLE:
        return Choice(
            exact.precision,
            f"{numbered(images, 'picture')}: too few to compare answers, which takes at least {MIN_SAMPLE}",
        )
    best = max((row for row in rows if row.passes), key=lambda row: (row.precision == fastest, row.images_per_second))
    if best is exact:
        others = "; ".join(f"{row.precision}: {row.remark or 'slower'}" for row in rows[1:])
        return Choice(best.precision, f"the fastest with the same answers ({others})")
    return Choice(
        best.precision,
        f"{best.images_per_second / exact.images_per_second:.1f} times as fast as fp32, and its answers agree: "
        f"mean cosine {best.mean_cosine:.4f} >= {gate.mean_cosine}, top 10 {best.image_agreement:.3f} for images "
        f"and {best.text_agreement:.3f} for texts >= {gate.agreement}",
    )
