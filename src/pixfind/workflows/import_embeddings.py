"""
Embeddings that were made elsewhere, with the same model and of the same files, become part of a library.

Owns what is checked before one is believed: the model that the file names, a sample that the library's own model embeds again, and the bytes of
each picture. What is believed goes the way of every row: a worker file, then adopt, then merge. So a kill loses nothing, and the same call
continues.
"""

import contextlib
import dataclasses
import itertools
import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pixfind import errors, machine
from pixfind.images import source
from pixfind.library import commit, path_text, scan
from pixfind.library.library import Library, ModelIdentity
from pixfind.models import registry
from pixfind.models.encoders import ImageEncoder, open_image_encoder
from pixfind.types import EmbeddedImage, ImageRef, Progress, no_progress
from pixfind.worker.decoders import DecoderPool
from pixfind.worker.sink import FileSink
from pixfind.workflows.build_index import build_index
from pixfind.workflows.choose_model import choose_model, fetch_model
from pixfind.workflows.events import Observer, ignore
from pixfind.workflows.export_file import MODEL_KEY
from pixfind.workflows.merge import merge
from pixfind.workflows.options import EmbedOptions

_SAVE_ROWS = 256
_SAMPLE = 16
_SAME = 0.98
"""cosine at which two embeddings are of one model: int8 and other ways to decode and scale stay above, other models lie near 0"""


@dataclass(slots=True)
class Imported:
    """What became of the rows of a file."""

    imported: int = 0
    known: int = 0
    """images that have an embedding already"""
    unknown: int = 0
    """paths that are not in the library: `pixfind add` registers them"""
    changed: int = 0
    """files with other bytes than the registered or the embedded ones; they stay pending"""
    unreadable: int = 0
    """pictures that cannot be read, whose root is offline, or that end their decoder; they stay pending, and `embed` says why"""
    checked: int = 0
    """embeddings that were compared with those of the library's own model"""
    cosine: float = 1.0
    """the lowest of these"""


class _Row(NamedTuple):
    path: str
    embedding: NDArray[np.float32]
    size: int | None


class _Ready(NamedTuple):
    image: EmbeddedImage
    embedding: NDArray[np.float32]
    path: str
    data: bytes
    """of the picture, where it is to be embedded again; else empty"""


def import_embeddings(
    library: Library,
    path: Path,
    options: EmbedOptions | None = None,
    *,
    observer: Observer = ignore,
    progress: Progress = no_progress,
) -> Imported:
    """
    Give pending images the embeddings that a Parquet file or a file of JSON lines holds for their paths, merge and index them.

    Columns: `path`, `embedding` (d numbers of any length), and where there is one `size` in bytes. Every picture is read once, for its
    hash and its facts. A library without a model takes the one of `options`, else the one that the file names.
    Call it inside `library.lock("import")`. Raises ImportRefused for a file that is of another model or is not such a table,
    ExtraNotInstalled, and what the model, the disk and the merge raise.
    """
    options = options or EmbedOptions()
    named = _named_model(path)
    if options.model is None and library.model() is None and named is not None:
        options = dataclasses.replace(options, model=named.name, precision=named.precision)
    model = choose_model(library, options, observer=observer).value
    _refuse_other_model(path, model, named)
    commit.adopt_and_trim(library)
    scan.refresh_roots(library)
    done = Imported()
    pending = _validated(library, path, model.dimension, Imported())
    with contextlib.closing(DecoderPool.for_library(seconds=options.seconds_per_image)) as decoders:
        reader = _Reader(library, decoders)
        _check_sample(reader, path, model, options, done, pending)
        with FileSink.free(library.data, model.dimension) as sink:
            for batch in _batches(reader.ready(_rows(path, model.dimension), done, progress)):
                embeddings = np.stack([_unit(ready.embedding, path) for ready in batch]).astype(np.float16)
                sink.append([ready.image for ready in batch], embeddings)
    adopted = commit.adopt_and_trim(library)
    done.imported = len(adopted.embedded) + len(adopted.duplicates)
    merge(library, observer)
    build_index(library, observer)
    return done


def preview(library: Library, path: Path, options: EmbedOptions | None = None) -> Imported:
    """
    Return what becomes of the rows of a file, as far as can be told without reading pictures: `imported` is how many may be imported.

    Raises ImportRefused as `import_embeddings` does, but for what the sample would tell.
    """
    named, model = _named_model(path), library.model()
    _refuse_other_model(path, model, named)
    known = model or named or registry.find((options or EmbedOptions()).model or registry.DEFAULT)
    if known is None:
        raise errors.NotEmbedded(path=library.path)
    done = Imported()
    done.imported = len(_validated(library, path, known.dimension, done))
    return done


def _refuse_other_model(path: Path, model: ModelIdentity | None, named: ModelIdentity | None) -> None:
    if model and named and (named.hash, named.precision) != (model.hash, model.precision):
        ours, theirs = (f"{m.name} in {m.precision} (files {m.hash[:12]})" for m in (model, named))
        raise errors.ImportRefused(path=path, detail=f"its embeddings were made by {theirs}, the library's by {ours}")


def _check_sample(
    reader: "_Reader", path: Path, model: ModelIdentity, options: EmbedOptions, done: Imported, pending: list[int]
) -> None:
    """Embed some of the pictures of the `pending` rows; raises ImportRefused where the file says something else of one, or none can be embedded."""
    if not pending:
        return
    # Spread over the file: its parts may come from different places.
    chosen = {pending[place * len(pending) // _SAMPLE] for place in range(_SAMPLE)}
    sample = reader.ready(_rows(path, model.dimension), Imported(), no_progress, only=chosen)
    wanted = list(sample) or list(
        itertools.islice(reader.ready(_rows(path, model.dimension), Imported(), no_progress, only={*pending}), 1)
    )
    encoder = open_image_encoder(fetch_model(reader.library, options), precision=model.precision, device=options.device)
    for ready in wanted:
        embedding = _embed(encoder, ready.data, reader.decoders)
        if embedding is None:
            continue
        cosine = float(embedding @ _unit(ready.embedding, path))
        done.checked, done.cosine = done.checked + 1, min(done.cosine, cosine)
        if cosine < _SAME:
            detail = (
                f"for {path_text.readable(ready.path)} the library's model gives another embedding (cosine {cosine:.3f},"
                f" at least {_SAME} is expected)"
            )
            raise errors.ImportRefused(path=path, detail=detail)
    if wanted and not done.checked:
        raise errors.ImportRefused(
            path=path, detail="none of the pictures that were to be embedded again can be decoded"
        )


def _embed(encoder: ImageEncoder, data: bytes, decoders: DecoderPool) -> NDArray[np.float32] | None:
    """Return the embedding [d] of a picture, None where it cannot be decoded."""
    try:
        pixels = decoders.prepare(data, encoder.preprocessing)
    except (errors.ImageProblem, errors.DecodingFailed):
        return None
    row: NDArray[np.float32] = encoder.finish(encoder.forward([pixels]))[0].astype(np.float32)
    return row / np.linalg.norm(row)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads the pictures of rows; a picture that crashes or hangs its decoder ends a process of `decoders` and not the import."""

    library: Library
    decoders: DecoderPool

    def ready(
        self, rows: Iterable[_Row], done: Imported, progress: Progress, *, only: Collection[int] | None = None
    ) -> Iterator[_Ready]:
        """
        Yield the rows that fit a pending image; count the others in `done`.

        `only`: the numbers of the rows to look at, from 0, whose pictures are passed on too.
        """
        for number, row in enumerate(rows):
            if only is not None and number not in only:
                continue
            image = _pending(self.library, row, done)
            ready = None if image is None else self._read(image, row, done, keep=only is not None)
            if ready is not None:
                yield ready
            progress(number + 1, None)

    def _read(self, image: ImageRef, row: _Row, done: Imported, *, keep: bool) -> _Ready | None:
        try:
            original = source.read(image.path)
            metadata = self.decoders.metadata(original.data)
        except (errors.ImageProblem, errors.DecodingFailed):
            done.unreadable += 1
            return None
        found = original.fingerprint
        if (found.size, found.mtime_ns) != (image.size, image.mtime_ns) or row.size not in (None, found.size):
            done.changed += 1
            return None
        return _Ready(
            EmbeddedImage(image.image_id, found, metadata), row.embedding, image.path, original.data if keep else b""
        )


def _pending(library: Library, row: _Row, done: Imported) -> ImageRef | None:
    try:
        row.path.encode()
    except UnicodeEncodeError:
        # No text of the catalogue has a lone surrogate.
        found = None
    else:
        found = next(library.catalogue.rows("image_at", "export.sql", path=row.path), None)
    if found is None:
        done.unknown += 1
        return None
    image_id, path, size, mtime_ns, waits, is_offline = found
    if not waits:
        done.known += 1
        return None
    if is_offline:
        # A drive that hangs would never answer.
        done.unreadable += 1
        return None
    return ImageRef(image_id, path, size, mtime_ns)


def _batches(rows: Iterator[_Ready]) -> Iterator[Sequence[_Ready]]:
    while batch := list(itertools.islice(rows, _SAVE_ROWS)):
        yield batch


def _unit(embedding: NDArray[np.float32], path: Path) -> NDArray[np.float32]:
    # In double precision: a length may be beyond what float32 holds.
    wide = embedding.astype(np.float64)
    length = np.linalg.norm(wide)
    if not (np.isfinite(length) and length > 0):
        raise errors.ImportRefused(path=path, detail="an embedding in it is zero, or not a number")
    return (wide / length).astype(np.float32)


# --- the file -------------------------------------------------------------------------------------


def _is_parquet(path: Path) -> bool:
    try:
        # Read more than once, and what is no file may never end.
        if not path.is_file() and path.exists():
            raise errors.ImportRefused(path=path, detail="it is no regular file")
        with path.open("rb") as file:
            return file.read(4) == b"PAR1"
    except OSError as error:
        raise errors.ImportRefused(path=path, detail=error.strerror or str(error)) from error


def _named_model(path: Path) -> ModelIdentity | None:
    """Return the model that a file of `export_file` names; other programs name none."""
    if not _is_parquet(path):
        return None
    stored = (_parquet(path).schema_arrow.metadata or {}).get(MODEL_KEY.encode())
    try:
        return None if stored is None else ModelIdentity(**json.loads(stored))
    except (ValueError, TypeError) as error:
        raise errors.ImportRefused(path=path, detail=f"the model that it names cannot be read ({error})") from error


def _parquet(path: Path) -> Any:
    pa = machine.optional_package("pyarrow", "parquet", "a Parquet file")
    try:
        return machine.optional_package("pyarrow.parquet", "parquet", "a Parquet file").ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        raise errors.ImportRefused(path=path, detail=str(error).splitlines()[0]) from error


def _validated(library: Library, path: Path, dimension: int, others: Imported) -> list[int]:
    """
    Return which rows, from 0, are of pending images, and count the others.

    Raises ImportRefused for the first that is wrong, before anything is written.
    """
    pending = []
    for number, row in enumerate(_rows(path, dimension)):
        _unit(row.embedding, path)
        if _pending(library, row, others) is not None:
            pending.append(number)
    return pending


def _rows(path: Path, dimension: int) -> Iterator[_Row]:
    """Yield the rows of a file; raises ImportRefused."""
    for number, values in enumerate(_parquet_rows(path) if _is_parquet(path) else _json_rows(path), 1):
        try:
            embedding = np.asarray(values["embedding"], dtype=np.float32)
            row = _Row(str(values["path"]), embedding, None if values.get("size") is None else int(values["size"]))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            detail = f"row {number} has no {error}" if isinstance(error, KeyError) else f"row {number}: {error}"
            raise errors.ImportRefused(path=path, detail=detail) from error
        if embedding.shape != (dimension,):
            detail = (
                f"row {number} has an embedding of shape {list(embedding.shape)}, the model's have {dimension} numbers"
            )
            raise errors.ImportRefused(path=path, detail=detail)
        yield row


def _parquet_rows(path: Path) -> Iterator[dict[str, Any]]:
    file = _parquet(path)
    columns = [name for name in ("path", "embedding", "size") if name in file.schema_arrow.names]
    batches = file.iter_batches(batch_size=_SAVE_ROWS, columns=columns)
    while True:
        try:
            batch = next(batches, None)
        except (OSError, machine.optional_package("pyarrow", "parquet", "a Parquet file").ArrowException) as error:
            raise errors.ImportRefused(path=path, detail=str(error).splitlines()[0]) from error
        if batch is None:
            return
        # Embeddings as arrays: as lists of Python numbers they would take a hundred times as long.
        arrays = [
            batch.column(name).to_numpy(zero_copy_only=False) if name == "embedding" else batch.column(name).to_pylist()
            for name in columns
        ]
        yield from (dict(zip(columns, values, strict=True)) for values in zip(*arrays, strict=True))


def _json_rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                values = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise errors.ImportRefused(path=path, detail=f"line {number} is no JSON ({error})") from error
            if not isinstance(values, dict):
                raise errors.ImportRefused(path=path, detail=f"line {number} is no JSON object")
            yield values
