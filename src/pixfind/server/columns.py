"""
What the counts and maps of the page need of every image, as columns in memory: a million images are counted in milliseconds.

Owns the columns, how they are read from the catalogue and the similarity map, and which images pass filters; each filter means what sql/search.sql says. Must not know
HTTP, or when the columns are read again. Why they are here: docs/decisions/0036.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from pixfind.images.source import archives
from pixfind.library.library import Library
from pixfind.search import filter_checks, similarity_map, where
from pixfind.search.filters import EARTH_KM, Filters, GeoCircle, Shape

MAX_IMAGES: Final = 5_000_000
"""More take too long to read, and 200 MB: they are counted in the catalogue."""

_BLOCK: Final = 20_000
_DAY: Final = 86_400

SHAPES: Final = ("", Shape.SQUARE, Shape.LANDSCAPE, Shape.PORTRAIT)
"""by code; an image of unknown size has none"""

_LITERAL: Final = r"(?:[^*?\[]|\[[*?\[]\])"
"""one character of a pattern that stands for itself"""
_SIMPLE: Final = re.compile(rf"(?P<folder>{_LITERAL}*?)(?P<below>/\*(?:\.(?P<kind>[^/*?\[\].]+))?)?")
_OF_KIND: Final = re.compile(r"\*\.(?P<kind>[^/*?\[\].]+)")

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """The images of a library that can be found, n of them, in the order of their ids; files with the same bytes each."""

    ids: NDArray[np.int64]
    times: NDArray[np.int64]
    """when they were taken, else changed; seconds since 1970"""
    widths: NDArray[np.int32]
    """pixels, upright; 0: unknown"""
    heights: NDArray[np.int32]
    shapes: NDArray[np.uint8]
    """places in SHAPES"""
    roots: NDArray[np.int32]
    """ids"""
    folders: NDArray[np.int32]
    """places in `folder_names`"""
    kinds: NDArray[np.int32]
    """places in `kind_names`"""
    cameras: NDArray[np.int32]
    """places in `camera_names`"""
    located: NDArray[np.int64]
    """places of the images, k of them, whose coordinates are known"""
    coordinates: NDArray[np.float64]
    """their latitude and longitude in degrees [k, 2]"""
    folder_names: tuple[str, ...]
    """as texts of `path_text`, with the `/` at their end"""
    kind_names: tuple[str, ...]
    """suffixes as they are written, without the dot"""
    camera_names: tuple[str, ...]
    points: NDArray[np.float32] | None
    """on the similarity map, from 0 to 1 [n, 2], NaN for images that have none; None: there is no map"""

    @classmethod
    def read(cls, library: Library) -> Self:
        """Read the columns of a library, a block at a time."""
        folders, kinds, cameras = _Names(), _Names(), _Names()
        blocks: list[tuple[NDArray[Any], ...]] = []
        after = 0
        while rows := library.catalogue.all_rows("columns", "search.sql", after=after, limit=_BLOCK):
            after = rows[-1][0]
            ids, roots, times, widths, heights, makes, latitudes, longitudes, paths, embedded = zip(*rows, strict=True)
            ends = [path.rfind("/") + 1 for path in paths]
            blocks.append(
                (
                    np.array(ids, np.int64),
                    np.array(times, np.int64),
                    _sides(widths),
                    _sides(heights),
                    np.array(roots, np.int32),
                    folders.codes(path[:end] for path, end in zip(paths, ends, strict=True)),
                    kinds.codes(_kind(path[end:]) for path, end in zip(paths, ends, strict=True)),
                    cameras.codes(makes),
                    np.array(latitudes, np.float64),
                    np.array(longitudes, np.float64),
                    np.array(embedded, np.int64),
                )
            )
        columns = [np.concatenate(parts) for parts in zip(*blocks, strict=True)] or [np.zeros(0, np.int64)] * 11
        located = np.flatnonzero(~(np.isnan(columns[8]) | np.isnan(columns[9])))
        return cls(
            ids=columns[0],
            times=columns[1],
            widths=columns[2],
            heights=columns[3],
            shapes=_shapes(columns[2], columns[3]),
            roots=columns[4],
            folders=columns[5],
            kinds=columns[6],
            cameras=columns[7],
            located=located,
            coordinates=np.stack([columns[8][located], columns[9][located]], axis=1),
            folder_names=folders.names,
            kind_names=kinds.names,
            camera_names=cameras.names,
            points=_points(library, columns[10]),
        )

    def passing(self, library: Library, filters: Filters) -> Mask | None:
        """Tell which images pass the filters [n]; None: all. Raises InvalidFilter for a field that no list keeps."""
        filters = filter_checks.checked(library.catalogue, filters)
        parts = [*self._bounded(filters)]
        if filters.shape is not None:
            parts.append(self.shapes == SHAPES.index(filters.shape))
        if filters.camera is not None:
            parts.append(self._with_camera(library, filters))
        if filters.near is not None:
            parts.append(self._near(filters.near))
        if filters.inside is not None:
            parts.append(self._inside(library, filters))
        others = Filters(
            where=filters.where,
            labels=filters.labels,
            album=filters.album,
            added_after=filters.added_after,
            added_before=filters.added_before,
        )
        if others:
            parts.append(self._found(library, others))
        if not parts:
            return None
        all_of_them: Mask = np.logical_and.reduce(parts)
        return all_of_them

    def count(self, codes: NDArray[Any], passing: Mask | None, size: int) -> NDArray[np.intp]:
        """Count how many passing images have each code from 0 to below `size` [size]."""
        return np.bincount(codes if passing is None else codes[passing], minlength=size)

    def days(self, passing: Mask | None) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
        """Return the days since 1970 that have passing images, and how many each has."""
        return np.unique((self.times if passing is None else self.times[passing]) // _DAY, return_counts=True)

    # --- filters ----------------------------------------------------------------------------------

    def _bounded(self, filters: Filters) -> Iterator[Mask]:
        """By time and size."""
        if filters.after is not None:
            yield self.times >= filters.after
        if filters.before is not None:
            yield self.times < filters.before
        if filters.min_size is not None:
            yield np.minimum(self.widths, self.heights) >= filters.min_size
        if filters.max_size is not None:
            yield (self.widths > 0) & (np.maximum(self.widths, self.heights) <= filters.max_size)

    def _with_camera(self, library: Library, filters: Filters) -> Mask:
        """By the comparison of SQLite, which takes letters from a to z in any case for the same."""
        names = json.dumps(self.camera_names)
        found = library.catalogue.all_rows(
            "cameras_like", "search.sql", names=names, camera=filters.parameters()["camera"]
        )
        return self._coded(self.cameras, self.camera_names, {name for (name,) in found})

    def _near(self, circle: GeoCircle) -> Mask:
        passing = np.zeros(len(self.ids), np.bool_)
        middle = np.array([circle.latitude, circle.longitude])
        passing[self.located] = kilometres(self.coordinates, middle) <= circle.km
        return passing

    def _inside(self, library: Library, filters: Filters) -> Mask:
        """A folder, one kind of files and both together by their columns; any other pattern by a walk over all paths."""
        pattern = filters.parameters()["inside"]
        if pattern == "*":
            return np.ones(len(self.ids), np.bool_)
        if found := _OF_KIND.fullmatch(pattern):
            return self._of_kind("", found["kind"])
        if not (found := _SIMPLE.fullmatch(pattern)):
            return self._found(library, Filters(inside=filters.inside))
        folder = re.sub(r"\[(.)\]", r"\1", found["folder"])
        if found["kind"]:
            return self._of_kind(f"{folder}/", found["kind"])
        if found["below"]:
            return self._in_folders(lambda name: name.startswith(f"{folder}/"))
        inside = (folder.rstrip("/") + "/", folder + archives.MARK)
        # Or it names a file.
        file = library.catalogue.value("id_of_path", "search.sql", path=folder)
        found_in: Mask = self._in_folders(lambda name: name.startswith(inside))
        return found_in if file is None else found_in | (self.ids == file)

    def _of_kind(self, folder: str, kind: str) -> Mask:
        """Files that end with the kind; as in sql/search.sql also those in folders and archives that do, wherever they lie below `folder`."""
        of_kind = self._coded(self.kinds, self.kind_names, {kind})
        if folder:
            of_kind &= self._in_folders(lambda name: name.startswith(folder))
        marks = (f".{kind}/", f".{kind}{archives.MARK}")
        start = len(folder)
        return of_kind | self._in_folders(
            lambda name: name.startswith(folder) and any(mark in name[start:] for mark in marks)
        )

    def _in_folders(self, is_meant: Callable[[str], bool]) -> Mask:
        meant = np.fromiter((is_meant(name) for name in self.folder_names), np.bool_, len(self.folder_names))
        return meant[self.folders] if len(meant) else np.zeros(len(self.ids), np.bool_)

    def _coded(self, codes: NDArray[np.int32], names: tuple[str, ...], wanted: set[str]) -> Mask:
        meant = np.fromiter((name in wanted for name in names), np.bool_, len(names))
        return meant[codes] if len(meant) else np.zeros(len(self.ids), np.bool_)

    def _found(self, library: Library, filters: Filters) -> Mask:
        """By the catalogue."""
        parameters: Mapping[str, Any] = {
            **filters.parameters(),
            "candidates": where.candidates(library.catalogue, filters.where),
        }
        rows = library.catalogue.all_rows("allowed_images", "search.sql", **parameters)
        return np.isin(self.ids, np.array([image_id for _, image_id in rows], np.int64))


class _Names:
    """Texts that are the same for many images, and a number for each."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._codes)

    def codes(self, texts: Iterable[str]) -> NDArray[np.int32]:
        known = self._codes
        return np.array([known.setdefault(text, len(known)) for text in texts], np.int32)


def _points(library: Library, rows: NDArray[np.int64]) -> NDArray[np.float32] | None:
    """Return the points of these rows of the embeddings on the similarity map; None where there is none."""
    found = similarity_map.read(library)
    if found is None:
        return None
    known = found.points(library.embeddings())
    points = np.full((len(rows), 2), np.nan, np.float32)
    # What was saved and is not merged yet has no place.
    merged = rows < len(known)
    points[merged] = known[rows[merged]]
    return points


def _sides(pixels: Sequence[int]) -> NDArray[np.int32]:
    # A library that a stranger made may say anything.
    return np.clip(np.array(pixels, np.int64), 0, np.iinfo(np.int32).max).astype(np.int32)


def _kind(name: str) -> str:
    return name.rpartition(".")[2] if "." in name else ""


def _shapes(widths: NDArray[np.int32], heights: NDArray[np.int32]) -> NDArray[np.uint8]:
    shorter, longer = np.minimum(widths, heights), np.maximum(widths, heights)
    shapes = np.where(widths > heights, SHAPES.index(Shape.LANDSCAPE), SHAPES.index(Shape.PORTRAIT))
    shapes[20 * shorter.astype(np.int64) >= 19 * longer.astype(np.int64)] = SHAPES.index(Shape.SQUARE)
    shapes[widths == 0] = 0
    return shapes.astype(np.uint8)


def kilometres(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return great-circle distances as `filters.kilometres` does, of points as latitude and longitude in degrees [n, 2] to others [n, 2] or to one [2]."""
    (latitudes, longitudes), (others, other_longitudes) = np.radians(one).T, np.radians(other).T
    half = np.sin((latitudes - others) / 2) ** 2
    half += np.cos(latitudes) * np.cos(others) * np.sin((longitudes - other_longitudes) / 2) ** 2
    found: NDArray[np.float64] = 2 * EARTH_KM * np.arcsin(np.sqrt(np.minimum(1.0, half)))
    return found
