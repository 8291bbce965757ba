"""
Image and text models over a session: from arrays to raw embeddings, for any library that runs graphs.

Owns what all engines share: the choice of inputs and outputs, and batches of the size that a graph is fixed to.
Must not know the libraries. `onnx` and `openvino` provide sessions; `models.encoders` adds preprocessing and unit length.
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

_INTEGERS = (np.dtype(np.int32), np.dtype(np.int64))


class Session(Protocol):
    """A graph loaded by one library."""

    device: str
    precision: str
    inputs: Mapping[str, onnx_ports.Port]
    outputs: Mapping[str, onnx_ports.Port]

    def run(self, feed: Mapping[str, NDArray[Any]], output: str) -> NDArray[np.float32]:
        """Run the graph on this batch, input name -> array of its type; returns float32 [n, d] of one output. Raises InvalidModelFile."""


class ImageTower:
    """The image model: from uint8 pixels [n, side, side, 3] to raw embeddings [n, dimension]."""

    def __init__(self, session: Session, files: ModelFiles, made: preprocess.Preprocessing) -> None:
        self.device, self.precision = session.device, session.precision
        self._session = session
        self._input = onnx_ports.image_input(session.inputs, files.vision, made.side)
        self._output = _output(files, files.vision, session)
        self._scale = made.scale()

    def run(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Return raw float32 embeddings [n, dimension] of uint8 pixels [n, side, side, 3]; raises InvalidModelFile."""
        if not self._input.takes_bytes:
            pixels = preprocess.normalise(pixels, *self._scale).astype(self._input.kind, copy=False)
        return _run(self._session, {self._input.name: pixels}, self._output)


class TextTower:
    """The text model: from tokens to raw embeddings [n, dimension]."""

    def __init__(self, session: Session, files: ModelFiles) -> None:
        self.device, self.precision = session.device, session.precision
        self._session = session
        self._ids, self._mask = onnx_ports.text_inputs(session.inputs, files.text)
        self._output = _output(files, files.text, session)
        for name in filter(None, (self._ids, self._mask)):
            if session.inputs[name].kind not in _INTEGERS:
                detail = f'its input "{name}" is {session.inputs[name].kind}, not integers'
                raise errors.InvalidModelFile(path=files.text, detail=detail)
        length = session.inputs[self._ids].shape[1]
        self.context = length if isinstance(length, int) else None

    def run(self, tokens: Tokens) -> NDArray[np.float32]:
        """Return raw float32 embeddings [n, dimension] of token ids [n, context]; raises InvalidModelFile."""
        feed = {self._ids: tokens.ids} | ({} if self._mask is None else {self._mask: tokens.mask})
        typed = {name: rows.astype(self._session.inputs[name].kind) for name, rows in feed.items()}
        return _run(self._session, typed, self._output)


def _output(files: ModelFiles, graph: Path, session: Session) -> str:
    shapes = {name: port.shape for name, port in session.outputs.items()}
    return onnx_ports.output(shapes, graph, dimension=files.dimension, pooled_is_projected=files.pooled_is_projected)


def _run(session: Session, feed: Mapping[str, NDArray[Any]], output: str) -> NDArray[np.float32]:
    """Run any number of rows: as one batch, or in batches of the size that the graph is fixed to."""
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
