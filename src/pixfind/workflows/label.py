"""Mark the pictures of a library with labels: words that the model sees in them."""

from collections.abc import Sequence

from pixfind import errors
from pixfind.library import labels
from pixfind.library.labels import Definition
from pixfind.library.library import Library
from pixfind.search import labelling
from pixfind.search.labelling import LabelReport
from pixfind.workflows.events import Labelled, Observer, Step, ignore, start


def define(library: Library, definitions: Sequence[Definition], observer: Observer = ignore) -> LabelReport | None:
    """
    Replace the labels of a library and mark its pictures with them; call it inside `library.lock("label")`.

    None where there are no labels now. Raises NotEmbedded before the model is known.
    """
    if library.model() is None:
        raise errors.NotEmbedded(path=library.path)
    labels.define(library.catalogue, definitions)
    return update(library, observer)


def update(library: Library, observer: Observer = ignore) -> LabelReport | None:
    """Mark the pictures that are not marked yet (`labelling.update`); in a lock, after the index was built."""
    if not labels.all_labels(library.catalogue):
        return None
    report = labelling.update(library, start(Step.LABEL, observer))
    if report is not None:
        observer(Labelled(report))
    return report
