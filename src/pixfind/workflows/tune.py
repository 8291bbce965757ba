"""Tune: compare the precisions of a model on a sample of a library's own pictures."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from pixfind import errors
from pixfind.images import decode
from pixfind.library.library import Library
from pixfind.models import tune
from pixfind.models.files import ModelFiles
from pixfind.workflows.events import Observer, PrecisionTried, ignore
from pixfind.workflows.options import EmbedOptions, make_plan


def tune_model(
    library: Library, files: ModelFiles, options: EmbedOptions, count: int = tune.SAMPLE, *, observer: Observer = ignore
) -> tune.TuneReport:
    """
    Compare the precisions of a model on `count` images of the library.

    Raises NotEmbedded where no image of the library can be read.
    """
    paths = [Path(path) for (path,) in library.catalogue.rows("sample", limit=count)]
    pictures = sample(paths, count)
    if not pictures:
        raise errors.NotEmbedded(path=library.path)
    return tune.tune(
        files,
        pictures,
        threads=make_plan(options).threads.value,
        device=options.device,
        progress=lambda precision: observer(PrecisionTried(precision)),
    )


def sample(paths: Sequence[Path], count: int = tune.SAMPLE, *, shortest_side: int | None = None) -> list[Image.Image]:
    """Decode up to `count` of the files, evenly spread; those that are no pictures are left out."""
    limits = decode.limits_for(2 << 30).value
    step = max(1, len(paths) // count)
    pictures = []
    for path in paths[::step]:
        try:
            pictures.append(decode.decode(path.read_bytes(), limits=limits, shortest_side=shortest_side).image)
        except (errors.ImageProblem, OSError):
            continue
    return pictures[:count]
