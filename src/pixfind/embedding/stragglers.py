"""
Stragglers: what a slow machine still has in hand at the end of a run is assigned a second time, to a worker on another one.

Owns which images are in two hands, and when. The first to end an image counts: `library.commit` takes no second row, and whatever else the other
worker reports of it is not heard. Must not know messages, or what an end means.
"""

from collections.abc import Iterable, Mapping

from pixfind.embedding.runners import WorkerUsage
from pixfind.embedding.slots import WorkerSlot
from pixfind.types import Clock, ImageRef

AFTER_SECONDS = 10.0
"""for which a worker has been assigned nothing and still has images in hand; others do what they hold in less"""


class Stragglers:
    """The images of one run that two workers have in hand."""

    def __init__(self, slots: Mapping[int, WorkerSlot], clock: Clock) -> None:
        self._slots = slots
        self._clock = clock
        self._twice: set[int] = set()
        """in two hands now"""
        self._assigned_again: set[int] = set()
        """and those that were: an image that hangs its workers would pass from hand to hand, and never be blamed"""

    def take(self, idle: WorkerSlot, usage: Mapping[int, WorkerUsage], count: int) -> list[ImageRef]:
        """Return up to `count` images that slow workers on other nodes have alone: what each of them would come to last."""
        here = _node(idle, usage)
        found: list[ImageRef] = []
        for slot in self._slots.values():
            elsewhere = slot.ready and here != _node(slot, usage)
            # An image that is tried alone must stay alone, or a crash would not name it.
            if elsewhere and slot.isolated is None and self._is_slow(slot):
                held = reversed(slot.assigned.values())
                found += [image for image in held if image.image_id not in self._assigned_again]
        found = found[:count]
        for known in (self._twice, self._assigned_again):
            known.update(image.image_id for image in found)
        return found

    def end(self, image_id: int) -> None:
        """An image has ended: take it out of the other hand too."""
        if image_id in self._twice:
            self._twice.discard(image_id)
            for slot in self._slots.values():
                slot.assigned.pop(image_id, None)
                slot.embedded.discard(image_id)

    def left_alone(self, images: Iterable[ImageRef]) -> list[ImageRef]:
        """Return those of the images of a worker that has ended which nobody else has in hand."""
        found = []
        for image in images:
            if image.image_id in self._twice:
                self._twice.discard(image.image_id)
                if any(image.image_id in slot.assigned for slot in self._slots.values()):
                    continue
            found.append(image)
        return found

    def _is_slow(self, slot: WorkerSlot) -> bool:
        return self._clock.monotonic() - slot.assigned_at >= AFTER_SECONDS


def _node(slot: WorkerSlot, usage: Mapping[int, WorkerUsage]) -> str:
    """Return the node of a worker; an empty text for one of this machine, or of which nothing is known."""
    return usage[slot.worker].node if slot.worker in usage else ""
