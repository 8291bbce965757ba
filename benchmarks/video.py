"""
Embedding videos: how long the scan and the embedding of some videos take, for each kind of video.

    python -m benchmarks.video [--seconds 120] [--width 1920] [--every 5] [--photos DIR] [--place DIR] [--json FILE]

Each video is made by this program: photographs (of DIR, else drawn ones) that pan slowly, 25 frames in a second, a key frame every second as telephones
write them. `add` and `embed` are processes of their own on a new library with the starter model, at all cores; memory is the most that a worker had.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil
from PIL import Image

from pixfind.library.library import Library
from pixfind.storage.output import Output
from pixfind.testing.images import picture

RATE = 25
KINDS: dict[str, tuple[str, str, dict[str, str]]] = {
    "h264.mp4": ("libx264", "yuv420p", {"preset": "veryfast"}),
    "hevc-10.mp4": ("libx265", "yuv420p10le", {"preset": "ultrafast", "x265-params": "log-level=none"}),
    "h264.mts": ("libx264", "yuv420p", {"preset": "veryfast"}),
    "vp8.webm": ("libvpx", "yuv420p", {"deadline": "realtime", "cpu-used": "8"}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--width", type=int, default=1920)
    parser.add_argument("--every", type=float, default=5)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--place", type=Path, help="where videos and libraries lie while this runs")
    parser.add_argument("--json", type=Output.at)
    options = parser.parse_args()
    report = {}
    with tempfile.TemporaryDirectory(dir=options.place) as folder:
        for kind, (codec, pixels, how) in KINDS.items():
            place = Path(folder) / kind.partition(".")[0]
            place.mkdir(exist_ok=True)
            video = place / kind
            _make(video, codec, pixels, how, options)
            report[kind] = found = _measured(video, place / f"library-{kind}", options)
            print(
                f"{kind:12} {found['megabytes']:6.1f} MB: {found['frames']:.0f} frames listed in {found['add_s']:.2f} s, {found['frames_s']:6.1f} frames/s,"
                f" {found['video_s_per_s']:7.0f} s of video a second, {found['processor_ms_per_frame']:.1f} ms of processor a frame,"
                f" worker {found['worker_mb']:.0f} MB"
            )
    if options.json:
        options.json.write(json.dumps(report, indent=1).encode())


def _make(path: Path, codec: str, pixels: str, how: dict[str, str], options: argparse.Namespace) -> None:
    width, height = options.width, options.width * 9 // 16
    with av.open(str(path), "w", format="mpegts" if path.suffix == ".mts" else None) as file:
        stream: Any = file.add_stream(codec, rate=RATE, options=how)
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        stream.codec_context.gop_size = RATE
        for frame in _frames(options.photos, width, height, options.seconds):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        file.mux(stream.encode())


def _frames(photos: Path | None, width: int, height: int, seconds: int) -> Iterator[np.ndarray]:
    paths = sorted(photos.iterdir()) if photos else []
    for second in range(seconds):
        shown = Image.open(paths[second % len(paths)]).convert("RGB") if paths else picture(second, (400, 300))
        wide = np.asarray(shown.resize((width + 2 * RATE, height)))
        for frame in range(RATE):
            yield np.ascontiguousarray(wide[:, 2 * frame : 2 * frame + width])


def _measured(video: Path, library: Path, options: argparse.Namespace) -> dict[str, float]:
    pixfind = [sys.executable, "-m", "pixfind", "-q", "--library", str(library)]
    began = time.perf_counter()
    words = ["add", str(video), "--model", "starter", "--video", "--every", str(options.every), "--frames", "100000"]
    subprocess.run([*pixfind, *words], check=True)
    added = time.perf_counter()
    before = _processor()
    subprocess.run([*pixfind, "embed", "--cpu", "100%"], check=True)
    with Library.open(library) as made:
        frames = made.catalogue.ledger()["embedded"]
        told = json.loads(made.catalogue.value("last_report", "library.sql", verb="embed"))
    # Without the start of the worker, which is the same for one frame and for a million.
    working = told["seconds"] - told["start_seconds"]
    return {
        "megabytes": video.stat().st_size / 1e6,
        "frames": frames,
        "add_s": added - began,
        "frames_s": frames / working,
        "video_s_per_s": options.seconds / working,
        "processor_ms_per_frame": 1000 * (_processor() - before) / frames,
        # Linux counts in kB; of the largest child that has ended so far, which the workers are.
        "worker_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3,
    }


def _processor() -> float:
    times = psutil.Process().cpu_times()
    return times.children_user + times.children_system


if __name__ == "__main__":
    main()
