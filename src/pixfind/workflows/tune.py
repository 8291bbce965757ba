"""Tune: compare the precisions of a model on a sample of a library's own pictures."""

from pixfind import errors, machine
from pixfind.embedding import plan
from pixfind.library.library import Library
from pixfind.models import preprocess, tune
from pixfind.models.files import ModelFiles
from pixfind.worker import sample
from pixfind.workflows.events import Observer, PrecisionTried, ignore
from pixfind.workflows.options import EmbedOptions, make_plan


def tune_model(
    library: Library, files: ModelFiles, options: EmbedOptions, count: int = tune.SAMPLE, *, observer: Observer = ignore
) -> tune.TuneReport:
    """
    Compare the precisions of a model on `count` images of the library.

    Raises NotEmbedded where no image of the library can be read.
    """
    paths = [path for (path,) in library.catalogue.rows("sample", limit=count)]
    pictures = sample.prepared(paths, preprocess.load(files), seconds=options.seconds_per_image)
    if not pictures:
        raise errors.NotEmbedded(path=library.path)
    planned = make_plan(options)
    return tune.tune(
        files,
        pictures,
        threads=planned.threads.value,
        cores=plan.shared_cores(planned.cores.value, options.share),
        max_workers=plan.max_workers(machine.memory().value),
        device=options.device,
        progress=lambda precision: observer(PrecisionTried(precision)),
    )
