"""
The choice of the library that runs a model, and of its precision.

Owns that choice and its reason, and stores the result of `tune`. Must not know pictures or texts.
Each engine has its own module, imported when it is chosen.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from pixfind import errors
from pixfind.models import cache, preprocess
from pixfind.models.backends import free_batch, half_precision, nncf, onnx_graphs, packed_weights, quantize, towers
from pixfind.models.files import Layout, ModelFiles
from pixfind.models.tokenizer import Tokens
from pixfind.types import Choice, Split

PRECISIONS = ("auto", "fp32", "int8", "bf16", nncf.PRECISION)
"""what may be asked for; "int8-openvino" stands for one quantisation, which has a name of its own"""
_PROCESSOR = ("auto", "cpu")


class ImageTower(Protocol):
    """A loaded image model in one engine."""

    device: str
    precision: str

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return raw embeddings [n, dimension] of uint8 pixels [n, side, side, 3]; raises InvalidModelFile."""


class TextTower(Protocol):
    """A loaded text model in one engine."""

    device: str
    precision: str
    context: int | None
    """number of tokens, where the graph fixes it; None when it takes any number"""

    def run(self, tokens: Tokens) -> NDArray[np.float32]:
        """Return raw embeddings [n, dimension] of token ids [n, context]; raises InvalidModelFile."""


def open_image(
    files: ModelFiles, made: preprocess.Preprocessing, *, threads: int, precision: str, device: str
) -> tuple[ImageTower, Choice[str]]:
    """
    Open the image encoder in the best engine for this precision and device; raises PrecisionUnavailable, DeviceUnavailable, ExtraNotInstalled,
    OtherQuantization, RuntimeOutdated, InvalidModelFile.
    """
    if files.layout is Layout.TORCH:
        return _open_torch(files, made, threads=threads, precision=precision, device=device)
    chosen = image_precision(files, precision, device)
    tower = _again(lambda: _image_tower(files, made, chosen.value, threads=threads, device=device))
    return tower, Choice(_library(chosen.value), chosen.reason)


def _image_tower(
    files: ModelFiles, made: preprocess.Preprocessing, precision: str, *, threads: int, device: str
) -> ImageTower:
    graph = free_batch.vision(files, made)
    if nncf.is_named(precision):
        graph = nncf.graph(graph, files, precision)
    elif precision == "int8":
        graph = quantize.int8(graph, files.vision)

    def tower(path: Path) -> towers.ImageTower:
        return towers.ImageTower(_session(path, precision, threads=threads, device=device), files, made)

    if _is_packed(precision, device):
        graph = packed_weights.packed(graph, lambda path: tower(path).run(free_batch.pictures(made.side)))
    return tower(graph)


def _is_packed(precision: str, device: str) -> bool:
    """Tell whether the session packs the weights of an image model for this processor."""
    if _library(precision) != "onnxruntime":
        return False
    from pixfind.models.backends import onnx

    return onnx.runs_on_cpu(precision, device)


T = TypeVar("T")

_DERIVED = 3
"""graphs at most that are made one from another: a free batch, int8, mapped or packed"""


def _again(open_once: Callable[[], T]) -> T:
    """Return what it opens; where graphs of the cache are damaged, again after these are deleted."""
    for _ in range(_DERIVED):
        try:
            return open_once()
        except errors.InvalidModelFile as error:
            if not onnx_graphs.discard(Path(error.fields["path"])):
                raise
    return open_once()


def is_what_is_asked_for(known: str, files: ModelFiles, asked: str, device: str = "auto") -> bool:
    """Tell whether the precision `known` of a library is one that is `asked` for; raises as `image_precision`."""
    return is_named_by(known, asked) or known == image_precision(files, asked, device).value


def is_named_by(known: str, asked: str) -> bool:
    """Tell whether `asked` names no one precision, and `known` is among those that it names."""
    return asked == "auto" or (asked == nncf.PRECISION and nncf.is_named(known))


def is_quantization(precision: str) -> bool:
    """Tell whether this is the name of one quantisation for OpenVINO, which `prepare_image` finds or makes."""
    return nncf.is_named(precision)


def prepare_image(files: ModelFiles, quantization: str) -> None:
    """Make the graph of a quantisation, where it is not kept here, so that no worker has to; raises as `open_image`."""
    if not nncf.is_made(files, quantization):
        nncf.graph(free_batch.vision(files, preprocess.load(files)), files, quantization)


def _library(precision: str) -> str:
    return "openvino" if precision == "bf16" or nncf.is_named(precision) else "onnxruntime"


def _session(graph: Path, precision: str, *, threads: int, device: str, repack: bool = True) -> towers.Session:
    if _library(precision) == "openvino":
        from pixfind.models.backends import openvino

        return openvino.Session(graph, threads=threads, precision=precision)
    from pixfind.models.backends import onnx

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
    """
    Open the text encoder in the best engine for this precision and device; raises PrecisionUnavailable, DeviceUnavailable, ExtraNotInstalled,
    RuntimeOutdated, InvalidModelFile.
    """
    _check(precision)
    if files.layout is Layout.TORCH:
        from pixfind.models.backends import torch

        return torch.TextTower(files, threads=threads, precision=precision, device=device), _TORCH
    # Encoding one text is cheap, and lower precision changes the answers to text queries first.
    chosen = Choice("fp32", "a query is only a few texts") if precision == "auto" else Choice(precision, "as requested")
    _check_device(chosen.value, device)
    if chosen.value == nncf.PRECISION or nncf.is_named(chosen.value):
        raise errors.PrecisionUnavailable(precision=chosen.value, detail="texts run in fp32, int8 and bf16 only")
    tower = _again(lambda: _text_tower(files, chosen.value, threads=threads, device=device))
    return tower, Choice(_library(chosen.value), chosen.reason)


def _text_tower(files: ModelFiles, precision: str, *, threads: int, device: str) -> TextTower:
    graph = free_batch.text(files)
    if files.has_half_text:
        graph = half_precision.widened(graph, lambda path: free_batch.rows_of_texts(path, files))
    if precision == "int8":
        graph = quantize.int8(graph, files.text)
    if _library(precision) == "onnxruntime":
        graph = onnx_graphs.mapped(graph)
    return towers.TextTower(_session(graph, precision, threads=threads, device=device, repack=False), files)


def image_precision(files: ModelFiles, precision: str, device: str = "auto") -> Choice[str]:
    """
    Return the precision for images, and why. For "int8-openvino" the model is quantised, where it is not yet.

    Raises PrecisionUnavailable, ExtraNotInstalled, and what reading the model raises.
    """
    _check(precision)
    if precision != "auto":
        _check_device(precision, device)
        if precision == nncf.PRECISION and files.layout is not Layout.TORCH:
            precision = nncf.any_made(free_batch.vision(files, preprocess.load(files)), files)
        return Choice(precision, "as requested")
    if device not in _PROCESSOR:
        return Choice("fp32", f"{device} runs the float graph")
    tuned = _tuned(files)
    return tuned or Choice(
        "fp32", "not tuned on this machine; `pixfind tune` measures whether another precision keeps the answers"
    )


_TORCH = Choice("torch", "the folder contains weights for torch")


def _check(precision: str) -> None:
    if precision not in PRECISIONS and not nncf.is_named(precision):
        raise errors.PrecisionUnavailable(precision=precision, detail=f"it is none of {', '.join(PRECISIONS)}")


def _check_device(precision: str, device: str) -> None:
    if precision != "fp32" and device not in _PROCESSOR:
        detail = f"with this model's files it runs on the CPU, not on {device}"
        raise errors.PrecisionUnavailable(precision=precision, detail=detail)


# --- the result of tune ------------------------------------------------------------------------------


def save_tuned(files: ModelFiles, choice: Choice[str], split: Split | None = None) -> None:
    """Store the precision that `auto` stands for with this model on this machine, and how it is fastest; None: not known."""
    path = cache.folder("tuned", f"{files.hash}.json")
    tuned = choice._asdict() | {"split": None if split is None else split._asdict()}
    with cache.publishing(path) as temporary:
        (temporary / path.name).write_text(json.dumps(tuned), encoding="utf-8")


def tuned_split(model_hash: str, precision: str) -> Split | None:
    """Return how this model is fastest in this precision; None where `tune` has not found it."""
    try:
        found = _read_tuned(model_hash)
        split = Split(**found["split"]) if found["value"] == precision else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return split if split is not None and all(isinstance(n, int) and n > 0 for n in split) else None


def _read_tuned(model_hash: str) -> dict[str, Any]:
    return dict(json.loads(cache.folder("tuned", f"{model_hash}.json").read_text(encoding="utf-8")))


def _tuned(files: ModelFiles) -> Choice[str] | None:
    try:
        found = _read_tuned(files.hash)
        value, reason = found["value"], found["reason"]
    except (OSError, ValueError, KeyError, TypeError):
        # The cache may be deleted at any time: `auto` is fp32 until the next tune.
        return None
    usable = nncf.is_made(files, value) if nncf.is_named(value) else value in PRECISIONS
    return Choice(value, f"tuned: {reason}") if usable else None
