"""
Models run by torch through transformers: for GPUs, from the weights that a model's authors publish.

Owns the `torch` and `transformers` libraries. Must not know pictures, texts or the hub.
On a GPU a batch is copied as uint8 from pinned memory in parts; each part is copied while the previous one is computed.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixfind import errors
from pixfind.models import preprocess
from pixfind.models.files import ModelFiles, read_json
from pixfind.models.tokenizer import Tokens

_PARTS = 4
"""of a batch, so that copying and computing overlap; not measured on a GPU yet"""

_CLASSES = {
    ("clip", "image"): ("CLIPVisionModelWithProjection", "image_embeds"),
    ("clip", "text"): ("CLIPTextModelWithProjection", "text_embeds"),
    ("siglip", "image"): ("SiglipVisionModel", "pooler_output"),
    ("siglip", "text"): ("SiglipTextModel", "pooler_output"),
}


class ImageTower:
    """The image model: from uint8 pixels [n, side, side, 3] to raw embeddings [n, dimension]."""

    def __init__(
        self, files: ModelFiles, made: preprocess.Preprocessing, *, threads: int, precision: str, device: str
    ) -> None:
        torch = _torch(threads)
        self.device = _device(device)
        self.precision = _precision(precision, self.device)
        self._model, self._output = _load(files, "image", self.device, self.precision)
        factor, offset = made.scale()
        self._factor = torch.from_numpy(factor).to(self.device)[:, None, None]
        self._offset = torch.from_numpy(offset).to(self.device)[:, None, None]
        self._copies = torch.cuda.Stream() if self.device == "cuda" else None
        if _compiles(self.device):
            # dynamic: the last batch of a run is smaller, and must not compile the model again.
            self._model = torch.compile(self._model, dynamic=True)

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return raw embeddings [n, dimension] of pixels [n, side, side, 3]."""
        import torch

        with torch.inference_mode():
            rows = [self._forward(part) for part in self._parts_on_device(torch.from_numpy(pixels))]
            return np.asarray(torch.cat(rows).float().cpu().numpy())

    def _forward(self, part: Any) -> Any:
        import torch

        # [n, h, w, 3] viewed as [n, 3, h, w] already is channels_last: no copy.
        planes = part.permute(0, 3, 1, 2).float() * self._factor + self._offset
        planes = planes.to(self._model.dtype).contiguous(memory_format=torch.channels_last)
        return getattr(self._model(pixel_values=planes), self._output)

    def _parts_on_device(self, pixels: Any) -> Iterator[Any]:
        """Yield parts of the batch on the device, and copy the next part meanwhile."""
        import torch

        if self._copies is None:
            yield pixels
            return
        compute = torch.cuda.current_stream()
        parts = pixels.pin_memory().chunk(_PARTS)
        upcoming = self._copy(parts[0])
        for following in (*parts[1:], None):
            part = upcoming
            compute.wait_stream(self._copies)
            part.record_stream(compute)
            if following is not None:
                upcoming = self._copy(following)
            yield part

    def _copy(self, part: Any) -> Any:
        import torch

        with torch.cuda.stream(self._copies):
            return part.to("cuda", non_blocking=True)


class TextTower:
    """The text model: from tokens to raw embeddings [n, dimension]."""

    context: int | None = None

    def __init__(self, files: ModelFiles, *, threads: int, precision: str, device: str) -> None:
        _torch(threads)
        self.device = _device(device)
        self.precision = _precision(precision, self.device)
        self._model, self._output = _load(files, "text", self.device, self.precision)
        self._files = files

    def run(self, tokens: Tokens) -> NDArray[np.float32]:
        """Return raw embeddings [n, dimension] of token ids [n, context]; raises InvalidModelFile."""
        import torch

        ids = torch.from_numpy(tokens.ids).to(self.device)
        mask = torch.from_numpy(tokens.mask).to(self.device)
        try:
            with torch.inference_mode():
                rows = getattr(self._model(input_ids=ids, attention_mask=mask), self._output)
        except IndexError as error:
            raise errors.InvalidModelFile(path=self._files.text, detail=f"{error}") from error
        return np.asarray(rows.float().cpu().numpy())


def _load(files: ModelFiles, tower: str, device: str, precision: str) -> tuple[Any, str]:
    import safetensors
    import torch
    import transformers

    family = read_json(files.path(files.names.config))["model_type"]
    name, output = _CLASSES[family, tower]
    _silence()
    whole = transformers.AutoConfig.from_pretrained(files.directory, local_files_only=True)
    config = whole.vision_config if tower == "image" else whole.text_config
    if family == "clip":
        # Some files give it only at the top level; each model alone would use the default, 512.
        config.projection_dim = whole.projection_dim
    try:
        model, report = getattr(transformers, name).from_pretrained(
            files.directory,
            config=config,
            # Only safetensors: a pickle can run code.
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
            dtype=torch.bfloat16 if precision == "bf16" else torch.float32,
        )
    except (RuntimeError, safetensors.SafetensorError) as error:
        raise errors.InvalidModelFile(path=files.vision, detail=str(error).partition("\n")[0]) from error
    if report["missing_keys"]:
        detail = f"it lacks {min(report['missing_keys'])}, so the model would be partly random"
        raise errors.InvalidModelFile(path=files.vision, detail=detail)
    return model.eval().to(device, memory_format=torch.channels_last), output


def _silence() -> None:
    """Silence transformers' progress bars and warnings; the relevant ones become errors here."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def _torch(threads: int) -> Any:
    try:
        import torch
        import transformers  # noqa: F401  (imported here, so that the error names the extra)
    except ImportError as error:
        raise errors.ExtraNotInstalled(what="This model", package=error.name, extra="torch") from error
    if threads:
        torch.set_num_threads(threads)
    return torch


def _compiles(device: str) -> bool:
    """
    Tell whether the image model is compiled: on CUDA, where fused kernels save more time than the seconds of compiling.

    Not on the CPU, where each of many workers would need a C++ compiler, and not without Triton, which generates the kernels.
    """
    import importlib.util

    return device == "cuda" and importlib.util.find_spec("triton") is not None


def _device(wanted: str) -> str:
    import torch

    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted == "cuda" and not torch.cuda.is_available():
        raise errors.DeviceUnavailable(device=wanted, detail="torch finds no CUDA device", instead="the CPU")
    if wanted not in {"cpu", "cuda"}:
        raise errors.DeviceUnavailable(
            device=wanted, detail="torch is used on cpu and cuda only", instead="one of them"
        )
    return wanted


def _precision(wanted: str, device: str) -> str:
    if wanted == "auto":
        return "bf16" if device == "cuda" else "fp32"
    if wanted not in {"fp32", "bf16"}:
        raise errors.PrecisionUnavailable(precision=wanted, detail="torch runs this model in fp32 and bf16 only")
    return wanted
