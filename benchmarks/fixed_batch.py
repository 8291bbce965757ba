"""
A model whose graphs take one input, as Immich publishes them, against the copy that pixfind makes of it, which takes any number.

    python -m benchmarks.fixed_batch --model DIR [--images DIR] [--rounds 7] [--json FILE]

DIR of the model is one of `tools.make_model --layout immich`. Each row compares two sessions in one process, which take a batch of 16 in
turns; medians of the rounds. "of processor" counts all threads, so it tells more than the clock where other programs run.
The cosine is that of each row of the one to the same row of the other. Of int8 it is below 1 because its range is that of the whole batch.

With --images the whole program embeds these JPEGs with the published model, in each precision, and tells how many workers died.
"""

import argparse
import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixfind.models import hub, onnx_header, preprocess, tokenizer
from pixfind.models.backends import free_batch, onnx, openvino, quantize, towers
from pixfind.models.files import ModelFiles
from pixfind.models.tune import QUERIES

BATCH = 16
Work = Callable[[], NDArray[np.float32]]


def main() -> None:
    options = _options()
    files = hub.resolve(str(options.model), text=True)
    assert onnx_header.read(files.vision).takes_one, "the model takes any number as it is: nothing to compare"
    precisions = ["fp32", "int8", *(["bf16"] if openvino.has_bf16() else [])]
    report: dict[str, Any] = {"rows": [], "embeds": []}
    print(
        "| tower | precision | threads | one by one | together | times | one by one, of processor | together | worst cosine |"
    )
    print("|---|---|--:|--:|--:|--:|--:|--:|--:|")
    for threads in (1, 2):
        for precision in precisions:
            for tower, pair in _pairs(files, precision, threads):
                row = {"tower": tower, "precision": precision, "threads": threads, **_compared(pair, options.rounds)}
                report["rows"].append(row)
                print(_line(row), flush=True)
    for precision in precisions if options.images else ():
        report["embeds"].append(_embedded(options, precision))
        print(report["embeds"][-1], flush=True)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1), encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="a folder of tools.make_model --layout immich")
    parser.add_argument("--images", type=Path, help="a folder of JPEGs, for the whole program")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def _pairs(files: ModelFiles, precision: str, threads: int) -> Iterator[tuple[str, tuple[Work, Work]]]:
    made = preprocess.load(files)
    pixels = np.concatenate([free_batch.pictures(made.side)] * BATCH)[:BATCH]
    pixels = np.stack([np.roll(one, 7 * place, axis=1) for place, one in enumerate(pixels)])
    images = [
        towers.ImageTower(_session(graph, files.vision, precision, threads), files, made)
        for graph in (files.vision, free_batch.vision(files, made))
    ]
    yield "images", ((lambda: images[0].run(pixels)), (lambda: images[1].run(pixels)))
    texts = [
        towers.TextTower(_session(graph, files.text, precision, threads), files)
        for graph in (files.text, free_batch.text(files))
    ]
    tokens = tokenizer.load(files, texts[0].context).encode(QUERIES[:BATCH])
    yield "texts", ((lambda: texts[0].run(tokens)), (lambda: texts[1].run(tokens)))


def _session(graph: Path, published: Path, precision: str, threads: int) -> towers.Session:
    if precision == "bf16":
        return openvino.Session(graph, threads=threads, precision=precision)
    if precision == "int8":
        graph = quantize.int8(graph, published)
    return onnx.Session(graph, threads=threads, precision=precision, device="cpu")


def _compared(pair: tuple[Work, Work], rounds: int) -> dict[str, float]:
    """Let both work in turns; the first turn of each lays out memory and is no measure."""
    one, many = (_unit(work()) for work in pair)
    clock: tuple[list[float], list[float]] = ([], [])
    processor: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for place, work in enumerate(pair):
            began, used = time.perf_counter(), time.process_time()
            work()
            clock[place].append(BATCH / (time.perf_counter() - began))
            processor[place].append(BATCH / (time.process_time() - used))
    rates = [statistics.median(values) for values in (*clock, *processor)]
    names = ("one_by_one", "together", "one_by_one_of_processor", "together_of_processor")
    return dict(zip(names, rates, strict=True)) | {"worst_cosine": float((one * many).sum(axis=1).min())}


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    exact = rows.astype(np.float64)
    return np.asarray(exact / np.linalg.norm(exact, axis=1, keepdims=True))


def _embedded(options: argparse.Namespace, precision: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "library"
        ours = [sys.executable, "-m", "pixfind", "-q", "--library", str(library)]
        model = ["--model", str(options.model), "--precision", precision]
        subprocess.run([*ours, "add", str(options.images), *model], check=True)
        subprocess.run([*ours, "embed", "--cpu", "100%", "--nice", "0"], check=True)
        with sqlite3.connect(library / "metadata.db") as database:
            ((found,),) = database.execute("SELECT report FROM runs WHERE report IS NOT NULL ORDER BY id DESC LIMIT 1")
    report = json.loads(found)
    return {"precision": precision, **{key: report[key] for key in ("outcomes", "deaths", "seconds", "start_seconds")}}


def _line(row: dict[str, Any]) -> str:
    times = row["together"] / row["one_by_one"]
    rates = f"{row['one_by_one']:.1f} | {row['together']:.1f} | {times:.2f}"
    processor = f"{row['one_by_one_of_processor']:.1f} | {row['together_of_processor']:.1f}"
    cosine = f"{row['worst_cosine']:.6f}"
    return f"| {row['tower']} | {row['precision']} | {row['threads']} | {rates} | {processor} | {cosine} |"


if __name__ == "__main__":
    main()
