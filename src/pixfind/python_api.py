"""
pixfind for Python programs: a library as one object.

Owns what a program may hand over (strings where paths are, pictures, arrays) and what stays loaded between calls. The work is done by the
same functions that the command line calls. Nothing here prints.
"""

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypedDict, Unpack

import numpy as np
from numpy import float16, float32, int64
from numpy.typing import NDArray
from PIL import Image

from pixfind import errors
from pixfind.embedding.progress import RunReport
from pixfind.images import source
from pixfind.library import labels
from pixfind.library import library as storage
from pixfind.library import repair as repairs
from pixfind.library import verify as checks
from pixfind.library.library import ModelIdentity
from pixfind.library.protected_files import output_at
from pixfind.library.scan_report import ScanReport
from pixfind.search import duplicates, filters, label_file
from pixfind.search.build import BuildReport
from pixfind.search.duplicates import Duplicates
from pixfind.search.filters import Filters, SearchFilters
from pixfind.search.inputs import (
    NOTHING,
    PathLike,
    Picture,
    QueryParts,
    Wanted,
    as_list,
    as_texts,
    encode_picture,
    encode_texts,
    to_path,
    to_sort,
)
from pixfind.search.results import SearchResult
from pixfind.search.searcher import Searcher
from pixfind.types import Sort
from pixfind.workflows import (
    add,
    backup,
    build_index,
    embed_part,
    export,
    export_file,
    import_embeddings,
    index,
    label,
    status,
)
from pixfind.workflows.events import EmbedProgress, Event, Observer, StepProgress
from pixfind.workflows.index import IndexSummary
from pixfind.workflows.options import EmbedOptions
from pixfind.workflows.status import Status

if TYPE_CHECKING:
    import pandas as pd

OnProgress = Callable[[str, int, int | None], None]
"""(step, done, total); the steps are those of `workflows.events.Step`, and "embed". `total` is None where nobody knows."""


class EmbedSettings(TypedDict, total=False):
    """The fields of `EmbedOptions`, as keyword arguments."""

    model: str | None
    precision: str
    device: str
    workers: int | None
    most_workers: int | None
    share: float
    nice: int
    memory: int | None
    megapixels: float
    seconds_per_image: float
    hours: Any
    pause_when_busy: bool
    on: str | None
    maps: tuple[tuple[str, str], ...]
    retry: bool


class Library:
    """
    A library of images: register, embed, search, export.

        >>> import pixfind
        >>> with pixfind.open("photos-library") as library:  # doctest: +SKIP
        ...     library.index("~/Pictures")
        ...     for hit in library.search("sunset over the sea", k=3):
        ...         print(hit.score, hit.path)

    One object belongs to one thread. Several processes may read a library while one writes to it.
    """

    def __init__(self, stored: storage.Library) -> None:
        self._stored = stored
        self._searcher: Searcher | None = None
        self._closed = False

    @classmethod
    def open(cls, path: PathLike | None = None, *, create: bool = True, write: bool = False) -> Self:
        """
        Open the library in a directory, made if there is none; `path` None: PIXFIND_LIBRARY, else the user's own.

        Raises LibraryNotFound for a missing one with `create=False`, NewerLibrary, LibraryDamaged, NotWritable. `write` is not needed: what
        changes the library opens it for writing by itself.
        """
        where = storage.locate(None if path is None else to_path(path))
        try:
            return cls(storage.Library.open(where, write=write))
        except errors.LibraryNotFound:
            if not create:
                raise
        storage.Library.create(where).close()
        return cls(storage.Library.open(where, write=write))

    def __enter__(self) -> Self:
        self._refuse_closed()
        return self

    def __reduce__(self) -> NoReturn:
        message = "a pixfind.Library is open files, which no other process can use: open it there by its path"
        raise TypeError(message)

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the library; it cannot be used afterwards."""
        if self._searcher is not None:
            self._searcher.__exit__()
            self._searcher = None
        self._stored.close()
        self._closed = True

    def __len__(self) -> int:
        """Return how many embeddings are searched."""
        return self._current().merged_rows

    def __repr__(self) -> str:
        return f"<pixfind.Library {str(self.path)!r}>"

    @property
    def path(self) -> Path:
        """The directory."""
        return self._stored.path

    @property
    def model(self) -> ModelIdentity | None:
        """The model that answers; None before anything was embedded."""
        return self._current().model()

    @property
    def counts(self) -> dict[str, int]:
        """The ledger: seen = embedded + duplicate + failed + skipped + pending; `gone` and `offline` besides."""
        return self._current().catalogue.ledger()

    # --- filling it -------------------------------------------------------------------------------

    def add(
        self,
        *folders: PathLike,
        exclude: str | Iterable[str] = (),
        include: str | Iterable[str] = (),
        in_archives: bool = False,
        settings: Mapping[str, Any] | None = None,
        progress: OnProgress | None = None,
    ) -> tuple[ScanReport, ...]:
        """
        Register the images below folders, or look again through all that the library knows; one report a folder.

        A zip or tar file or a video may stand for a folder, and so may a list (CSV, TSV, JSON lines, Parquet, text) and an address such as
        "s3://bucket/prefix"; `in_archives` looks into archives below folders too, from now on. `exclude`: a glob of names or paths, or several, which hold from now on; `include` takes such globs back. `settings` are
        remembered: how a store is asked (`endpoint`, `region`, `anonymous`, `instance_role`), which column of a list has the addresses (`column`) and
        which others to filter by (`keep`, names), and of videos below a folder one key frame in how many seconds (`video_every`) and how many at most
        (`video_frames`). Raises FolderNotReadable, ArchiveUnreadable, ListUnreadable, ColumnMissing, ColumnNotNamed,
        StoreUnreachable, AddressRefused, CloudSupportMissing, ExtraNotInstalled, ExclusionUnknown, LibraryLocked.
        """
        with self._writing() as stored, stored.lock("add"):
            return add.add(
                stored,
                _roots(folders),
                as_texts(exclude, "glob"),
                _observer(progress),
                include=as_texts(include, "glob"),
                in_archives=in_archives,
                settings=_source_settings(settings),
            )

    def index(
        self,
        *folders: PathLike,
        exclude: str | Iterable[str] = (),
        include: str | Iterable[str] = (),
        in_archives: bool = False,
        switch_anyway: bool = False,
        progress: OnProgress | None = None,
        observer: Observer | None = None,
        **settings: Unpack[EmbedSettings],
    ) -> IndexSummary:
        """
        Do everything: register, embed, merge, build the index; with another `model` or `precision` embed again, and switch at the end.

        Continues where an earlier call ended, however it ended. `settings` are the fields of `EmbedOptions`. Raises LibraryLocked, and a
        `OperationError` for what stops the run; a picture that cannot be embedded stops nothing and is counted.
        """
        with self._writing() as stored:
            return index.index(
                stored,
                _roots(folders),
                EmbedOptions(**settings),
                exclude=as_texts(exclude, "glob"),
                include=as_texts(include, "glob"),
                in_archives=in_archives,
                switch_anyway=switch_anyway,
                observer=_observer(progress, observer),
            )

    def embed(self, *, progress: OnProgress | None = None, **settings: Unpack[EmbedSettings]) -> RunReport:
        """Embed and merge what is pending, without a look at the folders or the index; raises as `index` does."""
        with self._writing() as stored:
            return index.embed_and_merge(stored, EmbedOptions(**settings), observer=_observer(progress)).embedded

    def embed_part(self, worker_id: int, num_workers: int, **settings: Unpack[EmbedSettings]) -> int:
        """Embed one part in this process, for a scheduler of one's own, and return how many; `merge` adopts what all parts saved."""
        with self._writing() as stored:
            return embed_part.embed_part(stored, worker_id, num_workers, EmbedOptions(**settings))

    def merge(self) -> int:
        """Make what workers saved part of the embeddings and return how many rows came; raises NotEmbedded, MergeRefused."""
        from pixfind.workflows import merge

        with self._writing() as stored, stored.lock("merge"):
            return merge.merge(stored).rows

    def build_index(self, *, progress: OnProgress | None = None) -> BuildReport:
        """Make the search index current; raises NotEmbedded."""
        with self._writing() as stored, stored.lock("build-index"):
            return build_index.build_index(stored, _observer(progress))

    def label(self, file: PathLike, *, progress: OnProgress | None = None) -> dict[str, int]:
        """
        Replace the labels by those of a file, a line each, and return name -> how many images have it.

        Raises InvalidLabels, NotEmbedded. From then on `index` labels what is new.
        """
        definitions = label_file.read(to_path(file))
        with self._writing() as stored, stored.lock("label"):
            label.define(stored, definitions, _observer(progress))
        return self.labels()

    def labels(self) -> dict[str, int]:
        """Return the name of each label -> how many images have it."""
        return labels.counts(self._current().catalogue)

    # --- searching --------------------------------------------------------------------------------

    def search(
        self,
        wanted: Wanted | Iterable[Wanted] = NOTHING,
        k: int = 10,
        *,
        distinct: bool = False,
        each_file: bool = False,
        include_weak: bool = False,
        sort: Sort | str = Sort.SCORE,
        **filtered: Unpack[SearchFilters],
    ) -> SearchResult:
        """
        Return the k best hits, best first.

        `wanted` is a text in the query language, an image (a path object, a picture, pixels), an embedding [d], or several of these, which
        are added up; without it the newest images that pass the filters are shown. RAW and JPEG of one shot are one hit, unless `each_file`; `distinct` folds near-duplicates into one; `include_weak` keeps hits below the cut-off. `sort` ("score", "date", "added") orders the best hits, of those that pass the cut-off, by time. The model, the index and the
        calibration stay loaded for the next search. Raises NotEmbedded, InvalidQuery, InvalidFilter, InvalidCount, InvalidVector, and what
        loading the model raises.
        """
        parts = QueryParts.of(wanted)
        searcher = self._searching()
        vectors = parts.vectors_with(lambda: searcher.encoders)
        return searcher.search(
            parts.query(),
            k,
            filters.parse(**filtered) if filtered else Filters(),
            distinct=distinct,
            each_file=each_file,
            include_weak=include_weak,
            sort=to_sort(sort),
            vectors=vectors,
        )

    def embed_text(self, texts: str | Sequence[str]) -> NDArray[float32]:
        """Return the unit embedding [d] of a text, [n, d] of several, by the library's model; raises NotEmbedded."""
        return encode_texts(lambda: self._searching().encoders, texts)

    def embed_images(self, pictures: Picture | Sequence[Picture]) -> NDArray[float32]:
        """
        Return the unit embedding [d] of a picture, [n, d] of several, by the library's model.

        Raises NotEmbedded, and `ImageProblem` (FileMissing, TooLarge, ...) for what is no picture that can be read.
        """
        one = isinstance(pictures, str | os.PathLike | bytes | Image.Image | np.ndarray)
        listed: list[Picture] = [pictures] if one else as_list(pictures, "picture")  # type: ignore[list-item]
        encoders = self._searching().encoders
        rows = np.array([encode_picture(encoders, each) for each in listed], dtype=float32).reshape(-1, self.dimension)
        return rows[0] if one else rows

    @property
    def dimension(self) -> int:
        """Numbers in one embedding; raises NotEmbedded before the model is known."""
        return self._current().dimension

    def duplicates(self, *, exact: bool = False, progress: Callable[[int, int], None] | None = None) -> Duplicates:
        """Group images with the same bytes and, unless `exact`, near-duplicates; raises NotEmbedded."""
        return duplicates.find(self._current(), near=not exact, progress=progress)

    # --- looking at it ----------------------------------------------------------------------------

    def status(self) -> Status:
        """Return what there is and how a running embed stands."""
        return status.status(self._current())

    def verify(self, *, repair: bool = False) -> list[checks.Finding]:
        """Check counts, checksums, references and the index; return what is wrong, with `repair` what is left of it."""
        with self._writing() as stored, stored.lock("verify"):
            found = checks.verify(stored)
            return repairs.repair(stored, found) if repair and found else found

    # --- taking it elsewhere ----------------------------------------------------------------------

    def images(self) -> Iterator[export.ImageRecord]:
        """
        Yield the images that have an embedding, with it and with what is known of them; raises NotEmbedded.

        All are of the model that answers at the beginning, also if it is switched meanwhile.
        """
        return self._images(self._current().generation)

    def embeddings(self) -> NDArray[float16]:
        """Return data/embeddings.npy [rows, d], mapped, not read; `Hit.embedding_index` is a row of it."""
        return self._current().embeddings()

    def to_numpy(self) -> tuple[NDArray[int64], list[str], NDArray[float16]]:
        """Return ids [n], paths and embeddings [n, d] of the images; raises NotEmbedded."""
        return export.to_numpy(self._current())

    def to_pandas(self, *, embeddings: bool = True) -> "pd.DataFrame":
        """Return a data frame of the images, indexed by `image_id`; raises NotEmbedded, ExtraNotInstalled without pandas."""
        return export.to_pandas(self._current(), embeddings=embeddings)

    def to_parquet(self, path: PathLike, *, embeddings: bool = True) -> int:
        """Write the images to a Parquet file and return how many; raises NotEmbedded, ExtraNotInstalled without pyarrow."""
        output = output_at(to_path(path))
        return export_file.export_file(self._current(), output, export_file.Format.PARQUET, embeddings=embeddings)

    def import_embeddings(self, path: PathLike, model: str | None = None) -> import_embeddings.Imported:
        """Give pending images the embeddings of a Parquet or JSON lines file that the same model made elsewhere; raises ImportRefused."""
        with self._writing() as stored, stored.lock("import"):
            return import_embeddings.import_embeddings(stored, to_path(path), EmbedOptions(model=model))

    def backup(self, folder: PathLike) -> backup.Backup:
        """Make a folder a complete copy of this library, or bring one up to date, while others write; raises BackupRefused."""
        return backup.backup(self._current(), to_path(folder))

    # --- our own ----------------------------------------------------------------------------------

    def _current(self) -> storage.Library:
        """Return the stored library of the model that answers now; raises LibraryClosed, LibraryNotFound when it was deleted."""
        self._refuse_closed()
        if self._stored.superseded():
            self._renew()
        return self._stored

    def _renew(self, *, to_write: bool = False) -> None:
        if self._searcher is not None:
            self._searcher.__exit__()
            self._searcher = None
        self._stored = self._stored.renewed(to_write=to_write)

    def _images(self, generation: str) -> Iterator[export.ImageRecord]:
        # Opened apart: a call in between may replace what this library has open.
        with storage.Library.open(self.path, generation=generation) as stored:
            yield from export.images(stored)

    def _searching(self) -> Searcher:
        stored = self._current()
        if self._searcher is None:
            self._searcher = Searcher(stored)
        return self._searcher

    def _writing(self) -> storage.Library:
        self._refuse_closed()
        if self._stored.catalogue.opened_on_full_disk:
            self._renew(to_write=True)
        return storage.Library.open(self.path, write=True)

    def _refuse_closed(self) -> None:
        if self._closed:
            raise errors.LibraryClosed(path=self.path)

    # Hidden from type checkers, who would take every misspelt name for one of these.
    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """What programs took from a library before this class existed."""
            if name.startswith("_") or not hasattr(self._stored, name):
                raise AttributeError(f"a pixfind library has no {name!r}", name=name, obj=self)
            message = f"pixfind.Library.{name} goes away; it is a part of pixfind.library.library.Library"
            warnings.warn(message, DeprecationWarning, stacklevel=2)
            return getattr(self._stored, name)


def _observer(progress: OnProgress | None, observer: Observer | None = None) -> Observer:
    """Return an observer that tells `progress` how far each step is, and `observer` everything."""

    def observe(event: Event) -> None:
        if observer is not None:
            observer(event)
        if progress is None:
            return
        if isinstance(event, StepProgress):
            progress(str(event.step), event.done, event.total)
        elif isinstance(event, EmbedProgress):
            progress("embed", event.snapshot.done, event.snapshot.total)

    return observe


def _source_settings(settings: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return settings with names of columns as a list: a single one may be a text."""
    if settings is None or "keep" not in settings:
        return settings
    return {**settings, "keep": as_texts(settings["keep"], "column")}


def _roots(folders: Sequence[PathLike]) -> list[str]:
    """Return folders as they are written: a Path would take a slash out of an address; raises ValueError for an empty one."""
    texts = [os.fspath(folder) for folder in folders]
    return [text if source.is_address(text) else os.fspath(to_path(text)) for text in texts]
