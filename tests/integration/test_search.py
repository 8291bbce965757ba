"""Search over a real library: filters, images that are gone, pictures as queries, files that are wrong."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy import float32
from numpy.typing import NDArray

from pixfind import errors
from pixfind.embedding.runners.serial import Serial
from pixfind.index import header
from pixfind.library import sql, verify
from pixfind.library.library import Library
from pixfind.search import build, calibration, filters
from pixfind.search import query as language
from pixfind.search import searcher as search
from pixfind.search.encoders import Encoders
from pixfind.search.filters import Filters
from pixfind.search.searcher import Searcher
from pixfind.testing import make_image, make_library
from pixfind.testing.libraries import QUIET, recalibrate
from pixfind.workflows.embed import embed
from pixfind.workflows.merge import merge


class Texts:
    """A text tower under our control: the words decide the direction, and "gibberish" is known to nobody."""

    device, precision, lists_words = "cpu", "fp32", True

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension

    def encode(self, texts: list[str]) -> NDArray[float32]:
        rows = [np.random.default_rng(list(text.encode())).standard_normal(self.dimension) for text in texts]
        return np.array([row / np.linalg.norm(row) for row in rows], dtype=float32).reshape(-1, self.dimension)

    def unknown(self, text: str) -> bool:
        return text == "gibberish"

    def unknown_words(self, text: str) -> tuple[str, ...]:
        return tuple(word for word in text.split() if word == "gibberish")


class NoImages(Encoders):
    """Our text tower, and no image tower at all."""

    def text(self) -> Texts:  # type: ignore[override]
        model = self.owner.model()
        assert model is not None
        return Texts(model.dimension)

    def image(self) -> object:  # type: ignore[override]
        pytest.fail("the image tower was loaded")


@pytest.fixture
def searcher(embedded: Library) -> Searcher:
    return Searcher(embedded, NoImages(embedded))


def scores_of(library: Library, vector: NDArray[float32]) -> dict[int, float]:
    """Brute force: image id -> cosine, for images that are there."""
    rows = library.catalogue._connection.execute(
        "SELECT id, embedding_index FROM images WHERE gone = 0 AND embedding_index IS NOT NULL"
    )
    embeddings = library.embeddings().astype(np.float64)
    return {image_id: float(embeddings[row] @ vector) for image_id, row in rows}


def change(library: Library, statement: str, *values: object) -> None:
    library.catalogue._connection.execute(statement, values)


# --- the answer -----------------------------------------------------------------------------------


def test_hits_are_those_of_brute_force_with_their_exact_scores(searcher: Searcher) -> None:
    answer = searcher.search("beach", 10)

    right = scores_of(searcher.library, Texts(searcher.library.dimension).encode(["beach"])[0])
    best = sorted(right, key=lambda image_id: -right[image_id])[:10]
    assert best == [hit.image_id for hit in answer.hits]
    assert [pytest.approx(right[image_id], abs=1e-5) for image_id in best] == [hit.score for hit in answer.hits]
    assert list(range(1, 11)) == [hit.rank for hit in answer.hits]
    assert 40 == answer.rows


def test_more_hits_than_images_are_all_images(searcher: Searcher) -> None:
    assert 40 == len(searcher.search("beach", 1_000).hits)


@pytest.mark.parametrize("k", [0, -1])
def test_no_hits_cannot_be_asked_for(searcher: Searcher, k: int) -> None:
    with pytest.raises(errors.InvalidCount):
        searcher.search("beach", k)


def test_images_that_are_gone_never_appear_and_never_cost_an_answer(searcher: Searcher) -> None:
    """Even when they are the best thirty."""
    best = [hit.image_id for hit in searcher.search("beach", 40).hits]
    for image_id in best[:30]:
        change(searcher.library, "UPDATE images SET gone = 1 WHERE id = ?", image_id)

    assert best[30:35] == [hit.image_id for hit in searcher.search("beach", 5).hits]
    assert best[30:] == [hit.image_id for hit in searcher.search("beach", 40).hits]


def test_files_with_the_same_bytes_are_one_hit_that_names_them_all(tmp_path: Path, pictures: Path) -> None:
    shutil.copy(pictures / "picture_00003.jpg", pictures / "another.jpg")
    with make_library(tmp_path / "library", pictures) as library:
        hits = Searcher(library, NoImages(library)).search("beach", 100).hits

    found = next({Path(hit.path).name, *(Path(path).name for path in hit.also)} for hit in hits if hit.also)
    assert {"picture_00003.jpg", "another.jpg"} == found
    assert 40 == len(hits)


def test_a_name_that_is_not_utf8_comes_back_as_the_system_gives_it(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.jpg")
    make_image(tmp_path / "pictures" / name, seed=1)
    with make_library(tmp_path / "library", tmp_path / "pictures") as library:
        searcher = Searcher(library, NoImages(library))

        assert name == Path(searcher.search("x", 1).hits[0].path).name
        assert 1 == len(searcher.search("x", 1, filters.parse(inside=name)).hits)


def test_a_library_without_embeddings_says_what_to_do(library: Library) -> None:
    with pytest.raises(errors.NotEmbedded, match="pixfind"):
        search.search(library, "beach")


# --- terms ----------------------------------------------------------------------------------------


def test_a_weight_alone_changes_nothing(searcher: Searcher) -> None:
    one, three = (searcher.search(query, 5).hits for query in ("beach", "3:beach"))

    assert one == three


def test_an_unwanted_term_moves_its_images_down(searcher: Searcher) -> None:
    unwanted = searcher.search("people", 1).hits[0].image_id
    before = [hit.image_id for hit in searcher.search("beach +people", 40).hits].index(unwanted)
    after = [hit.image_id for hit in searcher.search("beach -people", 40).hits].index(unwanted)

    assert after > before


def test_words_and_pictures_weigh_the_same(searcher: Searcher) -> None:
    """What a query of both scores goes along with either alone: a picture's wider scores do not drown the words."""
    both, image, words = (
        np.array([hit.score for hit in sorted(searcher.search(query, 40).hits, key=lambda hit: hit.image_id)])
        for query in ("beach +id:7", "id:7", "beach")
    )

    assert 40 == len(both)
    assert abs(np.corrcoef(both, image)[0, 1] - np.corrcoef(both, words)[0, 1]) < 0.1
    assert np.corrcoef(both, words)[0, 1] > 0.5


def test_terms_that_cancel_each_other_are_told(searcher: Searcher) -> None:
    with pytest.raises(errors.QueryCancelsOut, match="beach"):
        searcher.search("beach -beach")


def test_an_image_of_the_library_finds_itself_first(searcher: Searcher) -> None:
    hit = searcher.search("id:5", 3).hits[0]

    assert 5 == hit.image_id
    assert hit.score == pytest.approx(1, abs=1e-3)
    assert hit.query_z is None


def test_a_file_that_the_library_knows_needs_no_image_tower(searcher: Searcher, tmp_path: Path, pictures: Path) -> None:
    shutil.copy(pictures / "picture_00011.jpg", tmp_path / "somewhere.jpg")

    hit = searcher.search(language.image(str(tmp_path / "somewhere.jpg")), 1).hits[0]

    assert "picture_00011.jpg" == Path(hit.path).name


def test_a_file_from_elsewhere_is_embedded_as_its_twin_was(embedded: Library, tmp_path: Path) -> None:
    """The same pixels in another format find the picture they were."""
    from PIL import Image

    with Image.open(tmp_path / "pictures" / "picture_00004.jpg") as picture:
        picture.save(tmp_path / "other.png")

    hit = search.search(embedded, language.image(str(tmp_path / "other.png")), 1).hits[0]

    assert "picture_00004.jpg" == Path(hit.path).name
    assert hit.score > 0.999


@pytest.mark.parametrize("name", ["missing.jpg", "text.jpg", "empty.jpg", "folder.jpg"])
def test_a_query_picture_that_is_none_is_told_with_its_name(searcher: Searcher, tmp_path: Path, name: str) -> None:
    (tmp_path / "text.jpg").write_text("not a picture", encoding="ascii")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "folder.jpg").mkdir()
    with pytest.raises(errors.InvalidQueryImage, match=rf"(?s){name}.*Name the file of a picture"):
        Searcher(searcher.library).search(language.image(str(tmp_path / name)))


@pytest.mark.parametrize("number", [0, 41, 10**17])
def test_an_id_that_no_image_has_is_told(searcher: Searcher, number: int) -> None:
    with pytest.raises(errors.ImageNotFound, match=str(number)):
        searcher.search(f"id:{number}")


# --- filters --------------------------------------------------------------------------------------


@pytest.fixture
def varied(searcher: Searcher) -> Searcher:
    """Images of all sizes, times, cameras and places; every fifth without EXIF."""
    random = np.random.default_rng(3)
    for image_id in range(1, 41):
        exif = image_id % 5 != 0
        change(
            searcher.library,
            "UPDATE images SET width = ?, height = ?, taken_at = ?, mtime_ns = ?, camera = ?, latitude = ?, longitude = ?"
            " WHERE id = ?",
            int(random.choice([0, 90, 100, 400, 1_000])),
            int(random.choice([0, 95, 100, 400, 1_000])),
            int(random.integers(1_500_000_000, 1_700_000_000)) if exif else None,
            int(random.integers(1_500_000_000, 1_700_000_000)) * 1_000_000_000,
            str(random.choice(["Canon EOS 5D", "NIKON D750", "50%_off"])) if exif else "",
            float(random.uniform(-1, 1)) if exif else None,
            float(random.uniform(-1, 1)) if exif else None,
            image_id,
        )
    return searcher


def instant(image: dict[str, int]) -> int:
    return image["taken_at"] if image["taken_at"] is not None else image["mtime_ns"] // 1_000_000_000


FILTERS: dict[str, tuple[dict[str, Any], Callable[[dict[str, Any]], object]]] = {
    "in a name": ({"inside": "picture_0000?.jpg"}, lambda i: Path(i["path"]).name < "picture_00010"),
    "in a folder": ({"inside": "pictures"}, lambda i: True),
    "in nowhere": ({"inside": "/nowhere/*"}, lambda i: False),
    "in an absolute pattern": ({"inside": "*/pictures/*7.jpg"}, lambda i: i["path"].endswith("7.jpg")),
    "after": ({"after": "2020"}, lambda i: instant(i) >= 1_577_836_800),
    "before": ({"before": "2020-01-01"}, lambda i: instant(i) < 1_577_836_800),
    "between": ({"after": "2019", "before": "2020"}, lambda i: 1_546_300_800 <= instant(i) < 1_577_836_800),
    "at least": ({"min_size": 100}, lambda i: min(i["width"], i["height"]) >= 100),
    "at most": ({"max_size": 400}, lambda i: i["width"] > 0 and max(i["width"], i["height"]) <= 400),
    "landscape": ({"shape": "landscape"}, lambda i: i["width"] > 0 and i["height"] < 0.95 * i["width"]),
    "portrait": ({"shape": "portrait"}, lambda i: i["width"] > 0 and i["width"] < 0.95 * i["height"]),
    "square": (
        {"shape": "square"},
        lambda i: i["width"] > 0 and min(i["width"], i["height"]) >= 0.95 * max(i["width"], i["height"]),
    ),
    "camera": ({"camera": "canon"}, lambda i: "Canon" in i["camera"]),
    "camera with signs": ({"camera": "%_o"}, lambda i: "%_o" in i["camera"]),
    "near": (
        {"near": "0.2,0.1,80"},
        lambda i: i["latitude"] is not None and filters.kilometres(0.2, 0.1, i["latitude"], i["longitude"]) <= 80,
    ),
    "several": (
        {"after": "2019", "camera": "nikon", "min_size": 90},
        lambda i: instant(i) >= 1_546_300_800 and "NIKON" in i["camera"] and min(i["width"], i["height"]) >= 90,
    ),
}


@pytest.mark.parametrize("depths", [(200, 2_000), (1,)], ids=["past the filter", "through the catalogue"])
@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_leaves_exactly_the_images_it_names(
    varied: Searcher, name: str, depths: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them in the order without a filter, however few, whichever way they are found."""
    monkeypatch.setattr(search, "_FILTER_DEPTHS", depths)
    options, holds = FILTERS[name]
    connection = varied.library.catalogue._connection
    cursor = connection.execute("SELECT * FROM images")
    columns = [column[0] for column in cursor.description]
    right = {row[0] for row in cursor if holds(dict(zip(columns, row, strict=True)))}
    unfiltered = [hit.image_id for hit in varied.search("beach", 40).hits]

    answer = varied.search("beach", 20, filters.parse(**options))

    assert [image_id for image_id in unfiltered if image_id in right][:20] == [hit.image_id for hit in answer.hits]
    assert answer.hits or answer.message() == "No image passes the filters."


def test_every_filter_is_a_parameter_of_the_statements() -> None:
    text = sql.queries("search.sql")["hits"]

    assert all(f":{name}" in text for name in Filters().parameters())


# --- nothing matches ------------------------------------------------------------------------------


@pytest.fixture
def calibrated(searcher: Searcher) -> Searcher:
    """A cut-off that half of the hits for "beach" reach."""
    searcher.library.path.joinpath("data").mkdir(exist_ok=True)
    build.build_index(searcher.library, encoders=searcher.encoders)
    unusual = sorted(hit.query_z or 0.0 for hit in searcher.search("beach", 40, include_weak=True).hits)
    recalibrate(searcher.library, query_cutoff=(unusual[19] + unusual[20]) / 2, image_cutoff=None)
    return searcher


def test_hits_below_the_cut_off_are_hidden_and_counted(calibrated: Searcher) -> None:
    answer = calibrated.search("beach", 40)

    assert 20 == len(answer.hits) == answer.below_cutoff
    assert answer.cutoff is not None
    assert all((hit.query_z or 0) >= answer.cutoff for hit in answer.hits)


def test_everything_is_shown_when_asked_for(calibrated: Searcher) -> None:
    answer = calibrated.search("beach", 40, include_weak=True)

    assert 40 == len(answer.hits)
    assert answer.cutoff is None
    assert all(hit.query_z is not None for hit in answer.hits)


def test_a_query_that_nothing_answers_says_so(calibrated: Searcher) -> None:
    recalibrate(calibrated.library, query_cutoff=1e6, image_cutoff=None)

    answer = calibrated.search("beach", 5)

    assert () == answer.hits
    assert "--include-weak" in (answer.message() or "")


def test_what_every_picture_shows_is_found_though_it_is_not_unusual(calibrated: Searcher) -> None:
    fitting = sorted(hit.image_z or 0.0 for hit in calibrated.search("beach", 40, include_weak=True).hits)
    recalibrate(calibrated.library, query_cutoff=1e6, image_cutoff=(fitting[29] + fitting[30]) / 2)

    answer = calibrated.search("beach", 40)

    assert fitting[30:] == sorted(hit.image_z or 0.0 for hit in answer.hits)
    assert 30 == answer.below_cutoff


def test_pictures_as_queries_know_no_cut_off(calibrated: Searcher) -> None:
    assert 40 == len(calibrated.search("beach +id:3", 40).hits)


def test_words_that_the_model_does_not_know_are_named(searcher: Searcher) -> None:
    answer = searcher.search("gibberish", 5)

    assert () == answer.hits
    assert '"gibberish"' in (answer.message() or "")
    assert 5 == len(searcher.search("gibberish", 5, include_weak=True).hits)


def test_words_that_the_model_does_not_know_are_left_out_and_named(searcher: Searcher) -> None:
    alone = searcher.search("beach", 40)

    assert alone.message() is None
    for query in ("beach -gibberish", "beach +gibberish", "gibberish +2:beach -3:gibberish"):
        answer = searcher.search(query, 40)
        assert [hit.image_id for hit in alone.hits] == [hit.image_id for hit in answer.hits]
        assert [hit.score for hit in alone.hits] == pytest.approx([hit.score for hit in answer.hits])
        assert query == answer.query.source
        assert "ignored" in (answer.message() or "")
        assert '"gibberish"' in (answer.message() or "")


def test_a_word_that_the_model_does_not_know_is_named_within_a_text_that_it_knows(searcher: Searcher) -> None:
    answer = searcher.search("gibberish beach -snow", 5)

    assert (("gibberish",), ()) == (answer.unknown, answer.ignored)
    assert 5 == len(answer.hits)
    assert 'does not know "gibberish"; ignored.' in (answer.message() or "")


def test_a_query_of_which_only_the_unwanted_part_is_known_is_not_answered(searcher: Searcher) -> None:
    answer = searcher.search("gibberish -beach", 5)

    assert () == answer.hits
    assert "ignored" not in (answer.message() or "")


def test_the_calibration_of_another_model_is_not_used(calibrated: Searcher) -> None:
    path = calibration.path(calibrated.library.data)

    assert calibration.load(path, "another", calibrated.library.dimension) is None
    path.write_bytes(path.read_bytes()[:100])
    assert calibrated.search("beach", 40).cutoff is None


# --- the index ------------------------------------------------------------------------------------


def test_an_index_is_built_measured_and_used(searcher: Searcher) -> None:
    report = build.build_index(searcher.library, encoders=searcher.encoders)

    assert 40 == report.header.rows
    assert 1.0 == report.header.recall_text
    assert report.text_problem is None
    assert searcher.search("beach").problem is None


@pytest.mark.parametrize("damage", ["missing", "truncated", "foreign"])
def test_a_wrong_index_is_told_and_answers_stay_the_same(searcher: Searcher, damage: str) -> None:
    build.build_index(searcher.library, encoders=searcher.encoders)
    right = searcher.search("beach", include_weak=True).hits
    path = searcher.library.index_path
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-10] if damage == "truncated" else b"x" * 1_000)

    answer = searcher.search("beach", include_weak=True)

    assert str(path) in (answer.problem or "")
    assert right == answer.hits
    assert ["index"] * (damage != "missing") == [finding.code for finding in verify.verify(searcher.library)]
    path.unlink(missing_ok=True)


def test_without_a_text_tower_the_index_is_built_and_says_what_is_missing(embedded: Library) -> None:
    class Offline(Encoders):
        def text(self) -> object:  # type: ignore[override]
            raise errors.NotEmbedded(path="there is no network")

    report = build.build_index(embedded, encoders=Offline(embedded))

    assert 1.0 == report.header.recall
    assert report.header.recall_text is None
    assert "no network" in (report.text_problem or "")


def test_what_was_merged_meanwhile_is_found_by_an_open_searcher(embedded: Library, pictures: Path) -> None:
    searcher = Searcher(embedded, NoImages(embedded))
    build.build_index(embedded, encoders=searcher.encoders)
    assert 40 == len(searcher.search("beach", 100, include_weak=True).hits)

    make_image(pictures / "late.jpg", seed=99)
    with embedded.lock("embed"):
        from pixfind.library import scan

        scan.add(embedded, pictures)
        embed(embedded, QUIET, runner=Serial())
        merge(embedded)

    answer = searcher.search("beach", 100, include_weak=True)
    assert "late.jpg" in {Path(hit.path).name for hit in answer.hits}
    assert 41 == answer.rows


def test_the_starter_model_answers_end_to_end(embedded: Library) -> None:
    report = build.build_index(embedded)

    answer = search.search(embedded, "blue sky +2:id:3 -snow", 5, filters.parse(inside="*.jpg"))

    assert report.text_problem is None
    assert 5 == len(answer.hits)
    assert json.dumps([hit.path for hit in answer.hits])
    assert header.IndexKind.EXACT is answer.kind
