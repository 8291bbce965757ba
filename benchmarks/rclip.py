"""
pixfind against rclip: from nothing to the first search answered, on the same weights and pictures.

    python -m benchmarks.rclip --images DIR --model DIR --rclip PATH [--precisions int8,tuned] [--count 400] [--rounds 3] [--json FILE]

DIR of the model is one of `tools.make_model clip-vit-b32-256 DIR --layout transformers`: the architecture that rclip runs. PATH is the executable of
rclip (3.3.0) in an environment of its own. Both get these weights beforehand, as after a download, and a tokenizer of the right size; the answers
of random weights mean nothing, so only the cost is compared.

Each contender starts with no library, reads all pictures, and answers one text query; they take turns. rclip does both in one command, pixfind in two
(`index` with `--cpu 100%`, then `search`). Processor time is that of the commands and of all that they started. What pixfind keeps for each model (the int8
graph, the embeddings of the built-in queries) is made in the "first use" row, and lies in its cache in the others.
"tuned" is the precision that `pixfind tune` chooses on these pictures, with what that choice cost once.
"""

import argparse
import gzip
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import onnx
from benchmarks.photos import photos_in
from PIL import Image

from pixfind.models import cache
from pixfind.storage.output import Output

_SIZE = (500, 375)
_MARGIN = 12
"""pixels by which crops of one photo lie apart: other pixels, the same cost"""
_QUERY = "a red car"
_RCLIP_MODEL = "ViT-B-32-256-datacomp_s34b_b86k"
_MERGES = 49152 - 256 - 2
"""of the vocabulary that rclip reads"""


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(dir=options.place) as folder:
        place = Path(folder)
        pictures = place / "pictures"
        _write_pictures(photos_in(options.images), options.count, pictures)
        _write_rclip_model(options.model, place / "rclip-model")
        os.environ[cache.VARIABLE] = str(place / "cache")
        runs = _take_turns(place, pictures, options)
    report = {name: _summary(found) for name, found in runs.items()}
    print(_table(report, options.count))
    if options.json:
        options.json.write(json.dumps(report, indent=1).encode())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True, help="a folder of JPEGs")
    parser.add_argument("--model", type=Path, required=True, help="a folder of tools.make_model")
    parser.add_argument("--rclip", type=Path, required=True, help="its executable")
    parser.add_argument("--precisions", default="int8", help="with commas; tuned: what `pixfind tune` chooses")
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--place", type=Path, help="where all files lie while this runs")
    parser.add_argument("--json", type=Output.at)
    return parser.parse_args()


# --- what both read -------------------------------------------------------------------------------


def _write_pictures(photos: list[Path], count: int, folder: Path) -> None:
    """Write `count` JPEGs of 500 x 375, each another crop."""
    folder.mkdir()
    width, height = _SIZE
    for number in range(count):
        turn, place = divmod(number, len(photos))
        with Image.open(photos[place]) as photo:
            scale = max((width + turn * _MARGIN) / photo.width, (height + turn * _MARGIN) / photo.height)
            scaled = photo.convert("RGB").resize((round(photo.width * scale) + 1, round(photo.height * scale) + 1))
        file = io.BytesIO()
        left, top = scaled.width - width, scaled.height - height
        scaled.crop((left, top, left + width, top + height)).save(file, "JPEG", quality=90)
        (folder / f"{number:04}.jpg").write_bytes(file.getvalue())


def _write_rclip_model(model: Path, folder: Path) -> None:
    """Write these weights as rclip downloads them: its names of inputs and outputs, and a vocabulary of the right size."""
    (folder / _RCLIP_MODEL).mkdir(parents=True)
    for ours, theirs in (("vision_model", "visual"), ("text_model", "textual")):
        graph = onnx.load(model / f"onnx/{ours}.onnx")
        _rename(graph.graph, graph.graph.input[0].name, "input")
        _rename(graph.graph, graph.graph.output[0].name, "output")
        onnx.save(graph, folder / _RCLIP_MODEL / f"{theirs}.onnx")
    (folder / "tokenizer").mkdir()
    with gzip.open(folder / "tokenizer/bpe_simple_vocab_16e6.txt.gz", "wt", encoding="utf-8") as file:
        file.write("#version\n" + "".join(f"left{number} right{number}\n" for number in range(_MERGES)))


def _rename(graph: Any, old: str, new: str) -> None:
    for port in (*graph.input, *graph.output):
        if port.name == old:
            port.name = new
    for node in graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                if name == old:
                    names[place] = new


# --- runs -----------------------------------------------------------------------------------------

Run = dict[str, float]


def _take_turns(place: Path, pictures: Path, options: argparse.Namespace) -> dict[str, list[Run]]:
    runs: dict[str, list[Run]] = {"rclip": []}
    precisions = {}
    for precision in options.precisions.split(","):
        if precision == "tuned":
            runs["tune"] = [_run_pixfind_tune(place, pictures, options.model)]
        precisions[f"pixfind {precision}"] = "auto" if precision == "tuned" else precision
        label = f"pixfind {precision}, first use"
        runs[label] = [_run_pixfind(place, pictures, options.model, precisions[f"pixfind {precision}"])]
        print(label, runs[label], flush=True)
    for _ in range(options.rounds):
        runs["rclip"].append(_run_rclip(place, pictures, options.rclip))
        print("rclip", runs["rclip"][-1], flush=True)
        for label, precision in precisions.items():
            runs.setdefault(label, []).append(_run_pixfind(place, pictures, options.model, precision))
            print(label, runs[label][-1], flush=True)
    return runs


def _run_rclip(place: Path, pictures: Path, rclip: Path) -> Run:
    data = place / "rclip"
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir()
    for made in (place / "rclip-model").iterdir():
        (data / made.name).symlink_to(made)
    silent = {"RCLIP_DATADIR": str(data), "HF_HUB_OFFLINE": "1"}
    wall, processor, answer = _run([str(rclip), "--filepath-only", _QUERY], pictures, silent)
    assert len(answer.splitlines()) == 10, answer
    return {"wall_s": wall, "processor_s": processor}


def _run_pixfind(place: Path, pictures: Path, model: Path, precision: str) -> Run:
    library = place / "library"
    shutil.rmtree(library, ignore_errors=True)
    pixfind = [sys.executable, "-m", "pixfind", "-q", "--library", str(library)]
    how = ["--model", str(model.resolve()), "--precision", precision, "--cpu", "100%", "--nice", "0"]
    wall, processor, _ = _run([*pixfind, "index", str(pictures), *how], place)
    search_wall, search_processor, answer = _run([*pixfind, "search", _QUERY, "--all"], place)
    assert ".jpg" in answer, answer
    return {
        "wall_s": wall + search_wall,
        "processor_s": processor + search_processor,
        "search_wall_s": search_wall,
        "search_processor_s": search_processor,
    }


def _run_pixfind_tune(place: Path, pictures: Path, model: Path) -> Run:
    """Return what `tune` costs, once for a model, on a library that has these pictures."""
    pixfind = [sys.executable, "-m", "pixfind", "--library", str(place / "library")]
    _run([*pixfind, "-q", "add", str(pictures), "--model", str(model.resolve())], place)
    wall, processor, answer = _run([*pixfind, "tune"], place)
    print(answer, flush=True)
    return {"wall_s": wall, "processor_s": processor}


def _run(command: list[str], folder: Path, more: dict[str, str] | None = None) -> tuple[float, float, str]:
    """Return seconds of the clock, of the processor (with all that was started and waited for), and standard output."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        began = time.perf_counter()
        with subprocess.Popen(
            command, cwd=folder, stdout=output, stderr=errors, env=environment | (more or {})
        ) as process:
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - began
        for file in (output, errors):
            file.seek(0)
        assert process.returncode == 0, (command, errors.read().decode())
        return wall, used.ru_utime + used.ru_stime, output.read().decode()


# --- telling --------------------------------------------------------------------------------------


def _summary(runs: list[Run]) -> Run:
    return {figure: statistics.median(run[figure] for run in runs) for figure in runs[0]} | {"runs": len(runs)}


def _table(report: dict[str, Run], count: int) -> str:
    rclip = report["rclip"]
    lines = [
        f"\n{count} pictures, from nothing to the first answer; load {os.getloadavg()[0]:.1f}\n",
        "| | seconds | times rclip | seconds of processor | times rclip |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, run in report.items():
        ratios = [f"{rclip[figure] / run[figure]:.2f}" for figure in ("wall_s", "processor_s")]
        if name == "tune":
            ratios = ["", ""]
        lines.append(f"| {name} | {run['wall_s']:.1f} | {ratios[0]} | {run['processor_s']:.1f} | {ratios[1]} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
