"""Build the search index."""

from pixfind.library.library import Library
from pixfind.search import searcher
from pixfind.search.searcher import BuildReport
from pixfind.workflows.events import IndexBuilt, Observer, Step, ignore, start


def build_index(library: Library, observer: Observer = ignore) -> BuildReport:
    """
    Build or extend the index of all merged embeddings; call it inside `library.lock("build-index")`.

    Raises NotEmbedded before the model is known.
    """
    report = searcher.build_index(library, start(Step.BUILD_INDEX, observer))
    observer(IndexBuilt(report))
    return report
