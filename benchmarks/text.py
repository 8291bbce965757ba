"""
The ranking of what pictures show, say and are called, and what a full-text index of many texts costs.

    python -m benchmarks.text rank [--n 240] [--seeds 2 3 4] [--read]
    python -m benchmarks.text scale [--n 624000]

`rank`: the set of `pixfind.testing.written` for each seed, embedded with the starter; the words are kept as they were written, or with `--read` as they
are read. Queries for what pictures show, for one or two words that they say, for both (a kind and a word of a sign on one of that kind), and for
the words of a folder. "looks" ranks by cosine alone, as without text; "substring" is a filter of its own for text, newest first, as Immich has it; "rrf" is reciprocal rank fusion of both lists
with k = 60; the others are pixfind with other lifts for words in the picture and in the name, and "without end" lifts one word as far as several. The figures are
in docs/decisions/0035-how-far-words-lift.md.

`scale`: n texts of 30 words from 20,000, by Zipf's law; names likewise.
"""

import argparse
import contextlib
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from pixfind.library import fulltext, texts, tokens
from pixfind.library.fulltext import Column
from pixfind.library.library import Library, ModelIdentity
from pixfind.models import readers
from pixfind.search import ranking, words
from pixfind.search.query import parse
from pixfind.search.searcher import Searcher
from pixfind.testing import written
from pixfind.testing.libraries import QUIET
from pixfind.testing.written import WORDS, Drawn, Question
from pixfind.types import ReadText
from pixfind.workflows.index import index

DEPTH = 10
QUESTIONS: dict[str, Callable[[Sequence[Drawn]], list[Question]]] = {
    "looks": written.look_questions,
    "one word": written.word_questions,
    "two words": written.text_questions,
    "mixed": written.mixed_questions,
    "folder": written.name_questions,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.text")
    parser.add_argument("part", choices=("rank", "scale"))
    parser.add_argument("--n", type=int)
    parser.add_argument("--seeds", type=int, nargs="+", default=[2, 3, 4])
    parser.add_argument("--read", action="store_true", help="read the pictures instead of taking the words as written")
    options = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}")
    if options.part == "rank":
        measure_ranking(options.n or 240, options.seeds, read=options.read)
    else:
        measure_scale(options.n or 624_000)


# --- ranking --------------------------------------------------------------------------------------


def measure_ranking(count: int, seeds: Sequence[int], *, read: bool) -> None:
    found: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for seed in seeds:
        with tempfile.TemporaryDirectory(prefix="pixfind-bench-") as folder:
            place = Path(folder)
            drawn = written.draw_set(place / "pictures", count, seed)
            with Library.create(place / "library") as library:
                index(library, [place / "pictures"], QUIET)
                keep = keep_what_is_read if read else written.keep_as_written
                keep(library, drawn)
                fulltext.update(library)
                with Searcher(library) as searcher:
                    for name, ranked in rankings(searcher, drawn).items():
                        for kind, question in asked(searcher, drawn):
                            cells = found.setdefault(name, {}).setdefault(kind, [])
                            cells.append(figures(question, ranked(question.query)))
        print(f"seed {seed}: {len(drawn)} pictures, {sum(bool(one.says) for one in drawn)} with text")
    counts = {kind: len(cells) for kind, cells in found["looks"].items()}
    print("* the word is one that the model knows, so that it may be meant either way")
    print("MRR and recall@10".ljust(34) + "".join(f"{kind} ({count})".rjust(18) for kind, count in counts.items()))
    for name, kinds in found.items():
        shown = (
            " ".join(f"{statistics.mean(each):.3f}" for each in zip(*kind, strict=True)) for kind in kinds.values()
        )
        print(name.ljust(34) + "".join(cell.rjust(18) for cell in shown))


def asked(searcher: Searcher, drawn: Sequence[Drawn]) -> Iterator[tuple[str, Question]]:
    """Yield the questions, with their kind: those that end with a word that the model knows ask for what nobody can tell."""
    for kind, questions in QUESTIONS.items():
        for question in questions(drawn):
            word = question.query.split()[-1]
            either = kind in {"one word", "mixed"} and not searcher.encoders.unknown(word)
            yield kind + (" *" if either else ""), question


def keep_what_is_read(library: Library, drawn: Sequence[Drawn]) -> None:
    """Read the pictures in this process: a worker would do the same."""
    reader = readers.open_text_reader(1)
    rows = library.catalogue._connection.execute("SELECT id, path, hash FROM images").fetchall()  # noqa: SLF001
    read = [
        ReadText(number, content, reader.read(readers.prepared(Image.open(path)))) for number, path, content in rows
    ]
    with library.catalogue.transaction():
        texts.keep(library.catalogue, read, readers.name())
    said = {path: text.lines for (_, path, _), text in zip(rows, read, strict=True)}
    right = [
        word in {t for line in said[str(one.path)] for t in tokens.indexed(line.text)}
        for one in drawn
        for word in one.says
    ]
    print(f"words read right: {sum(right)} of {len(right)}")


Ranked = Callable[[str], list[str]]


def rankings(searcher: Searcher, drawn: Sequence[Drawn]) -> dict[str, Ranked]:
    def lifted(query: str, k: int, text: float, name: float, beyond: float) -> list[str]:
        with settings(text, name, beyond):
            return [hit.path for hit in searcher.search(query, k, include_weak=True).hits]

    def fused(query: str) -> list[str]:
        with fulltext.searching(searcher.library) as opened:
            any_word = " OR ".join(word.expression for word in tokens.wanted(query))
            found = opened._connection.execute(  # noqa: SLF001
                "SELECT rowid FROM said WHERE said MATCH ? ORDER BY rank", [any_word]
            ).fetchall()
        said = [path_of[row] for (row,) in found]
        scores: dict[str, float] = {}
        for ranked in (lifted(query, len(drawn), 0.0, 0.0, 1.0), said):
            for rank, path in enumerate(ranked, 1):
                scores[path] = scores.get(path, 0.0) + 1 / (60 + rank)
        return sorted(scores, key=lambda path: -scores[path])[:DEPTH]

    def substring(query: str) -> list[str]:
        return [path for path in sorted(read, reverse=True) if query in read[path]][:DEPTH]

    library = searcher.library
    rows = library.catalogue._connection.execute("SELECT embedding_index, path, id FROM images").fetchall()  # noqa: SLF001
    path_of = {row: path for row, path, _ in rows}
    lines = texts.lines(library.catalogue, [image_id for _, _, image_id in rows])
    read = {path: " ".join(line.text for line in lines.get(image_id, ())).casefold() for _, path, image_id in rows}
    grid = [(4.0, 2.0, 0.05), (5.0, 2.0, 0.05), (6.0, 2.0, 0.05)]
    grid += [(5.0, 0.0, 0.05), (5.0, 1.0, 0.05), (5.0, 4.0, 0.05), (5.0, 2.0, 0.3)]
    return {
        "looks": lambda query: lifted(query, DEPTH, 0.0, 0.0, 1.0),
        "substring": substring,
        "rrf": fused,
        "lift 4, names 2, without end": lambda query: lifted(query, DEPTH, 4.0, 2.0, 1.0),
        **{
            f"lift {text:g}, names {name:g}, beyond {beyond:g}": partial(
                lifted, k=DEPTH, text=text, name=name, beyond=beyond
            )
            for text, name, beyond in grid
        },
    }


@contextlib.contextmanager
def settings(text: float, name: float, beyond: float) -> Iterator[None]:
    """Rank with other weights."""
    ours, ours_beyond = dict(words.LIFTS), ranking.BEYOND_REACH
    words.LIFTS.update({Column.TEXTS: text, Column.NAMES: name})
    ranking.BEYOND_REACH = beyond  # type: ignore[misc]  # measured here alone
    try:
        yield
    finally:
        words.LIFTS.update(ours)
        ranking.BEYOND_REACH = ours_beyond  # type: ignore[misc]  # as above


def figures(question: Question, found: Sequence[str]) -> tuple[float, float]:
    """Return the reciprocal rank of the first right answer, and recall@10."""
    places = [place for place, path in enumerate(found, 1) if path in question.right]
    return (1 / places[0] if places else 0.0), len(places) / min(len(question.right), DEPTH)


# --- scale ----------------------------------------------------------------------------------------


def measure_scale(count: int) -> None:
    chance = np.random.default_rng(5)
    vocabulary = np.array(
        [f"{WORDS[n % len(WORDS)]}{chr(97 + n // len(WORDS) % 26)}{n // (26 * len(WORDS))}x" for n in range(20_000)]
    )
    ranks = np.minimum(chance.zipf(1.2, (count, 30)), 20_000) - 1
    with (
        tempfile.TemporaryDirectory(prefix="pixfind-bench-") as folder,
        Library.create(Path(folder) / "library") as library,
    ):
        library.remember_model(ModelIdentity("any", "0" * 64, 8, "fp16"))
        fill(library, vocabulary, ranks)
        file = fulltext.path(library.data)
        seconds = took(lambda: fulltext.update(library))
        print(
            f"{count:,} names and texts of 30 words indexed in {seconds:.0f} s: {file.stat().st_size / 1e6:.0f} MB, catalogue {library.catalogue.path.stat().st_size / 1e6:.0f} MB"
        )
        print(f"an update with nothing new: {took(lambda: fulltext.update(library)):.2f} s")
        print(f"counting what is left to read: {took(lambda: texts.count_pending(library.catalogue)):.2f} s")
        for name, first, last in (("rare", 5_000, 20_000), ("common", 20, 500), ("any", 0, 20_000)):
            asked = [" ".join(vocabulary[chance.integers(first, last, 2)]) for _ in range(100)]
            both = [took(partial(words.matches, library, parse(f'says:"{query}"').of_words())) for query in asked]
            plain = [took(partial(words.lifts, library, parse(query))) for query in asked]
            print(
                f"two {name} words: says: p50 {1000 * statistics.median(both):.1f} ms, p99 {1000 * np.quantile(both, 0.99):.1f}; lifts of a plain query p50 {1000 * statistics.median(plain):.1f} ms, p99 {1000 * np.quantile(plain, 0.99):.1f}"
            )


def fill(library: Library, vocabulary: np.ndarray, ranks: np.ndarray) -> None:
    run = library.catalogue._connection  # noqa: SLF001
    with library.catalogue.transaction():
        library.catalogue.run(
            "add_root", "scan.sql", path="/pictures", device=0, exclude="[]", added_at=0, settings="{}"
        )
        contents = [number.to_bytes(16, "big") for number in range(len(ranks))]
        run.executemany(
            "INSERT INTO images (root_id, path, size, mtime_ns, hash, outcome, embedding_index) VALUES (1, ?, 1, 1, ?, 'embedded', ?)",
            (
                (
                    f"/pictures/{2000 + number % 25}/{vocabulary[ranks[number, 0]]}/IMG_{number:06}.jpg",
                    contents[number],
                    number,
                )
                for number in range(len(ranks))
            ),
        )
        run.executemany(
            "INSERT INTO texts (hash, outcome, reader, lines) VALUES (?, 'read', 'made', ?)",
            (
                (content, json.dumps([[" ".join(vocabulary[row]), 0.9, [0.1] * 8]]))
                for content, row in zip(contents, ranks, strict=True)
            ),
        )


def took(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
