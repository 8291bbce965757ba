"""
Kill pixfind at random instants, a few hundred times, and prove that nothing was lost.

    python -m benchmarks.kills --images 3000 --kills 300 [--workers 2] [--seed 0] [--sources all]

One library is embedded once undisturbed and once while a worker, the coordinator or all of them are killed with SIGKILL again and
again. Then `verify` must find nothing, every picture must have exactly one embedding, and each must equal that of the undisturbed run.
Prints how many pictures were embedded more than once: work that was in hand when the kill came. With `--sources all` a seventh each of the
pictures are files, members of a zip, a cbz, a tar and a compressed tar, and RAW files with and without a preview.
"""

import argparse
import collections
import os
import random
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from pixfind.library import scan
from pixfind.library.library import Library
from pixfind.library.verify import verify
from pixfind.testing.raw import make_dng
from pixfind.workflows.choose_model import choose_model
from pixfind.workflows.options import EmbedOptions

RUN = """
import sys
from pathlib import Path
from pixfind.workflows.options import EmbedOptions
from pixfind.workflows.choose_model import choose_model
from pixfind.workflows.embed import embed
from pixfind.workflows.merge import merge
from pixfind.library.library import Library
from pixfind.embedding.runners.local import Local
from pixfind.testing import workers
path, model, count, log = sys.argv[1:]
options = EmbedOptions(workers=int(count), share=1.0, model=model, nice=0)
with Library.open(Path(path), write=True) as library, library.lock("embed"):
    embed(library, options, runner=Local(workers.command("count", log)))
    merge(library)
"""


def main() -> None:
    arguments = _arguments()
    random.seed(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        began = time.monotonic()
        _make_pictures(place / "pictures", arguments.images, arguments.width)
        if arguments.sources == "all":
            _spread(place / "pictures")
        print(f"{arguments.images} pictures made in {time.monotonic() - began:.0f} s")
        calm = _prepare(place / "calm", place / "pictures", arguments.model)
        _run(calm, arguments, place / "calm.log").wait()
        disturbed = _prepare(place / "disturbed", place / "pictures", arguments.model)
        kills, runs = _disturb(disturbed, arguments, place / "disturbed.log")
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
    parser.add_argument("--model", default="starter")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def _make_pictures(folder: Path, count: int, width: int) -> None:
    """Make different pictures that take long to decode and not long to make."""
    folder.mkdir()
    random_pixels = np.random.default_rng(0)
    for number in range(count):
        small = Image.fromarray(random_pixels.integers(0, 256, (9, 12, 3), dtype=np.uint8))
        small.resize((width, width * 3 // 4)).save(folder / f"{number:05}.jpg", quality=80)


def _spread(folder: Path) -> None:
    """Put most of the pictures into archives, and make RAW files of others."""
    files = sorted(folder.glob("*.jpg"))
    for name, some in (("a.zip", files[1::7]), ("b.cbz", files[2::7])):
        with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in some:
                archive.write(file, f"trip/{file.name}")
    for name, mode, some in (("c.tar", "w", files[3::7]), ("d.tar.gz", "w:gz", files[4::7])):
        with tarfile.open(folder / name, mode) as tar:  # type: ignore[call-overload]
            for file in some:
                tar.add(file, f"trip/{file.name}")
    for place, some in enumerate((files[5::7], files[6::7])):
        for file in some:
            with Image.open(file) as image:
                sensor = image.convert("RGB")
            make_dng(file.with_suffix(".dng"), sensor, preview=sensor if place else None)
    for place in range(1, 7):
        for file in files[place::7]:
            file.unlink()


def _prepare(path: Path, pictures: Path, model: str) -> Path:
    with Library.create(path) as library, library.lock("add"):
        choose_model(library, EmbedOptions(model=model))
        scan.add(library, pictures, in_archives=True)
    return path


def _run(library: Path, arguments: argparse.Namespace, log: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-c", RUN, str(library), arguments.model, str(arguments.workers), str(log)]
    return subprocess.Popen(command)


def _disturb(library: Path, arguments: argparse.Namespace, log: Path) -> tuple[collections.Counter[str], int]:
    """Kill until the number is reached, then let it end."""
    kills: collections.Counter[str] = collections.Counter()
    runs = 0
    while True:
        process = _run(library, arguments, log)
        runs += 1
        while process.poll() is None and kills.total() < arguments.kills:
            time.sleep(random.uniform(0.0, arguments.life))
            whom = random.choices(("worker", "coordinator", "all"), (6, 2, 2))[0]
            if process.poll() is None and _kill(process, whom):
                kills[whom] += 1
            if whom != "worker":
                break
        if kills.total() >= arguments.kills or process.poll() == 0:
            if process.poll() is None or process.wait() != 0:
                process.wait()
                process = _run(library, arguments, log)
                runs += 1
            assert process.wait() == 0, "the last run did not end well"
            return kills, runs
        process.wait()


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
    differences = [
        float(np.abs(embeddings[0][path].astype(np.float32) - row.astype(np.float32)).max())
        for path, row in embeddings[1].items()
    ]
    times = collections.Counter(log.read_text(encoding="ascii").split())
    again = sum(times.values()) - len(times)
    print(f"{kills.total()} kills ({dict(kills)}) over {runs} runs")
    print(f"ledger: {ledger}")
    print(f"verify: {len(findings)} findings {findings[:3]}")
    print(f"pictures with an embedding: {len(embeddings[1])} of {arguments.images}")
    print(
        f"largest difference to the undisturbed run: {max(differences):.6f}; equal to the bit: {differences.count(0.0)}"
    )
    print(f"decoded again after a kill: {again} ({again / max(1, kills.total()):.1f} a kill)")
    assert not findings
    assert len(embeddings[1]) == arguments.images
    assert ledger["embedded"] == arguments.images


def _by_path(library: Library) -> dict[str, np.ndarray]:
    rows = library.embeddings()
    found = library.catalogue.rows("embedded_paths")
    return {path: rows[index] for path, index in found}


if __name__ == "__main__":
    main()
