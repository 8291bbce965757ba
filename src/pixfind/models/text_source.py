"""
Where the text encoder of a model comes from: its own repository, or one in half precision of the same checkpoint.

Owns the order in which they are tried. `hub` downloads, `registry` names the repositories that publish the smaller one.
Must not know how an encoder is run. `search.build` measures whether the texts fit the images of a library.

What is on this machine answers, the full one first. Where nothing is, the smaller one is downloaded: for SigLIP 2 0.6 GB in place of 1.2 GB.
"""

import dataclasses
from dataclasses import dataclass

from pixfind import errors
from pixfind.models import files, hub, registry
from pixfind.models.files import ModelFiles
from pixfind.models.hub import Missing, Progress
from pixfind.types import Choice

PRECISIONS = ("auto", "fp32", "fp16")


@dataclass(frozen=True, slots=True)
class _Source:
    """One text encoder that a model can have."""

    name: str
    """of the model or the repository, as `hub.resolve` takes it"""
    file: str
    """the graph, where it is not the one of the layout"""
    reason: str


def resolve(
    name: str, *, precision: str = "auto", offline: bool = False, progress: Progress | None = None
) -> Choice[ModelFiles]:
    """
    Return the files of the text encoder of a model, and why this one; downloads what is missing.

    `precision` is that of the published weights; `auto` takes what is on this machine, else the smaller one where there is one.
    Raises PrecisionUnavailable, and what `hub.resolve` raises.
    """
    *others, last = _sources(name, precision, offline=offline)
    for source in others:
        try:
            return _resolved(name, source, offline=offline, progress=progress)
        except _LACKING as error:
            last = _instead(name, last, source, error)
    return _resolved(name, last, offline=offline, progress=progress)


def is_here(name: str) -> bool:
    """Tell whether a text encoder of the model is on this machine. Raises UnknownModel."""
    half = _half(name)
    return any(_is_here(source) for source in (_Source(name, "", ""), *([half] if half else [])))


def missing(name: str, *, precision: str = "auto") -> Choice[tuple[Missing, ...]]:
    """Return what `resolve` would download, and why this encoder; raises as `resolve` does."""
    *others, last = _sources(name, precision)
    for source in others:
        try:
            return Choice(hub.missing(source.name, text=True, image=False, text_file=source.file), source.reason)
        except _LACKING as error:
            last = _instead(name, last, source, error)
    return Choice(hub.missing(last.name, text=True, image=False, text_file=last.file), last.reason)


_LACKING = (errors.ModelFileMissing, errors.UnsafeModelFile, errors.InvalidModelFile, errors.ModelMissing)
"""errors that may mean that nothing of use is published under that name"""


def _sources(name: str, precision: str, *, offline: bool = False) -> list[_Source]:
    """Return the encoders to try, in order; the error of the last one is the user's."""
    if precision not in PRECISIONS:
        detail = f"the weights of a text encoder are published in {' and '.join(PRECISIONS[1:])}"
        raise errors.PrecisionUnavailable(precision=precision, detail=detail)
    full, half = _Source(name, "", "as requested"), _half(name)
    if precision == "fp32":
        return [full]
    if precision == "fp16":
        if half is None:
            raise errors.PrecisionUnavailable(precision=precision, detail=f"nobody is known to publish it for {name}")
        return [dataclasses.replace(half, reason=full.reason)]
    here = "it is on this machine"
    for source in (full, *([half] if half else [])):
        if _is_here(source):
            return [dataclasses.replace(source, reason=here)]
    full = dataclasses.replace(full, reason="the only one that is published")
    return [full] if half is None or offline else [half, full]


def _is_here(source: _Source) -> bool:
    return hub.cached_folder(source.name, text=True, image=False, text_file=source.file) is not None


def _half(name: str) -> _Source | None:
    row = registry.find(name)
    if row is not None and row.half_text is None:
        return None
    # A repository or folder that the user names may have it beside the full one.
    repo = name if row is None or row.half_text is None else row.half_text.repo
    return _Source(repo, files.HALF_TEXT, "the same model in half of the download")


def _resolved(name: str, source: _Source, *, offline: bool, progress: Progress | None) -> Choice[ModelFiles]:
    found = hub.resolve(source.name, text=True, image=False, offline=offline, progress=progress, text_file=source.file)
    row = registry.find(name)
    if row is None or source.name == name:
        return Choice(found, source.reason)
    if found.dimension != row.dimension:
        detail = f"its embeddings have {found.dimension} numbers, those of {name} have {row.dimension}"
        raise errors.InvalidModelFile(path=found.text, detail=detail)
    # The hash is that of an image encoder, and this folder's is not the one that embeds the images.
    return Choice(dataclasses.replace(found, name=name, hash=""), source.reason)


def _instead(name: str, last: _Source, source: _Source, error: errors.OperationError) -> _Source:
    """Return the last source with the reason why the one before it is not used; raises the error where that says nothing of the source."""
    if isinstance(error, errors.ModelMissing) and not error.fields["detail"].startswith("the hub says"):
        raise errors.ModelMissing(**error.fields | {"name": name}) from error
    if source.name == name:
        return last
    return dataclasses.replace(last, reason=f"the one of {source.name} cannot be used: {error}".partition("\n")[0])
