"""
Preprocessing: from an upright picture to the square input of an image encoder.

Owns both dialects of the preprocessing file and the geometry of resize and crop.
Must not know the encoder, which applies the factors of `scale`.
A missing key has the default of the library that defines the format. An unsupported value is an error: ignoring it would silently
lower the quality of all embeddings.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pixfind import errors
from pixfind.models.files import Layout, ModelFiles, get, read_json

if TYPE_CHECKING:
    # A type alone: a search by text prepares no picture.
    from PIL import Image

_INTERPOLATIONS: Mapping[str, str] = {
    "nearest": "NEAREST",
    "bilinear": "BILINEAR",
    "bicubic": "BICUBIC",
    "lanczos": "LANCZOS",
}

_CLIP_MEAN, _CLIP_STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
_BICUBIC = 3

_OPEN_CLIP: Mapping[str, Any] = {
    "size": 224,
    "mode": "RGB",
    "mean": _CLIP_MEAN,
    "std": _CLIP_STD,
    "interpolation": "bicubic",
    "resize_mode": "shortest",
}
"""of open_clip's PreprocessCfg"""

_ALWAYS: Mapping[str, Any] = {
    "do_resize": True,
    "do_rescale": True,
    "do_normalize": True,
    "rescale_factor": 1 / 255,
    "resample": _BICUBIC,
}
_PROCESSORS: Mapping[str, Mapping[str, Any]] = {
    "clip": {
        "size": {"shortest_edge": 224},
        "do_center_crop": True,
        "crop_size": 224,
        "image_mean": _CLIP_MEAN,
        "image_std": _CLIP_STD,
    },
    "siglip": {
        "size": {"height": 224, "width": 224},
        "do_center_crop": False,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    },
}
"""defaults of transformers' CLIPImageProcessor and SiglipImageProcessor; files from before 2023 lack `do_rescale`"""

_MAX_ASPECT = 8
"""ratio of the sides above which only the part of a picture that is kept is resized"""


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """The settings in a model's preprocessing file."""

    side: int
    """of the square input of the encoder, pixels"""
    resize: int
    """length of the shortest side after the resize, pixels; equals `side` unless the file crops more"""
    squash: bool
    """resize to the square without keeping the aspect ratio, in place of resize and crop"""
    interpolation: "Image.Resampling"
    mean: tuple[float, float, float]
    """of values in 0..1"""
    std: tuple[float, float, float]

    def apply(self, image: "Image.Image") -> NDArray[np.uint8]:
        """Return uint8 pixels [side, side, 3] of an upright picture in any mode. Thread-safe."""
        rgb = image if image.mode == "RGB" else image.convert("RGB")
        if self.squash:
            return np.asarray(rgb.resize((self.side, self.side), self.interpolation))
        scale = Fraction(self.resize, min(rgb.size))
        spans = [_Span.of(scale.of(length), self.side) for length in rgb.size]
        if max(span.resized for span in spans) > _MAX_ASPECT * self.resize:
            return self._part(rgb, spans)
        across, down = spans
        whole = rgb.resize((across.resized, down.resized), self.interpolation)
        return np.asarray(whole.crop((across.first, down.first, across.last, down.last)))

    def _part(self, rgb: "Image.Image", spans: Sequence["_Span"]) -> NDArray[np.uint8]:
        """
        Resize only the part that is kept, so that 1 x 3,000 pixels do not become 224 x 672,000 first.

        Not for every picture: Pillow orders its two passes by their cost, and the rounding between them changes with the order.
        """
        (left, right), (upper, lower) = (
            (span.first * length / span.resized, span.last * length / span.resized)
            for span, length in zip(spans, rgb.size, strict=True)
        )
        square = (self.side, self.side)
        return np.asarray(rgb.resize(square, self.interpolation, box=(left, upper, right, lower)))

    @property
    def decode_side(self) -> int:
        """Shortest side that a decoded picture needs, pixels; the decoder keeps a margin above it."""
        return self.resize

    def scale(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return (factor, offset), each [3], such that x * factor + offset is the encoder's input for x in 0..255."""
        mean, std = np.array(self.mean), np.array(self.std)
        return (1 / (255 * std)).astype(np.float32), (-mean / std).astype(np.float32)


def normalise(
    pixels: NDArray[np.uint8], factor: NDArray[np.float32], offset: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return an encoder's float32 input [n, 3, h, w] for uint8 pixels [n, h, w, 3]; `factor` and `offset` [3] are those of `scale`."""
    planes = pixels.transpose(0, 3, 1, 2).astype(np.float32, order="C")
    planes *= factor[:, None, None]
    planes += offset[:, None, None]
    return planes


class Fraction(NamedTuple):
    """A scale as a quotient of integers, because transformers and torchvision compute int(a * b / c)."""

    top: int
    bottom: int

    def of(self, length: int) -> int:
        """Return the scaled length, truncated."""
        return int(self.top * length / self.bottom)


class _Span(NamedTuple):
    """One axis of a picture: its length after the resize, and the part that the crop keeps."""

    resized: int
    first: int
    last: int

    @classmethod
    def of(cls, resized: int, side: int) -> "_Span":
        first = (resized - side) // 2
        return cls(resized, first, first + side)


def load(files: ModelFiles) -> Preprocessing:
    """Read the model's preprocessing file; raises InvalidModelFile."""
    path = files.path(files.names.preprocessing)
    config = read_json(path)
    made = _open_clip(config, path) if files.layout is Layout.IMMICH else _transformers(config, files, path)
    if made.resize < made.side:
        detail = f"it resizes to {made.resize} and crops to {made.side}, which would need padding"
        raise errors.InvalidModelFile(path=path, detail=detail)
    return made


def _open_clip(config: Mapping[str, Any], path: Path) -> Preprocessing:
    config = {**_OPEN_CLIP, **config}
    side = _square(get(config, "size", (int, list), path), path)
    mode = get(config, "resize_mode", str, path)
    if mode not in {"shortest", "squash"}:
        raise errors.InvalidModelFile(path=path, detail=f'the resize mode "{mode}" is not supported')
    if get(config, "mode", str, path) != "RGB":
        raise errors.InvalidModelFile(path=path, detail="the mode is not RGB")
    name = get(config, "interpolation", str, path)
    from PIL import Image

    if name not in _INTERPOLATIONS:
        raise errors.InvalidModelFile(path=path, detail=f'the interpolation "{name}" is not supported')
    return Preprocessing(
        side=side,
        resize=side,
        squash=mode == "squash",
        interpolation=Image.Resampling[_INTERPOLATIONS[name]],
        mean=_three(config, "mean", path),
        std=_three(config, "std", path),
    )


def _transformers(config: Mapping[str, Any], files: ModelFiles, path: Path) -> Preprocessing:
    config = {**_ALWAYS, **_defaults(config, files), **config}
    for key in ("do_resize", "do_rescale", "do_normalize"):
        if get(config, key, bool, path) is not True:
            raise errors.InvalidModelFile(path=path, detail=f'"{key}" is off; such a model is not supported')
    if not math.isclose(config["rescale_factor"], 1 / 255, rel_tol=1e-4):
        raise errors.InvalidModelFile(path=path, detail='"rescale_factor" is not 1/255')
    size = _sides(get(config, "size", (dict, int), path))
    squash = "shortest_edge" not in size
    resize = _square([size[key] for key in sorted(size)], path)
    crop = bool(config["do_center_crop"])
    if not squash and not crop:
        raise errors.InvalidModelFile(path=path, detail='"shortest_edge" without "do_center_crop" gives no square')
    side = _square(list(_sides(get(config, "crop_size", (dict, int), path)).values()), path) if crop else resize
    if squash and side != resize:
        raise errors.InvalidModelFile(path=path, detail="it squashes and then crops, which is not supported")
    return Preprocessing(
        side=side,
        resize=resize,
        squash=squash,
        interpolation=_resampling(get(config, "resample", int, path), path),
        mean=_three(config, "image_mean", path),
        std=_three(config, "image_std", path),
    )


def _defaults(config: Mapping[str, Any], files: ModelFiles) -> Mapping[str, Any]:
    """Return the defaults of the image processor class that the file names, else of the model's family."""
    name = config.get("image_processor_type") or config.get("feature_extractor_type") or files.family
    for kind, defaults in _PROCESSORS.items():
        if str(name).lower().startswith(kind):
            return defaults
    path = files.path(files.names.preprocessing)
    raise errors.InvalidModelFile(path=path, detail=f'the image processor "{name}" is not one of CLIP or SigLIP')


def _resampling(number: int, path: Path) -> "Image.Resampling":
    from PIL import Image

    try:
        return Image.Resampling(number)
    except ValueError as error:
        raise errors.InvalidModelFile(path=path, detail=f"the resampling {number} is not supported") from error


def _sides(size: dict[str, int] | int) -> dict[str, int]:
    # Files from before 2023 have 224 in place of {"shortest_edge": 224}.
    return size if isinstance(size, dict) else {"shortest_edge": size}


def _square(size: int | Sequence[int], path: Path) -> int:
    sides = {size} if isinstance(size, int) else set(size)
    if len(sides) != 1 or not all(isinstance(side, int) and side > 0 for side in sides):
        raise errors.InvalidModelFile(path=path, detail=f"the image size {size!r} is not a square")
    return sides.pop()


def _three(config: Mapping[str, Any], key: str, path: Path) -> tuple[float, float, float]:
    values = get(config, key, list, path)
    if len(values) != len("RGB") or not all(isinstance(value, int | float) for value in values):
        raise errors.InvalidModelFile(path=path, detail=f'the key "{key}" is not a list of three numbers')
    red, green, blue = (float(value) for value in values)
    return red, green, blue
