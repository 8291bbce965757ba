"""
Where a worker finds the files of its images: on its own machine, or, on a node that cannot see them, through the library's machine.

Owns mapped paths, and the questions to the library's machine with those that wait for their answers. Must not know what carries the messages, or what
the bytes mean.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from pixfind import errors
from pixfind.images import source
from pixfind.types import Fingerprint, ImageMetadata, ImageRef
from pixfind.worker import embed, protocol


class Files(Protocol):
    """Reads the files of images, in any thread."""

    def prepare(self, image: ImageRef) -> None:
        """Do what the first read of an archive needs, which may take minutes."""

    def read(self, image: ImageRef) -> embed.Read | None:
        """Read the file of an image; None where this machine does not have it, and `fetch` may. Raises ImageProblem."""

    def fetch(self, image: ImageRef) -> embed.Read:
        """Get it from the library's machine, which may take as long as the network does. Raises ImageProblem."""


class FilesHere:
    """All files are on this machine, or at addresses."""

    @staticmethod
    def prepare(image: ImageRef) -> None:
        source.prepare(image.path)

    @staticmethod
    def read(image: ImageRef) -> embed.Read:
        return embed.read(image)

    fetch = read


class FilesOfNode:
    """
    Files that a node sees at the same path or a mapped one, with the same size and time; the library's machine reads the others and sends them.

    `maps` are (from, to): below which folder of the library's machine lies what the node has below which one.
    """

    def __init__(self, send: Callable[[protocol.FromWorker], None], maps: Sequence[tuple[str, str]] = ()) -> None:
        self.activity = 0
        """files asked for and received: changes while the network is at work"""
        self._send = send
        self._maps = sorted(maps, key=lambda one: -len(one[0]))
        self._changed = threading.Condition()
        self._answers: dict[int, protocol.Content | None] = {}
        self._closed = False

    def prepare(self, image: ImageRef) -> None:
        # An archive that is not here is looked into on the library's machine.
        with contextlib.suppress(errors.ImageProblem):
            source.prepare(self._path(image))

    def read(self, image: ImageRef) -> embed.Read | None:
        try:
            return embed.read(replace(image, path=self._path(image)))
        except errors.ImageProblem:
            if source.is_address(image.path):
                raise
            # Not here, or another file at the same path, or half a copy: the library's machine knows whether it is the picture that is bad.
            return None

    def fetch(self, image: ImageRef) -> embed.Read:
        began = time.perf_counter()
        with self._changed:
            self._answers[image.image_id] = None
            self.activity += 1
        self._send(protocol.Fetch(image.image_id))
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._answers[image.image_id] is not None)
            answer = self._answers.pop(image.image_id)
        if answer is None:
            raise errors.FileMissing
        if answer.problem:
            raise _problem(answer)
        original = source.Original(answer.data, Fingerprint(answer.size, answer.mtime_ns, answer.hash))
        embed.check_version(image, original.fingerprint)
        return embed.Read(image, original, time.perf_counter() - began, _side_facts(answer))

    def answer(self, content: protocol.Content) -> None:
        """Take what the library's machine has sent; one that nobody waits for any more is dropped."""
        with self._changed:
            self.activity += 1
            if content.image_id in self._answers:
                self._answers[content.image_id] = content
                self._changed.notify_all()

    def close(self) -> None:
        """Let nobody wait any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _path(self, image: ImageRef) -> str:
        for of_library, here in self._maps:
            if image.path == of_library or image.path.startswith(of_library.rstrip("/") + "/"):
                return here.rstrip("/") + image.path[len(of_library.rstrip("/")) :]
        return image.path


def content_of(image: ImageRef) -> protocol.Content:
    """Read the file of an image on the library's machine, and what lies beside it, as a worker on a node needs it; a problem travels too."""
    try:
        original = source.read(image.path)
    except errors.ImageProblem as problem:
        fields = {name: str(value) for name, value in problem.fields.items()}
        return protocol.Content(image.image_id, b"", 0, 0, b"", problem=type(problem).__name__, fields=fields)
    print_, side = original.fingerprint, source.completed(image.path, ImageMetadata())
    return protocol.Content(
        image.image_id,
        original.data,
        print_.size,
        print_.mtime_ns,
        print_.hash,
        taken_at=() if side.taken_at is None else (side.taken_at,),
        place=() if side.latitude is None or side.longitude is None else (side.latitude, side.longitude),
    )


def _problem(answer: protocol.Content) -> errors.ImageProblem:
    """Return the problem that reading had where the library is."""
    kind = getattr(errors, answer.problem, None)
    if not (isinstance(kind, type) and issubclass(kind, errors.ImageProblem)):
        return errors.Unreadable(detail=answer.problem)
    return kind(**answer.fields)


def _side_facts(answer: protocol.Content) -> ImageMetadata:
    latitude, longitude = answer.place or (None, None)
    return ImageMetadata(
        taken_at=answer.taken_at[0] if answer.taken_at else None, latitude=latitude, longitude=longitude
    )
