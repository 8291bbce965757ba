"""The index: every kind against brute force, and every way in which its file can be wrong."""

from pathlib import Path

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy import float32, int64
from tests.unit.index.conftest import DIMENSION, ROWS, brute_force, make, make_queries

from pixfind import errors
from pixfind.index import build, exact, faiss_codes, reader
from pixfind.index.header import IndexKind
from pixfind.index.preconditioning import preconditioner

KINDS = list(IndexKind)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[IndexKind, reader.Index]:
    """One index of each kind, with a tail that none of them covers."""
    embeddings = make(ROWS)
    opened = {}
    for kind in KINDS:
        path = tmp_path_factory.mktemp("index") / "faiss.index"
        build.build(embeddings[: ROWS - 100], path, queries=make_queries(50), kind=kind)
        opened[kind] = reader.open(path, embeddings)
        assert opened[kind].problem is None
    return opened


ALLOWED = {
    "all": np.ones(ROWS, dtype=bool),
    "half": np.arange(ROWS) % 2 == 0,
    "few": np.arange(ROWS) % 400 == 3,
    "only the tail": np.arange(ROWS) >= ROWS - 50,
    "one": np.arange(ROWS) == 77,
    "none": np.zeros(ROWS, dtype=bool),
}


@pytest.mark.parametrize("gather", [0, 20_000])
@pytest.mark.parametrize("k", [1, 10, 300])
@pytest.mark.parametrize("allowed", ALLOWED)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_the_scores_of_brute_force(
    built: dict[IndexKind, reader.Index],
    kind: IndexKind,
    allowed: str,
    k: int,
    gather: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With any filter, also when filters must go through the codes."""
    monkeypatch.setattr(reader, "GATHER_ROWS", gather)
    opened, mask, queries = built[kind], ALLOWED[allowed], make_queries(12)
    rows, scores = brute_force(opened.embeddings, queries, k, np.flatnonzero(mask))

    found, found_scores = opened.search(queries, k, mask)

    there = rows.shape[1]
    np.testing.assert_allclose(found_scores[:, :there], scores, atol=2e-6)
    assert (found[:, there:] == -1).all()
    assert np.isneginf(found_scores[:, there:]).all()
    right = brute_force(opened.embeddings, queries, 1, np.arange(ROWS))[1]
    assert mask[found[found >= 0]].all()
    assert (found_scores <= right + 2e-6).all()
    exact = np.take_along_axis(queries @ opened.embeddings.astype(float32).T, np.maximum(found, 0), axis=1)
    np.testing.assert_allclose(found_scores[:, :there], exact[:, :there], atol=2e-6)


@pytest.mark.parametrize(
    ("allowed", "rows", "depth", "scored"),
    [(100_000, 10_000_000, 7_500, True), (500_000, 10_000_000, 7_500, False), (40_000, 4_000_000, 7_500, True)],
)
def test_a_narrow_filter_in_a_large_index_is_scored_instead_of_fetching_a_hundred_times_as_many(
    allowed: int, rows: int, depth: int, *, scored: bool
) -> None:
    """As measured: 52 ms against 146, 230 by calculation against 96, and 15 against 54."""
    assert scored == reader.scoring_costs_less(allowed, rows, 512, depth)


def test_rows_on_a_disk_are_found_by_their_codes(
    built: dict[IndexKind, reader.Index], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, asked = built[IndexKind.PQ2], []
    search = faiss_codes.search
    monkeypatch.setattr(reader, "GATHER_ROWS", 0)
    monkeypatch.setattr(faiss_codes, "search", lambda *given: asked.append(given) or search(*given))
    mask = ALLOWED["half"]

    in_memory = opened.search(make_queries(1), 10, mask, candidates=200)
    by_memory = len(asked)
    monkeypatch.setattr(type(opened._readahead), "warm", False)
    on_disk = opened.search(make_queries(1), 10, mask, candidates=200)

    assert 0 == by_memory
    assert asked
    np.testing.assert_array_equal(in_memory[0], on_disk[0])


@pytest.mark.parametrize("kind", KINDS)
def test_rows_and_masks_and_one_query_or_many_all_say_the_same(
    built: dict[IndexKind, reader.Index], kind: IndexKind
) -> None:
    opened, queries = built[kind], make_queries(12)
    by_mask = opened.search(queries, 5, ALLOWED["half"])
    by_rows = opened.search(queries, 5, np.flatnonzero(ALLOWED["half"]))
    one_by_one = [opened.search(query, 5, ALLOWED["half"]) for query in queries]

    np.testing.assert_array_equal(by_mask[0], by_rows[0])
    np.testing.assert_array_equal(by_mask[0], np.concatenate([rows for rows, _ in one_by_one]))
    np.testing.assert_allclose(by_mask[1], np.concatenate([scores for _, scores in one_by_one]), atol=2e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_allowed_rows_may_come_in_any_order_twice_and_beyond_the_end(
    built: dict[IndexKind, reader.Index], kind: IndexKind
) -> None:
    opened, rows = built[kind], np.array([9, 3, 9, 2_000, -1, 5, ROWS, 3], dtype=int64)

    found, _ = opened.search(make_queries(1), 10, rows)

    assert [3, 5, 9, 2_000] == sorted(found[found >= 0].tolist())


@pytest.mark.parametrize("kind", KINDS)
def test_more_hits_than_rows_are_all_rows_and_then_nothing(
    built: dict[IndexKind, reader.Index], kind: IndexKind
) -> None:
    found, scores = built[kind].search(make_queries(1), ROWS + 5)

    assert list(range(ROWS)) == sorted(found[0][:ROWS])
    assert [-1] * 5 == found[0][ROWS:].tolist()
    assert (np.diff(scores[0][:ROWS]) <= 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_no_hits_are_no_columns(built: dict[IndexKind, reader.Index], kind: IndexKind) -> None:
    assert (3, 0) == built[kind].search(make_queries(3), 0)[0].shape


def test_a_query_of_another_dimension_is_refused(built: dict[IndexKind, reader.Index]) -> None:
    with pytest.raises(ValueError, match="queries"):
        built[IndexKind.PQ2].search(make_queries(1, 16), 3)


def test_filters_that_hide_the_best_rows_hide_nothing_else(
    built: dict[IndexKind, reader.Index], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The best half is not allowed: codes alone would bring back nothing but hidden rows."""
    monkeypatch.setattr(reader, "GATHER_ROWS", 0)
    opened, query = built[IndexKind.PQ2], make_queries(1)
    scores = (query @ opened.embeddings.astype(float32).T)[0]
    mask = scores < np.median(scores)

    _, found = opened.search(query, 10, mask)

    np.testing.assert_allclose(np.sort(scores[mask])[::-1][:10], found[0], atol=2e-6)


@pytest.mark.parametrize("queries", [1, 12])
def test_a_damaged_row_of_nan_is_never_a_hit(queries: int) -> None:
    embeddings = make(2_000)
    embeddings[::2] = np.nan

    found, scores = exact.scan(embeddings, make_queries(queries), 20)

    assert (found % 2 == 1).all()
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("queries", [1, 12])
def test_equal_scores_come_by_row(queries: int) -> None:
    embeddings = np.repeat(make(10), 3_000, axis=0)

    found, _ = exact.scan(embeddings, make_queries(queries), 5)

    assert ((np.diff(found, axis=1)) == 1).all()
    assert (found[:, 0] % 3_000 == 0).all()


@given(st.integers(1, 60), st.integers(1, 70), st.integers(1, 12), st.data())
@settings(deadline=None, max_examples=60)
def test_the_scan_is_brute_force(rows: int, k: int, queries: int, data: st.DataObject) -> None:
    embeddings = make(rows, seed=rows)
    allowed = np.array(sorted(data.draw(st.sets(st.integers(0, rows - 1)))), dtype=int64)

    _, scores = exact.scan(embeddings, make_queries(queries), k, allowed)

    _, right = brute_force(embeddings, make_queries(queries), k, allowed)
    np.testing.assert_allclose(scores, right, atol=2e-6)


def test_a_small_library_is_scanned_exactly_and_says_why(path: Path) -> None:
    report = build.build(make(500), path, queries=make_queries(5))

    assert IndexKind.EXACT is report.header.kind
    assert "500 rows" in report.header.reason
    assert 1.0 == report.header.recall_text == report.header.recall_image


def test_a_larger_library_gets_codes_and_a_measured_recall(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "EXACT_NUMBERS", 1_000 * DIMENSION)
    report = build.build(make(ROWS), path, queries=make_queries(60))

    assert IndexKind.PQ2 is report.header.kind
    assert report.header.recall_text is not None
    assert min(report.header.recall_text, report.header.recall_image or 0) >= build.FLOOR
    assert report.bytes == path.stat().st_size


def test_lists_are_tried_at_no_size_by_themselves() -> None:
    kinds = [kind for kind, _ in build.kinds_to_try(100_000_000, DIMENSION, None)]

    assert [IndexKind.PQ2, IndexKind.PQ4, IndexKind.EXACT] == kinds


def test_a_kind_below_the_floor_gives_way_to_the_next_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "EXACT_NUMBERS", 1_000 * DIMENSION)
    monkeypatch.setattr(build, "_RERANKS", (11,))
    report = build.build(make(ROWS), path, queries=make_queries(60))

    assert IndexKind.PQ2 is not report.header.kind
    assert "codes found 0." in report.refused[0]
    assert report.refused[0] in report.header.reason
    assert report.header.recall >= build.FLOOR


def test_a_kind_that_was_asked_for_is_refused_below_the_floor(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build.build(make(ROWS), path, kind=IndexKind.PQ4)
    monkeypatch.setattr(build, "_RERANKS", (11,))
    before = path.read_bytes()

    with pytest.raises(errors.IndexFloorMissed, match="codes"):
        build.build(make(ROWS), path, queries=make_queries(60), kind=IndexKind.PQ2)

    assert before == path.read_bytes()


@pytest.mark.parametrize("kind", [IndexKind.PQ2, IndexKind.PQ4, IndexKind.IVF_PQ])
def test_an_extended_index_answers_like_one_built_at_once(path: Path, kind: IndexKind) -> None:
    embeddings = make(ROWS)
    build.build(embeddings[:2_000], path, queries=make_queries(60), kind=kind)
    report = build.build(embeddings, path, queries=make_queries(60), kind=kind)

    opened = reader.open(path, embeddings)

    assert report.extended
    assert ROWS == opened.rows == report.header.rows
    assert not opened.stale
    _, scores = brute_force(embeddings, make_queries(12), 10, np.arange(ROWS))
    np.testing.assert_allclose(opened.search(make_queries(12), 10)[1], scores, atol=2e-6)


def test_a_library_that_has_grown_much_gets_new_codes(path: Path) -> None:
    build.build(make(1_100), path, kind=IndexKind.PQ2)

    assert not build.build(np.concatenate([make(1_100), make(4_000, 1)]), path, kind=IndexKind.PQ2).extended


def test_codes_of_other_embeddings_are_never_extended(path: Path) -> None:
    build.build(make(ROWS), path, kind=IndexKind.PQ2)

    assert not build.build(make(ROWS + 10, seed=1), path, kind=IndexKind.PQ2).extended


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [0, 1, 40, 1_023, 1_024])
def test_any_number_of_rows_can_be_built(path: Path, rows: int, kind: IndexKind) -> None:
    embeddings = make(max(rows, 1))[:rows]
    build.build(embeddings, path, queries=make_queries(5), kind=kind)

    found, _ = reader.open(path, embeddings).search(make_queries(1), 3)

    assert min(rows, 3) == (found >= 0).sum()


@pytest.mark.parametrize("dimension", [7, 64])
def test_any_dimension_can_be_coded(path: Path, dimension: int) -> None:
    embeddings = make(2_000, dimension=dimension)
    build.build(embeddings, path, kind=IndexKind.PQ2)

    _, scores = reader.open(path, embeddings).search(make_queries(5, dimension), 5)

    _, right = brute_force(embeddings, make_queries(5, dimension), 5, np.arange(2_000))
    np.testing.assert_allclose(scores, right, atol=2e-6)


def test_a_million_equal_pictures_do_not_lower_the_recall(path: Path) -> None:
    """Among equal rows any is right."""
    embeddings = np.repeat(make(2), 3_000, axis=0)

    assert 1.0 == build.build(embeddings, path, queries=make_queries(5), kind=IndexKind.PQ2).header.recall


def test_rows_without_an_image_train_nothing(path: Path) -> None:
    embeddings = make(ROWS)
    embeddings[::2] = np.nan
    live = np.arange(ROWS) % 2 == 1
    build.build(embeddings, path, live=live, kind=IndexKind.PQ2)

    _, scores = reader.open(path, embeddings).search(make_queries(5), 10)

    np.testing.assert_allclose(scores, exact.scan(embeddings, make_queries(5), 10)[1], atol=2e-6)


def test_the_file_is_one_that_plain_faiss_reads_and_searches(path: Path) -> None:
    embeddings = make(ROWS)
    build.build(embeddings, path, queries=make_queries(60), kind=IndexKind.PQ4)
    plain = faiss.read_index(str(path))

    _, found = plain.search(make_queries(20), 200)

    right, _ = brute_force(embeddings, make_queries(20), 10, np.arange(ROWS))
    assert ROWS == plain.ntotal
    assert all(set(best) <= set(rows) for best, rows in zip(right.tolist(), found.tolist(), strict=True))


def test_shaped_codes_keep_every_score() -> None:
    """Rows times A and queries times the inverse of its transpose score as before."""
    rows, queries = make(500).astype(float32), make_queries(20)
    a = preconditioner(rows, queries)

    shaped = (queries @ np.linalg.inv(a)) @ (rows @ a.T).T

    np.testing.assert_allclose(shaped, queries @ rows.T, atol=1e-4)
