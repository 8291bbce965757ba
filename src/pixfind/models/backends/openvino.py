"""
Graphs run by OpenVINO: bf16 on processors that have the instructions, and int8 of graphs that `nncf` has quantised.

Owns the `openvino` library. Must not know pictures, texts or the hub. It reads the same float graphs as `onnx`, and OpenVINO's own form.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixfind import errors
from pixfind.models.backends import onnx_ports, runtimes

_HINTS = {"bf16": "bf16", "fp32": "f32"}
"""for what is not quantised; the rest of an int8 graph stays in f32: bf16 there would be other numbers on other processors"""


def installed() -> bool:
    """Tell whether OpenVINO is installed, without importing it."""
    import importlib.util

    return importlib.util.find_spec("openvino") is not None


def has_bf16() -> bool:
    """Tell whether OpenVINO is installed and this processor has bf16 instructions."""
    return installed() and "BF16" in _core("bf16").get_property("CPU", "OPTIMIZATION_CAPABILITIES")


class Session:
    """A graph in OpenVINO; a `towers.Session`."""

    device = "cpu"

    def __init__(self, path: Path, *, threads: int, precision: str) -> None:
        self.path = path
        self.precision = precision
        core = _core(precision)
        if path.suffix == ".onnx":
            runtimes.require(path, "openvino", _version())
        if precision == "bf16" and not has_bf16():
            raise errors.PrecisionUnavailable(precision=precision, detail="this processor has no bf16 instructions")
        settings = {
            "INFERENCE_PRECISION_HINT": _HINTS.get(precision, "f32"),
            "PERFORMANCE_HINT": "LATENCY",
            # With pinning the threads of all workers run on the first cores: two workers were as fast as one.
            "ENABLE_CPU_PINNING": "NO",
        }
        if threads:
            settings["INFERENCE_NUM_THREADS"] = str(threads)
        with _named(path):
            compiled = core.compile_model(core.read_model(path), "CPU", settings)
            self._request = compiled.create_infer_request()
        self.inputs: Mapping[str, onnx_ports.Port] = ports(compiled.inputs)
        self.outputs: Mapping[str, onnx_ports.Port] = ports(compiled.outputs)

    def run(self, feed: Mapping[str, NDArray[Any]], output: str) -> NDArray[np.float32]:
        """Run the graph on this batch, input name -> array; returns one output as float32. Raises InvalidModelFile."""
        with _named(self.path):
            self._request.infer(dict(feed))
            # Copied, because the request overwrites its output in the next batch.
            return np.array(self._request.get_tensor(output).data, dtype=np.float32)


def require(precision: str) -> None:
    """Raise ExtraNotInstalled unless OpenVINO and NNCF, which quantises for it, are installed; imports neither."""
    import importlib.util

    for package in ("openvino", "nncf"):
        if importlib.util.find_spec(package) is None:
            raise errors.ExtraNotInstalled(what=f"The precision {precision}", package=package, extra="nncf")


def read(path: Path) -> Any:
    """Return the graph in a file as OpenVINO's model; raises InvalidModelFile, RuntimeOutdated."""
    runtimes.require(path, "openvino", _version())
    with _named(path):
        return _core("int8").read_model(path)


def save(model: Any, path: Path) -> None:
    """Write a model in OpenVINO's form: `path`, an .xml, and its weights beside it."""
    import openvino

    openvino.save_model(model, path, compress_to_fp16=False)


def ports(found: Iterable[Any]) -> dict[str, onnx_ports.Port]:
    """Return the inputs or outputs of a model by their names."""
    return {port.any_name: _port(port) for port in found}


def _port(port: Any) -> onnx_ports.Port:
    shape = [length.get_length() if length.is_static else None for length in port.partial_shape]
    return onnx_ports.Port(shape, np.dtype(port.element_type.to_dtype()))


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """Turn OpenVINO's errors about a file into InvalidModelFile."""
    try:
        yield
    except RuntimeError as error:
        # The first lines are positions in OpenVINO's source; the last one is the message.
        detail = str(error).strip().rpartition("\n")[2].rstrip(". ")
        raise errors.InvalidModelFile(path=path, detail=detail) from error


def _core(precision: str) -> Any:
    try:
        import openvino
    except ImportError as error:
        what = f"{precision} on this processor"
        raise errors.ExtraNotInstalled(what=what, package="openvino", extra="openvino") from error
    return openvino.Core()


def _version() -> str:
    import openvino

    return str(openvino.__version__)
