"""
Text read by RapidOCR, whose package has its models with it: PP-OCR, one model that finds lines and one that reads them.

Owns the `rapidocr` library. It downloads a model that is missing or has another checksum, at the first use; so the files are given to it by their
names, after a look whether they are there: it never connects anywhere. Must not know files of pictures, or the library.
"""

import importlib.metadata
import importlib.util
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pixfind import errors
from pixfind.types import TextLine

_MODELS: Final[dict[str, str]] = {
    "Det": "PP-OCRv6_det_small.onnx",
    "Rec": "PP-OCRv6_rec_small.onnx",
    "Cls": "ch_ppocr_mobile_v2.0_cls_mobile.onnx",
}
"""step of the library -> file in its package"""

_GATE_SIDE: Final = 640
"""Pixels of the longer side at which a picture is first looked at: what has no line there is not looked at more closely."""

_GATE_BOX_SCORE: Final = 0.3
"""The library's own limit is 0.5: at this one small letters pass too (benchmarks/reading.py)."""

_BOX_SCORE: Final = 0.5
_MIN_CONFIDENCE: Final = 0.5
_MAX_LINES: Final = 400
"""that are read in one picture, the largest: reading a thousand takes minutes"""


def name() -> str:
    """Return the library and its version; raises ExtraNotInstalled, ReaderUnusable."""
    _paths()
    return f"rapidocr {importlib.metadata.version('rapidocr')}"


class Reader:
    """A loaded reader."""

    def __init__(self, threads: int) -> None:
        """Load the models, for so many threads; raises ExtraNotInstalled, ReaderUnusable."""
        paths = _paths()
        settings: dict[str, Any] = {
            "Global.log_level": "critical",
            "Global.use_cls": False,
            "Global.text_score": _MIN_CONFIDENCE,
            "Global.max_side_len": 1 << 20,  # the caller has scaled it
            "Det.limit_type": "max",
            "EngineConfig.onnxruntime.intra_op_num_threads": threads,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            **{f"{step}.model_path": str(path) for step, path in paths.items()},
        }
        try:
            from rapidocr import RapidOCR

            self._ocr: Any = RapidOCR(params=settings)
            # At once, not with the first picture: then what is wrong with a model ends the worker before it is ready.
            self._find, _ = self._ocr._load_det_model(), self._ocr._load_rec_model()  # noqa: SLF001
        except Exception as error:
            # It raises whatever its parts raise: the models are of another version, or a part of it is missing.
            raise errors.ReaderUnusable(detail=f"{type(error).__name__}: {error}") from error
        logging.getLogger("RapidOCR").setLevel(logging.CRITICAL)

    def read(self, pixels: NDArray[np.uint8]) -> tuple[TextLine, ...]:
        """Return the lines of text in RGB pixels [h, w, 3], from top to bottom; none where nothing looks like text."""
        # The models were trained with pictures of OpenCV: blue first.
        image = np.ascontiguousarray(pixels[..., ::-1])
        if not self._boxes(image, _GATE_SIDE, _GATE_BOX_SCORE):
            return ()
        boxes = self._boxes(image, max(image.shape[:2]), _BOX_SCORE)
        if not boxes:
            return ()
        crops = self._ocr.crop_text_regions(image, np.array(boxes, np.float32))
        found = self._ocr.recognize_txt(crops)
        height, width = image.shape[:2]
        return tuple(
            TextLine(text.strip(), round(float(score), 3), _relative(box, width, height))
            for box, text, score in zip(boxes, found.txts, found.scores, strict=True)
            if text.strip() and score >= _MIN_CONFIDENCE
        )

    def _boxes(self, image: NDArray[np.uint8], side: int, score: float) -> list[NDArray[np.float32]]:
        """Return the boxes [4, 2] of lines, found at this length of the longer side, from top to bottom."""
        self._find.limit_side_len = side
        self._find.postprocess_op.box_thresh = score
        found = self._find(image)
        if found.boxes is None:
            return []
        boxes = list(found.boxes)
        if len(boxes) > _MAX_LINES:
            areas = [float(np.ptp(box[:, 0]) * np.ptp(box[:, 1])) for box in boxes]
            smallest = sorted(areas, reverse=True)[_MAX_LINES - 1]
            boxes = [box for box, area in zip(boxes, areas, strict=True) if area >= smallest][:_MAX_LINES]
        return boxes


def _paths() -> Mapping[str, Path]:
    """Return step -> path of its model, without importing the library; raises ExtraNotInstalled, ReaderUnusable."""
    try:
        found = importlib.util.find_spec("rapidocr")
    except ValueError:  # It was taken out of `sys.modules`.
        found = None
    if found is None or found.origin is None:
        raise errors.ExtraNotInstalled(what="Reading the text in pictures", package="rapidocr", extra="ocr")
    paths = {step: Path(found.origin).parent / "models" / file for step, file in _MODELS.items()}
    missing = [str(path) for path in paths.values() if not path.is_file()]
    if missing:
        raise errors.ReaderUnusable(detail=f"{missing[0]} is missing")
    return paths


def _relative(box: NDArray[np.float32], width: int, height: int) -> tuple[float, ...]:
    """Return the corners of a box as x, y, x, y, ... from 0 to 1."""
    corners = np.clip(box / (width, height), 0, 1)
    return tuple(round(float(value), 4) for value in corners.ravel())
