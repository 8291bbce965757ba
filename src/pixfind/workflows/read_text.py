"""
Read the text in the pictures of a library with workers, by the machinery that embeds.

Owns what comes before a run and after it, and which pictures are read first; the run's traffic is in `embedding.coordinator`.
"""

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from pixfind import errors
from pixfind.embedding import coordinator, progress, run_log
from pixfind.embedding.passes import ReadPass
from pixfind.embedding.plan import Plan
from pixfind.embedding.runners import Runner
from pixfind.embedding.runners.local import Local
from pixfind.embedding.schedule import PausePolicy
from pixfind.library import fulltext, texts
from pixfind.library.library import Library
from pixfind.models import readers, text_source
from pixfind.search.encoders import Encoders
from pixfind.types import Choice
from pixfind.workflows.embed import worker_config
from pixfind.workflows.events import EmbedProgress, Observer, ReadFinished, ReadStarted, ignore
from pixfind.workflows.options import EmbedOptions, make_plan

_PROMISING: Final = (
    "a photo of a page of text",
    "a screenshot with text",
    "a sign with words on it",
    "a receipt",
    "a poster with a title",
    "handwriting on paper",
)
"""What pictures with text look like to a model of texts and pictures."""

_MIN_SORTED: Final = 100
"""pictures that wait; loading a text encoder takes longer than reading fewer"""

_BATCH_ROWS: Final = 16_384

_INDEX_SECONDS: Final = 300.0
"""after which what was read meanwhile can be searched: a large library takes days"""


def read_text(
    library: Library,
    options: EmbedOptions | None = None,
    *,
    runner: Runner | None = None,
    observer: Observer = ignore,
) -> progress.RunReport:
    """
    Read the text of all contents that were embedded and not read; call it inside `library.lock("read-text")`.

    The full-text index is brought up to date every few minutes and at the end, also of a run that was stopped. Raises NotEmbedded before the model is known,
    ExtraNotInstalled, ReaderUnusable and OperationError; whatever was read until then is kept.
    """
    options = options or EmbedOptions()
    model = library.model()
    if model is None:
        raise errors.NotEmbedded(path=library.path)
    reader = readers.name()
    with library.catalogue.transaction():
        texts.retry(library.catalogue, all_failed=options.retry)
    order = _promising_first(library, texts.pending(library.catalogue))
    plan = _plan(options)
    observer(ReadStarted(len(order), plan))
    config = dataclasses.replace(worker_config(library, model, plan, options), reads_text=True)
    with run_log.logging_to(library.logs / "embed.log"):
        report = coordinator.Coordinator(
            library,
            runner or Local(),
            plan,
            config,
            _indexing(library, observer),
            PausePolicy(hours=options.hours, when_busy=options.pause_when_busy),
            images=ReadPass(library, reader, order),
        ).run()
    observer(ReadFinished(report))
    fulltext.update(library)
    return report


def _indexing(library: Library, observer: Observer) -> Callable[[progress.Snapshot], None]:
    """Return what is called a few times a second while texts are read."""
    indexed_at = time.monotonic()

    def seen(snapshot: progress.Snapshot) -> None:
        nonlocal indexed_at
        observer(EmbedProgress(snapshot))
        if time.monotonic() - indexed_at >= _INDEX_SECONDS:
            fulltext.update(library)
            indexed_at = time.monotonic()

    return seen


def _plan(options: EmbedOptions) -> Plan:
    """Return the plan of an embed for pictures that take seconds each, one after the other."""
    one: Choice[tuple[int, ...]] = Choice((1,), "a picture is read by itself")
    return dataclasses.replace(
        make_plan(options),
        batches=one,
        gpu_batches=one,
        images_per_worker=Choice(8, "the start of another worker takes as long as these"),
    )


def _promising_first(library: Library, pending: Sequence[tuple[int, int]]) -> list[int]:
    """
    Return the ids of images (with their rows), those that look most like text first.

    By the embeddings that are there; in the order of their ids where the model's text encoder is not on this machine or knows no such word.
    """
    ids = [image_id for image_id, _ in pending]
    model = library.model()
    if len(pending) < _MIN_SORTED or model is None or not text_source.is_here(model.name):
        return ids
    encoders = Encoders(library)
    known = [text for text in _PROMISING if not encoders.unknown_words(text)]
    if not known:
        return ids
    embeddings = library.embeddings()
    rows = np.array([row for _, row in pending])
    wanted = encoders.encode_texts(known)
    scores = np.full(len(rows), -np.inf, np.float32)
    for start in range(0, len(rows), _BATCH_ROWS):
        piece = rows[start : start + _BATCH_ROWS]
        merged = piece < len(embeddings)
        scores[start : start + len(piece)][merged] = (embeddings[piece[merged]].astype(np.float32) @ wanted.T).max(
            axis=1
        )
    return [ids[place] for place in np.argsort(-scores, kind="stable")]
