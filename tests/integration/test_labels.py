"""Labels: what a search for their words shows, kept, and made current by each index."""

import csv
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pixfind import Library as PublicLibrary
from pixfind import errors
from pixfind.demo.collection import draw
from pixfind.embedding.runners.serial import Serial
from pixfind.library import labels, repair, verify
from pixfind.library.catalogue import Catalogue
from pixfind.library.labels import Definition, Marked
from pixfind.library.library import Library
from pixfind.search import filters, label_file, query, searcher
from pixfind.search.labelling import LabelReport
from pixfind.testing import make_library, make_pictures
from pixfind.testing.commands import Commands
from pixfind.testing.libraries import QUIET, calibration_of, recalibrate
from pixfind.workflows import label, switch_model
from pixfind.workflows.events import Event, Labelled
from pixfind.workflows.export import images
from pixfind.workflows.index import index

KINDS = ("beach", "forest", "sunset-sea", "winter-mountains", "city-night", "flower")
EACH = 14

DEFINITIONS = (
    Definition("beach", '+"beach"', min_z=1.5),
    Definition("snow", '+"snow"', min_z=1.0),
    Definition("woods", '+"forest" -"snow"', min_z=1.5),
    Definition("night", '+"city at night"', min_z=2.0),
)


def drawn(folder: Path, kind: str, numbers: range) -> None:
    folder.mkdir(exist_ok=True)
    for number in numbers:
        picture = draw(kind, np.random.default_rng(number), (160, 120))
        picture.save(folder / f"{kind}-{number:02}.jpg", quality=88)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a library that has labels, beside its pictures."""
    place = tmp_path_factory.mktemp("labels")
    for kind in KINDS:
        drawn(place / "pictures", kind, range(EACH))
    with Library.create(place / "library") as made:
        index(made, [place / "pictures"], QUIET, runner=Serial())
        define(made)
    return place


@pytest.fixture
def library(tmp_path: Path, original: Path) -> Iterator[Library]:
    shutil.copytree(original / "library", tmp_path / "library")
    with Library.open(tmp_path / "library", write=True) as opened:
        yield opened
        assert [] == verify.verify(opened)


def define(library: Library, definitions: tuple[Definition, ...] = DEFINITIONS) -> LabelReport:
    with library.lock("label"):
        report = label.define(library, definitions)
    assert report is not None
    return report


def refreshed(library: Library) -> list[LabelReport]:
    seen: list[Event] = []
    index(library, (), QUIET, runner=Serial(), observer=seen.append)
    return [event.report for event in seen if isinstance(event, Labelled)]


def having(library: Library, *names: str) -> set[str]:
    """The names of the images that have these labels."""
    wanted = filters.parse(label=names)
    found = searcher.search(library, "beach", 1_000, wanted, include_weak=True)
    return {Path(hit.path).name for hit in found}


@pytest.mark.parametrize("cutoffs", [(1.5, None), (1.5, 1.0), (99.0, 1.2)])
def test_a_label_marks_what_a_search_for_its_words_shows(library: Library, cutoffs: tuple[float, float | None]) -> None:
    recalibrate(library, query_cutoff=cutoffs[0], image_cutoff=cutoffs[1])
    queries = ('+"beach"', '+"snow"', '+"forest" -"snow"', '+"city at night"')
    define(library, tuple(Definition(f"label {number}", words) for number, words in enumerate(queries)))

    for number, words in enumerate(queries):
        shown = searcher.search(library, query.parse(words), 1_000)
        assert {Path(hit.path).name for hit in shown} == having(library, f"label {number}")
    assert 0 < len(having(library, "label 0")) < EACH * len(KINDS)


def test_without_cut_offs_labels_need_a_threshold(library: Library) -> None:
    report = define(library, (Definition("beach", '+"beach"'), DEFINITIONS[1]))

    assert ("beach",) == report.undecided
    assert set() == having(library, "beach")
    assert having(library, "snow")


def test_labels_are_combined_and_denied(library: Library) -> None:
    everything = {Path(record.path).name for record in images(library)}
    beach, snow = having(library, "beach"), having(library, "snow")

    assert everything - beach == having(library, "-beach")
    assert beach - snow == having(library, "beach", "-snow")
    assert beach & snow == having(library, "beach", "snow")


def test_an_unknown_label_is_refused_with_those_that_there_are(library: Library) -> None:
    with pytest.raises(errors.InvalidFilter, match="the labels are beach, snow, woods, night"):
        having(library, "sand")
    with library.lock("label"):
        assert label.define(library, ()) is None
    with pytest.raises(errors.InvalidFilter, match="pixfind label FILE"):
        having(library, "beach")


def test_a_threshold_of_ones_own_replaces_the_cut_offs(library: Library) -> None:
    strict, lenient = (Definition(name, '+"beach"', min_z) for name, min_z in (("strict", 2.0), ("lenient", -1.0)))
    define(library, (strict, lenient))
    found = searcher.search(library, "beach", 1_000, include_weak=True)

    for one in (strict, lenient):
        expected = {Path(hit.path).name for hit in found if (hit.query_z or 0.0) >= (one.min_z or 0.0)}
        assert expected == having(library, one.name)
    assert having(library, "strict") < having(library, "lenient")


def test_an_index_labels_what_is_new_and_nothing_else(library: Library, tmp_path: Path) -> None:
    assert [0] == [report.rows for report in refreshed(library)]
    more = tmp_path / "more"
    drawn(more, "beach", range(EACH, EACH + 2))
    shutil.copy(more / f"beach-{EACH}.jpg", more / "copy.jpg")
    before = having(library, "beach")
    seen: list[Event] = []
    index(library, [more], QUIET, runner=Serial(), observer=seen.append)

    assert [2] == [event.report.rows for event in seen if isinstance(event, Labelled)]
    assert before | {f"beach-{EACH}.jpg", f"beach-{EACH + 1}.jpg"} == having(library, "beach") - {"copy.jpg"}
    counted = labels.counts(library.catalogue)["beach"]
    # A copy has the labels of its original, and counts.
    assert len(before) + 3 == counted


def test_a_new_calibration_labels_everything_again(library: Library) -> None:
    before = labels.counts(library.catalogue)
    # Its covariance decides what a z-score is.
    recalibrate(library, covariance=calibration_of(library).covariance * 4)

    assert [EACH * len(KINDS)] == [report.rows for report in refreshed(library)]
    after = labels.counts(library.catalogue)
    assert sum(after.values()) < sum(before.values())


def test_rows_that_get_other_contents_lose_their_labels(library: Library) -> None:
    with library.embeddings_path.open("r+b") as file:
        file.truncate(file.seek(0, 2) - 1_000)
    with library.lock("verify"):
        assert [] == repair.repair(library, verify.verify(library))

    assert labels.marked(library.catalogue) is None
    assert 0 == sum(labels.counts(library.catalogue).values())
    assert [EACH * len(KINDS)] == [report.rows for report in refreshed(library)]
    assert having(library, "beach")


def test_words_that_the_model_does_not_know_are_named(library: Library) -> None:
    report = define(library, (DEFINITIONS[0], Definition("zyx", '+"zyxwvut"', min_z=0.0)))

    assert ("zyx",) == report.unknown
    assert 0 == labels.counts(library.catalogue)["zyx"]


def test_before_an_index_nothing_is_labelled_and_it_is_said_why(tmp_path: Path) -> None:
    make_pictures(tmp_path / "pictures", 5)
    with make_library(tmp_path / "library", tmp_path / "pictures") as library:
        report = define(library)

        assert "takes an index" in (report.problem or "")
        assert {"beach": 0, "snow": 0, "woods": 0, "night": 0} == labels.counts(library.catalogue)


def test_another_generation_takes_the_labels_over_and_none_of_the_marks(library: Library, tmp_path: Path) -> None:
    with Catalogue(tmp_path / "metadata.db", write=True) as other:
        other.sync_from(library.catalogue)
        assert [one.name for one in DEFINITIONS] == labels.names(other)
        assert all(one.encoder is None for one in labels.all_labels(other))
        assert 0 == sum(labels.counts(other).values())
        with library.lock("label"):
            labels.define(library.catalogue, [Definition("beach", '+"sand"'), DEFINITIONS[1]])
        other.sync_from(library.catalogue)
        assert [("beach", '+"sand"'), ("snow", '+"snow"')] == [
            (one.definition.name, one.definition.query) for one in labels.all_labels(other)
        ]


def test_marks_of_labels_that_went_do_not_pass_to_those_that_get_their_ids(library: Library, tmp_path: Path) -> None:
    with Catalogue(tmp_path / "metadata.db", write=True) as other:
        other.sync_from(library.catalogue)
        labels.mark(other, [(0, 1), (1, 2)], Marked("of these", 2), afresh=True)
        other.sync_from(library.catalogue)
        assert Marked("of these", 2) == labels.marked(other)
        assert ["beach"] == labels.of_row(other, 0)
        with library.lock("label"):
            labels.define(library.catalogue, [Definition("sea", '+"beach"', min_z=1.5), DEFINITIONS[1]])
        other.sync_from(library.catalogue)

        assert [] == labels.of_row(other, 0)
        assert ["snow"] == labels.of_row(other, 1)
        assert labels.marked(other) is None, "the same words with another name are looked for again"


def test_a_rollback_labels_by_the_labels_of_now(library: Library) -> None:
    index(library, (), replace(QUIET, precision="int8"), runner=Serial())
    with Library.open(library.path, write=True) as current:
        assert current.generation != library.generation
        define(current, (Definition("woods", '+"forest"', min_z=1.5), Definition("flowers", '+"flower"', min_z=1.5)))
        with current.lock("rollback"):
            switch_model.rollback(current)
            switch_model.finish_interrupted(current)
    with Library.open(library.path) as back:
        assert back.generation == library.generation
        for name, words in (("woods", "forest"), ("flowers", "flower")):
            shown = searcher.search(back, query.parse(f'+"{words}"'), 1_000, include_weak=True)
            assert {Path(hit.path).name for hit in shown if (hit.query_z or 0.0) >= 1.5} == having(back, name)
            assert having(back, name)


def test_tables_have_the_labels(library: Library, tmp_path: Path, commands: Commands) -> None:
    for name in ("a.csv", "a.jsonl", "a.parquet"):
        done = commands.run(["--library", str(library.path), "export", str(tmp_path / name)])
        assert 0 == done.returncode, done.stderr
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(tmp_path / "a.parquet").to_pylist()

    assert having(library, "beach") == {Path(line["path"]).name for line in lines if "beach" in line["labels"]}
    assert [line["labels"] for line in lines] == [row["labels"] for row in table]
    assert ["; ".join(line["labels"]) for line in lines] == [row["labels"] for row in rows]


def test_the_command_labels_shows_and_removes(library: Library, tmp_path: Path, commands: Commands) -> None:
    (tmp_path / "labels.txt").write_text("# mine\nbeach >= 1\nwoods: forest -snow >= 2\n\n", encoding="utf-8")
    where = ["--library", str(library.path)]

    done = commands.run([*where, "label", str(tmp_path / "labels.txt"), "--json"])
    assert 0 == done.returncode, done.stderr
    found = json.loads(done.stdout)
    assert [("beach", '+"beach"', 1.0), ("woods", '+"forest" -"snow"', 2.0)] == [
        (one["label"], one["query"], one["min_z"]) for one in found
    ]
    hits = commands.run(
        [*where, "search", "forest", "--label", "beach", "--label=-woods", "--json", "--all", "-k", "99"]
    )
    assert found[0]["images"] == len(json.loads(hits.stdout))
    assert "woods" in commands.run([*where, "label"]).stdout.decode()
    assert 0 == commands.run([*where, "label", "--off"]).returncode
    assert [] == labels.names(library.catalogue)


def test_a_program_labels(library: Library, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("beach >= 1\n", encoding="utf-8")
    with PublicLibrary.open(library.path) as opened:
        counts = opened.label(tmp_path / "labels.txt")
        assert (
            {"beach": len(opened.search("forest", k=100, label="beach", include_weak=True))}
            == counts
            == opened.labels()
        )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it has 0 labels"),
        ("# only a remark\n", "it has 0 labels"),
        ("beach\nBeach\n", 'line 2: there is a label "Beach" already'),
        ("-beach\n", "line 1: a name has"),
        (": a dog\n", "line 1: a name has"),
        ("a;b\n", "line 1: a name has"),
        ("dog: id:5\n", "line 1: a label is described by words alone"),
        ("dog: says:dog\n", "line 1: a label is described by words alone"),
        ("dog: -cat\n", "line 1: all terms are negative"),
        ('dog: "a dog\n', "line 1: this quote is not closed"),
        ("x" * 101 + "\n", "line 1: a name has"),
        ("\udcff\n", "it is no UTF-8"),
        ("sky >= 1,5\n", 'line 1: "sky >= 1,5" looks like a threshold'),
        ("snow > 2\n", 'line 1: "snow > 2" looks like a threshold'),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_by_its_line(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "labels.txt").write_bytes(text.encode("utf-8", "surrogateescape"))

    with pytest.raises(errors.InvalidLabels) as caught:
        label_file.read(tmp_path / "labels.txt")

    assert why in str(caught.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidLabels):
        label_file.read(tmp_path / "none.txt")
    with pytest.raises(errors.InvalidLabels):
        label_file.read(tmp_path)
