"""
Decoding: how fast one core reads JPEGs, and what the alternatives would give.

    python -m benchmarks.decode --images DIR [--rounds 5] [--json FILE]

Every round runs every reader over the same bytes, one after the other, so that a busy machine hits all of them alike;
compare the ratios, not the rates. A reader whose library is not installed is left out. Each ends with the same resize
and centre crop, because a smaller decode also makes these cheaper. Parity is the mean difference to the full decode, in
steps of 255, after them.
"""

import argparse
import io
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from benchmarks.photos import enlarged, photos_in
from numpy.typing import NDArray
from PIL import Image

from pixfind.images import decode
from pixfind.storage.output import Output

SIDE = 224
LIMITS = decode.Limits(400_000_000)

Pixels = NDArray[np.uint8]
Reader = Callable[[bytes], Pixels]


def main() -> None:
    """Measure and print."""
    arguments = _arguments()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    report: dict[str, Any] = {"side": SIDE, "pillow": PIL.__version__, "sets": {}}
    for name, pictures in _sets(arguments.images, arguments.large):
        readers = dict(_readers())
        report["sets"][name] = {"files": len(pictures), "mean_bytes": int(statistics.mean(map(len, pictures)))}
        report["sets"][name]["readers"] = _measure(readers, pictures, arguments.rounds)
        _print(name, report["sets"][name])
    if arguments.json:
        arguments.json.write(json.dumps(report, indent=1).encode())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True, help="a folder of JPEGs")
    parser.add_argument("--large", type=int, default=16, help="how many 12-megapixel JPEGs to make from them")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Output.at)
    return parser.parse_args()


def _sets(folder: Path, large: int) -> Iterator[tuple[str, list[bytes]]]:
    files = photos_in(folder)
    yield "as they are", [path.read_bytes() for path in files]
    yield "12 megapixels", [enlarged(path, seed) for seed, path in enumerate(files[:: max(1, len(files) // large)])]


def _readers() -> Iterator[tuple[str, Reader]]:
    yield "Pillow, in full", _pillow
    yield "Pillow, draft x 1", lambda data: _pillow(data, 1)
    yield "Pillow, draft x 2", lambda data: _pillow(data, 2)
    yield "pixfind, in full", lambda data: _prepared(decode.decode(data, limits=LIMITS).image)
    yield "pixfind", lambda data: _prepared(decode.decode(data, limits=LIMITS, shortest_side=SIDE).image)
    try:
        import simplejpeg
    except ImportError:
        pass
    else:
        yield "simplejpeg, in full", lambda data: _prepared(Image.fromarray(simplejpeg.decode_jpeg(data)))
        yield "simplejpeg, scaled x 2", lambda data: _simplejpeg(data, fast=False)
        yield "simplejpeg, scaled x 2, fast", lambda data: _simplejpeg(data, fast=True)
    try:
        import cv2
    except ImportError:
        pass
    else:
        cv2.setNumThreads(1)
        yield "OpenCV, reduced", _opencv


def _prepared(image: Image.Image) -> Pixels:
    """Shorter side to SIDE, then the centre: what a CLIP preprocessor does."""
    scale = SIDE / min(image.size)
    width, height = (max(SIDE, round(side * scale)) for side in image.size)
    left, top = (width - SIDE) // 2, (height - SIDE) // 2
    resized = image.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(resized.crop((left, top, left + SIDE, top + SIDE)))


def _pillow(data: bytes, margin: int = 0) -> Pixels:
    with Image.open(io.BytesIO(data)) as image:
        if margin:
            image.draft(None, (SIDE * margin, SIDE * margin))
        return _prepared(image.convert("RGB"))


def _simplejpeg(data: bytes, *, fast: bool) -> Pixels:
    import simplejpeg

    side = 2 * SIDE
    height, width, *_ = simplejpeg.decode_jpeg_header(data)
    scale = min(1.0, side / min(height, width))
    pixels = simplejpeg.decode_jpeg(
        data, fastdct=fast, fastupsample=fast, min_height=int(height * scale), min_width=int(width * scale)
    )
    return _prepared(Image.fromarray(pixels))


def _opencv(data: bytes) -> Pixels:
    import cv2

    with Image.open(io.BytesIO(data)) as image:
        scale = min(image.size) // (2 * SIDE)
    flags = {8: cv2.IMREAD_REDUCED_COLOR_8, 4: cv2.IMREAD_REDUCED_COLOR_4, 2: cv2.IMREAD_REDUCED_COLOR_2}
    flag = next((flags[step] for step in (8, 4, 2) if scale >= step), cv2.IMREAD_COLOR)
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    return _prepared(Image.fromarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)))


def _measure(readers: dict[str, Reader], pictures: list[bytes], rounds: int) -> dict[str, dict[str, float]]:
    references = [_pillow(data).astype(np.int16) for data in pictures]
    differences = {
        name: statistics.mean(
            float(np.abs(read(data) - reference).mean()) for data, reference in zip(pictures, references, strict=True)
        )
        for name, read in readers.items()
    }
    seconds: dict[str, list[float]] = {name: [] for name in readers}
    for _ in range(rounds):
        for name, read in readers.items():
            started = time.process_time()
            for data in pictures:
                read(data)
            seconds[name].append(time.process_time() - started)
    return {
        name: {
            "images_per_second": len(pictures) / statistics.median(times),
            "ratio": statistics.median(base / own for base, own in zip(seconds["Pillow, in full"], times, strict=True)),
            "difference": differences[name],
        }
        for name, times in seconds.items()
    }


def _print(name: str, result: dict[str, Any]) -> None:
    print(f"\n{name}: {result['files']} files of {result['mean_bytes'] / 1e6:.2f} MB")
    print("| reader | images/s on one core | times Pillow in full | difference |")
    print("|---|--:|--:|--:|")
    for reader, row in result["readers"].items():
        print(f"| {reader} | {row['images_per_second']:.0f} | {row['ratio']:.2f} | {row['difference']:.2f} |")


if __name__ == "__main__":
    main()
