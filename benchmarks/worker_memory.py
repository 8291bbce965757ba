"""
What the model costs each worker in memory and at its start, with weights that are packed once and mapped by all, and with weights that each packs for itself.

    python -m benchmarks.worker_memory --model DIR [--workers 1,4,16] [--precisions fp32,int8] [--json FILE]

A worker here is a process that opens the image encoder with one thread and embeds a batch of 8, without pictures or a library. Memory is its proportional set size, in which a page that
n processes share counts as one nth, and the part that is its own; all are there at the same time. A model of full size: `python -m tools.make_model`. Linux only.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from pixfind.models import cache
from pixfind.storage.output import Output

_WORKER = """
import json, sys, time
import numpy as np
from pixfind.models import encoders, hub
from pixfind.models.backends import packed_weights
model, precision, packs = sys.argv[1:]
if packs == "alone":
    packed_weights.packed = lambda graph, run: graph
files = hub.resolve(model)
began, used = time.perf_counter(), time.process_time()
encoder = encoders.open_image_encoder(files, threads=1, precision=precision)
opened = time.perf_counter() - began, time.process_time() - used
side = encoder.preprocessing.side
batch = [np.zeros((side, side, 3), np.uint8)] * 8
encoder.forward(batch)
used = time.process_time()
encoder.forward(batch)
print(json.dumps([*opened, (time.process_time() - used) / len(batch)]), flush=True)
sys.stdin.read()
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--workers", default="1,4,16")
    parser.add_argument("--precisions", default="fp32,int8")
    parser.add_argument("--json", type=Output.at)
    options = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}")
    print(
        "| precision | workers | weights | MB each, proportional | of it its own | start, s of processor | ms of processor an image |"
    )
    print("|---|--:|---|--:|--:|--:|--:|")
    measured = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ[cache.VARIABLE] = folder
        for precision in options.precisions.split(","):
            for packs in ("alone", "shared"):
                # The first makes what is kept, and is not counted.
                _workers(1, options.model, precision, packs)
                for count in map(int, options.workers.split(",")):
                    found = _workers(count, options.model, precision, packs)
                    measured.append({"precision": precision, "workers": count, "weights": packs, **found})
                    cells = (
                        f"{found['pss']:.0f}",
                        f"{found['own']:.0f}",
                        f"{found['start']:.2f}",
                        f"{found['image']:.1f}",
                    )
                    print(f"| {precision} | {count} | {packs} | {' | '.join(cells)} |", flush=True)
        kept = sum(path.stat().st_size for path in Path(folder).rglob("packed-*"))
    print(f"the files of packed weights: {kept / 1e6:,.0f} MB")
    if options.json:
        options.json.write(json.dumps(measured, indent=1).encode())


def _workers(count: int, model: str, precision: str, packs: str) -> dict[str, float]:
    """Return the medians over so many workers: MB, and seconds and ms of processor time."""
    command = [sys.executable, "-c", _WORKER, model, precision, packs]
    workers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(count)
    ]
    try:
        said = []
        for worker in workers:
            assert worker.stdout is not None
            said.append(json.loads(worker.stdout.readline()))
        memory = [_memory(worker.pid) for worker in workers]
    finally:
        for worker in workers:
            worker.communicate()
    columns = [*zip(*said, strict=True)]
    return {
        "pss": statistics.median(pss for pss, _ in memory),
        "own": statistics.median(own for _, own in memory),
        "start": statistics.median(columns[1]),
        "image": 1000 * statistics.median(columns[2]),
    }


def _memory(pid: int) -> tuple[float, float]:
    """Return the proportional set size of a process and the part that no other has, MB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
    kb = {name: int(value.split()[0]) for name, value in (line.split(":") for line in lines)}
    return kb["Pss"] / 1000, (kb["Private_Clean"] + kb["Private_Dirty"]) / 1000


if __name__ == "__main__":
    main()
