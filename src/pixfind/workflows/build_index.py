"""Build the search index."""

from pixfind.library import fulltext
from pixfind.library.library import Library
from pixfind.search import build, similarity_map
from pixfind.search.build import BuildReport
from pixfind.workflows.events import IndexBuilt, Observer, Step, ignore, start


def build_index(library: Library, observer: Observer = ignore, *, thorough: bool = False) -> BuildReport:
    """
    Make the index of all merged embeddings (`search.build`), the full-text index and the similarity map current; call it inside `library.lock("build-index")`.

    Raises NotEmbedded before the model is known.
    """
    report = build.build_index(library, start(Step.BUILD_INDEX, observer), thorough=thorough)
    fulltext.update(library, thorough=thorough)
    if similarity_map.is_due(library):
        similarity_map.update(library, start(Step.MAP, observer))
    observer(IndexBuilt(report))
    return report
