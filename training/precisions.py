"""
What the stored precision costs: the model folder as it is (float16 storage, float32 arithmetic) beside int8.

    python -m training.precisions

Prints size, figures on held-out drawn pictures, speed, and how close the embeddings of int8 are. Nothing is kept: which
of the two ships is written in docs/explanation/starter.md.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
from onnxruntime import quantization
from PIL import Image

from training.evaluate import EVALUATION_SEED, PACKAGE, Model, drawn_figures, pair_figures, speed
from training.gallery import Gallery, draw_gallery

CALIBRATED_ON = 256


class _Calibration(quantization.CalibrationDataReader):  # type: ignore[misc]
    """Drawn pictures, prepared, sixteen at a time."""

    def __init__(self, model: Model, gallery: Gallery) -> None:
        pictures = [Image.fromarray(pixels) for pixels in gallery.pixels[:CALIBRATED_ON]]
        self._batches = iter([{"image": model.prepare(pictures[at : at + 16])} for at in range(0, len(pictures), 16)])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._batches, None)


def write_int8(folder: Path, out: Path, gallery: Gallery) -> None:
    """The model in `folder` with int8 weights, and int8 activations in the image tower; `out` must not exist."""
    shutil.copytree(folder, out, ignore=shutil.ignore_patterns("__pycache__"))
    prepared = out / "visual" / "prepared.onnx"
    prepare = quantization.shape_inference.quant_pre_process
    prepare(str(folder / "visual" / "model.onnx"), str(prepared), skip_symbolic_shape=True)
    quantization.quantize_static(
        str(prepared), str(out / "visual" / "model.onnx"), _Calibration(Model(folder), gallery), per_channel=True
    )
    prepared.unlink()
    text = out / "textual" / "prepared.onnx"
    prepare(str(folder / "textual" / "model.onnx"), str(text), skip_symbolic_shape=True)
    quantization.quantize_dynamic(str(text), str(out / "textual" / "model.onnx"), per_channel=True)
    text.unlink()


def compare(folder: Path, cache: Path) -> dict[str, dict[str, object]]:
    """Size in bytes, figures and speed for each precision, and the mean cosine between their embeddings."""
    drawn = draw_gallery(cache, 1000, EVALUATION_SEED, 2)
    seen, unseen = (draw_gallery(cache, 500, EVALUATION_SEED, 2, kind) for kind in ("shapes", "held-out"))
    pictures = [Image.fromarray(pixels) for pixels in drawn.pixels]
    with tempfile.TemporaryDirectory() as scratch:
        small = Path(scratch) / "int8"
        write_int8(folder, small, drawn)
        found: dict[str, dict[str, object]] = {}
        embeddings = []
        for name, path in (("float16", folder), ("int8", small)):
            model = Model(path)
            figures = drawn_figures(model, drawn)
            del figures["AP per word (base rate)"]
            found[name] = {
                "bytes": sum(file.stat().st_size for file in path.rglob("*.onnx")),
                **figures,
                "pairs": pair_figures(model, seen, unseen),
                "speed": speed(path, []),
            }
            embeddings.append(model.images(pictures))
    cosines = (embeddings[0] * embeddings[1]).sum(1)
    found["int8"]["cosine to float16, mean and least"] = [round(float(f(cosines)), 4) for f in (np.mean, np.min)]
    return found


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m training.precisions", description="Measure float16 against int8.")
    parser.add_argument("--model", type=Path, default=PACKAGE)
    parser.add_argument("--cache", type=Path, default=Path("build") / "training", help="where drawn pictures are kept")
    arguments = parser.parse_args()
    print(json.dumps(compare(arguments.model, arguments.cache), indent=2))


if __name__ == "__main__":
    main()
