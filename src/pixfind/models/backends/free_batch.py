"""
Dynamic batch sizes for graphs that are fixed to a batch of one.

Owns the test that a rewritten graph computes the same embeddings, and the copy in the cache. `onnx_batching` rewrites, `towers` runs.
A graph that cannot be rewritten is run one input at a time, and that result is cached too.

The test: the copy embeds a few different inputs as one batch, the published graph embeds them one at a time, and the rows are the same.
"""

import contextlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pixfind import errors
from pixfind.models import cache, onnx_header, preprocess
from pixfind.models import tokenizer as texts
from pixfind.models.backends import onnx_batching, onnx_graphs, towers
from pixfind.models.files import ModelFiles
from pixfind.storage import disk

_TOLERANCE = 1e-4
"""largest difference between two unit rows; the order of summation changes a hundredth of that"""
_DIFFERENT = 1e-2
"""smallest difference between rows of different inputs: were they equal, the test would prove nothing"""
_TEXTS = ("a dog", "sunset over the sea", "children playing in the snow at night")
_PICTURES = 3

Run = Callable[[Path], NDArray[np.float32]]
"""Embeds the test inputs with a graph: as one batch where it takes one, else one at a time."""


def vision(files: ModelFiles, made: preprocess.Preprocessing) -> Path:
    """Return the graph of the image encoder to run: with a dynamic batch, or as published."""

    def run(graph: Path) -> NDArray[np.float32]:
        return towers.ImageTower(_session(graph), files, made).run(pictures(made.side))

    return freed(files.vision, run)


def text(files: ModelFiles) -> Path:
    """Return the graph of the text encoder to run: with a dynamic batch, or as published."""
    return freed(files.text, lambda graph: rows_of_texts(graph, files))


def rows_of_texts(graph: Path, files: ModelFiles) -> NDArray[np.float32]:
    """Return raw embeddings [n, d] of the test's texts by a graph of the text encoder; raises InvalidModelFile."""
    tower = towers.TextTower(_session(graph), files)
    return tower.run(texts.load(files, tower.context).encode(_TEXTS))


def freed(graph: Path, run: Run) -> Path:
    """Return a tested copy of the graph with a dynamic batch; the graph itself where it has one already, or where no copy passed the test."""
    if not onnx_header.read(graph).takes_one:
        return graph
    folder = onnx_graphs.folder(graph)
    copy, note = folder / "free.onnx", folder / "one-by-one"
    # The copy only saves time: a cache that is full or read-only must not stop a run.
    with contextlib.suppress(OSError, *disk.FAILURES), cache.locked(folder):
        if not copy.is_file() and not note.is_file() and onnx_graphs.has_space(graph):
            _make(graph, copy, note, run)
    return copy if copy.is_file() else graph


def _make(graph: Path, copy: Path, note: Path, run: Run) -> None:
    with contextlib.suppress(_UnprovenError):
        with cache.publishing(copy) as temporary:
            candidate = temporary / copy.name
            # Written and released before the first session is opened, so that a large model is in memory only once.
            onnx_graphs.save(_free_model(graph), candidate)
            _prove(_unit(run(graph)), candidate, run)
        return
    with cache.publishing(note) as temporary:
        (temporary / note.name).touch()


class _UnprovenError(Exception):
    """The copy did not pass the test."""


def _free_model(graph: Path) -> object:
    model = onnx_graphs.load(graph)
    try:
        onnx_batching.free(model)
    except Exception as error:  # any graph can still be run as it is
        raise _UnprovenError from error
    return model


def _prove(expected: NDArray[np.float32], candidate: Path, run: Run) -> None:
    try:
        found = _unit(run(candidate))
    except (errors.InvalidModelFile, ValueError) as error:
        raise _UnprovenError from error
    apart = min(np.abs(left - right).max() for left, right in zip(expected, np.roll(expected, 1, axis=0), strict=True))
    # Written so that NaN fails the test.
    if found.shape != expected.shape or not (np.abs(found - expected).max() <= _TOLERANCE and apart >= _DIFFERENT):
        raise _UnprovenError


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    # Rows of length 0 become NaN, which fails the test.
    with np.errstate(all="ignore"):
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def _session(graph: Path) -> towers.Session:
    from pixfind.models.backends import onnx

    return onnx.Session(graph, threads=1, precision="fp32", device="cpu", repack=False)


def pictures(side: int) -> NDArray[np.uint8]:
    """Return different pictures for tests, uint8 [n, side, side, 3]: waves with a little noise; pictures of noise alone have nearly equal embeddings."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[0:side, 0:side] * (32 / side)
    made = []
    for _ in range(_PICTURES):
        waves = [np.sin(x / a + y / b + c) for a, b, c in random.uniform(2, 9, size=(3, 3))]
        made.append(127 + 90 * np.stack(waves, axis=-1) + random.integers(-20, 20, size=(side, side, 3)))
    return np.stack(made).clip(0, 255).astype(np.uint8)
