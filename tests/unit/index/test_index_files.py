"""Index files that are wrong, behind or cut: told, and never a wrong answer."""

from pathlib import Path

import faiss
import numpy as np
import pytest
from numpy import float32
from tests.unit.index.conftest import DIMENSION, ROWS, brute_force, make, make_queries

from pixfind import errors
from pixfind.index import build, faiss_codes, header, reader
from pixfind.index.header import IndexKind


def spoil_nothing_there(path: Path) -> None:
    path.unlink()


def spoil_truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1_000])


def spoil_middle_lost(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:500] + data[700:])


def spoil_empty(path: Path) -> None:
    path.write_bytes(b"")


def spoil_foreign(path: Path) -> None:
    import faiss

    plain = faiss.IndexFlatIP(DIMENSION)
    plain.add(make(ROWS).astype(float32))
    faiss.write_index(plain, str(path))


def spoil_text(path: Path) -> None:
    path.write_text("not an index" * 100, encoding="ascii")


def spoil_faiss_part(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[:8] = b"XXXXXXXX"
    path.write_bytes(bytes(data))


def spoil_other_embeddings(path: Path) -> None:
    build.build(make(ROWS, seed=5), path, kind=IndexKind.PQ2, extend=False)


def spoil_other_dimension(path: Path) -> None:
    build.build(make(ROWS, dimension=16), path, kind=IndexKind.PQ2, extend=False)


def spoil_more_rows(path: Path) -> None:
    build.build(make(ROWS + 1), path, kind=IndexKind.PQ2, extend=False)


def spoil_newer(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"rerank"', b'"rebank"'))


SPOILS = [spoil for name, spoil in sorted(globals().items()) if name.startswith("spoil_")]


@pytest.mark.parametrize("spoil", SPOILS, ids=lambda spoil: spoil.__name__.removeprefix("spoil_"))
def test_a_wrong_file_is_told_and_never_gives_a_wrong_answer(path: Path, spoil: object) -> None:
    """The answer comes from an exact scan, and the next build repairs the file."""
    embeddings = make(ROWS)
    build.build(embeddings, path, kind=IndexKind.PQ2)
    spoil(path)  # type: ignore[operator]

    opened = reader.open(path, embeddings)

    assert opened.problem
    assert opened.stale
    assert header.check(path, embeddings)
    _, scores = brute_force(embeddings, make_queries(3), 10, np.arange(ROWS))
    np.testing.assert_allclose(opened.search(make_queries(3), 10)[1], scores, atol=2e-6)
    build.build(embeddings, path, kind=IndexKind.PQ2)
    assert header.check(path, embeddings) is None
    assert reader.open(path, embeddings).problem is None


def test_changed_bytes_within_the_codes_are_found_by_check(path: Path) -> None:
    embeddings = make(ROWS)
    build.build(embeddings, path, kind=IndexKind.PQ2)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))

    assert "changed bytes" in (header.check(path, embeddings) or "")


def test_rows_behind_the_index_are_found_at_once(path: Path) -> None:
    embeddings = make(ROWS)
    build.build(embeddings[:2_000], path, kind=IndexKind.PQ2)

    opened = reader.open(path, embeddings)
    found, _ = opened.search(embeddings[2_300:2_310].astype(float32), 1)

    assert opened.problem is None
    assert opened.stale
    assert list(range(2_300, 2_310)) == found[:, 0].tolist()


def test_a_build_that_fails_leaves_the_old_file_and_nothing_else(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build.build(make(ROWS), path, kind=IndexKind.PQ2)
    before = path.read_bytes()
    monkeypatch.setattr(
        "pixfind.index.build.faiss_codes.write", lambda codes, to: (_ for _ in ()).throw(OSError(5, "broken"))
    )

    with pytest.raises(errors.DiskFailed, match=r"faiss\.index could not be written: broken"):
        build.build(make(ROWS), path, kind=IndexKind.PQ2)

    assert before == path.read_bytes()
    assert [path] == list(path.parent.iterdir())


def test_a_few_rows_more_keep_the_recall_and_many_are_measured_again(path: Path) -> None:
    embeddings = make(ROWS)
    queries = make_queries(60)
    first = build.build(embeddings[: ROWS - 400], path, queries=queries, kind=IndexKind.PQ2)
    few = build.build(embeddings[: ROWS - 350], path, queries=queries, kind=IndexKind.PQ2)
    many = build.build(embeddings, path, queries=queries, kind=IndexKind.PQ2)

    assert first.header.measured_on == few.header.measured_on == ROWS - 400
    assert (first.header.rerank, first.header.recall_text) == (few.header.rerank, few.header.recall_text)
    assert 0.0 == few.measured_seconds
    assert ROWS == many.header.measured_on


@pytest.mark.parametrize(
    ("coded", "rows", "enough"),
    [(0, 0, True), (0, 1, False), (99, 100, False), (100, 101, True), (100, 102, False), (5_000_000, 5_020_001, False)],
)
def test_a_build_is_needed_when_more_than_a_hundredth_is_new(coded: int, rows: int, *, enough: bool) -> None:
    assert enough == header.IndexHeader(IndexKind.PQ2, "", coded, DIMENSION).suffices(rows)


def test_the_rows_that_are_left_beyond_the_codes_are_found(path: Path) -> None:
    embeddings = make(ROWS)
    build.build(embeddings[: ROWS - 24], path, kind=IndexKind.PQ2)

    opened = reader.open(path, embeddings)
    rows, scores = opened.search(embeddings[-24:].astype(float32), 10)

    assert not opened.stale
    assert list(range(ROWS - 24, ROWS)) == rows[:, 0].tolist()
    _, right = brute_force(embeddings, embeddings[-24:].astype(float32), 10, np.arange(ROWS))
    np.testing.assert_allclose(scores[:, 0], right[:, 0], atol=2e-6)


@pytest.mark.parametrize("kind", [IndexKind.PQ2, IndexKind.PQ4])
def test_codes_are_those_that_faiss_makes_without_room_made_for_them(
    kind: IndexKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    embeddings = make(ROWS + 5)
    sample = embeddings.astype(float32)
    made = []
    for reserve in (faiss_codes._reserve, lambda *_: None):
        monkeypatch.setattr(faiss_codes, "_reserve", reserve)
        codes = faiss_codes.train(kind, sample, np.eye(DIMENSION, dtype=float32), len(embeddings))
        for rows in (37, 1_000, len(embeddings)):
            faiss_codes.add(codes, embeddings[:rows], codes.ntotal, None)
        made.append(faiss.serialize_index(codes))

    np.testing.assert_array_equal(made[0], made[1])
