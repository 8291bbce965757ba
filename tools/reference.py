"""
The reference that pixfind's encoders must equal: transformers' own image processor, tokenizer and model.

For the parity tests and `tools.make_golden`. Needs the torch extra. Shares no code with pixfind.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer


class Reference:
    """A model as transformers runs it, in float32."""

    def __init__(self, directory: Path) -> None:
        self._model = AutoModel.from_pretrained(directory, dtype=torch.float32).eval()
        self._processor = AutoImageProcessor.from_pretrained(directory)
        self._tokenizer = AutoTokenizer.from_pretrained(directory)

    @property
    def siglip(self) -> bool:
        """Whether texts are cleaned before they come here, in the layouts of open_clip."""
        return bool(self._model.config.model_type == "siglip")

    def images(self, pictures: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Return [n, d] rows of unit length."""
        return np.concatenate([self._image(picture) for picture in pictures])

    def texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return [n, d] rows of unit length."""
        return np.concatenate([self._text(text) for text in texts])

    def _image(self, picture: Image.Image) -> NDArray[np.float32]:
        with torch.inference_mode():
            return _unit(self._model.get_image_features(**self._processor([picture], return_tensors="pt")))

    def _text(self, text: str) -> NDArray[np.float32]:
        config = self._model.config
        tokens = self._tokenizer(
            [text],
            padding="max_length",
            truncation=True,
            max_length=config.text_config.max_position_embeddings,
            return_tensors="pt",
        )
        if config.model_type == "siglip":
            # Trained without one; transformers' own SiglipProcessor passes none either.
            tokens.pop("attention_mask", None)
        with torch.inference_mode():
            return _unit(self._model.get_text_features(**tokens))


def _unit(output: Any) -> NDArray[np.float32]:
    rows = output if torch.is_tensor(output) else output.pooler_output
    return np.asarray(torch.nn.functional.normalize(rows, dim=-1).numpy())
