"""
Towers run by ONNX Runtime: the default engine, small and on every platform.

Owns the `onnxruntime` library: sessions, threads, providers. Must not know pictures, texts or the hub.
A tower maps arrays to raw embeddings; `encoders` puts preparing before it and unit length after it.
"""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pixfind import errors
from pixfind.models import preprocess
from pixfind.models.backends import onnx_graphs, onnx_ports, quantize
from pixfind.models.files import ModelFiles
from pixfind.models.tokenizer import Tokens

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_PROVIDERS: Mapping[str, str] = {
    "cuda": "CUDAExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
_ONLY_ERRORS = 3
_INT_TYPES: Mapping[str, type[np.signedinteger[Any]]] = {"tensor(int32)": np.int32, "tensor(int64)": np.int64}


class ImageTower:
    """[n, side, side, 3] uint8 to [n, dimension] raw embeddings."""

    def __init__(
        self, files: ModelFiles, made: preprocess.Preprocessing, *, threads: int, precision: str, device: str
    ) -> None:
        model = _graph_file(files.vision, precision)
        self.precision = precision
        self._graph = _Graph(model, threads=threads, device=_device_for(precision, device))
        self.device = self._graph.device
        self._input = onnx_ports.image_input(self._graph.inputs, model, made.side)
        self._output = _output(files, self._graph)
        self._scale = made.scale()

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self._graph.run({self._input: preprocess.normalise(pixels, *self._scale)}, self._output)


class TextTower:
    """Tokens to [n, dimension] raw embeddings."""

    def __init__(self, files: ModelFiles, *, threads: int, precision: str, device: str) -> None:
        model = onnx_graphs.mapped(_graph_file(files.text, precision))
        self.precision = precision
        self._graph = _Graph(model, threads=threads, device=_device_for(precision, device), repack=False)
        self.device = self._graph.device
        self._ids, self._mask = onnx_ports.text_inputs(self._graph.inputs, model)
        self._output = _output(files, self._graph)
        length = self._graph.inputs[self._ids][1]
        self.context = length if isinstance(length, int) else None

    def run(self, tokens: Tokens) -> NDArray[np.float32]:
        feed = {self._ids: self._graph.cast(self._ids, tokens.ids)}
        if self._mask is not None:
            feed[self._mask] = self._graph.cast(self._mask, tokens.mask)
        return self._graph.run(feed, self._output)


def _graph_file(model: Path, precision: str) -> Path:
    return quantize.int8(model) if precision == "int8" else model


def _device_for(precision: str, device: str) -> str:
    # Products of int8 as we make them exist for processors only; a GPU would hand them back one by one.
    return "cpu" if precision == "int8" and device == "auto" else device


def _output(files: ModelFiles, graph: "_Graph") -> str:
    return onnx_ports.output(
        graph.outputs, graph.path, dimension=files.dimension, pooled_is_projected=files.pooled_is_projected
    )


class _Graph:
    """A session, its ports by name, and batches cut to what the graph takes."""

    def __init__(self, path: Path, *, threads: int, device: str, repack: bool = True) -> None:
        self.path = path
        with _named(path):
            self._session, self.device = _open(path, threads, device, repack=repack)
        self.inputs = {port.name: port.shape for port in self._session.get_inputs()}
        self.outputs = {port.name: port.shape for port in self._session.get_outputs()}
        self._types = {port.name: port.type for port in self._session.get_inputs()}

    def cast(self, name: str, numbers: NDArray[np.int64]) -> NDArray[Any]:
        if self._types[name] not in _INT_TYPES:
            detail = f'its input "{name}" is {self._types[name]}, not whole numbers'
            raise errors.ModelFileWrong(path=self.path, detail=detail)
        return numbers.astype(_INT_TYPES[self._types[name]])

    def run(self, feed: Mapping[str, NDArray[Any]], output: str) -> NDArray[np.float32]:
        name, rows = next(iter(feed.items()))
        fixed = self.inputs[name][0]
        if not isinstance(fixed, int) or fixed == len(rows):
            return self._run(feed, output)
        parts = [self._padded(feed, first, fixed, output) for first in range(0, len(rows), fixed)]
        return np.concatenate(parts)

    def _padded(self, feed: Mapping[str, NDArray[Any]], first: int, fixed: int, output: str) -> NDArray[np.float32]:
        part = {name: rows[first : first + fixed] for name, rows in feed.items()}
        count = len(next(iter(part.values())))
        filled = {n: np.concatenate([r, np.repeat(r[-1:], fixed - count, axis=0)]) for n, r in part.items()}
        return self._run(filled, output)[:count]

    def _run(self, feed: Mapping[str, NDArray[Any]], output: str) -> NDArray[np.float32]:
        with _named(self.path):
            (result,) = self._session.run([output], dict(feed))
        return np.asarray(result, dtype=np.float32)


def _open(path: Path, threads: int, device: str, *, repack: bool) -> tuple["InferenceSession", str]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ONLY_ERRORS
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Idle threads that spin would eat the budget of processor time that the user gave us.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not repack:
        # Weights laid out anew are faster to multiply and must first be read in full: wrong for one text.
        options.add_session_config_entry("session.disable_prepacking", "1")
    session = onnxruntime.InferenceSession(str(path), options, providers=_providers(device))
    used = session.get_providers()[0]
    name = next((name for name, provider in _PROVIDERS.items() if provider == used), used)
    if device not in {"auto", name}:
        detail = "ONNX Runtime could not start it on this machine"
        raise errors.DeviceMissing(device=device, detail=detail, instead=name)
    return session, name


def _providers(device: str) -> list[str]:
    import onnxruntime

    available = onnxruntime.get_available_providers()
    if device == "auto":
        return [provider for provider in _PROVIDERS.values() if provider in available]
    if _PROVIDERS.get(device) not in available:
        detail = f"this build of ONNX Runtime has only {', '.join(available)}"
        raise errors.DeviceMissing(device=device, detail=detail, instead="the processor")
    return list(dict.fromkeys((_PROVIDERS[device], _PROVIDERS["cpu"])))


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """Turn what ONNX Runtime says about a file into an error that names the file."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    problems = (
        state.Fail,
        state.InvalidArgument,
        state.InvalidGraph,
        state.InvalidProtobuf,
        state.NoSuchFile,
        state.NotImplemented,
        state.RuntimeException,
    )
    try:
        yield
    except problems as error:
        raise errors.ModelFileWrong(path=path, detail=_first_line(error)) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(". ")
