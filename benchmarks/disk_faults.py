"""
Let every call that changes a file of the library fail once, and see what becomes of it.

    python -m benchmarks.disk_faults [--verbs index merge] [--errors EIO ENOSPC] [--lasting] [--each 1] [--threads] [--jobs 2] [--log FILE]

Each command runs once undisturbed, to learn its calls: writes, syncs, renames, truncations, deletions, folders and files made, in the
library and in the model cache, by the command and its workers. Then it runs once for each of them, with that one failing (with
--lasting: and all after it), and once more without. Prints how they ended; the last three columns must be 0.
"""

import argparse
import collections
import concurrent.futures
import errno
import itertools
import sys
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path

from pixfind.testing import disk_sweep
from pixfind.testing.disk_sweep import BAD, ENDS, End, Place, Sweep
from pixfind.testing.failing_disk import Disk, Fault, build

ROOT = Path(__file__).parents[1]
OTHER_MODEL = ROOT / "tests" / "golden" / "clip-tiny"


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        built = build(ROOT / "tests" / "faults" / "failing_disk.c", place)
        ends = list(_ends(built, place, arguments))
    for error in arguments.errors:
        print(f"\n{error}, {'from that call on' if arguments.lasting else 'once'}")
        _print_table([end for end in ends if end.fault.error == getattr(errno, error)])
    sys.exit(any(end.end in BAD for end in ends))


def _arguments() -> argparse.Namespace:
    names = [verb.name for verb in disk_sweep.verbs(Place(Path(), OTHER_MODEL))]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--verbs", nargs="+", choices=names, default=names, metavar="VERB", help=", ".join(names))
    parser.add_argument("--errors", nargs="+", choices=["EIO", "ENOSPC"], default=["EIO", "ENOSPC"])
    parser.add_argument("--lasting", action="store_true", help="let all later calls fail too")
    parser.add_argument("--each", type=int, default=1, help="only each n-th call")
    parser.add_argument(
        "--threads", action="store_true", help="workers as threads of the command: faster, not the real thing"
    )
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--log", type=Path, help="JSON lines, one a fault")
    return parser.parse_args()


def _ends(built: Path, place: Path, arguments: argparse.Namespace) -> Iterable[End]:
    """Sweep all verbs; each job has a process and a library of its own, and takes the next call that nobody has taken."""
    guard = threading.Lock()
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as jobs:
        for number, name in enumerate(arguments.verbs):
            queue: collections.deque[Fault] | None = None

            def work(job: int, name: str = name, number: int = number) -> list[End]:
                nonlocal queue
                where = Place(place / f"{number}-{job}", OTHER_MODEL)
                verb = next(verb for verb in disk_sweep.verbs(where) if verb.name == name)
                ends: list[End] = []
                with Disk(built, place / f"disk-{number}-{job}") as disk:
                    sweep = Sweep(verb, where, disk, threads=arguments.threads)
                    with guard:
                        if queue is None:
                            queue = collections.deque(_faults(sweep, arguments))
                    while True:
                        with guard:
                            fault = queue.popleft() if queue else None
                        if fault is None:
                            return ends
                        ends.append(sweep.end(fault))
                        with guard:
                            _note(ends[-1], len(queue), arguments.log)

            yield from itertools.chain(*jobs.map(work, range(arguments.jobs)))


def _faults(sweep: Sweep, arguments: argparse.Namespace) -> list[Fault]:
    calls = sweep.calls[:: arguments.each]
    return [Fault(call, getattr(errno, error), arguments.lasting) for error in arguments.errors for call in calls]


def _note(end: End, left: int, log: Path | None) -> None:
    if log is not None:
        with log.open("a", encoding="utf-8") as file:
            file.write(disk_sweep.as_json(end) + "\n")
    if end.end in BAD:
        print(f"{end.end}: {end.verb}: {errno.errorcode[end.fault.error]} at {end.fault.call}\n{end.why}", flush=True)
    elif left % 50 == 0:
        print(f"{end.verb}: {left} left", file=sys.stderr, flush=True)


def _print_table(ends: list[End]) -> None:
    """Print how the faults ended, by verb and operation."""
    counts: dict[tuple[str, str], collections.Counter[str]] = {}
    for end in ends:
        counts.setdefault((end.verb, end.fault.call.operation), collections.Counter())[end.end] += 1
    print(f"{'verb':28}{'operation':12}{'calls':>6}" + "".join(f"{name:>13}" for name in ENDS))
    for (verb, operation), found in counts.items():
        print(f"{verb:28}{operation:12}{found.total():6}" + "".join(f"{found[name]:13}" for name in ENDS))
    total = sum(counts.values(), collections.Counter())
    print(f"{'all':40}{total.total():6}" + "".join(f"{total[name]:13}" for name in ENDS))


if __name__ == "__main__":
    main()
