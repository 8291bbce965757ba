"""
Kill pixfind at random instants, a few hundred times, and prove that nothing was lost.

    python -m benchmarks.kills --images 3000 --kills 300 [--workers 2] [--seed 0] [--sources all] [--read]

One library is embedded once undisturbed and once while a worker, the coordinator or all of them are killed with SIGKILL again and
again. Then `verify` must find nothing, every picture must have exactly one embedding, and each must equal that of the undisturbed run.
Prints how many pictures were embedded more than once: work that was in hand when the kill came. With `--sources all` the pictures lie in every kind of
source (`all_sources`), and the store of those that are objects goes away again and again, for up to a second. With `--read` every third picture has words, which each run
reads after it has embedded (extra `ocr`), and every text must be that of the undisturbed run.
"""

import argparse
import collections
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import psutil
from benchmarks.all_sources import Root, add, spread
from PIL import Image

from pixfind.library import texts
from pixfind.library.library import Library
from pixfind.library.verify import verify
from pixfind.testing import draw_text
from pixfind.testing.objects import Store, serving
from pixfind.workflows.choose_model import choose_model
from pixfind.workflows.options import EmbedOptions

_OUTAGES = 0.2
"""of the lives between two kills, those in which the store of objects goes away"""
_PER_TEXT = 3
"""pictures for each that has words"""

RUN = """
import sys
from pathlib import Path
from pixfind.workflows.options import EmbedOptions
from pixfind.workflows.choose_model import choose_model
from pixfind.workflows.embed import embed
from pixfind.workflows.merge import merge
from pixfind.library.library import Library
from pixfind.workflows.read_text import read_text
from pixfind.embedding.runners.local import Local
from pixfind.testing import workers
path, model, count, log, reads = sys.argv[1:]
options = EmbedOptions(workers=int(count), share=1.0, model=model, nice=0)
with Library.open(Path(path), write=True) as library:
    with library.lock("embed"):
        embed(library, options, runner=Local(workers.command("count", log)))
        merge(library)
    if reads:
        with library.lock("read-text"):
            read_text(library, options)
"""


def main() -> None:
    arguments = _arguments()
    random.seed(arguments.seed)
    with tempfile.TemporaryDirectory(dir=arguments.place) as folder, contextlib.ExitStack() as stack:
        place = Path(folder)
        began = time.monotonic()
        _make_pictures(place / "pictures", arguments)
        store = stack.enter_context(serving()) if arguments.sources == "all" else None
        roots = [Root(str(place / "pictures"), {})] if store is None else spread(place / "pictures", store)
        print(f"{arguments.images} pictures made in {time.monotonic() - began:.0f} s")
        calm = _prepare(place / "calm", roots, arguments.model)
        _run(calm, arguments, place / "calm.log").wait()
        disturbed = _prepare(place / "disturbed", roots, arguments.model)
        kills, runs = _disturb(disturbed, arguments, place / "disturbed.log", store)
        _compare(calm, disturbed, place / "disturbed.log", kills, runs, arguments)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--width", type=int, default=1200, help="pixels; larger pictures make each life shorter than the work"
    )
    parser.add_argument(
        "--life", type=float, default=0.8, help="seconds before a kill, at most; more on a busy machine"
    )
    parser.add_argument("--sources", choices=("folder", "all"), default="folder")
    parser.add_argument("--read", action="store_true", help="read the text in pictures too")
    parser.add_argument("--place", type=Path, help="where pictures and libraries lie while this runs")
    parser.add_argument("--model", default="starter")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def _make_pictures(folder: Path, arguments: argparse.Namespace) -> None:
    """Make different pictures that take long to decode and not long to make."""
    folder.mkdir()
    random_pixels = np.random.default_rng(0)
    size = (arguments.width, arguments.width * 3 // 4)
    for number in range(arguments.images):
        if arguments.read and number % _PER_TEXT == 0:
            draw_text(folder / f"{number:05}.png", f"Invoice {number}\nTotal {number / 100:.2f}")
            continue
        small = Image.fromarray(random_pixels.integers(0, 256, (9, 12, 3), dtype=np.uint8))
        small.resize(size).save(folder / f"{number:05}.jpg", quality=80)


def _prepare(path: Path, roots: Sequence[Root], model: str) -> Path:
    with Library.create(path) as library, library.lock("add"):
        choose_model(library, EmbedOptions(model=model))
        add(library, roots)
    return path


def _run(library: Path, arguments: argparse.Namespace, log: Path) -> "subprocess.Popen[bytes]":
    reads = "reads" if arguments.read else ""
    command = [sys.executable, "-c", RUN, str(library), arguments.model, str(arguments.workers), str(log), reads]
    return subprocess.Popen(command)


def _disturb(
    library: Path, arguments: argparse.Namespace, log: Path, store: Store | None
) -> tuple[collections.Counter[str], int]:
    """Kill until the number is reached, then let it end."""
    kills: collections.Counter[str] = collections.Counter()
    runs = 0
    while True:
        process = _run(library, arguments, log)
        runs += 1
        while process.poll() is None and _kills(kills) < arguments.kills:
            time.sleep(random.uniform(0.0, arguments.life))
            if store is not None and random.random() < _OUTAGES:
                store.close()
                time.sleep(random.uniform(0.0, 1.0))
                store.open()
                kills["outages"] += 1
            whom = random.choices(("worker", "coordinator", "all"), (6, 2, 2))[0]
            if process.poll() is None and _kill(process, whom):
                kills[whom] += 1
            if whom != "worker":
                break
        if _kills(kills) >= arguments.kills or process.poll() == 0:
            if process.poll() is None or process.wait() != 0:
                process.wait()
                process = _run(library, arguments, log)
                runs += 1
            assert process.wait() == 0, "the last run did not end well"
            return kills, runs
        process.wait()


def _kills(counted: collections.Counter[str]) -> int:
    return counted.total() - counted["outages"]


def _kill(process: "subprocess.Popen[bytes]", whom: str) -> bool:
    try:
        workers = psutil.Process(process.pid).children()
    except psutil.Error:
        return False
    victims = [process.pid] if whom == "coordinator" else [worker.pid for worker in workers]
    if whom == "worker":
        victims = random.sample(victims, min(1, len(victims)))
    if whom == "all":
        victims.append(process.pid)
    for pid in victims:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    return bool(victims)


def _compare(
    calm: Path, disturbed: Path, log: Path, kills: collections.Counter[str], runs: int, arguments: argparse.Namespace
) -> None:
    with Library.open(calm) as first, Library.open(disturbed) as second:
        findings = verify(first) + verify(second)
        ledger = second.catalogue.ledger()
        embeddings = [_by_path(library) for library in (first, second)]
        read = [texts.ledger(library.catalogue) for library in (first, second)]
        said = [_texts(library, arguments.images) for library in (first, second)]
    differences = [
        float(np.abs(embeddings[0][path].astype(np.float32) - row.astype(np.float32)).max())
        for path, row in embeddings[1].items()
    ]
    times = collections.Counter(log.read_text(encoding="ascii").split())
    again = sum(times.values()) - len(times)
    print(f"{_kills(kills)} kills ({dict(kills)}) over {runs} runs")
    print(f"ledger: {ledger}")
    print(f"verify: {len(findings)} findings {findings[:3]}")
    print(f"pictures with an embedding: {len(embeddings[1])} of {arguments.images}")
    print(
        f"largest difference to the undisturbed run: {max(differences):.6f}; equal to the bit: {differences.count(0.0)}"
    )
    print(f"decoded again after a kill: {again} ({again / max(1, _kills(kills)):.1f} a kill)")
    if arguments.read:
        print(f"texts: {read[1]}; equal to those of the undisturbed run: {said[0] == said[1]}")
        assert read[0] == read[1]
        assert said[0] == said[1]
        assert len(said[1]) >= arguments.images // _PER_TEXT
    assert not findings
    assert len(embeddings[1]) == arguments.images
    assert ledger["embedded"] == arguments.images


def _by_path(library: Library) -> dict[str, np.ndarray]:
    rows = library.embeddings()
    found = library.catalogue.rows("embedded_paths")
    return {path: rows[index] for path, index in found}


def _texts(library: Library, images: int) -> dict[int, tuple[str, ...]]:
    # Both libraries have registered the same files in the same order.
    found = texts.lines(library.catalogue, range(1, images + 1))
    return {image_id: tuple(line.text for line in lines) for image_id, lines in found.items()}


if __name__ == "__main__":
    main()
