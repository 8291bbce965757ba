"""
Which library runs a tower in which precision, and why.

Owns that choice and the memory of what `tune` found. Must not know pictures or texts.
Each engine lives in its own module, imported when it is chosen.
"""

import json
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pixfind import errors
from pixfind.models import cache, preprocess
from pixfind.models.backends import free_batch, onnx_graphs, quantize, towers
from pixfind.models.files import Layout, ModelFiles
from pixfind.models.tokenizer import Tokens
from pixfind.types import Choice

PRECISIONS = ("auto", "fp32", "int8", "bf16")
_PROCESSOR = ("auto", "cpu")
_LIBRARIES = {"fp32": "onnxruntime", "int8": "onnxruntime", "bf16": "openvino"}


class ImageTower(Protocol):
    """What an engine gives for images."""

    device: str
    precision: str

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Map [n, side, side, 3] to [n, dimension]."""


class TextTower(Protocol):
    """What an engine gives for texts."""

    device: str
    precision: str
    context: int | None
    """tokens that the graph is fixed to; None when it takes any number"""

    def run(self, tokens: Tokens) -> NDArray[np.float32]:
        """Map [n, context] ids to [n, dimension]."""


def open_image(
    files: ModelFiles, made: preprocess.Preprocessing, *, threads: int, precision: str, device: str
) -> tuple[ImageTower, Choice[str]]:
    """Open the image tower in the best engine for this precision and device."""
    if files.layout is Layout.TORCH:
        return _open_torch(files, made, threads=threads, precision=precision, device=device)
    chosen = image_precision(files, precision, device)
    graph = free_batch.vision(files, made)
    session = _session(graph, files.vision, chosen.value, threads=threads, device=device)
    return towers.ImageTower(session, files, made), Choice(_LIBRARIES[chosen.value], chosen.reason)


def _session(
    graph: Path, published: Path, precision: str, *, threads: int, device: str, repack: bool = True
) -> towers.Session:
    if precision == "bf16":
        from pixfind.models.backends import openvino

        return openvino.Session(graph, threads=threads, precision=precision)
    from pixfind.models.backends import onnx

    if precision == "int8":
        graph = quantize.int8(graph, published)
    if not repack:
        graph = onnx_graphs.mapped(graph)
    return onnx.Session(graph, threads=threads, precision=precision, device=device, repack=repack)


def _open_torch(
    files: ModelFiles, made: preprocess.Preprocessing, *, threads: int, precision: str, device: str
) -> tuple[ImageTower, Choice[str]]:
    from pixfind.models.backends import torch

    _check(precision)
    tuned = _tuned(files) if precision == "auto" else None
    precision, reason = tuned or (precision, _TORCH.reason)
    tower = torch.ImageTower(files, made, threads=threads, precision=precision, device=device)
    return tower, Choice("torch", reason)


def open_text(files: ModelFiles, *, threads: int, precision: str, device: str) -> tuple[TextTower, Choice[str]]:
    """Open the text tower in the best engine for this precision and device."""
    _check(precision)
    if files.layout is Layout.TORCH:
        from pixfind.models.backends import torch

        return torch.TextTower(files, threads=threads, precision=precision, device=device), _TORCH
    # One text is cheap, and lossy codes hurt text queries first.
    chosen = Choice("fp32", "texts are few") if precision == "auto" else Choice(precision, "asked for")
    _check_device(chosen.value, device)
    graph = free_batch.text(files)
    session = _session(graph, files.text, chosen.value, threads=threads, device=device, repack=False)
    return towers.TextTower(session, files), Choice(_LIBRARIES[chosen.value], chosen.reason)


def image_precision(files: ModelFiles, precision: str, device: str = "auto") -> Choice[str]:
    """Return the precision that images get, and why; raises PrecisionMissing."""
    _check(precision)
    if precision != "auto":
        _check_device(precision, device)
        return Choice(precision, "asked for")
    if device not in _PROCESSOR:
        return Choice("fp32", f"the graph runs as it is on {device}")
    tuned = _tuned(files)
    return tuned or Choice("fp32", "not tuned on this machine; `pixfind tune` finds out whether int8 or bf16 is safe")


_TORCH = Choice("torch", "the folder holds weights for torch")


def _check(precision: str) -> None:
    if precision not in PRECISIONS:
        raise errors.PrecisionMissing(precision=precision, detail=f"it is none of {', '.join(PRECISIONS)}")


def _check_device(precision: str, device: str) -> None:
    if precision != "fp32" and device not in _PROCESSOR:
        detail = f"with this model's files it is for the processor, not for {device}"
        raise errors.PrecisionMissing(precision=precision, detail=detail)


# --- what tune found ------------------------------------------------------------------------------


def remember(files: ModelFiles, choice: Choice[str]) -> None:
    """Make `auto` mean this precision for this model on this machine."""
    path = cache.folder("tuned", f"{files.hash}.json")
    with cache.publishing(path) as temporary:
        (temporary / path.name).write_text(json.dumps(choice._asdict()), encoding="utf-8")


def _tuned(files: ModelFiles) -> Choice[str] | None:
    path = cache.folder("tuned", f"{files.hash}.json")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        value, reason = found["value"], found["reason"]
    except (OSError, ValueError, KeyError, TypeError):
        # Derived and deletable: without it `auto` is fp32 until the next tune.
        return None
    return Choice(value, f"tuned: {reason}") if value in PRECISIONS else None
