"""
Encoders over a session: arrays in, raw embeddings out, whatever library runs the graph.

Owns what all engines share: which input gets what, and batches cut to what a graph takes.
Must not know the libraries. `onnx` and `openvino` give the sessions; `encoders` puts preparing before and unit length after.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pixfind import errors
from pixfind.models import preprocess
from pixfind.models.backends import onnx_ports
from pixfind.models.files import ModelFiles
from pixfind.models.tokenizer import Tokens

_WHOLE_NUMBERS = (np.dtype(np.int32), np.dtype(np.int64))


class Session(Protocol):
    """A loaded graph in one library."""

    device: str
    precision: str
    inputs: Mapping[str, onnx_ports.Port]
    outputs: Mapping[str, onnx_ports.Port]

    def run(self, feed: Mapping[str, NDArray[Any]], output: str) -> NDArray[np.float32]:
        """Run exactly this batch, whose arrays have the types of the inputs; raises InvalidModelFile."""


class ImageTower:
    """[n, side, side, 3] uint8 to [n, dimension] raw embeddings."""

    def __init__(self, session: Session, files: ModelFiles, made: preprocess.Preprocessing) -> None:
        self.device, self.precision = session.device, session.precision
        self._session = session
        self._input = onnx_ports.image_input(session.inputs, files.vision, made.side)
        self._output = _output(files, files.vision, session)
        self._scale = made.scale()

    def run(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Map bytes [n, side, side, 3] to [n, dimension]."""
        if not self._input.takes_bytes:
            pixels = preprocess.normalise(pixels, *self._scale).astype(self._input.kind, copy=False)
        return _run(self._session, {self._input.name: pixels}, self._output)


class TextTower:
    """Tokens to [n, dimension] raw embeddings."""

    def __init__(self, session: Session, files: ModelFiles) -> None:
        self.device, self.precision = session.device, session.precision
        self._session = session
        self._ids, self._mask = onnx_ports.text_inputs(session.inputs, files.text)
        self._output = _output(files, files.text, session)
        for name in filter(None, (self._ids, self._mask)):
            if session.inputs[name].kind not in _WHOLE_NUMBERS:
                detail = f'its input "{name}" is {session.inputs[name].kind}, not whole numbers'
                raise errors.InvalidModelFile(path=files.text, detail=detail)
        length = session.inputs[self._ids].shape[1]
        self.context = length if isinstance(length, int) else None

    def run(self, tokens: Tokens) -> NDArray[np.float32]:
        """Map [n, context] ids to [n, dimension]."""
        feed = {self._ids: tokens.ids} | ({} if self._mask is None else {self._mask: tokens.mask})
        typed = {name: rows.astype(self._session.inputs[name].kind) for name, rows in feed.items()}
        return _run(self._session, typed, self._output)


def _output(files: ModelFiles, graph: Path, session: Session) -> str:
    shapes = {name: port.shape for name, port in session.outputs.items()}
    return onnx_ports.output(shapes, graph, dimension=files.dimension, pooled_is_projected=files.pooled_is_projected)


def _run(session: Session, feed: Mapping[str, NDArray[Any]], output: str) -> NDArray[np.float32]:
    """Run any number of rows: all at once, or in parts where the graph is fixed to a number."""
    name, rows = next(iter(feed.items()))
    fixed = session.inputs[name].shape[0]
    if not isinstance(fixed, int) or fixed == len(rows):
        return session.run(feed, output)
    return np.concatenate([_padded(session, feed, first, fixed, output) for first in range(0, len(rows), fixed)])


def _padded(
    session: Session, feed: Mapping[str, NDArray[Any]], first: int, fixed: int, output: str
) -> NDArray[np.float32]:
    part = {name: rows[first : first + fixed] for name, rows in feed.items()}
    count = len(next(iter(part.values())))
    filled = {n: np.concatenate([r, np.repeat(r[-1:], fixed - count, axis=0)]) for n, r in part.items()}
    return session.run(filled, output)[:count]
