"""
Embeddings of pictures that came to this library from another part of their source.

Several libraries divide a source by the names of its pictures (`source.Part`), so a picture that gets another name may come to another library.
Where that one knows the collection, it takes the embedding from the library that had the picture, and the model has nothing to do.

Owns when two files are the same: size, time and content. What is taken goes the way of every row: a worker file, then adopt.
"""

import contextlib
import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy import float16
from numpy.typing import NDArray

from pixfind import errors
from pixfind.collection import config
from pixfind.images import source
from pixfind.library import commit
from pixfind.library.library import Library, ModelIdentity
from pixfind.types import EmbeddedImage, ImageRef
from pixfind.worker.sink import FileSink

_BATCH: Final = 1_000
"""pending images that the other libraries are asked about at once"""

_SAVE_ROWS: Final = 256

if TYPE_CHECKING:
    from pixfind.worker.decoders import DecoderPool

Version = tuple[int, int]
"""size and mtime_ns"""


@dataclass(frozen=True, slots=True)
class _Known:
    """A file that another library has an embedding of."""

    hash: bytes
    embedding: NDArray[float16]
    """[d]"""


def carry_over(library: Library, model: ModelIdentity) -> int:
    """
    Give pending images the embeddings that the other libraries of their collection made of the same files, and return how many.

    Libraries at addresses, of other models, and those that are away are not asked. Call it inside a lock of the library, before what is pending is embedded.
    """
    folders = _others(library)
    if not folders or not library.catalogue.pending(limit=1):
        return 0
    with contextlib.ExitStack() as opened:
        others = [other for folder in folders if (other := _opened(folder, model, opened)) is not None]
        if not others:
            return 0
        # Here: an index with nothing new does without it.
        from pixfind.worker.decoders import DecoderPool

        commit.adopt_and_trim(library)
        decoders = opened.enter_context(contextlib.closing(DecoderPool.for_library()))
        carried = _carried(library, others, decoders)
        first = next(carried, None)
        if first is None:
            return 0
        rows = itertools.chain([first], carried)
        with FileSink.free(library.data, model.dimension) as sink:
            while some := list(itertools.islice(rows, _SAVE_ROWS)):
                sink.append([image for image, _ in some], np.stack([embedding for _, embedding in some]))
    adopted = commit.adopt_and_trim(library)
    return len(adopted.embedded) + len(adopted.duplicates)


def _others(library: Library) -> list[Path]:
    """Return the folders of the libraries that have other parts of this one's roots."""
    files = {json.loads(root.settings).get(source.COLLECTION) for root in library.catalogue.roots()}
    folders: set[Path] = set()
    for file in files - {None}:
        # One that has gone since it was named costs what it would have saved.
        with contextlib.suppress(errors.InvalidCollection):
            folders.update(member.path for member in config.read(Path(file)).members if member.path is not None)
    return sorted(folder for folder in folders if folder.resolve() != library.path.resolve())


def _opened(folder: Path, model: ModelIdentity, opened: contextlib.ExitStack) -> Library | None:
    try:
        other = opened.enter_context(Library.open(folder))
        its = other.model()
    except errors.OperationError:
        return None
    same = its is not None and (its.hash, its.precision) == (model.hash, model.precision)
    return other if same and other.merged_rows else None


def _carried(
    library: Library, others: Sequence[Library], decoders: "DecoderPool"
) -> Iterator[tuple[EmbeddedImage, NDArray[float16]]]:
    after = 0
    while batch := library.catalogue.pending(after=after, limit=_BATCH):
        after = batch[-1].image_id
        known = _known(others, batch)
        for image in batch:
            for found in known.get((image.size, image.mtime_ns), ()):
                if (same := _same(image, found, decoders)) is not None:
                    yield same, found.embedding
                    break


def _known(others: Sequence[Library], images: Sequence[ImageRef]) -> dict[Version, list[_Known]]:
    """Return what the other libraries have embeddings of, of the versions of these images."""
    wanted = {(image.size, image.mtime_ns) for image in images if (image.size, image.mtime_ns) != source.UNKNOWN}
    sizes = json.dumps(sorted({size for size, _ in wanted}))
    found: dict[Version, list[_Known]] = {}
    for other in others:
        embeddings = other.embeddings()
        for size, mtime_ns, content, row in other.catalogue.rows("embedded_of_sizes", "export.sql", sizes=sizes):
            if (size, mtime_ns) in wanted and row < len(embeddings):
                found.setdefault((size, mtime_ns), []).append(_Known(content, np.array(embeddings[row])))
    return found


def _same(image: ImageRef, known: _Known, decoders: "DecoderPool") -> EmbeddedImage | None:
    """Return what is recorded of an image whose file has the content that is known; None where it has not, or cannot be read."""
    try:
        original = source.read(image.path)
        if original.fingerprint.hash != known.hash:
            return None
        if (original.fingerprint.size, original.fingerprint.mtime_ns) != (image.size, image.mtime_ns):
            return None
        return EmbeddedImage(image.image_id, original.fingerprint, decoders.metadata(original.data))
    except (errors.ImageProblem, errors.DecodingFailed):
        return None
