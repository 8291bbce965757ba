"""The pipeline of one worker: what it is assigned becomes rows in its sink, and everything else a message."""

import math
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pixfind import errors
from pixfind.models import hub
from pixfind.models.encoders import ImageEncoder, open_image_encoder
from pixfind.testing import make_pictures
from pixfind.testing.scripted import scripted_config
from pixfind.types import EmbeddedImage, ImageRef, Outcome
from pixfind.worker import embed, pipeline
from pixfind.worker.protocol import (
    EXIT_DEGRADED,
    RESTS,
    Claim,
    ClaimsAnswered,
    Embed,
    Embedded,
    FromWorker,
    Quota,
    Rest,
    Saved,
    Stop,
    ToWorker,
)
from pixfind.worker.work import EmbedWork


@pytest.fixture(scope="module")
def encoder() -> ImageEncoder:
    return open_image_encoder(hub.resolve("starter", offline=True), threads=1, precision="fp32", device="cpu")


@pytest.fixture
def images(tmp_path: Path) -> list[ImageRef]:
    files = [(path, path.stat()) for path in make_pictures(tmp_path / "pictures", 10)]
    return [ImageRef(n + 1, str(path), stat.st_size, stat.st_mtime_ns) for n, (path, stat) in enumerate(files)]


class Kept:
    """A sink that keeps rows in memory: the pipeline asks for nothing more."""

    def __init__(self) -> None:
        self.rows: list[EmbeddedImage] = []
        self.embeddings: list[NDArray[np.float16]] = []

    def append(self, rows: Sequence[EmbeddedImage], embeddings: NDArray[np.float16]) -> None:
        self.rows += rows
        self.embeddings += list(embeddings)


class Run:
    """One worker and the coordinator's side of it, in one thread: each message from the worker is answered at once."""

    def __init__(self, encoder: ImageEncoder) -> None:
        self.sink = Kept()
        self.sent: list[FromWorker] = []
        self.answer: Callable[[FromWorker], list[ToWorker]] = lambda message: []
        config = scripted_config(Path("/nowhere"), Path("/nowhere"), encoder.dimension)
        self.worker = pipeline.Worker(config, EmbedWork(encoder, self.sink), self._take)

    def _take(self, message: FromWorker) -> None:
        self.sent.append(message)
        for answer in self.answer(message):
            self.worker.events.put(answer)

    def embed(self, images: Sequence[ImageRef], *, until: float | None = None) -> int:
        """Assign `images`; stop the worker once as many have ended. Return its exit code."""
        self.worker.events.put(Embed(tuple(images)))
        answer, wanted = self.answer, len(images) if until is None else until
        self.answer = lambda message: [*answer(message), *([Stop()] if self.ended() >= wanted else [])]
        try:
            return self.worker.run()
        finally:
            self.worker.close()

    def ended(self) -> int:
        return sum(one.rows + len(one.settled) + len(one.changed) for one in self.saves())

    def through(self) -> int:
        return sum(len(message.image_ids) for message in self.sent if isinstance(message, Embedded))

    def saves(self) -> list[Saved]:
        return [message for message in self.sent if isinstance(message, Saved)]


def test_what_is_assigned_becomes_unit_rows_in_the_sink(encoder: ImageEncoder, images: list[ImageRef]) -> None:
    run = Run(encoder)

    assert 0 == run.embed(images)
    assert {image.image_id for image in images} == {row.image_id for row in run.sink.rows}
    assert {(image.image_id, image.size, image.mtime_ns) for image in images} == {
        (row.image_id, row.fingerprint.size, row.fingerprint.mtime_ns) for row in run.sink.rows
    }
    assert (10, encoder.dimension) == np.shape(run.sink.embeddings)
    assert np.allclose(1, np.linalg.norm(np.asarray(run.sink.embeddings, np.float32), axis=1), atol=2e-3)


def test_an_image_is_reported_as_embedded_before_it_is_reported_as_saved(
    encoder: ImageEncoder, images: list[ImageRef]
) -> None:
    run = Run(encoder)
    run.embed(images)
    embedded = saved = 0
    for message in run.sent:
        embedded += len(message.image_ids) if isinstance(message, Embedded) else 0
        saved += message.rows if isinstance(message, Saved) else 0
        assert saved <= embedded

    assert 10 == saved == embedded


def test_of_files_of_one_size_only_those_that_are_granted_are_embedded(
    encoder: ImageEncoder, images: list[ImageRef]
) -> None:
    run = Run(encoder)
    asked: dict[int, bytes] = {}

    def answer(message: FromWorker) -> list[ToWorker]:
        if not isinstance(message, Claim):
            return []
        asked.update(message.contents)
        ids = [image_id for image_id, _ in message.contents]
        return [ClaimsAnswered(tuple(i for i in ids if i % 2), tuple(i for i in ids if not i % 2))]

    run.answer = answer
    run.embed([ImageRef(i.image_id, i.path, i.size, i.mtime_ns, same_size=True) for i in images], until=5)

    assert set(range(1, 11)) == asked.keys()
    assert {1, 3, 5, 7, 9} == {row.image_id for row in run.sink.rows}
    assert {row.fingerprint.hash for row in run.sink.rows} == {asked[image_id] for image_id in (1, 3, 5, 7, 9)}


def test_what_cannot_be_embedded_is_settled_with_its_reason(encoder: ImageEncoder, images: list[ImageRef]) -> None:
    Path(images[2].path).unlink()
    Path(images[5].path).write_bytes(b"x" * images[5].size)
    os.utime(images[5].path, ns=(0, images[5].mtime_ns))
    run = Run(encoder)
    run.embed(images)
    settled = {one.image_id: one for save in run.saves() for one in save.settled}

    assert {3, 6} == settled.keys()
    assert (Outcome.FAILED, str(errors.FileMissing()), True) == (
        settled[3].outcome,
        settled[3].reason,
        settled[3].transient,
    )
    assert (str(errors.NotAnImage()), False) == (settled[6].reason, settled[6].transient)
    assert 8 == len(run.sink.rows)


def test_a_file_that_has_changed_is_reported_as_it_is_now(encoder: ImageEncoder, images: list[ImageRef]) -> None:
    path = Path(images[4].path)
    path.write_bytes(path.read_bytes() + b"more")
    run = Run(encoder)
    run.embed(images)
    (changed,) = [one for save in run.saves() for one in save.changed]

    assert (5, images[4].size + 4, path.stat().st_mtime_ns) == (changed.image_id, changed.size, changed.mtime_ns)
    assert 5 not in {row.image_id for row in run.sink.rows}


def test_a_quota_of_nothing_holds_the_model_until_there_is_more(encoder: ImageEncoder, images: list[ImageRef]) -> None:
    run = Run(encoder)
    run.worker.events.put(Quota(0.0))
    forward, waited = run.worker._forward, []
    run.worker._forward = lambda: (waited.append(run.worker._throttle.cpu_quota), forward())  # type: ignore[method-assign,assignment]
    pause = run.worker._throttle.pause

    def resume_after_a_pause(at_most: float) -> bool:
        may = pause(at_most)
        run.worker.events.put(Quota(math.inf))
        return may

    run.worker._throttle.pause = resume_after_a_pause  # type: ignore[method-assign]
    run.embed(images)

    assert {math.inf} == set(waited)
    assert 10 == len(run.sink.rows)


def test_a_worker_whose_threads_all_hang_saves_and_ends_as_degraded(
    encoder: ImageEncoder, images: list[ImageRef], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The image that hangs fails; those that wait for its thread are left to the next worker."""
    load, gate, run = embed.load, threading.Event(), Run(encoder)

    def hang(file: embed.Read, *others: object) -> embed.Loaded:
        if file.image.image_id == 6:
            run.worker._prefetcher.began[6] -= 61
            gate.wait(600)
        return load(file, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(embed, "load", hang)
    code = run.embed(images)
    gate.set()
    (failed,) = [one for save in run.saves() for one in save.settled]

    assert EXIT_DEGRADED == code
    assert (6, str(errors.DecodeTimeout(seconds=60))) == (failed.image_id, failed.reason)
    assert run.saves()[-1] == run.sent[-1]


def test_a_worker_that_is_told_to_rest_saves_and_can_be_used_again(
    encoder: ImageEncoder, images: list[ImageRef]
) -> None:
    run = Run(encoder)
    run.answer = lambda message: [Rest()] if isinstance(message, Embedded) and run.through() == 10 else []

    assert RESTS == run.embed(images, until=math.inf)
    assert 10 == len(run.sink.rows)


def test_a_worker_that_is_told_to_rest_in_the_middle_ends(
    encoder: ImageEncoder, images: list[ImageRef], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What its threads are at would continue beside the next run."""
    load, gate, run = embed.load, threading.Event(), Run(encoder)

    def wait(file: embed.Read, *others: object) -> embed.Loaded:
        if file.image.image_id == 6:
            run.worker.events.put(Rest())
            gate.wait(600)
        return load(file, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(embed, "load", wait)
    code = run.embed(images, until=math.inf)
    gate.set()

    assert 0 == code
    assert 6 not in {row.image_id for row in run.sink.rows}


def test_the_model_goes_on_while_rows_are_saved(
    encoder: ImageEncoder, images: list[ImageRef], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "_SAVE_SECONDS", 0.0)
    run, all_embedded, waited = Run(encoder), threading.Event(), []
    append = run.sink.append

    def slow(*rows: Any) -> None:
        waited.append(all_embedded.wait(600))
        append(*rows)

    def answer(_: FromWorker) -> list[ToWorker]:
        if 10 == sum(len(message.image_ids) for message in run.sent if isinstance(message, Embedded)):
            all_embedded.set()
        return []

    run.sink.append = slow  # type: ignore[method-assign,assignment]
    run.answer = answer
    run.embed(images)

    assert [True] * sum(save.rows > 0 for save in run.saves()) == waited
    assert 10 == len(run.sink.rows) == sum(save.rows for save in run.saves())
    assert 1 < len(waited)


def test_a_sink_that_cannot_keep_rows_ends_the_worker(encoder: ImageEncoder, images: list[ImageRef]) -> None:
    run = Run(encoder)

    def full(*_: object) -> None:
        raise errors.DiskFull(path="/data/x.npy", detail="No space left on device")

    run.sink.append = full  # type: ignore[method-assign,assignment]
    with pytest.raises(errors.DiskFull):
        run.embed(images)

    assert [] == run.saves()
