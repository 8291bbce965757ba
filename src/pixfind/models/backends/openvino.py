"""
Towers run by OpenVINO: bf16 on processors that have the instructions.

Owns the `openvino` library. Must not know pictures, texts or the hub. It reads the same float graphs as `onnx`.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixfind import errors
from pixfind.models import preprocess
from pixfind.models.backends import onnx_ports
from pixfind.models.files import ModelFiles
from pixfind.models.tokenizer import Tokens

_HINTS = {"bf16": "bf16", "fp32": "f32"}


def installed() -> bool:
    """Tell without loading it."""
    import importlib.util

    return importlib.util.find_spec("openvino") is not None


def has_bf16() -> bool:
    """Whether OpenVINO is installed and this processor multiplies bf16 itself."""
    return installed() and "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


class ImageTower:
    """[n, side, side, 3] uint8 to [n, dimension] raw embeddings."""

    device = "cpu"

    def __init__(self, files: ModelFiles, made: preprocess.Preprocessing, *, threads: int, precision: str) -> None:
        self.precision = precision
        self._graph = _Graph(files.vision, threads, precision)
        self._input = onnx_ports.image_input(self._graph.inputs, files.vision, made.side)
        self._output = _output(files, self._graph)
        self._scale = made.scale()

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self._graph.run({self._input: preprocess.normalise(pixels, *self._scale)}, self._output)


class TextTower:
    """Tokens to [n, dimension] raw embeddings."""

    device = "cpu"

    def __init__(self, files: ModelFiles, *, threads: int, precision: str) -> None:
        self.precision = precision
        self._graph = _Graph(files.text, threads, precision)
        self._ids, self._mask = onnx_ports.text_inputs(self._graph.inputs, files.text)
        self._output = _output(files, self._graph)
        length = self._graph.inputs[self._ids][1]
        self.context = length if isinstance(length, int) else None

    def run(self, tokens: Tokens) -> NDArray[np.float32]:
        masks = {} if self._mask is None else {self._mask: tokens.mask}
        return self._graph.run({self._ids: tokens.ids, **masks}, self._output)


def _output(files: ModelFiles, graph: "_Graph") -> str:
    return onnx_ports.output(
        graph.outputs, graph.path, dimension=files.dimension, pooled_is_projected=files.pooled_is_projected
    )


class _Graph:
    def __init__(self, path: Path, threads: int, precision: str) -> None:
        self.path = path
        core = _core()
        if precision == "bf16" and not has_bf16():
            raise errors.PrecisionMissing(precision=precision, detail="this processor has no bf16 instructions")
        settings = {
            "INFERENCE_PRECISION_HINT": _HINTS[precision],
            "PERFORMANCE_HINT": "LATENCY",
            # Pinned, the threads of all workers meet on the first cores: two workers were as fast as one.
            "ENABLE_CPU_PINNING": "NO",
        }
        if threads:
            settings["INFERENCE_NUM_THREADS"] = str(threads)
        try:
            self._compiled = core.compile_model(core.read_model(path), "CPU", settings)
        except RuntimeError as error:
            # The first lines are places in OpenVINO's source; what went wrong comes last.
            raise errors.ModelFileWrong(path=path, detail=str(error).strip().rpartition("\n")[2]) from error
        self._request = self._compiled.create_infer_request()
        self.inputs = {port.any_name: _shape(port) for port in self._compiled.inputs}
        self.outputs = {port.any_name: _shape(port) for port in self._compiled.outputs}
        self._types = {port.any_name: port.element_type.to_dtype() for port in self._compiled.inputs}

    def run(self, feed: dict[str, NDArray[Any]], output: str) -> NDArray[np.float32]:
        self._request.infer({name: rows.astype(self._types[name], copy=False) for name, rows in feed.items()})
        # The request owns its output and writes the next batch over it.
        return np.array(self._request.get_tensor(output).data, dtype=np.float32)


def _shape(port: Any) -> list[int | None]:
    return [length.get_length() if length.is_static else None for length in port.partial_shape]


def _core() -> Any:
    try:
        import openvino
    except ImportError as error:
        raise errors.ExtraMissing(what="bf16 on this processor", package="openvino", extra="openvino") from error
    return openvino.Core()
