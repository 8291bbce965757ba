"""The prefetcher: what is read ahead, what is held back, and what a coordinator's answer sets free."""

import dataclasses
import queue
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pixfind.images import decode
from pixfind.testing import make_pictures, wait_for
from pixfind.types import ImageRef
from pixfind.worker import embed, prefetch


class Preparing:
    """The part of an encoder that the prefetcher uses; holds every image until it is let go."""

    decode_side = 8

    def __init__(self) -> None:
        self.gate = threading.Semaphore(1000)
        self.now = self.most = 0
        self._lock = threading.Lock()

    def prepare(self, image: Image.Image) -> NDArray[np.uint8]:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        self.gate.acquire()
        with self._lock:
            self.now -= 1
        return np.asarray(image.convert("RGB").resize((8, 8)))


@pytest.fixture
def images(tmp_path: Path) -> list[ImageRef]:
    paths = make_pictures(tmp_path / "pictures", 12)
    return [ImageRef(n, str(path), path.stat().st_size, path.stat().st_mtime_ns) for n, path in enumerate(paths)]


def prefetcher(encoder: Preparing, events: "queue.SimpleQueue[Any]", **changes: int) -> prefetch.Prefetcher:
    bounds: dict[str, Any] = {"decoders": 2, "byte_budget": 2**20, **changes}
    return prefetch.Prefetcher(encoder, decode.Limits(10_000_000), events, **bounds)


def taken(events: "queue.SimpleQueue[Any]", count: int) -> list[prefetch.Event]:
    return [events.get(timeout=600) for _ in range(count)]


def test_every_image_ends_as_an_event(images: list[ImageRef], tmp_path: Path) -> None:
    events: queue.SimpleQueue[Any] = queue.SimpleQueue()
    ours = prefetcher(Preparing(), events)
    missing = ImageRef(99, str(tmp_path / "missing.jpg"), 1, 1)
    for image in (*images, missing):
        ours.take(image)
    found = taken(events, 13)

    assert set(range(12)) == {one.image_id for one in found if isinstance(one, embed.Loaded)}
    assert [99] == [one.image.image_id for one in found if isinstance(one, prefetch.Failed)]


def test_no_more_is_decoded_at_a_time_than_planned(images: list[ImageRef]) -> None:
    events: queue.SimpleQueue[Any] = queue.SimpleQueue()
    encoder = Preparing()
    ours = prefetcher(encoder, events, decoders=2)
    ours.grow(10)
    for image in images:
        ours.take(image)
    taken(events, 12)

    assert encoder.most <= 2


def test_files_that_wait_for_an_answer_fill_the_budget_and_leave_it_when_forgotten(images: list[ImageRef]) -> None:
    held: list[int] = []

    class Watched(queue.SimpleQueue[Any]):
        """Notes the bytes that are held whenever something happens; most of it happens in the prefetcher's threads."""

        def put(self, event: Any, block: bool = True, timeout: float | None = None) -> None:
            with ours._changed:
                held.append(sum(ours._held.values()))
            super().put(event, block, timeout)

    events = Watched()
    budget = images[0].size + images[1].size
    ours = prefetcher(Preparing(), events, byte_budget=budget)
    for image in images:
        ours.take(_of_a_shared_size(image))
    found: list[prefetch.Event] = []
    while len(found) < len(images) + len(images) // 2:
        # Of two that were read one is forgotten, and one is embedded.
        found += taken(events, 1)
        if isinstance(found[-1], embed.Read):
            file = found[-1]
            ours.forget(file.image.image_id) if file.image.image_id % 2 else ours.load(file)

    assert len(images) == sum(isinstance(one, embed.Read) for one in found)
    assert 0 < max(held) <= budget


def test_an_image_that_waits_for_its_turn_has_not_begun(images: list[ImageRef]) -> None:
    """Else an image that hangs would let those fail that wait behind it."""
    events: queue.SimpleQueue[Any] = queue.SimpleQueue()
    encoder = Preparing()
    encoder.gate = threading.Semaphore(0)
    ours = prefetcher(encoder, events, decoders=2)
    for image in images:
        ours.take(image)
    wait_for(lambda: len(ours._unread) == 8 and encoder.now == 2 and len(ours.began) == 2)
    hanging = set(ours.began)
    encoder.gate.release(len(images))
    taken(events, 12)

    assert {0, 1, 2, 3} > hanging, "two of the four that threads have taken up"


def test_a_closed_prefetcher_ends_its_threads(images: list[ImageRef]) -> None:
    events: queue.SimpleQueue[Any] = queue.SimpleQueue()
    ours = prefetcher(Preparing(), events)
    for image in images:
        ours.take(image)
    taken(events, 12)
    ours.close()
    for thread in ours._running:
        thread.join(50)

    assert [] == [thread.name for thread in ours._running if thread.is_alive()]


def test_a_file_larger_than_the_budget_is_read_alone(images: list[ImageRef]) -> None:
    events: queue.SimpleQueue[Any] = queue.SimpleQueue()
    ours = prefetcher(Preparing(), events, byte_budget=1)
    for image in images:
        ours.take(image)

    assert {embed.Loaded} == {type(one) for one in taken(events, 12)}


def _of_a_shared_size(image: ImageRef) -> ImageRef:
    return dataclasses.replace(image, same_size=True)
