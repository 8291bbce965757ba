"""
Graphs run by ONNX Runtime: the default engine, small and on every platform.

Owns the `onnxruntime` library: sessions, threads, providers. Must not know pictures, texts or the hub.
`towers` builds image and text models from sessions.
"""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pixfind import errors
from pixfind.models.backends import onnx_ports, runtimes

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_PROVIDERS: Mapping[str, str] = {
    "cuda": "CUDAExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
_FATAL_ONLY = 4
"""log severity: errors are raised as exceptions too"""
_KINDS: Mapping[str, type[np.generic]] = {
    "tensor(uint8)": np.uint8,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(float16)": np.float16,
    "tensor(float)": np.float32,
}


class Session:
    """A graph in ONNX Runtime; a `towers.Session`."""

    def __init__(self, path: Path, *, threads: int, precision: str, device: str, repack: bool = True) -> None:
        self.path = path
        self.precision = precision
        with _named(path):
            self._session, self.device = _open(path, threads, _wanted(precision, device), repack=repack)
        self.inputs: Mapping[str, onnx_ports.Port] = {port.name: _port(port) for port in self._session.get_inputs()}
        self.outputs: Mapping[str, onnx_ports.Port] = {port.name: _port(port) for port in self._session.get_outputs()}

    def run(self, feed: Mapping[str, NDArray[Any]], output: str) -> NDArray[np.float32]:
        """Run the graph on this batch, input name -> array; returns one output as float32. Raises InvalidModelFile."""
        with _named(self.path):
            (result,) = self._session.run([output], dict(feed))
        return np.asarray(result, dtype=np.float32)


def runs_on_cpu(precision: str, device: str) -> bool:
    """Tell whether the CPU runs what is opened in this precision for this device; raises DeviceUnavailable."""
    return _providers(_wanted(precision, device))[0] == _PROVIDERS["cpu"]


def _wanted(precision: str, device: str) -> str:
    # GPUs have no kernels for our int8 operators and would pass each of them back to the CPU.
    return "cpu" if precision == "int8" and device == "auto" else device


def save_packed(graph: Path, path: Path) -> None:
    """
    Write a graph as it is once it is open on the CPU, with its weights and their packed form beside it, in `path` with `.data` added.

    The packed form lies at multiples of 64 bytes, as the kernels need it where the file is mapped. Raises InvalidModelFile.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL_ONLY
    options.optimized_model_filepath = str(path)
    for key, value in {
        "optimized_model_external_initializers_file_name": f"{path.name}.data",
        "optimized_model_external_initializers_min_size_in_bytes": "1024",
        "save_external_prepacked_constant_initializers": "1",
    }.items():
        options.add_session_config_entry(f"session.{key}", value)
    with _named(graph):
        onnxruntime.InferenceSession(str(graph), options, providers=[_PROVIDERS["cpu"]])


def _port(port: Any) -> onnx_ports.Port:
    # An unsupported type is reported with the name of the input, where that is used.
    return onnx_ports.Port(port.shape, np.dtype(_KINDS.get(port.type, np.object_)))


def _open(path: Path, threads: int, device: str, *, repack: bool) -> tuple["InferenceSession", str]:
    import onnxruntime

    runtimes.require(path, "onnxruntime", onnxruntime.__version__)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL_ONLY
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Spinning idle threads would use up the processor time that the user allows us.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not repack:
        # Prepacked weights multiply faster, but all of them must be read first: too slow for one text.
        options.add_session_config_entry("session.disable_prepacking", "1")
    session = onnxruntime.InferenceSession(str(path), options, providers=_providers(device))
    used = session.get_providers()[0]
    name = next((name for name, provider in _PROVIDERS.items() if provider == used), used)
    if device not in {"auto", name}:
        detail = "ONNX Runtime could not start it on this machine"
        raise errors.DeviceUnavailable(device=device, detail=detail, instead=name)
    return session, name


def _providers(device: str) -> list[str]:
    import onnxruntime

    available = onnxruntime.get_available_providers()
    if device == "auto":
        return [provider for provider in _PROVIDERS.values() if provider in available]
    if _PROVIDERS.get(device) not in available:
        detail = f"this build of ONNX Runtime has only {', '.join(available)}"
        raise errors.DeviceUnavailable(device=device, detail=detail, instead="the CPU")
    return list(dict.fromkeys((_PROVIDERS[device], _PROVIDERS["cpu"])))


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """Turn ONNX Runtime's errors about a file into InvalidModelFile."""
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
        raise errors.InvalidModelFile(path=path, detail=_first_line(error)) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(". ")
