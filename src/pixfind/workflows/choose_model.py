"""
Which model embeds a library, and in which precision.

Owns the rule that a library keeps its model: another one is the business of `switch_model`.
"""

from pixfind import errors
from pixfind.library.library import Library, ModelIdentity
from pixfind.models import engines, registry
from pixfind.models.files import ModelFiles
from pixfind.types import Choice
from pixfind.workflows import fetch
from pixfind.workflows.events import ModelChosen, Observer, ignore
from pixfind.workflows.options import EmbedOptions

#: Tuning takes about a minute with a real model: it pays where an hour of embedding becomes half an hour.
_TUNE_FROM = 5000


def fetch_model(library: Library, options: EmbedOptions, observer: Observer = ignore) -> ModelFiles:
    """
    Return the files of the model that a library has or will have, fetching those that are not here.

    Raises OtherModel when it was embedded with another, and the errors of `hub.resolve` when the model is not available.
    """
    known = library.model()
    files = fetch.fetch_images(options.model or (known.name if known else registry.DEFAULT), observer)
    if known is not None and library.has_embeddings():
        library.remember_model(_identity(files, known.precision))
    return files


def choose_model(
    library: Library, options: EmbedOptions, files: ModelFiles | None = None, observer: Observer = ignore
) -> Choice[ModelIdentity]:
    """
    Return the model of a library and why in this precision; it is chosen and remembered until something is embedded with it.

    `auto` is measured on a sample of the pending images, where so many wait that it pays. Raises what `fetch_model` raises, and
    OtherPrecision.
    """
    files = files or fetch_model(library, options, observer)
    chosen = _chosen(library, options, files, observer)
    observer(ModelChosen(chosen.value, chosen.reason))
    return chosen


def _chosen(library: Library, options: EmbedOptions, files: ModelFiles, observer: Observer) -> Choice[ModelIdentity]:
    known = library.model()
    if known is not None and (library.has_embeddings() or _is_asked_for(known, files, options)):
        refuse_another(library, files, options)
        return Choice(known, "remembered from the first run")
    precision = engines.image_precision(files, options.precision, options.device)
    if files.name == registry.STARTER and options.precision == "auto":
        precision = Choice("fp32", "as published: so small a model gains nothing from fewer bits")
    pending = library.catalogue.count_pending()
    if options.precision == "auto" and files.name != registry.STARTER and pending >= _TUNE_FROM:
        from pixfind.workflows import tune

        precision = tune.tune_model(library, files, options, observer=observer).choice
    model = _identity(files, precision.value)
    (library.remember_model if known is None else library.exchange_model)(model)
    return Choice(model, precision.reason)


def refuse_another(library: Library, files: ModelFiles, options: EmbedOptions) -> None:
    """Raise OtherModel or OtherPrecision when a library has a model, and it is not the one that is asked for."""
    known = library.model()
    if known is None or _is_asked_for(known, files, options):
        return
    library.remember_model(_identity(files, known.precision))
    raise errors.OtherPrecision(model=known.name, precision=known.precision, asked=options.precision)


def _is_asked_for(known: ModelIdentity, files: ModelFiles, options: EmbedOptions) -> bool:
    same = (known.hash, known.dimension) == (files.hash, files.dimension)
    return same and engines.is_what_is_asked_for(known.precision, files, options.precision, options.device)


def _identity(files: ModelFiles, precision: str) -> ModelIdentity:
    return ModelIdentity(files.name, files.hash, files.dimension, precision)
