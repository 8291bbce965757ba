"""
Graphs as ONNX Runtime holds them once they are open: optimised, with their weights in the order in which this processor's kernels read them.

Opened from the published file, each worker makes this form in memory of its own; mapped from one file, all workers of a machine share it, and a start skips the work
(figures: docs/explanation/performance.md). Owns the copy in the cache, which is for one version of ONNX Runtime and one kind of processor, and the test that
it computes the same bits.
"""

import contextlib
import functools
import hashlib
import platform
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pixfind import errors
from pixfind.models import cache, files
from pixfind.models.backends import onnx_graphs
from pixfind.storage import disk

_MIN_BYTES = 64 << 20
"""Smaller graphs open in no time and fit into every memory."""

Run = Callable[[Path], NDArray[np.float32]]
"""Embeds a test input with a graph, in the session that would be used."""


def packed(graph: Path, run: Run) -> Path:
    """
    Return a tested copy of the graph with packed weights, made on the first call; the graph itself where that fails or does not pay.

    Raises InvalidModelFile for the graph, and what `run` raises for it.
    """
    # First, because it tells where weights are missing.
    path = onnx_graphs.folder(graph) / f"packed-{_runtime()}.onnx"
    if sum(part.stat().st_size for part in files.weights(graph)) < _MIN_BYTES:
        return graph
    note = path.with_suffix(".unusable")
    # The copy only saves memory and time: a cache that is full or read-only must not stop a run.
    with contextlib.suppress(OSError, *disk.FAILURES):
        if not path.is_file() and not note.is_file():
            with cache.locked(path.parent):
                if not path.is_file() and not note.is_file() and onnx_graphs.has_space(graph):
                    _make(graph, path, note, run)
    return path if path.is_file() else graph


def _make(graph: Path, path: Path, note: Path, run: Run) -> None:
    from pixfind.models.backends import onnx

    expected = run(graph)
    with contextlib.suppress(_NotWrittenError, _OtherBitsError):
        with cache.publishing(path) as temporary:
            candidate = temporary / path.name
            try:
                onnx.save_packed(graph, candidate)
            except errors.InvalidModelFile as error:
                # ONNX Runtime has no error of its own for a full disk; there may be room the next time.
                raise _NotWrittenError from error
            try:
                same = np.array_equal(expected, run(candidate))
            except errors.InvalidModelFile:
                same = False
            if not same:
                with cache.publishing(note) as beside:
                    (beside / note.name).touch()
                raise _OtherBitsError
        _delete_older(path)


def _delete_older(path: Path) -> None:
    """Delete what other versions of ONNX Runtime have packed for this kind of processor; whoever has it open keeps it."""
    processor = path.stem.rpartition("-")[2]
    for other in path.parent.glob(f"packed-*-{processor}.*"):
        if not other.name.startswith(path.name):
            with contextlib.suppress(OSError):
                other.unlink()


class _NotWrittenError(Exception):
    """The copy could not be written."""


class _OtherBitsError(Exception):
    """The copy does not compute what the graph does."""


@functools.cache
def _runtime() -> str:
    """Name what the form of packed weights depends on: the version of ONNX Runtime, and the instructions of the processor."""
    import onnxruntime

    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = [platform.processor()]
    described = {line for line in lines if line.startswith(("flags", "Features", "model name", "CPU part"))}
    processor = hashlib.sha256("\n".join([platform.machine(), *sorted(described or lines[:1])]).encode()).hexdigest()[
        :12
    ]
    return f"{onnxruntime.__version__}-{processor}"
