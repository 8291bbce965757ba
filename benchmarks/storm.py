"""
Kill parts of a Ray cluster at random instants, a hundred times, while it embeds, and prove that nothing was lost or counted twice.

    python -m benchmarks.storm [--images 6000] [--kills 100] [--nodes 3] [--seconds-per-image 0.2] [--seed 0]

One library is embedded by a serial run, and once on nodes of this machine while workers, actors, raylets, whole nodes, the head of the cluster and
the coordinator are killed with SIGKILL. Then `verify` must find nothing, every picture must have exactly one embedding, and each must equal that of the
serial run to the bit. Prints how many pictures went through the model more than once: work that was in hand when a kill came.
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
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from pixfind.library import scan
from pixfind.library.library import Library
from pixfind.library.verify import verify
from pixfind.testing import make_library, make_pictures
from pixfind.testing.clusters import Nodes
from pixfind.workflows.choose_model import choose_model
from pixfind.workflows.options import EmbedOptions

RUN = """
import contextlib, sys
from pathlib import Path
from pixfind import errors
from pixfind.embedding.runners.ray import RayRunner
from pixfind.embedding.runners.ray_cluster import Cluster
from pixfind.library.library import Library
from pixfind.testing import workers
from pixfind.workflows.embed import embed
from pixfind.workflows.merge import merge
from pixfind.workflows.options import EmbedOptions
path, address, most, argument = sys.argv[1:]
options = EmbedOptions(workers=1, most_workers=int(most), share=1.0, model="starter", nice=0)
with Library.open(Path(path), write=True) as library, library.lock("embed"):
    try:
        with contextlib.closing(RayRunner(Cluster(address), command=workers.command("slow", argument))) as runner:
            embed(library, options, runner=runner)
    except errors.ClusterUnreachable as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    merge(library)
"""

_WEIGHTS = {"worker": 25, "actor": 25, "raylet": 15, "node": 15, "coordinator": 12, "head": 8}


def main() -> None:
    arguments = _arguments()
    random.seed(arguments.seed)
    with tempfile.TemporaryDirectory(dir=arguments.place) as folder:
        place = Path(folder)
        make_pictures(place / "pictures", arguments.images, size=(32, 24))
        with make_library(place / "serial", place / "pictures"):
            print(f"{arguments.images} pictures made and embedded serially", flush=True)
        with Library.create(place / "library") as library, library.lock("add"):
            choose_model(library, EmbedOptions(model="starter"))
            scan.add(library, place / "pictures")
        storm = Storm(place, arguments)
        try:
            storm.run()
        finally:
            storm.close()
        _compare(place, storm, arguments)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=6000)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--seconds-per-image", type=float, default=0.2, help="slow enough that the kills come in time")
    parser.add_argument("--life", type=float, default=8.0, help="seconds before a kill, at most")
    parser.add_argument("--place", type=Path, help="where temporary files go")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


class Storm:
    """One library, its cluster, and the run that is killed."""

    def __init__(self, place: Path, arguments: argparse.Namespace) -> None:
        self.kills: collections.Counter[str] = collections.Counter()
        self.runs = 0
        self._place = place
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None
        self._nodes: list[Any] = []
        self._start_cluster()

    def run(self) -> None:
        """Kill until the number is reached, then let it end."""
        while self.kills.total() < self._arguments.kills:
            self._keep_running()
            time.sleep(random.uniform(0.0, self._arguments.life))
            what = random.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
            if self._running and self._kill(what):
                self.kills[what] += 1
                print(f"{time.strftime('%H:%M:%S')} {self.kills.total()}: {what}", flush=True)
            assert self._left(), "all pictures were embedded before the last kill: let each take longer"
        while self._left() or self._running:
            self._keep_running()
            time.sleep(1.0)

    def close(self) -> None:
        """End what was started."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
        with contextlib.suppress(Exception):
            self._cluster.shut_down()

    @property
    def _running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _left(self) -> int:
        with Library.open(self._place / "library") as library:
            return library.catalogue.count_pending()

    def _start_cluster(self) -> None:
        self._cluster = Nodes()
        self._nodes = [self._cluster.add() for _ in range(self._arguments.nodes)]

    def _keep_running(self) -> None:
        """Start the run again where it has ended."""
        if self._running:
            return
        argument = f"{self._arguments.seconds_per_image},{self._place / 'log'}"
        words = [str(self._place / "library"), self._cluster.address, str(2 * self._arguments.nodes), argument]
        with (self._place / "output").open("ab") as output:
            self._process = subprocess.Popen([sys.executable, "-c", RUN, *words], stdout=output, stderr=output)
        self.runs += 1

    def _kill(self, what: str) -> bool:
        """Kill one of a kind; return whether there was one."""
        match what:
            case "worker" | "actor":
                workers = _workers(self._place)
                victim = random.choice(workers) if workers else None
                if victim is not None and what == "actor":
                    victim = victim.parent()
                return victim is not None and _kill(victim.pid)
            case "coordinator":
                assert self._process is not None
                self._process.kill()
                self._process.wait()
            case "head":
                self._cluster.kill_head()
                assert self._process is not None
                # It sees that by itself.
                self._process.wait(timeout=120)
                self._cluster.shut_down()
                self._start_cluster()
            case _:
                node = self._nodes.pop(random.randrange(len(self._nodes)))
                if what == "raylet":
                    node.kill_raylet(check_alive=False)
                with contextlib.suppress(Exception):
                    self._cluster.kill(node)
                # Later than the kill, so that the run has to do with fewer for a while.
                self._nodes.append(self._cluster.add())
        return True


def _workers(place: Path) -> list[psutil.Process]:
    """The worker processes of this storm."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if "pixfind.testing.workers" in process.cmdline() and str(place) in process.cmdline()[-1]:
                found.append(process)
    return found


def _kill(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        return True
    return False


def _compare(place: Path, storm: Storm, arguments: argparse.Namespace) -> None:
    with Library.open(place / "serial") as serial, Library.open(place / "library") as library:
        findings = verify(library)
        ledger = library.catalogue.ledger()
        rows = [_by_path(one) for one in (serial, library)]
        merged = library.merged_rows
    equal = sum(rows[0][path].tobytes() == row.tobytes() for path, row in rows[1].items())
    times = sum(int(line.split()[0]) for line in (place / "log").read_text(encoding="ascii").splitlines())
    again = times - arguments.images
    print(f"{storm.kills.total()} kills ({dict(storm.kills)}) over {storm.runs} runs")
    print(f"ledger: {ledger}; rows: {merged}")
    print(f"verify: {len(findings)} findings {findings[:3]}")
    print(
        f"pictures with one embedding: {len(rows[1])} of {arguments.images}; equal to the serial run to the bit: {equal}"
    )
    print(f"through the model again after a kill: {again} ({again / storm.kills.total():.1f} a kill)")
    left = sorted(Path(tempfile.gettempdir()).glob("pixfind-worker-*"))
    print(f"folders of workers left in {tempfile.gettempdir()}: {len(left)}")
    assert not findings
    assert arguments.images == ledger["embedded"] == len(rows[1]) == equal == merged


def _by_path(library: Library) -> dict[str, np.ndarray]:
    embeddings = library.embeddings()
    return {path: embeddings[row] for path, row in library.catalogue.rows("embedded_paths")}


if __name__ == "__main__":
    main()
