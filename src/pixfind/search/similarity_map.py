"""
The similarity map: a point in the plane for each row of the embeddings, near those of images that look alike.

Owns data/similarity_map.npz. Derived; made with the index where openTSNE is installed, and made again as the library grows. Must not know images
or how a map is drawn. Why it is done so: docs/decisions/0039-a-map-of-a-sample.md.

t-SNE arranges some thousand rows, the anchors; every other row lies among the anchors that it is most like. A map that is made again begins with the
points of the one before, so that what one has found once stays about where it was.
"""

import importlib
import importlib.util
import io
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy import bool_, float16, float32, int64, uint16
from numpy.typing import NDArray

from pixfind import errors, machine
from pixfind.index.nearest import nearest
from pixfind.library.library import Library
from pixfind.storage import disk, npz
from pixfind.types import Progress, no_progress

MIN_ROWS: Final = 10
"""Fewer images are seen at a glance."""

_ANCHORS: Final = 4_000
"""Arranging them takes some 12 s of one core (docs/decisions/0039)."""
_COMPONENTS: Final = 50
"""of the embeddings, as t-SNE is usually given: further ones are noise to it"""
_PERPLEXITY: Final = 30.0
_NEIGHBOURS: Final = 4
"""anchors between which another row lies"""
_DRIFT: Final = 0.05
"""Share of new rows above which their points are kept too; fewer are found each time the map is read."""
_GROWTH: Final = 0.25
"""Share of new rows above which the anchors are arranged again: what is new may be like nothing that was there."""
_BLOCK: Final = 65_536
_PROBES: Final = 16
_MARGIN: Final = 0.02
_STEPS: Final = 65_535
_FORMAT: Final = 1


@dataclass(frozen=True, slots=True, eq=False)
class SimilarityMap:
    """The points of n rows of embeddings with d dimensions, and the m anchors between which further ones are put."""

    model: str
    """hash of the model's files"""
    arranged: int
    """rows that there were when the anchors were arranged"""
    mean: NDArray[float32]
    """[d] of the anchors"""
    components: NDArray[float32]
    """[d, c] of their variance, the largest first"""
    anchor_rows: NDArray[int64]
    """[m] of the embeddings"""
    anchors: NDArray[float32]
    """[m, c] their rows, along the components"""
    anchor_points: NDArray[float32]
    """[m, 2] from 0 to 1"""
    steps: NDArray[uint16]
    """[n, 2] the points of all rows, from 0 to 65535"""

    def points(self, embeddings: NDArray[float16]) -> NDArray[float32]:
        """Return the points [N, 2] from 0 to 1 of unit rows [N, d], N >= n; NaN for rows that are no numbers."""
        kept: NDArray[float32] = (self.steps / float32(_STEPS)).astype(float32)
        return np.concatenate([kept, self.place(embeddings[len(kept) :])])

    def place(self, embeddings: NDArray[float16]) -> NDArray[float32]:
        """Return points [k, 2] between the nearest anchors for unit rows [k, d]; NaN for rows that are no numbers."""
        rows: NDArray[float32] = ((embeddings.astype(float32) - self.mean) @ self.components).astype(float32)
        usable = np.isfinite(rows).all(axis=1)
        points = np.full((len(rows), 2), np.nan, dtype=float32)
        places, squares = nearest(rows[usable], self.anchors, _NEIGHBOURS)
        # By the fourth power of the distance: between two groups lies nothing.
        weights = 1 / np.maximum(squares, 1e-9) ** 2
        weights /= weights.sum(axis=1, keepdims=True)
        points[usable] = np.einsum("nk,nkc->nc", weights, self.anchor_points[places])
        return points

    def with_points(self, embeddings: NDArray[float16], progress: Progress = no_progress) -> "SimilarityMap":
        """Return the map with a point for each of the unit rows [N, d]."""
        steps = [self.steps]
        for start in range(len(self.steps), len(embeddings), _BLOCK):
            points = self.place(embeddings[start : start + _BLOCK])
            # A row that is no numbers belongs to no image that is shown.
            steps.append(np.round(np.nan_to_num(points, nan=0.5) * _STEPS).astype(uint16))
            progress(min(start + _BLOCK, len(embeddings)), len(embeddings))
        return replace(self, steps=np.concatenate(steps))

    def fits(self, embeddings: NDArray[float16], model: str) -> bool:
        """Tell whether this is a map of these embeddings, or of their first rows."""
        if model != self.model or len(self.steps) > len(embeddings) or embeddings.shape[1] != len(self.mean):
            return False
        some = np.linspace(0, len(self.anchor_rows) - 1, _PROBES).astype(int64)
        found = (embeddings[self.anchor_rows[some]].astype(float32) - self.mean) @ self.components
        return bool(np.allclose(found, self.anchors[some], atol=1e-3))


def path(data: Path) -> Path:
    """Return the path of the map in a library's data folder."""
    return data / "similarity_map.npz"


def identity(data: Path) -> tuple[int, int] | None:
    """Return what differs for each map that is published in a data folder; None where there is none."""
    try:
        found = path(data).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def read(library: Library) -> SimilarityMap | None:
    """Return the map of a library's embeddings; None where there is none that fits them."""
    model = library.model()
    found = None if model is None else load(path(library.data))
    return found if found is not None and model is not None and found.fits(library.embeddings(), model.hash) else None


def is_due(library: Library) -> bool:
    """Tell whether the map is to be made or made again: never without openTSNE, nor for fewer than `MIN_ROWS` images."""
    if library.merged_rows < MIN_ROWS or importlib.util.find_spec("openTSNE") is None:
        return False
    known = read(library)
    return known is None or library.merged_rows > len(known.steps) * (1 + _DRIFT)


@machine.all_blas_threads()
def update(library: Library, progress: Progress = no_progress) -> None:
    """
    Give every row its point; arrange the anchors where there is no map, or where the library has grown much since they were.

    Call it in the lock of the library, after a merge. Raises ExtraNotInstalled without openTSNE, NotEmbedded, and what publishing a file raises.
    """
    model = library.model()
    if model is None:
        raise errors.NotEmbedded(path=library.path)
    embeddings, known = library.embeddings(), read(library)
    if known is None or len(embeddings) > known.arranged * (1 + _GROWTH):
        known = arrange(embeddings, library.live_rows(), model.hash, known)
    if known is not None:
        save(path(library.data), known.with_points(embeddings, progress))


# --- making it ------------------------------------------------------------------------------------


def arrange(
    embeddings: NDArray[float16], live: NDArray[bool_], model: str, before: SimilarityMap | None = None
) -> SimilarityMap | None:
    """
    Return a map of the anchors alone, taken from the live rows (a mask [N]) of unit rows [N, d]; None where too few are numbers.

    `before` is the map of fewer of these rows: it begins with the points that they have there. Raises ExtraNotInstalled without openTSNE.
    """
    rows = np.flatnonzero(live) if live.any() else np.arange(len(embeddings))
    anchor_rows = rows[np.unique(np.linspace(0, len(rows) - 1, min(_ANCHORS, len(rows))).astype(int64))]
    usable = np.isfinite(embeddings[anchor_rows]).all(axis=1)
    anchor_rows = anchor_rows[usable]
    if len(anchor_rows) < MIN_ROWS:
        return None
    wide = embeddings[anchor_rows].astype(float32)
    mean = wide.mean(axis=0, dtype=float32)
    centred = wide - mean
    # Of a symmetric matrix: the eigenvalues ascend.
    _, vectors = np.linalg.eigh((centred.T @ centred).astype(np.float64))
    components = vectors[:, ::-1][:, :_COMPONENTS].astype(float32)
    anchors = centred @ components
    begin = anchors[:, :2] if before is None else before.place(embeddings[anchor_rows])
    points = _tsne(anchors, begin, is_new=before is None)
    return SimilarityMap(
        model, len(embeddings), mean, components, anchor_rows, anchors, points, np.zeros((0, 2), uint16)
    )


def _tsne(anchors: NDArray[float32], begin: NDArray[float32], *, is_new: bool) -> NDArray[float32]:
    """Return points from 0 to 1 [m, 2] for the anchors [m, c], from the points `begin` [m, 2] on, which are those of an earlier map unless `is_new`."""
    tsne: Any = machine.optional_package("openTSNE", "map", "the similarity map")
    neighbours: Any = importlib.import_module("openTSNE.nearest_neighbors")
    perplexity = min(_PERPLEXITY, (len(anchors) - 1) / 3)
    # By our own search: that of scikit-learn runs a program that counts the cores.
    near = neighbours.PrecomputedNeighbors(*_neighbours(anchors, round(3 * perplexity)))
    affinities = tsne.affinity.PerplexityBasedNN(knn_index=near, perplexity=perplexity, n_jobs=1)
    # Equal points would never part.
    apart = begin + 1e-6 * np.random.default_rng(0).standard_normal(begin.shape)
    made = tsne.TSNE(
        # To the spread that t-SNE wants to begin with: from a larger one it does not find together what belongs together.
        initialization=tsne.initialization.rescale(apart),
        # With so few points a second thread brings next to nothing, and interpolation takes longer.
        n_jobs=1,
        negative_gradient_method="bh",
        # Draws everything together first, for what has no place yet.
        early_exaggeration_iter=250 if is_new else 0,
        random_state=0,
    ).fit(affinities=affinities)
    points = np.asarray(made, dtype=np.float64)
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    half = max(float(np.ptp(points, axis=0).max()) / 2, 1e-9)
    scaled: NDArray[float32] = ((points - middle) / half * (0.5 - _MARGIN) + 0.5).astype(float32)
    return scaled


def _neighbours(anchors: NDArray[float32], k: int) -> tuple[NDArray[int64], NDArray[np.float64]]:
    """Return the k nearest others of each of the anchors [m, c], and their distances: two [m, k], k < m."""
    places, squares = nearest(anchors, anchors, k + 1)
    others = places != np.arange(len(anchors))[:, None]
    # Where several are equal it may not be among its own nearest.
    others[others.all(axis=1), -1] = False
    return places[others].reshape(-1, k), np.sqrt(np.maximum(squares[others], 0)).reshape(-1, k).astype(np.float64)


# --- the file -------------------------------------------------------------------------------------

_ARRAYS: Final = ("mean", "components", "anchor_rows", "anchors", "anchor_points", "steps")


def save(path: Path, made: SimilarityMap) -> None:
    """Publish a map by rename; raises what `disk.publish` raises."""
    content = io.BytesIO()
    facts = json.dumps({"format": _FORMAT, "model": made.model, "arranged": made.arranged})
    np.savez(content, facts=np.array(facts), **{name: getattr(made, name) for name in _ARRAYS})
    disk.publish(path, content.getvalue())


def load(path: Path) -> SimilarityMap | None:
    """Return the map in a file; None where there is none that can be used. Loads no pickles."""
    try:
        with path.open("rb") as file:
            arrays = npz.read(file)
        facts = json.loads(str(arrays["facts"]))
        if facts["format"] != _FORMAT:
            return None
        made = SimilarityMap(facts["model"], int(facts["arranged"]), **{name: arrays[name] for name in _ARRAYS})
        return made if _is_whole(made) else None
    except Exception:  # noqa: BLE001  the file may be anything, and what reads it raises anything; it is made again
        return None


def _is_whole(made: SimilarityMap) -> bool:
    """Tell whether the arrays fit each other: the file may be anything. Raises TypeError and IndexError for some that do not."""
    count, width, rows = len(made.anchors), made.components.shape[-1], made.anchor_rows
    return (
        made.steps.dtype == uint16
        and made.anchor_rows.dtype == int64
        and all(each.dtype == float32 for each in (made.mean, made.components, made.anchors, made.anchor_points))
        and made.steps.shape == (len(made.steps), 2)
        and made.mean.shape == (len(made.mean),)
        and made.components.shape == (len(made.mean), width)
        and made.anchors.shape == (count, width)
        and made.anchor_points.shape == (count, 2)
        and rows.shape == (count,)
        and count >= MIN_ROWS
        and bool(rows.min() >= 0 and rows.max() < len(made.steps))
        and all(np.isfinite(each).all() for each in (made.mean, made.components, made.anchors, made.anchor_points))
    )
