"""The similarity map: like lies beside like, and what comes later lies among it."""

from pathlib import Path

import numpy as np
import pytest

from pixfind.index.nearest import nearest
from pixfind.search import similarity_map
from pixfind.search.similarity_map import SimilarityMap, arrange

DIMENSION = 32
KINDS = 4


def rows_of(kinds: np.ndarray, seed: int = 0) -> np.ndarray:
    """Unit rows, those of one kind close together."""
    middles = np.random.default_rng(0).standard_normal((KINDS, DIMENSION))
    rows = middles[kinds] + 0.3 * np.random.default_rng(seed).standard_normal((len(kinds), DIMENSION))
    unit: np.ndarray = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)
    return unit


def arranged(rows: np.ndarray, before: SimilarityMap | None = None) -> SimilarityMap:
    made = arrange(rows, np.ones(len(rows), bool), "model", before)
    assert made is not None
    return made


def kinds_beside(points: np.ndarray, kinds: np.ndarray, among: np.ndarray, kinds_among: np.ndarray) -> float:
    """The share of the five nearest points that are of the same kind."""
    places, _ = nearest(points.astype(np.float32), among.astype(np.float32), 6)
    return float((kinds_among[places[:, 1:]] == kinds[:, None]).mean())


def test_like_lies_beside_like() -> None:
    kinds = np.arange(120) % KINDS
    points = arranged(rows_of(kinds)).anchor_points
    assert (0 <= points).all()
    assert (points <= 1).all()
    assert kinds_beside(points, kinds, points, kinds) > 0.95


def test_what_comes_later_lies_among_what_it_is_like() -> None:
    kinds = np.arange(120) % KINDS
    made = arranged(rows_of(kinds))
    later = np.arange(40) % KINDS
    points = made.place(rows_of(later, seed=1))
    assert kinds_beside(points, later, made.anchor_points, kinds) > 0.95


def test_anchors_lie_where_they_were_arranged() -> None:
    rows = rows_of(np.arange(120) % KINDS)
    made = arranged(rows)
    assert np.allclose(made.place(rows), made.anchor_points, atol=1e-3)


def test_a_map_that_is_made_again_stays_about_where_it_was() -> None:
    kinds = np.arange(120) % KINDS
    rows = rows_of(kinds)
    first = arranged(rows)
    again = arranged(np.concatenate([rows, rows_of(kinds[:40], seed=1)]), first)
    moved = np.hypot(*(again.anchor_points[:120] - first.anchor_points).T)
    anywhere = np.hypot(*(again.anchor_points[:120] - first.anchor_points[::-1]).T)
    assert np.median(moved) < np.median(anywhere) / 2


def test_rows_that_are_no_numbers_have_no_point_and_hold_nothing_up() -> None:
    rows = rows_of(np.arange(40) % KINDS)
    rows[7] = np.nan
    made = arranged(rows)
    assert 7 not in made.anchor_rows
    points = made.place(rows)
    assert np.isnan(points[7]).all()
    assert np.isfinite(np.delete(points, 7, axis=0)).all()


def test_rows_without_an_image_are_no_anchors() -> None:
    rows = rows_of(np.arange(40) % KINDS)
    live = np.arange(40) < 20
    made = arrange(rows, live, "model")
    assert made is not None
    assert list(range(20)) == made.anchor_rows.tolist()


def test_equal_rows_are_a_map_too() -> None:
    rows = np.repeat(rows_of(np.zeros(1, int)), 30, axis=0)
    points = arranged(rows).anchor_points
    assert np.isfinite(points).all()


def test_too_few_rows_are_none() -> None:
    rows = np.full((30, DIMENSION), np.nan, np.float16)
    rows[:5] = rows_of(np.zeros(5, int))
    assert arrange(rows, np.ones(30, bool), "model") is None


def test_it_fits_only_the_rows_that_it_was_made_of() -> None:
    rows = rows_of(np.arange(40) % KINDS)
    made = arranged(rows)
    assert made.fits(rows, "model")
    assert made.fits(np.concatenate([rows, rows_of(np.arange(9) % KINDS, seed=3)]), "model")
    assert not made.fits(rows, "another model")
    assert not made.fits(rows[::-1], "model")
    assert not made.fits(rows[:, :16], "model")


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut"])
def test_a_damaged_file_is_none(tmp_path: Path, content: bytes) -> None:
    similarity_map.path(tmp_path).write_bytes(content)
    assert similarity_map.load(similarity_map.path(tmp_path)) is None


@pytest.mark.parametrize(
    "change",
    [
        {"anchors": np.zeros((3, 2), np.float32)},
        {"steps": np.zeros((40, 3), np.uint16)},
        {"steps": np.zeros((40, 2), np.int64)},
        {"mean": np.zeros((), np.float32)},
        {"anchor_rows": np.full(40, 999)},
        {"anchor_points": np.full((40, 2), np.nan, np.float32)},
        {"anchor_rows": np.zeros(40)},
        {"facts": np.array('{"format": 1, "model": "model", "arranged": 1e999}')},
        {"facts": np.array("{}")},
        {"facts": np.array("[]")},
    ],
    ids=str,
)
def test_a_file_whose_arrays_do_not_fit_is_none(tmp_path: Path, change: dict[str, np.ndarray]) -> None:
    rows = rows_of(np.arange(40) % KINDS)
    made, path = arranged(rows).with_points(rows), similarity_map.path(tmp_path)
    similarity_map.save(path, made)
    assert similarity_map.load(path) is not None
    with np.load(path) as arrays:
        content = {**arrays, **change}
    np.savez(path, **content)
    assert similarity_map.load(path) is None
