"""One worker as the coordinator sees it."""

from dataclasses import dataclass, field

from pixfind.embedding.progress import WorkerCounters
from pixfind.types import ImageRef, ReadText
from pixfind.worker.protocol import WorkerConfig


@dataclass(slots=True)
class WorkerSlot:
    """The place of one worker in a run: workers that end are replaced in their slot."""

    config: WorkerConfig
    assigned: dict[int, ImageRef] = field(default_factory=dict)
    """images that were sent to the worker and have neither been adopted nor settled"""
    assigned_at: float = 0.0
    """the clock's monotonic seconds when the last of them were"""
    embedded: set[int] = field(default_factory=set)
    """those of them that went through the model and are not saved yet"""
    unadopted: int = 0
    """rows and texts that the worker has saved and that were not adopted yet"""
    texts: list[ReadText] = field(default_factory=list)
    """those texts"""
    ready: bool = False
    """its model is loaded"""
    batch: int = 1
    """images that it puts through the model together, once it is ready"""
    dismissed_at: float | None = None
    """the clock's monotonic seconds when it was told to stop, because nothing was left"""
    stopped: bool = False
    """no worker runs in this slot; on a cluster another one may once there is room"""
    held_back: str = ""
    """for which source it waits, and why"""
    isolated: int | None = None
    """the image from quarantine that it tries alone"""
    last_message_at: float = 0.0
    """the clock's monotonic seconds"""
    counters: WorkerCounters = field(default_factory=WorkerCounters)

    @property
    def worker(self) -> int:
        """The worker's number."""
        return self.config.worker

    def room(self, look_ahead: int) -> int:
        """Return how many more images the worker may be assigned, to have `look_ahead` batches that have not been through the model."""
        return look_ahead * self.batch - (len(self.assigned) - len(self.embedded))

    def take_all(self) -> tuple[list[ImageRef], list[ImageRef]]:
        """Take back what a worker that has ended was assigned; return (through the model and not saved, not through the model)."""
        embedded = [image for image_id, image in self.assigned.items() if image_id in self.embedded]
        unfinished = [image for image_id, image in self.assigned.items() if image_id not in self.embedded]
        self.assigned, self.embedded = {}, set()
        return embedded, unfinished
