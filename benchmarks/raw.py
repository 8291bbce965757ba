"""
RAW files: the camera's own preview against a development at half size.

    python -m benchmarks.raw --images DIR [--model DIR ...] [--count 12] [--rounds 5] [--json FILE]

Photos of DIR become DNG files of a 12-megapixel sensor, with previews of several sizes and with none. Ways take turns; processor
milliseconds of one core for each file, decoded and prepared for the model, medians over the rounds. Cosine: between the embeddings of preview and development of the same
file, where the preview shows what the sensor saw, and where a camera made it darker in the shadows, lighter above, and more colourful; below it, what two
different photos have. Peak: memory above the start of a process that develops one file, bytes for each pixel.
"""

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.photos import enlarged, photos_in
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from pixfind.images import decode
from pixfind.models import hub, registry
from pixfind.models.encoders import ImageEncoder, open_image_encoder
from pixfind.storage.output import Output
from pixfind.testing.raw import encode_dng

LIMITS = decode.Limits(400_000_000)
WAYS = {"preview, full size": (4000, 3000), "preview 1620 x 1216": (1620, 1216), "development": None}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, help="a folder of JPEGs")
    parser.add_argument(
        "--model", type=Path, action="append", help="a folder of tools.make_model; default: the starter"
    )
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Output.at)
    parser.add_argument("--peak", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        print(_peak(options.peak.read_bytes()))
        return
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    photos = photos_in(options.images)
    pictures = [
        Image.open(io.BytesIO(enlarged(path, 0))).convert("RGB") for path in photos[:: len(photos) // options.count]
    ]
    pictures = pictures[: options.count]
    files = {
        way: [encode_dng(picture, preview=size and picture.resize(size)) for picture in pictures]
        for way, size in WAYS.items()
    }
    looks = [encode_dng(picture, preview=_look(picture)) for picture in pictures]
    report: dict[str, Any] = {"load": os.getloadavg()[0], "peak": _peak_of(files["development"][0])}
    print(f"load {report['load']:.1f}; peak of a development {report['peak']:.1f} bytes for each pixel")
    for model in options.model or [Path(registry.STARTER)]:
        encoder = open_image_encoder(hub.resolve(str(model), text=False), threads=1, precision="fp32")
        report[str(model)] = found = _measured(files, looks, encoder, options.rounds)
        print(model, json.dumps(found, indent=1))
    if options.json:
        options.json.write(json.dumps(report, indent=1).encode())


def _look(picture: Image.Image) -> Image.Image:
    """As cameras make their JPEGs: a curve in the shape of an S, and stronger colours."""
    x = np.linspace(0, 1, 256)
    curve = (255 * (0.4 * x + 0.6 * x * x * (3 - 2 * x))).round().astype(int).tolist()
    return ImageEnhance.Color(picture.point(curve * 3)).enhance(1.25)


def _measured(files: dict[str, list[bytes]], looks: list[bytes], encoder: ImageEncoder, rounds: int) -> dict[str, Any]:
    taken: dict[str, list[float]] = {way: [] for way in files}
    for _ in range(rounds):
        for way, datas in files.items():
            began = time.process_time()
            for data in datas:
                _prepared(data, encoder)
            taken[way].append(1e3 * (time.process_time() - began) / len(datas))
    rows = {way: _rows(datas, encoder) for way, datas in {**files, "look": looks}.items()}
    developed = rows["development"]
    others = developed @ developed.T
    return {
        "milliseconds": {way: round(statistics.median(found), 1) for way, found in taken.items()},
        "cosine to the development, mean and lowest": {
            way: _summary(np.sum(rows[way] * developed, axis=1)) for way in rows if way != "development"
        },
        "cosine of two photos, mean and highest": [
            round(float(others[~np.eye(len(others), dtype=bool)].mean()), 4),
            round(float(others[~np.eye(len(others), dtype=bool)].max()), 4),
        ],
    }


def _summary(cosines: NDArray[np.float32]) -> list[float]:
    return [round(float(cosines.mean()), 4), round(float(cosines.min()), 4)]


def _prepared(data: bytes, encoder: ImageEncoder) -> NDArray[np.uint8]:
    return encoder.prepare(decode.decode(data, limits=LIMITS, shortest_side=encoder.decode_side).image)


def _rows(datas: list[bytes], encoder: ImageEncoder) -> NDArray[np.float32]:
    rows = np.concatenate([encoder.finish(encoder.forward([_prepared(data, encoder)])) for data in datas])
    wide = rows.astype(np.float32)
    unit: NDArray[np.float32] = wide / np.linalg.norm(wide, axis=1, keepdims=True)
    return unit


def _peak_of(data: bytes) -> float:
    path = Path("/dev/shm") / f"pixfind-benchmark-{os.getpid()}.dng"  # noqa: S108  deleted below
    path.write_bytes(data)
    try:
        command = [sys.executable, "-m", "benchmarks.raw", "--peak", str(path)]
        return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    finally:
        path.unlink()


def _peak(data: bytes) -> float:
    import rawpy  # noqa: F401  what importing takes is not counted

    before = _highest()
    size = decode.decode(data, limits=LIMITS).metadata
    return (_highest() - before) / (size.width * size.height)


def _highest() -> int:
    """The most memory that this process has had, bytes."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


if __name__ == "__main__":
    main()
