"""pixfind as a program or a notebook uses it: strings for paths, pictures, arrays, tables."""

import copy
import dataclasses
import datetime as dt
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import pixfind
from pixfind import errors
from pixfind.python_api import EmbedSettings
from pixfind.search import filters
from pixfind.search.filters import SearchFilters
from pixfind.testing import make_image, make_pictures
from pixfind.workflows.events import Event

CLIP = Path(__file__).parents[1] / "golden" / "clip-tiny"
QUIET: EmbedSettings = {"model": "starter", "workers": 1, "nice": 0}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A library of 12 pictures, of which two have the same bytes, and their folder; made with strings."""
    place = tmp_path_factory.mktemp("api")
    make_pictures(place / "pictures", 12)
    (place / "pictures" / "copy.jpg").write_bytes((place / "pictures" / "picture_00003.jpg").read_bytes())
    folder, path = str(place / "pictures"), str(place / "library")
    seen: list[tuple[str, int, int | None]] = []
    with pixfind.open(path) as library:
        summary = library.index(folder, progress=lambda *step: seen.append(step), **QUIET)
    assert 13 == summary.embedded.images
    assert {"scan", "embed", "merge"} <= {step for step, _, _ in seen}
    return path, folder


@pytest.fixture
def library(made: tuple[str, str]) -> Iterator[pixfind.Library]:
    with pixfind.open(made[0], create=False) as opened:
        yield opened
        assert [] == opened.verify()


def names(found: pixfind.SearchResult) -> list[str]:
    return [Path(hit.path).name for hit in found]


def test_a_library_says_what_is_in_it(library: pixfind.Library, made: tuple[str, str]) -> None:
    assert 12 == len(library)
    assert "starter" == library.model.name  # type: ignore[union-attr]
    assert (13, 12, 1, 0) == tuple(library.counts[each] for each in ("seen", "embedded", "duplicate", "pending"))
    assert library.status().images == library.counts
    assert made[0] in repr(library)


def test_a_search_without_a_query_shows_the_newest(library: pixfind.Library) -> None:
    dates = [hit.date or 0 for hit in library.search(k=99)]

    assert 12 == len(dates)
    assert sorted(dates, reverse=True) == dates
    assert 0 == len(library.search(after="2200"))


def test_loading_is_apart_from_the_search(library: pixfind.Library) -> None:
    first, second = library.search("red"), library.search("blue")

    assert 0 < first.loading_seconds < first.seconds
    assert second.loading_seconds < first.loading_seconds


def test_the_groups_of_duplicates_are_iterated(library: pixfind.Library) -> None:
    found = library.duplicates(exact=True)

    assert list(found.groups) == list(found)
    assert 1 == len(found)


def test_all_kinds_of_queries_find_the_picture_that_they_are_made_from(
    library: pixfind.Library, made: tuple[str, str]
) -> None:
    file = Path(made[1]) / "picture_00005.jpg"
    picture = Image.open(file)
    vector = library.embed_images(file)

    several: list[Any] = [vector, file]
    for wanted in (file, picture, np.asarray(picture.convert("RGB")), vector, several):
        found = library.search(wanted, k=3)
        assert "picture_00005.jpg" == names(found)[0]
        assert found.hits[0].score == pytest.approx(1.0, abs=0.02)


def test_text_and_picture_mix_and_filters_hold(library: pixfind.Library, made: tuple[str, str]) -> None:
    mixed = library.search(["blue sky", Path(made[1]) / "picture_00005.jpg"], k=12)

    assert 12 == len(mixed)
    assert mixed.hits == library.search([Path(made[1]) / "picture_00005.jpg", "blue sky"], k=12).hits
    assert ["picture_00002.jpg"] == names(library.search("blue sky", inside="picture_00002.jpg", include_weak=True))
    with pytest.raises(errors.OperationError, match="--after"):
        library.search("sky", after="someday")


def test_embeddings_are_unit_rows_of_the_librarys_model(library: pixfind.Library, made: tuple[str, str]) -> None:
    one, several = library.embed_text("a beach"), library.embed_text(["a beach", "snow"])
    files = sorted(Path(made[1]).glob("picture_*.jpg"))
    rows = library.embed_images([str(files[0]), files[1].read_bytes()])

    assert (library.dimension,) == one.shape
    assert (2, library.dimension) == several.shape
    np.testing.assert_allclose(one, several[0], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-3)
    stored = {Path(record.path).name: record.embedding for record in library.images()}
    assert rows[0] @ stored[files[0].name] == pytest.approx(1.0, abs=0.01)


def test_images_come_with_their_embeddings_and_what_is_known(library: pixfind.Library) -> None:
    records = list(library.images())
    ids, paths, rows = library.to_numpy()

    assert 13 == len(records)
    assert [record.image_id for record in records] == ids.tolist()
    assert [record.path for record in records] == paths
    np.testing.assert_array_equal(np.array([record.embedding for record in records]), rows)
    assert 1 == sum(record.duplicate for record in records)
    assert all(record.width and record.height and record.size for record in records)
    assert library.embeddings().shape == (12, library.dimension)


def test_a_data_frame_and_a_parquet_file_hold_the_same(library: pixfind.Library, tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas", reason="pip install 'pixfind[pandas]'")
    parquet = pytest.importorskip("pyarrow.parquet", reason="pip install 'pixfind[parquet]'")
    frame = library.to_pandas()
    written = library.to_parquet(str(tmp_path / "images.parquet"))
    read = parquet.read_table(tmp_path / "images.parquet")

    assert 13 == len(frame) == written == read.num_rows
    assert frame.index.tolist() == read["image_id"].to_pylist()
    assert frame["path"].tolist() == read["path"].to_pylist()
    np.testing.assert_array_equal(
        np.stack(frame["embedding"]), np.array(read["embedding"].to_pylist(), dtype=np.float16)
    )
    assert "embedding" not in library.to_pandas(embeddings=False)
    assert isinstance(frame, pandas.DataFrame)


def test_what_is_added_later_is_found_by_the_same_object(tmp_path: Path) -> None:
    make_pictures(tmp_path / "pictures", 3)
    with pixfind.open(tmp_path / "library") as library:
        library.index(tmp_path / "pictures", **QUIET)
        assert 3 == len(library.search("sky", k=10, include_weak=True))
        make_image(tmp_path / "pictures" / "late.jpg", seed=77)
        (report,) = library.add(str(tmp_path / "pictures"))
        library.embed(**QUIET)
        library.build_index()

        assert 1 == report.new
        assert "late.jpg" in names(library.search("sky", k=10, include_weak=True))
        assert 0 == library.merge()
        assert [] == library.verify()


def test_wrong_input_is_refused_by_class(library: pixfind.Library, tmp_path: Path) -> None:
    with pytest.raises(errors.LibraryNotFound):
        pixfind.open(tmp_path / "nowhere", create=False)
    (tmp_path / "file").touch()
    for name, refusal in (
        ("file", errors.LibraryNotADirectory),
        ("file/below", errors.LibraryNotADirectory),
        ("a\0b", errors.InvalidLibraryName),
        ("x" * 300, errors.InvalidLibraryName),
    ):
        for create in (True, False):
            with pytest.raises(refusal):
                pixfind.open(tmp_path / name, create=create)
    for vector in (np.zeros(library.dimension), np.ones(3), np.full(library.dimension, np.nan)):
        with pytest.raises(errors.InvalidVector):
            library.search(vector)
    with pytest.raises(errors.ImageProblem):
        library.embed_images(tmp_path / "missing.jpg")
    with pytest.raises(errors.OperationError):
        library.search([])
    with pytest.raises(TypeError, match="threads"):
        library.index(threads=3)  # type: ignore[call-arg]
    with pixfind.open(tmp_path / "new") as fresh, pytest.raises(errors.NotEmbedded):
        fresh.search("sky")


@pytest.mark.parametrize("wanted", [None, 3, 1.5, [1, 2], [["sky"]], [0.5, 0.5]])
def test_what_is_no_query_is_a_type_error_that_says_so(library: pixfind.Library, wanted: Any) -> None:
    with pytest.raises(TypeError, match="is no"):
        library.search(wanted)
    with pytest.raises(TypeError, match="is no text"):
        library.embed_text(wanted)


def test_a_count_is_any_integer(library: pixfind.Library) -> None:
    assert 3 == len(library.search("sky", np.int64(3), include_weak=True))  # type: ignore[arg-type]
    assert 1 == len(library.search("sky", k=True, include_weak=True))
    assert 12 == len(library.search("sky", 10**30, include_weak=True))
    for k in (0, -1, 1.5, "3", None, float("nan")):
        with pytest.raises(errors.InvalidCount):
            library.search("sky", k)  # type: ignore[arg-type]


def test_arrays_of_pixels_are_colour_grey_or_with_opacity(library: pixfind.Library, made: tuple[str, str]) -> None:
    pixels = np.asarray(Image.open(Path(made[1]) / "picture_00005.jpg").convert("RGB"))
    grey = pixels[..., 0]
    opaque = np.dstack([pixels, np.full_like(grey, 255)])

    np.testing.assert_array_equal(library.embed_images(pixels), library.embed_images(opaque))
    assert "picture_00005.jpg" == names(library.search(opaque))[0]
    assert library.search(grey, k=1).hits[0].score == pytest.approx(library.search([grey], k=1).hits[0].score)
    wrong: Any
    for wrong in (pixels / 255, pixels.astype("u2"), pixels[..., :2], pixels.transpose(2, 0, 1), pixels[:0]):
        with pytest.raises(errors.InvalidPixels, match="uint8"):
            library.embed_images(wrong)
        with pytest.raises(errors.InvalidPixels):
            library.search(wrong)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "I", "I;16", "F", "CMYK", "RGBA", "YCbCr"])
def test_pictures_of_any_mode_are_embedded(library: pixfind.Library, mode: str) -> None:
    assert (library.dimension,) == library.embed_images(Image.new(mode, (40, 30))).shape


def test_what_pillow_cannot_read_is_an_image_problem(library: pixfind.Library, made: tuple[str, str]) -> None:
    closed = Image.open(Path(made[1]) / "picture_00005.jpg")
    closed.close()
    for picture in (Image.new("RGB", (0, 5)), Image.new("La", (4, 4)), closed, "a\0b"):
        with pytest.raises(errors.ImageProblem):
            library.embed_images(picture)
    with pytest.raises(ValueError, match="working directory"):
        library.embed_images("")


def test_bytes_of_a_file_are_a_query(library: pixfind.Library, made: tuple[str, str]) -> None:
    assert "picture_00005.jpg" == names(library.search((Path(made[1]) / "picture_00005.jpg").read_bytes()))[0]


def test_the_length_of_an_embedding_does_not_matter(library: pixfind.Library, made: tuple[str, str]) -> None:
    row = library.embed_images(Path(made[1]) / "picture_00005.jpg").astype(np.float64)
    for factor in (1e-300, 1e300):
        assert library.search(row * factor, k=1).hits[0].score == pytest.approx(1.0, abs=0.02)
    for wrong in (row.astype(complex), row.astype(str), row > 0, row.astype(object)):
        with pytest.raises(errors.InvalidVector):
            library.search(wrong)


def test_text_that_is_no_unicode_is_embedded_like_an_argument(library: pixfind.Library) -> None:
    assert (2, library.dimension) == library.embed_text(["sky \udcff", "sky \ud800"]).shape
    library.search("sky \ud800")


def test_images_go_on_with_the_model_that_they_began_with(tmp_path: Path) -> None:
    make_pictures(tmp_path / "pictures", 6)
    with pixfind.open(tmp_path / "library") as library:
        library.index(tmp_path / "pictures", **QUIET)
        images = library.images()
        first = next(images)
        other: EmbedSettings = {**QUIET, "model": str(CLIP)}
        library.index(**other)
        assert library.dimension != len(first.embedding)
        rest = list(images)

    assert 5 == len(rest)
    assert {first.embedding.shape} == {record.embedding.shape for record in rest}


@pytest.mark.parametrize("again", [False, True])
def test_a_library_that_was_deleted_does_not_answer_as_an_empty_one(tmp_path: Path, again: bool) -> None:
    make_pictures(tmp_path / "pictures", 2)
    with pixfind.open(tmp_path / "library") as library:
        library.index(tmp_path / "pictures", **QUIET)
        assert 2 == len(library.search("sky"))
        shutil.rmtree(tmp_path / "library")
        if again:
            with pixfind.open(tmp_path / "library") as other:
                other.add(tmp_path / "pictures")
            assert (2, 0) == (library.counts["pending"], len(library)), "the one that is there now"
            return
        for ask in (
            len,
            lambda one: one.counts,
            lambda one: one.search("sky"),
            lambda one: one.status(),
            lambda one: list(one.images()),
        ):
            with pytest.raises(errors.LibraryNotFound):
                ask(library)


def test_queries_have_no_more_pixels_than_files(library: pixfind.Library) -> None:
    """One row that is repeated: nothing has the memory for more."""
    wide = np.broadcast_to(np.zeros((1, 20_000, 3), np.uint8), (20_000, 20_000, 3))
    huge = Image.new("1", (20_000, 20_000))
    for picture in (wide, wide[..., 0], huge):
        with pytest.raises(errors.TooLarge, match="400 MP"):
            library.search(picture)


@pytest.mark.parametrize(
    "wrong", [{"after": 2021}, {"before": dt.date(2021, 1, 1)}, {"camera": b"canon"}, {"near": (52.5, 13.4, 10)}, {"inside": Path("a")},
              {"min_size": "300"}, {"max_size": 3.5}, {"min_size": True}, {"shape": 3}, {"shape": ["square"]}]
)  # fmt: skip
def test_a_filter_of_the_wrong_type_is_refused_by_its_name(library: pixfind.Library, wrong: Any) -> None:
    with pytest.raises(errors.InvalidFilter):
        library.search("sky", **wrong)
    assert library.search("sky", min_size=np.int64(1), include_weak=True)  # type: ignore[arg-type]


def test_a_closed_library_says_so(made: tuple[str, str]) -> None:
    library = pixfind.open(made[0])
    library.close()
    library.close()
    for use in (library.status, library.to_numpy, library.build_index, library.verify, library.__enter__):
        with pytest.raises(errors.LibraryClosed):
            use()
    for search in (library.search, library.embed_text, library.embed_images):
        with pytest.raises(errors.LibraryClosed):
            search("sky")
    with pytest.raises(errors.LibraryClosed):
        library.add(made[1])


def test_a_library_is_neither_copied_nor_pickled(library: pixfind.Library) -> None:
    for carry in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="open it there"):
            carry(library)


def test_observer_and_progress_are_both_told(tmp_path: Path) -> None:
    make_pictures(tmp_path / "pictures", 2)
    steps: list[str] = []
    events: list[Event] = []
    with pixfind.open(tmp_path / "library") as library:
        library.index(
            tmp_path / "pictures",
            progress=lambda step, *_: steps.append(step),
            observer=events.append,
            **QUIET,
        )
        assert [] == library.verify()
    assert "embed" in steps
    assert events


def test_a_misspelt_name_does_not_pass_a_type_checker(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(
        'import pixfind\nfor hit in pixfind.open("x").search("sky"):\n    print(hit.score)\npixfind.open("x").serach("sky")\n'
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir", os.devnull, "script.py"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert 'script.py:4: error: "Library" has no attribute "serach"' in done.stdout
    assert "Found 1 error" in done.stdout


def test_keywords_are_those_of_the_options_and_filters() -> None:
    import inspect

    assert {field.name for field in dataclasses.fields(pixfind.EmbedOptions)} == set(EmbedSettings.__annotations__)
    # `now` is for tests: options are counted from the present.
    assert set(inspect.signature(filters.parse).parameters) - {"now"} == set(SearchFilters.__annotations__)


@pytest.mark.usefixtures("unmeasured")
def test_every_public_name_is_there_and_nothing_is_loaded_before_it_is_used() -> None:
    code = (
        "import sys, pixfind\n"
        "heavy = {'numpy', 'sqlite3', 'PIL', 'faiss', 'onnxruntime', 'pixfind.library.library'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "assert all(getattr(pixfind, name) is not None for name in pixfind.__all__)\n"
        "assert dir(pixfind) == sorted(pixfind.__all__)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "code",
    [
        "from pixfind import scan; scan.add",
        "from pixfind.scan import add",
        "import pixfind.ingest; pixfind.ingest.embed, pixfind.ingest.merge, pixfind.ingest.Options",
        "from pixfind import search; search.search",
        "from pixfind.library import Library",
        "from pixfind import verify, status, query; verify.verify, status.status, query.parse",
    ],
)
def test_former_names_work_and_warn(code: str) -> None:
    done = subprocess.run([sys.executable, "-W", "always", "-c", code], capture_output=True, text=True, check=True)

    assert "DeprecationWarning" in done.stderr
    assert "is now pixfind." in done.stderr


def test_programs_of_version_0_1_still_run(made: tuple[str, str]) -> None:
    """What the README of that version showed."""
    code = (
        "from pathlib import Path\n"
        "from pixfind import Library, search\n"
        f"with Library.open(Path({made[0]!r})) as library:\n"
        "    for hit in search.search(library, 'sunset over the sea', k=3, include_weak=True).hits:\n"
        "        print(hit.score, hit.path)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (0, 3) == (done.returncode, len(done.stdout.splitlines())), done.stderr


def test_a_wrong_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        pixfind.nonsense  # noqa: B018
    with pytest.raises(ModuleNotFoundError):
        __import__("pixfind.nonsense")


def test_a_switch_to_the_active_model_says_that_it_is_active(made: tuple[str, str]) -> None:
    command = [sys.executable, "-m", "pixfind", "--library", made[0], "model", "switch", "starter"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert "searches already use starter fp32" in done.stderr


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        ({"workers": 0}, ValueError),
        ({"workers": -1}, ValueError),
        ({"workers": 1.5}, TypeError),
        ({"share": "80%"}, TypeError),
        ({"share": 80}, ValueError),
        ({"share": float("nan")}, ValueError),
        ({"nice": "x"}, TypeError),
        ({"nice": 99}, ValueError),
        ({"memory": "4G"}, TypeError),
        ({"megapixels": 0}, ValueError),
        ({"seconds_per_image": 0}, ValueError),
        ({"hours": "22-6"}, TypeError),
    ],
)
def test_settings_that_mean_nothing_are_refused_before_anything_runs(
    wrong: dict[str, Any], kind: type[Exception]
) -> None:
    (name,) = wrong
    with pytest.raises(kind, match=name):
        pixfind.EmbedOptions(**wrong)


def test_one_glob_or_name_is_a_text_and_several_are_a_list(tmp_path: Path) -> None:
    """A text is no list of its letters, which would exclude nearly everything from then on."""
    make_pictures(tmp_path / "pictures", 3)
    make_image(tmp_path / "pictures" / "other.png", seed=9)
    with pixfind.open(tmp_path / "library") as library:
        library.add(tmp_path / "pictures", exclude="*.png")
        assert 3 == library.counts["seen"]
        library.index(exclude="*2.jpg", include="*.png", **QUIET)
        assert {"picture_00000.jpg", "picture_00001.jpg", "other.png"} == {
            Path(each.path).name for each in library.images()
        }
        (report,) = library.add(exclude=iter(["*0.jpg", "*1.jpg"]), include=["*2.jpg"])
        assert (2, 2) == (report.seen, report.excluded)


def test_one_column_that_a_list_keeps_is_a_text(tmp_path: Path) -> None:
    picture = make_image(tmp_path / "a.jpg", seed=1)
    (tmp_path / "list.csv").write_text(f"path,license\n{picture},cc0\n", encoding="utf-8")
    with pixfind.open(tmp_path / "library") as library:
        library.add(tmp_path / "list.csv", settings={"column": "path", "keep": "license"})
        library.embed(**QUIET)
        assert 1 == len(library.search(where="license=cc0"))


@pytest.mark.parametrize("wrong", [7, b"*.png", Path("*.png"), ["*.png", 7], None])
@pytest.mark.parametrize("name", ["exclude", "include"])
def test_what_is_no_glob_is_refused(library: pixfind.Library, name: str, wrong: Any) -> None:
    for call in (library.add, library.index):
        with pytest.raises(TypeError, match="is no glob"):
            call(**{name: wrong})
