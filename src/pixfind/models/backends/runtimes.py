"""
The version of a runtime that a graph needs.

Owns the known limits of versions, found by running the same graphs in them. Must not import a runtime.
Checked before a graph is loaded: some versions refuse a graph that is too new for them, others compute wrong numbers.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from pixfind import errors
from pixfind.models import onnx_header

_ATTENTION = 23
"""the opset that introduced the Attention operator"""

# ONNX Runtime 1.20 to 1.22 refuse opset 23. OpenVINO 2025.4 lacks its attention; 2026.1 and 2026.2 load it but compute wrong numbers
# when all heads are in one dimension.
NEEDED: Mapping[str, str] = {"onnxruntime": "1.23", "openvino": "2026.3"}


def require(graph: Path, library: str, installed: str) -> None:
    """Raise RuntimeOutdated when this version of a library does not run the graph correctly."""
    opset = onnx_header.read(graph).opset
    needed = NEEDED[library]
    if opset >= _ATTENTION and _numbers(installed) < _numbers(needed):
        raise errors.RuntimeOutdated(path=graph, opset=opset, library=library, installed=installed, needed=needed)


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)[:2]]
