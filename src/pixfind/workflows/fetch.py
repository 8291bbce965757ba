"""
The download of a model: what is missing, and getting it with progress over all files.

Owns the sums. `models.hub` downloads, `models.text_source` decides which text encoder.
"""

from collections.abc import Callable
from dataclasses import dataclass

from pixfind.models import hub, text_source
from pixfind.models.files import ModelFiles
from pixfind.models.hub import Missing
from pixfind.types import Choice, Progress
from pixfind.workflows.events import Observer, Step, ignore, start


@dataclass(frozen=True, slots=True)
class FetchPlan:
    """What is missing of a model."""

    image: tuple[Missing, ...]
    """of its image encoder"""
    text: tuple[Missing, ...]
    """of its text encoder"""
    text_reason: str
    """why this text encoder"""

    @property
    def bytes(self) -> int:
        """How much is to be downloaded."""
        return sum(one.size - one.here for one in (*self.image, *self.text))


@dataclass(frozen=True, slots=True)
class Fetched:
    """Both encoders of a model, on this machine."""

    image: ModelFiles
    text: Choice[ModelFiles]
    """and why this one"""


def plan(name: str, *, precision: str = "auto") -> FetchPlan:
    """Return what `fetch` would download; raises as it does."""
    text = text_source.missing(name, precision=precision)
    return FetchPlan(hub.missing(name), text.value, text.reason)


def fetch(name: str, observer: Observer = ignore, *, precision: str = "auto") -> Fetched:
    """
    Download what is missing of both encoders of a model; `precision` is that of the text encoder's weights.

    Raises PrecisionUnavailable and the errors of `hub.resolve`.
    """
    wanted = plan(name, precision=precision)
    of = _shares(wanted.image, wanted.text, start(Step.FETCH_MODEL, observer))
    image = hub.resolve(name, progress=of(0))
    return Fetched(image, text_source.resolve(name, precision=precision, progress=of(1)))


def fetch_images(name: str, observer: Observer = ignore) -> ModelFiles:
    """Return the files of a model's image encoder, downloading those that are missing; raises the errors of `hub.resolve`."""
    of = _shares(hub.missing(name), (), start(Step.FETCH_MODEL, observer))
    return hub.resolve(name, progress=of(0))


def fetch_texts(name: str, observer: Observer = ignore) -> Choice[ModelFiles]:
    """Return the files of a model's text encoder and why this one, downloading those that are missing; raises the errors of `hub.resolve`."""
    of = _shares((), text_source.missing(name).value, start(Step.FETCH_MODEL, observer))
    return text_source.resolve(name, progress=of(1))


def _shares(image: tuple[Missing, ...], text: tuple[Missing, ...], progress: Progress) -> Callable[[int], hub.Progress]:
    """Return what gives the progress function of each part (0: images, 1: texts), of which `progress` gets the sums."""
    sizes = {(part, one.file): one.size for part, those in enumerate((image, text)) for one in those}
    done = {(part, one.file): one.here for part, those in enumerate((image, text)) for one in those}

    def of(part: int) -> hub.Progress:
        def tell(file: str, bytes_done: int, size: int) -> None:
            # External data under a name that only the graph tells was not known before.
            sizes[part, file], done[part, file] = size, bytes_done
            progress(sum(done.values()), sum(sizes.values()))

        return tell

    return of
