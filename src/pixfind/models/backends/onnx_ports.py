"""
The inputs and outputs (ports) of an ONNX graph: which to use, by name and shape.

Owns the names that exporters use. Must not know the library that runs the graph.
A common mistake is to take the wrong output: CLIP's `pooler_output` has the shape of an embedding but is not projected.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pixfind import errors

Shape = Sequence[int | str | None]
"""Of a tensor in a graph: a length where it is fixed, a name or None where it is dynamic."""


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output of a graph."""

    shape: Shape
    kind: np.dtype[Any]


@dataclass(frozen=True, slots=True)
class Pixels:
    """The pixel input of an image encoder."""

    name: str
    kind: np.dtype[Any]

    @property
    def takes_bytes(self) -> bool:
        """Whether it is uint8 [b, side, side, 3], normalised in the graph; else normalised floats [b, 3, side, side]."""
        return self.kind == np.uint8


_IMAGE_INPUTS = ("image", "pixel_values")
_TOKEN_INPUTS = ("text", "input_ids")
_MASK_INPUTS = ("attention_mask",)
_PROJECTED = (
    "embedding",
    "embeddings",
    "image_embedding",
    "text_embedding",
    "image_embeds",
    "text_embeds",
    "sentence_embedding",
)
# SigLIP has no projection: its pooled output is the embedding.
_POOLED = ("pooler_output",)


def image_input(inputs: Mapping[str, Port], path: Path, side: int) -> Pixels:
    """Return the pixel input, after checking that its type and shape fit the preprocessing; raises InvalidModelFile."""
    name = _one(inputs, _IMAGE_INPUTS, path, "input")
    port = inputs[name]
    # uint8 can only mean pixels that are not normalised.
    takes_bytes = port.kind == np.uint8
    expected = (side, side, 3) if takes_bytes else (3, side, side)
    known = takes_bytes or np.issubdtype(port.kind, np.floating)
    fits = all(length == one for length, one in zip(port.shape[1:], expected, strict=False) if isinstance(length, int))
    # With dynamic lengths it is not known which dimension has the colours.
    if not known or not fits or (takes_bytes and port.shape[-1] != len("RGB")):
        made = f"[b, {', '.join(map(str, expected))}]"
        detail = f'its input "{name}" is {_show(port.shape)} of {port.kind}, but the preprocessing makes {made}'
        raise errors.InvalidModelFile(path=path, detail=detail)
    return Pixels(name, port.kind)


def text_inputs(inputs: Mapping[str, object], path: Path) -> tuple[str, str | None]:
    """Return the names of the token input and of the attention mask (None without one); raises InvalidModelFile."""
    mask = next((name for name in _MASK_INPUTS if name in inputs), None)
    rest = {name: port for name, port in inputs.items() if name != mask}
    tokens = _one(rest, _TOKEN_INPUTS, path, "input")
    if len(rest) > 1:
        raise errors.InvalidModelFile(path=path, detail=f"it has inputs other than tokens: {', '.join(inputs)}")
    return tokens, mask


def output(outputs: Mapping[str, Shape], path: Path, *, dimension: int, pooled_is_projected: bool) -> str:
    """Return the name of the output with embeddings [b, dimension]; raises InvalidModelFile."""
    names = (*_PROJECTED, *(_POOLED if pooled_is_projected else ()))
    name = _one(outputs, names, path, "output", refuse=() if pooled_is_projected else _POOLED)
    shape = outputs[name]
    # A graph may give no shapes for its outputs; the first run checks those.
    if shape and not _is_row(shape, dimension):
        detail = f'its output "{name}" is {_show(shape)}, but the model\'s configuration says [b, {dimension}]'
        raise errors.InvalidModelFile(path=path, detail=detail)
    return name


def _is_row(shape: Shape, dimension: int) -> bool:
    _, *rest = shape
    return len(rest) == 1 and (not isinstance(rest[0], int) or rest[0] == dimension)


def _one(ports: Mapping[str, object], names: Sequence[str], path: Path, kind: str, refuse: Sequence[str] = ()) -> str:
    known = next((name for name in names if name in ports), None)
    if known is not None:
        return known
    if len(ports) == 1 and next(iter(ports)) not in refuse:
        return next(iter(ports))
    detail = f"none of its {kind}s ({', '.join(ports)}) is one of {', '.join(names)}"
    raise errors.InvalidModelFile(path=path, detail=detail)


def _show(shape: Shape) -> str:
    return "[" + ", ".join("?" if length is None else str(length) for length in shape) + "]"
