"""
Embedding: images per second of pixfind, of the two obvious ways to do it, and of what decoding and model allow.

    python -m benchmarks.embed --images DIR --model DIR [--rounds 3] [--json FILE]

DIR of the model is one of `tools.make_model`, which keeps the weights for transformers too (in reference/). All contenders embed the
same files with the same weights, in turns, each in a process of its own; the median of the rounds is told.

- naive: the single worker of the guide. Pillow decodes in full, transformers runs in torch float32, batches of 32, all threads.
- plain ONNX: Pillow decodes in full, ONNX Runtime runs float32, batches of 8, as rclip and Immich do.
- pixfind: the whole program in each precision, `--cpu 100%`, everything saved and registered; counted from the moment when a
  worker is ready, as the others are.
- ceilings: decode alone and model alone on all cores; together no pipeline can be faster than 1 / (1 / decode + 1 / model).
- share of the peak: the operations of the model a second, of those of a plain product of matrices in the same precision and on the same cores
  (benchmarks/peak.py), both by processor time. A precision that this machine cannot run is left out, and named.
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks import peak
from benchmarks.photos import different, enlarged, photos_in
from numpy.typing import NDArray
from PIL import Image

from pixfind import errors
from pixfind.images import decode
from pixfind.models import hub
from pixfind.models.encoders import open_image_encoder
from pixfind.storage.output import Output

LIMITS = decode.Limits(400_000_000)
CORES = len(os.sched_getaffinity(0))
_SLOW = {"naive": 32, "plain ONNX": 32}
"""images beyond the warm-up, for those that would take minutes"""
_SECONDS = 6.0
"""of each ceiling"""
_BATCH = 16


def main() -> None:
    options = _options()
    if options.child:
        name, files = options.child, [Path(line) for line in sys.stdin.read().splitlines()]
        print(json.dumps(_CHILDREN[name](files, options)))
        return
    options.precisions = ",".join(_usable(options))
    report: dict[str, Any] = {"cores": CORES, "sets": {}, "load": os.getloadavg()[0]}
    with tempfile.TemporaryDirectory() as scratch:
        place = options.place or Path(scratch)
        for name, files in _sets(options, place):
            rounds = [_round(files, options) for _ in range(options.rounds)]
            report["sets"][name] = _medians(rounds) | {"files": len(files)}
            print(_table(name, report["sets"][name]), flush=True)
    if options.json:
        options.json.write(json.dumps(report, indent=1).encode())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True, help="a folder of JPEGs")
    parser.add_argument("--model", type=Path, required=True, help="a folder of tools.make_model")
    parser.add_argument("--count", type=int, default=420, help="files of the first set")
    parser.add_argument("--large", type=int, default=160, help="files of 12 megapixels; 0: without that set")
    parser.add_argument("--precisions", default="fp32,bf16,int8,int8-openvino")
    parser.add_argument("--workers", type=int, help="of pixfind; default: its own plan")
    parser.add_argument("--only", help="contenders, with commas; default: all")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--place", type=Path, help="keeps the files for the next call")
    parser.add_argument("--json", type=Output.at)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--precision", help=argparse.SUPPRESS)
    return parser.parse_args()


def _usable(options: argparse.Namespace) -> list[str]:
    """Return the precisions that can be used here; what they need for the model is made before anything is measured."""
    found = []
    for precision in options.precisions.split(","):
        try:
            open_image_encoder(hub.resolve(str(options.model)), threads=1, precision=precision)
        except errors.OperationError as error:
            print(f"without {precision}: {str(error).splitlines()[0]}")
        else:
            found.append(precision)
    return found


def _sets(options: argparse.Namespace, place: Path) -> Iterator[tuple[str, list[Path]]]:
    photos = photos_in(options.images)
    if options.count:
        yield "as they are", different([path.read_bytes() for path in photos], options.count, place / "photos")
    if options.large:
        folder = place / "large"
        few = photos[:: max(1, len(photos) // 24)]
        made = [folder / f"made-{number}" for number in range(len(few))]
        folder.mkdir(parents=True, exist_ok=True)
        for number, (path, to) in enumerate(zip(few, made, strict=True)):
            if not to.exists():
                to.write_bytes(enlarged(path, number))
        yield "12 megapixels", different([path.read_bytes() for path in made], options.large, folder)


def _round(files: list[Path], options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    return {
        _label(name, precision): _in_a_process(name, precision, files, options)
        for name, precision in _contenders(options)
    }


def _contenders(options: argparse.Namespace) -> list[tuple[str, str]]:
    precisions = options.precisions.split(",")
    found = [("naive", "fp32"), ("plain ONNX", "fp32"), ("decode alone", "-")]
    for precision in precisions:
        found += [("peak", precision), ("model alone", precision), ("pixfind", precision)]
    only = options.only.split(",") if options.only else None
    return [one for one in found if only is None or one[0] in only]


def _label(name: str, precision: str) -> str:
    return f"{name} {precision}" if name in {"peak", "pixfind", "model alone"} else name


def _in_a_process(name: str, precision: str, files: list[Path], options: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.embed", "--child", name, "--precision", precision]
    command += ["--images", str(options.images), "--model", str(options.model)]
    if options.workers:
        command += ["--workers", str(options.workers)]
    done = subprocess.run(command, input="\n".join(map(str, files)), check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


# --- contenders, each in its own process ----------------------------------------------------------


def _naive(files: list[Path], options: argparse.Namespace) -> dict[str, Any]:
    import torch
    from transformers import AutoImageProcessor, AutoModel

    reference = options.model / "reference"
    model = AutoModel.from_pretrained(reference).eval()
    processor = AutoImageProcessor.from_pretrained(reference)
    torch.set_num_threads(CORES)

    def embed(batch: list[Path]) -> None:
        pictures = [Image.open(path).convert("RGB") for path in batch]
        with torch.inference_mode():
            model.get_image_features(**processor(images=pictures, return_tensors="pt"))

    return _timed(embed, files, 32, _SLOW["naive"])


def _plain(files: list[Path], options: argparse.Namespace) -> dict[str, Any]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(options.model / "visual/model.onnx"), providers=["CPUExecutionProvider"])
    (port,) = session.get_inputs()
    side = json.loads((options.model / "visual/preprocess_cfg.json").read_text(encoding="utf-8"))["size"]
    side = side if isinstance(side, int) else side[0]

    # Immich's graphs take one picture at a time.
    together = port.shape[0] if isinstance(port.shape[0], int) else 8

    def embed(batch: list[Path]) -> None:
        rows = np.stack([_square(Image.open(path).convert("RGB"), side) for path in batch])
        for first in range(0, len(rows), together):
            session.run(None, {port.name: rows[first : first + together]})

    return _timed(embed, files, 8, _SLOW["plain ONNX"])


def _square(image: Image.Image, side: int) -> NDArray[np.float32]:
    scale = side / min(image.size)
    image = image.resize((max(side, round(image.width * scale)), max(side, round(image.height * scale))), 3)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    pixels = np.asarray(image.crop((left, top, left + side, top + side)), dtype=np.float32)
    scaled = (pixels / np.float32(255) - np.float32(0.5)) / np.float32(0.25)
    return np.asarray(scaled.transpose(2, 0, 1), np.float32)


def _timed(embed: Callable[[list[Path]], None], files: list[Path], batch: int, count: int) -> dict[str, Any]:
    embed(files[:batch])
    files = files[batch : batch + max(count, batch)]
    began, used = time.perf_counter(), time.process_time()
    for first in range(0, len(files), batch):
        embed(files[first : first + batch])
    return {
        "images_per_second": len(files) / (time.perf_counter() - began),
        "per_core_second": len(files) / (time.process_time() - used),
    }


def _pixfind(files: list[Path], options: argparse.Namespace) -> dict[str, Any]:
    """The command line, as a user runs it; the report of the run is in the library."""
    import sqlite3

    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "library"
        ours = [sys.executable, "-m", "pixfind", "-q", "--library", str(library)]
        pictures = files[0].parent
        model = ["--model", str(options.model), "--precision", options.precision]
        subprocess.run([*ours, "add", str(pictures), "--exclude", "made-*", *model], check=True)
        workers = [str(options.workers)] if options.workers else []
        subprocess.run([*ours, "embed", *workers, "--cpu", "100%", "--nice", "0"], check=True)
        with sqlite3.connect(library / "metadata.db") as database:
            ((report,),) = database.execute("SELECT report FROM runs WHERE report IS NOT NULL ORDER BY id DESC LIMIT 1")
        done = json.loads(report)
    assert done["images"] == len(files), done
    done["images_per_second"] = done["images"] / (done["seconds"] - done["start_seconds"])
    done["per_core_second"] = done["images"] / done["processor_seconds"]
    return dict(done)


def _decode_alone(files: list[Path], options: argparse.Namespace) -> dict[str, Any]:
    decode.use_one_thread_per_picture()
    encoder = open_image_encoder(hub.resolve(str(options.model)), threads=1, precision="int8")
    todo = itertools.cycle([path.read_bytes() for path in files[:140]])

    def one() -> int:
        encoder.prepare(decode.decode(next(todo), limits=LIMITS, shortest_side=encoder.decode_side).image)
        return 1

    return _on_all_cores([one] * CORES)


def _model_alone(files: list[Path], options: argparse.Namespace) -> dict[str, Any]:
    """One session of one thread a core: what a core can do when it shares nothing but memory."""
    model = hub.resolve(str(options.model))
    encoders = [open_image_encoder(model, threads=1, precision=options.precision) for _ in range(CORES)]
    picture = decode.decode(files[0].read_bytes(), limits=LIMITS, shortest_side=encoders[0].decode_side).image
    batch = [encoders[0].prepare(picture)] * _BATCH

    def forward(encoder: Any) -> Callable[[], int]:
        return lambda: len(encoder.forward(batch))

    return _on_all_cores([forward(encoder) for encoder in encoders])


def _peak(_: list[Path], options: argparse.Namespace) -> dict[str, Any]:
    """Plain products on all cores, as the images a second that their operations would be."""
    each = peak.OPERATIONS / peak.operations(hub.resolve(str(options.model)).vision)
    product = [peak.product(options.precision) for _ in range(CORES)]

    def multiply(run: Callable[[], object]) -> Callable[[], float]:
        def once() -> float:
            run()
            return each

        return once

    return _on_all_cores([multiply(run) for run in product])


def _on_all_cores(works: Sequence[Callable[[], float]]) -> dict[str, float]:
    """Run each in a thread for a while; return the images a second, all together, and per second of processor time."""
    counts = [0.0] * len(works)
    for work in works:
        work()
    end = time.perf_counter() + _SECONDS

    def run(place: int) -> None:
        while time.perf_counter() < end:
            counts[place] += works[place]()

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(works))]
    began, used = time.perf_counter(), time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {
        "images_per_second": sum(counts) / (time.perf_counter() - began),
        "per_core_second": sum(counts) / (time.process_time() - used),
    }


_CHILDREN: dict[str, Callable[[list[Path], argparse.Namespace], dict[str, Any]]] = {
    "naive": _naive,
    "plain ONNX": _plain,
    "pixfind": _pixfind,
    "decode alone": _decode_alone,
    "model alone": _model_alone,
    "peak": _peak,
}


# --- telling --------------------------------------------------------------------------------------


_FIGURES = ("images_per_second", "per_core_second")


def _medians(rounds: list[dict[str, dict[str, Any]]]) -> dict[str, Any]:
    found: dict[str, Any] = {"rounds": rounds}
    for figure in _FIGURES:
        found[figure] = {name: statistics.median(one[name][figure] for one in rounds) for name in rounds[0]}
    return found


def _table(name: str, found: dict[str, Any]) -> str:
    rates, per_core = (found[figure] for figure in _FIGURES)
    lines = [
        f"\n{name}, {found['files']} files, {CORES} cores, load {os.getloadavg()[0]:.1f}\n",
        "| | images/s | times naive | of its ceiling | per second of processor | times naive | of its ceiling | of the peak |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for label, rate in rates.items():
        times = [f"{each[label] / each['naive']:.2f}" if "naive" in each else "-" for each in (rates, per_core)]
        shares = [_of_ceiling(label, figures) for figures in (rates, per_core)]
        lines.append(
            f"| {label} | {rate:.1f} | {times[0]} | {shares[0]} | {per_core[label]:.1f} | {times[1]} | {shares[1]} | "
            f"{_of_peak(label, per_core)} |"
        )
    return "\n".join(lines)


def _of_ceiling(label: str, figures: dict[str, float]) -> str:
    """A pipeline that decodes and models and does nothing else reaches 1 / (1 / decode + 1 / model)."""
    decoding, modelling = figures.get("decode alone"), figures.get(f"model alone {label.removeprefix('pixfind ')}")
    if not label.startswith("pixfind") or not decoding or not modelling:
        return ""
    return f"{figures[label] * (1 / decoding + 1 / modelling):.0%}"


def _of_peak(label: str, per_core: dict[str, float]) -> str:
    """Return the share that the model alone reaches of a plain product in its precision."""
    of_product = per_core.get(label.replace("model alone", "peak"))
    return f"{per_core[label] / of_product:.0%}" if label.startswith("model alone") and of_product else ""


if __name__ == "__main__":
    main()
