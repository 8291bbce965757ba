"""
Embedding on a Ray cluster of this machine: how close many workers come to so many times one, and what the coordinator can carry.

    python -m benchmarks.cluster efficiency [--workers 1,4,16,64] [--seconds-per-image 0.1] [--per-worker 300]
    python -m benchmarks.cluster ceiling [--images 200000]
    python -m benchmarks.cluster start [--pending 1000000]
    python -m benchmarks.cluster ray-data [--workers 4] [--seconds-per-image 0.1] [--images 2000]

- efficiency: workers whose model sleeps, so that a few cores carry many of them. Images a second, and the share of its time that a worker is in the
  model, between the moment when the last worker has begun and the one when the first has nothing more to do.
- ceiling: the coordinator alone, with workers in its process that embed at once. Rows are synced, adopted and checked as ever.
- start: seconds until the first image is embedded on a cluster when so many wait, and when 99 % of them are embedded already.
- ray-data: the same pictures and model through `ray.data.map_batches` into Parquet files, and through pixfind; Ray Data gets one core more, to read the files.

The load of the machine is told with each. What kills do is in benchmarks/storm.py.
"""

import argparse
import contextlib
import logging
import os
import queue
import shutil
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from pixfind.embedding import progress
from pixfind.embedding.elastic import Node, Room
from pixfind.embedding.runners import Ended, WorkerUsage, drain
from pixfind.embedding.runners.ray import RayRunner
from pixfind.embedding.runners.ray_cluster import Cluster
from pixfind.images import decode
from pixfind.library import control, scan
from pixfind.library.library import Library, ModelIdentity
from pixfind.models import hub
from pixfind.models.encoders import open_image_encoder
from pixfind.storage import embedding_files
from pixfind.testing import make_pictures, workers
from pixfind.testing.clusters import Nodes
from pixfind.types import EmbeddedImage, Fingerprint, ImageMetadata
from pixfind.worker.protocol import Embed, Embedded, FromWorker, Ready, Rows, Saved, Stop, ToWorker, WorkerConfig
from pixfind.worker.sink import FileSink
from pixfind.workflows.choose_model import choose_model
from pixfind.workflows.embed import embed
from pixfind.workflows.options import EmbedOptions

_DIMENSION = 512
_BATCH = 64
_WORKERS = 64
_METADATA = ImageMetadata(width=4000, height=3000, taken_at=1_700_000_000, camera="Canon EOS R5")


def main() -> None:
    arguments = _arguments()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}", flush=True)
    with tempfile.TemporaryDirectory(dir=arguments.place) as folder:
        _PARTS[arguments.part](arguments, Path(folder))
    print(f"load at the end {os.getloadavg()[0]:.1f}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=list(_PARTS))
    parser.add_argument("--workers", help="numbers of workers, with commas")
    parser.add_argument("--seconds-per-image", type=float, default=0.1)
    parser.add_argument("--per-worker", type=int, default=300, help="images for each worker")
    parser.add_argument("--images", type=int)
    parser.add_argument("--pending", type=int, default=1_000_000)
    parser.add_argument("--place", type=Path, help="where temporary files go")
    return parser.parse_args()


# --- efficiency -----------------------------------------------------------------------------------


def _efficiency(arguments: argparse.Namespace, place: Path) -> None:
    print("| workers | images/s | in the model | coordinator, ms of processor time an image |\n|--:|--:|--:|--:|")
    for count in map(int, (arguments.workers or "1,4,16,64").split(",")):
        images, log = count * arguments.per_worker, place / f"{count}.log"
        with _cluster(count) as nodes, _library(place / str(count), images) as library:
            used = time.process_time()
            _embed_on(
                nodes, library, count, workers.command("slow", f"{arguments.seconds_per_image},{log}"), lambda _: None
            )
            used = time.process_time() - used
        shutil.rmtree(place / str(count))
        rate, share = _steady(log, count)
        print(f"| {count} | {rate:,.1f} | {share:.1%} | {1000 * used / images:.2f} |", flush=True)


def _steady(log: Path, count: int) -> tuple[float, float]:
    """Return images a second, and the share of their time that workers are in the model, from when all have begun until the first has nothing more to do."""
    batches = [line.split() for line in log.read_text(encoding="ascii").splitlines()]
    images, began, ended, processes = (np.array(column, dtype=float) for column in zip(*batches, strict=True))
    each = [processes == process for process in np.unique(processes)]
    assert len(each) == count, f"{len(each)} of {count} workers embedded something"
    first, last = max(began[own].min() for own in each), min(ended[own].max() for own in each)
    assert first < last, "too few images for each worker"
    inside = np.clip(np.minimum(ended, last) - np.maximum(began, first), 0, None)
    return float((images * inside / (ended - began)).sum() / (last - first)), float(
        inside.sum() / (last - first) / count
    )


@contextlib.contextmanager
def _cluster(workers_: int) -> Iterator[Nodes]:
    """Nodes with room for so many workers, sixteen each at most."""
    nodes = Nodes()
    try:
        for first in range(0, workers_, 16):
            nodes.add(min(16, workers_ - first))
        yield nodes
    finally:
        nodes.shut_down()


@contextlib.contextmanager
def _library(place: Path, images: int) -> Iterator[Library]:
    """A library with so many small pictures that wait."""
    make_pictures(place / "pictures", images, size=(32, 24))
    with Library.create(place / "library") as library, library.lock("benchmark"):
        choose_model(library, EmbedOptions(model="starter"))
        scan.add(library, place / "pictures")
        yield library


def _embed_on(
    nodes: Nodes, library: Library, count: int, command: tuple[str, ...], watch: Callable[[object], None]
) -> progress.RunReport:
    options = EmbedOptions(model="starter", workers=count, share=1.0, nice=0)
    with contextlib.closing(RayRunner(Cluster(nodes.address), command=command)) as runner:
        return embed(library, options, runner=runner, observer=watch)


# --- ceiling --------------------------------------------------------------------------------------


class Costless:
    """
    Workers in this process that embed at once, with rows that were made before.

    What `RayRunner` does with rows on this machine is done: they are appended and synced before they are reported, by as many threads.
    """

    def __init__(self, images: int, on_first: Callable[[], object] = lambda: None) -> None:
        random = np.random.default_rng(0)
        rows = random.normal(size=(256, _DIMENSION))
        self._embeddings = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)
        made = [EmbeddedImage(n, Fingerprint(*_size_and_time(n), random.bytes(16)), _METADATA) for n in range(images)]
        self._table = embedding_files.index_rows(made, self._embeddings[np.arange(images) % 256])
        self._events: queue.SimpleQueue[tuple[int, FromWorker | Ended]] = queue.SimpleQueue()
        self._sinks: dict[int, FileSink] = {}
        self._order: dict[int, threading.Lock] = {}
        """a worker's rows are saved one after the other"""
        self._savers = ThreadPoolExecutor(4)
        self._on_first = on_first

    def start(self, config: WorkerConfig) -> None:
        self._sinks[config.worker] = FileSink(Path(config.data), config.worker, config.dimension)
        self._order[config.worker] = threading.Lock()
        self._events.put((config.worker, Ready("nothing", "fp16", _BATCH)))

    def send(self, worker: int, message: ToWorker) -> None:
        if isinstance(message, Embed):
            self._on_first()
            self._savers.submit(self._embed, worker, [image.image_id for image in message.images])
        elif isinstance(message, Stop):
            self._events.put((worker, Ended(0, "")))

    def _embed(self, worker: int, ids: list[int]) -> None:
        embeddings = self._embeddings[np.array(ids) % 256]
        with self._order[worker]:
            self._sinks[worker].append_sent(Rows(self._table[ids].tobytes(), embeddings.tobytes()))
        stages = dict.fromkeys(("read", "network", "decode", "model", "save", "wait", "pace"), 0.0)
        self._events.put((worker, Embedded(tuple(ids))))
        self._events.put((worker, Saved(len(ids), (), (), (), stages, 0, 1, 0.0)))

    def receive(self, seconds: float) -> list[tuple[int, FromWorker | Ended]]:
        return drain(self._events, seconds)

    def kill(self, worker: int) -> None:
        self._events.put((worker, Ended(0, "")))

    def usage(self) -> dict[int, WorkerUsage]:
        return {}

    def room(self) -> Room:
        return Room((Node("here", cores=_WORKERS, gpus=0.0, memory=1 << 40),))

    def close(self) -> None:
        self._savers.shutdown()
        for sink in self._sinks.values():
            sink.close()


def _size_and_time(number: int) -> tuple[int, int]:
    """All sizes differ, so that no image asks for another's hash."""
    return 50_000 + number, 10**18 + number


def _ceiling(arguments: argparse.Namespace, place: Path) -> None:
    images = arguments.images or 200_000
    with _waiting(place / "library", images) as library:
        runner = Costless(images + 1)
        began, used = time.monotonic(), time.process_time()
        _embed_costless(library, runner)
        seconds, used = time.monotonic() - began, time.process_time() - used
        assert library.catalogue.ledger()["embedded"] == images
    rate = images / seconds
    print(f"{rate:,.0f} images/s adopted and durable, {1e6 * used / images:.0f} us of processor time each")


def _embed_costless(library: Library, runner: Costless) -> None:
    model = library.model()
    assert model is not None
    embed(library, EmbedOptions(workers=_WORKERS, share=1.0, nice=0), model=model, runner=runner)


@contextlib.contextmanager
def _waiting(path: Path, count: int, embedded: int = 0) -> Iterator[Library]:
    """A library with so many rows of images, all of different sizes so that none asks for another's hash; the first `embedded` have ended."""
    with Library.create(path) as library, library.lock("benchmark"):
        library.remember_model(ModelIdentity("costless", "0" * 64, _DIMENSION, "fp16"))
        with contextlib.closing(sqlite3.connect(library.catalogue.path)) as database, database:
            database.execute("INSERT INTO roots (id, path, device, added_at) VALUES (1, '/pictures', 0, 0)")
            database.executemany(
                "INSERT INTO images (id, root_id, path, size, mtime_ns, outcome, reason) VALUES (?, 1, ?, ?, ?, ?, ?)",
                (
                    (
                        number,
                        f"/pictures/{number // 1000:05}/image_{number:08}.jpg",
                        *_size_and_time(number),
                        *(("skipped", "a rule") if number <= embedded else (None, None)),
                    )
                    for number in range(1, count + 1)
                ),
            )
        yield library


# --- start ----------------------------------------------------------------------------------------


def _start(arguments: argparse.Namespace, place: Path) -> None:
    for share in (0.0, 0.99):
        ended = int(share * arguments.pending)
        with _waiting(place / f"{ended}", arguments.pending, embedded=ended) as library:
            seconds, used = _until_first(library, arguments.pending)
        print(
            f"{ended:,} of {arguments.pending:,} have ended: {seconds:.2f} s until the first is assigned, {used:.2f} s of processor time for the run"
        )


def _until_first(library: Library, images: int) -> tuple[float, float]:
    """Return the seconds of a run until its first image is assigned, and the processor time of a run that is stopped then."""
    first: list[float] = []

    def stop() -> None:
        first.append(time.monotonic())
        control.request(library.path, control.ControlRequest(stop=True))

    runner = Costless(images + 1, stop)
    began, used = time.monotonic(), time.process_time()
    _embed_costless(library, runner)
    return first[0] - began, time.process_time() - used


# --- Ray Data -------------------------------------------------------------------------------------


class RayDataEmbedder:
    """What one writes for `map_batches`: decode, embed, return columns."""

    def __init__(self, seconds_per_image: float) -> None:
        self._encoder = open_image_encoder(hub.resolve("starter", offline=True), threads=1)
        self._seconds = seconds_per_image

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        pictures = [
            decode.decode(data, limits=decode.Limits(10**9), shortest_side=self._encoder.decode_side).image
            for data in batch["bytes"]
        ]
        time.sleep(self._seconds * len(pictures))
        rows = self._encoder.finish(self._encoder.forward([self._encoder.prepare(image) for image in pictures]))
        return {"path": batch["path"], "embedding": rows.astype(np.float32)}


def _ray_data(arguments: argparse.Namespace, place: Path) -> None:
    count, images = int(arguments.workers or 4), arguments.images or 2_000
    with _cluster(count) as nodes, _library(place / "pixfind", images) as library:
        began = time.monotonic()
        command = workers.command("slow", f"{arguments.seconds_per_image},{place / 'log'}")
        _embed_on(nodes, library, count, command, lambda _: None)
        print(f"pixfind: {time.monotonic() - began:.1f} s for {images:,} images and {count} workers", flush=True)
        # Its workers hold a core each from the beginning, and what reads files needs one too: without it nothing ever starts.
        nodes.add(1)
        began = time.monotonic()
        _run_ray_data(nodes.address, place / "pixfind" / "pictures", place / "out", count, arguments.seconds_per_image)
        print(f"Ray Data: {time.monotonic() - began:.1f} s", flush=True)
        print(f"at most {images * arguments.seconds_per_image / count:.1f} s of sleep for each worker")


def _run_ray_data(address: str, pictures: Path, to: Path, count: int, seconds: float) -> None:
    import ray
    import ray.data

    ray.init(address=address, log_to_driver=False, logging_level="error")
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False
    try:
        read = ray.data.read_binary_files(str(pictures), include_paths=True)
        embedded = read.map_batches(
            RayDataEmbedder,
            fn_constructor_args=(seconds,),
            compute=ray.data.ActorPoolStrategy(size=count),
            batch_size=32,
            num_cpus=1,
        )
        embedded.write_parquet(str(to))
        assert ray.data.read_parquet(str(to)).count() == len(list(pictures.iterdir()))
    finally:
        ray.shutdown()


_PARTS: dict[str, Callable[[argparse.Namespace, Path], None]] = {
    "efficiency": _efficiency,
    "ceiling": _ceiling,
    "start": _start,
    "ray-data": _ray_data,
}


if __name__ == "__main__":
    main()
