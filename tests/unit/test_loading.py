"""Loaders: what is read ahead, what is held back, and what a coordinator's answer sets free."""

import queue
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pixfind.images import decode
from pixfind.testing import make_pictures
from pixfind.worker import embed, prefetch


class Preparing:
    """The part of an encoder that loaders use; holds every picture until it is let go."""

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
def tasks(tmp_path: Path) -> list[embed.Task]:
    paths = make_pictures(tmp_path / "pictures", 12)
    return [embed.Task(n, str(path), path.stat().st_size, path.stat().st_mtime_ns) for n, path in enumerate(paths)]


def loaders(encoder: Preparing, events: "queue.SimpleQueue[Any]", **changes: int) -> prefetch.Loaders:
    bounds = {"decoders": 2, "room": 2**20, **changes}
    return prefetch.Loaders(encoder, decode.Limits(10_000_000), events, **bounds)  # type: ignore[arg-type]


def taken(events: "queue.SimpleQueue[Any]", count: int) -> list[tuple[str, Any]]:
    return [events.get(timeout=10) for _ in range(count)]


def test_every_task_ends_as_an_event(tasks: list[embed.Task], tmp_path: Path) -> None:
    events: queue.SimpleQueue[Any] = queue.SimpleQueue()
    ours = loaders(Preparing(), events)
    missing = embed.Task(99, str(tmp_path / "missing.jpg"), 1, 1)
    for task in (*tasks, missing):
        ours.take(task)
    found = taken(events, 13)

    assert set(range(12)) == {one.image_id for kind, one in found if kind == "loaded"}
    assert [99] == [one[0].image_id for kind, one in found if kind == "problem"]


def test_no_more_is_decoded_at_a_time_than_planned(tasks: list[embed.Task]) -> None:
    events: queue.SimpleQueue[Any] = queue.SimpleQueue()
    encoder = Preparing()
    ours = loaders(encoder, events, decoders=2)
    ours.grow(10)
    for task in tasks:
        ours.take(task)
    taken(events, 12)

    assert encoder.most <= 2


def test_files_that_wait_for_an_answer_fill_the_room_and_leave_it_when_forgotten(tasks: list[embed.Task]) -> None:
    events: queue.SimpleQueue[Any] = queue.SimpleQueue()
    room = tasks[0].size + tasks[1].size
    ours = loaders(Preparing(), events, room=room)
    for task in tasks:
        ours.take(_twin(task))
    first = taken(events, 2)
    with pytest.raises(queue.Empty):
        events.get(timeout=0.3)
    ours.forget(first[0][1].task.image_id)
    ours.load(first[1][1])
    later = taken(events, 3)

    assert ["read", "read"] == [kind for kind, _ in first]
    assert 1 == [kind for kind, _ in later].count("loaded")


def test_a_file_larger_than_the_room_is_read_alone(tasks: list[embed.Task]) -> None:
    events: queue.SimpleQueue[Any] = queue.SimpleQueue()
    ours = loaders(Preparing(), events, room=1)
    for task in tasks:
        ours.take(task)

    assert {"loaded"} == {kind for kind, _ in taken(events, 12)}


def _twin(task: embed.Task) -> embed.Task:
    return embed.Task(task.image_id, task.path, task.size, task.mtime_ns, twins=True)
