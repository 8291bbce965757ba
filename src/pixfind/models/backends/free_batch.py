"""
A graph that takes one input at a time, made to take any number, once it is proven that this changes no embedding.

Owns the proof and where the copy lies: beside what else is derived from a graph, in the per-user cache. `onnx_batching` rewrites,
`towers` runs. A graph that cannot be freed is run one by one by the encoders, and that is remembered too.

The proof: a few different inputs, embedded all at once by the copy and one by one by the graph as it was published, give the same rows.
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
"""of each number of a row of unit length; another order of the same sums costs a hundredth of that"""
_DIFFERENT = 1e-2
"""at least this far apart in some number must the rows of different inputs be, or the proof would prove nothing"""
_TEXTS = ("a dog", "sunset over the sea", "children playing in the snow at night")
_PICTURES = 3

Run = Callable[[Path], NDArray[np.float32]]
"""Embed the few inputs with this graph: together where it takes them together, else one by one."""


def vision(files: ModelFiles, made: preprocess.Preprocessing) -> Path:
    """Return the image encoder to run: freed, or as it was published."""

    def run(graph: Path) -> NDArray[np.float32]:
        return towers.ImageTower(_session(graph), files, made).run(_pictures(made.side))

    return freed(files.vision, run)


def text(files: ModelFiles) -> Path:
    """Return the text encoder to run: freed, or as it was published."""

    def run(graph: Path) -> NDArray[np.float32]:
        tower = towers.TextTower(_session(graph), files)
        return tower.run(texts.load(files, tower.context).encode(_TEXTS))

    return freed(files.text, run)


def freed(graph: Path, run: Run) -> Path:
    """Return a proven copy of the graph that takes any number of inputs; the graph itself where it does, or where none is proven."""
    if not onnx_header.read(graph).takes_one:
        return graph
    folder = onnx_graphs.folder(graph)
    copy, note = folder / "free.onnx", folder / "one-by-one"
    # Only time is lost without the copy: a cache that is full or read-only must not stop a run.
    with contextlib.suppress(OSError, *disk.FAILURES), cache.locked(folder):
        if not copy.is_file() and not note.is_file() and onnx_graphs.has_room(graph):
            _make(graph, copy, note, run)
    return copy if copy.is_file() else graph


def _make(graph: Path, copy: Path, note: Path, run: Run) -> None:
    with contextlib.suppress(_UnprovenError):
        with cache.publishing(copy) as temporary:
            candidate = temporary / copy.name
            # Written and let go before the first session is opened: a large encoder is in memory once at a time.
            onnx_graphs.save(_free_model(graph), candidate)
            _prove(_unit(run(graph)), candidate, run)
        return
    with cache.publishing(note) as temporary:
        (temporary / note.name).touch()


class _UnprovenError(Exception):
    """The copy does not embed as the graph does."""


def _free_model(graph: Path) -> object:
    model = onnx_graphs.load(graph)
    try:
        onnx_batching.free(model)
    except Exception as error:  # whatever shape a foreign graph has, it can still be run as it is
        raise _UnprovenError from error
    return model


def _prove(expected: NDArray[np.float32], candidate: Path, run: Run) -> None:
    try:
        found = _unit(run(candidate))
    except (errors.InvalidModelFile, ValueError) as error:
        raise _UnprovenError from error
    apart = min(np.abs(left - right).max() for left, right in zip(expected, np.roll(expected, 1, axis=0), strict=True))
    # Written so that what is no number proves nothing.
    if found.shape != expected.shape or not (np.abs(found - expected).max() <= _TOLERANCE and apart >= _DIFFERENT):
        raise _UnprovenError


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    # Rows without a direction become no numbers, which prove nothing.
    with np.errstate(all="ignore"):
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def _session(graph: Path) -> towers.Session:
    from pixfind.models.backends import onnx

    return onnx.Session(graph, threads=1, precision="fp32", device="cpu", repack=False)


def _pictures(side: int) -> NDArray[np.uint8]:
    """Return [n, side, side, 3] of waves with a little noise: unlike noise alone they look different to an encoder."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[0:side, 0:side] * (32 / side)
    made = []
    for _ in range(_PICTURES):
        waves = [np.sin(x / a + y / b + c) for a, b, c in random.uniform(2, 9, size=(3, 3))]
        made.append(127 + 90 * np.stack(waves, axis=-1) + random.integers(-20, 20, size=(side, side, 3)))
    return np.stack(made).clip(0, 255).astype(np.uint8)
