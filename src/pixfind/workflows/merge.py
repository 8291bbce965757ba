"""Make what workers saved part of embeddings.npy."""

from pixfind import errors
from pixfind.library import commit
from pixfind.library import merge as library_merge
from pixfind.library.library import Library
from pixfind.library.merge import Merged
from pixfind.workflows.events import Observer, RowsMerged, Step, ignore, start


def merge(library: Library, observer: Observer = ignore) -> Merged:
    """
    Adopt what workers left behind and move all adopted rows into embeddings.npy; call it inside `library.lock("merge")`.

    Raises NotEmbedded before the model is known, MergeRefused with the file and the row whose checksum does not hold.
    """
    if library.model() is None:
        raise errors.NotEmbedded(path=library.path)
    progress = start(Step.MERGE, observer)
    adopted = commit.adopt_left_behind(library)
    if adopted.damaged is not None:
        path, row = adopted.damaged
        raise errors.MergeRefused(path=path, row=row, detail="its checksum does not match")
    merged = library_merge.merge(library, progress)
    observer(RowsMerged(merged))
    return merged
