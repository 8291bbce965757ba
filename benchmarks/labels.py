"""
What labels cost: marking every row, an index with nothing new, and searches with a label or in the order of their dates.

    python -m benchmarks.labels --n 200000 --labels 100

A library of rows without pictures (`generated`), the starter model, and labels whose words are the built-in reference queries. Processor time of this
process, so that other programs on the machine count little; the median of the searches.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.generated import make_library

from pixfind.library import labels
from pixfind.library.labels import Definition
from pixfind.library.library import Library
from pixfind.search import calibration, filters, labelling
from pixfind.search.searcher import Searcher
from pixfind.types import Sort

_ROUNDS = 15


def main() -> None:
    """Measure, and print a line for each figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=200_000, help="images")
    parser.add_argument("--labels", type=int, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pixfind-labels-") as folder:
        path = Path(folder) / "library"
        make_library(path, "starter", options.n)
        with Library.open(path, write=True) as library, library.lock("benchmark"):
            _measure(library, options.labels)


def _measure(library: Library, count: int) -> None:
    words = calibration.queries("reference")[:count]
    labels.define(library.catalogue, [Definition(f"label {n}", text, min_z=2.0) for n, text in enumerate(words)])
    seconds = _seconds(lambda: labelling.update(library))
    known = sum(label.vector is not None for label in labels.all_labels(library.catalogue))
    print(f"mark {library.merged_rows:,} rows of {library.dimension} with {known} labels: {seconds:.2f} s")
    print(f"again, with nothing new: {1000 * _seconds(lambda: labelling.update(library)):.1f} ms")
    most, having = max(labels.counts(library.catalogue).items(), key=lambda one: one[1])
    some = filters.parse(label=most)
    with Searcher(library) as searcher:
        kinds: dict[str, Callable[[], object]] = {
            "search": lambda: searcher.search("sunset", 20, include_weak=True),
            f"with a label that {having:,} have": lambda: searcher.search("sunset", 20, some, include_weak=True),
            "100 hits": lambda: searcher.search("sunset", 100),
            "20 of the 100 nearest by date": lambda: searcher.search("sunset", 20, sort=Sort.DATE),
        }
        for name, work in kinds.items():
            work()
            print(f"{name}: {1000 * statistics.median(_seconds(work) for _ in range(_ROUNDS)):.1f} ms")


def _seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


if __name__ == "__main__":
    main()
