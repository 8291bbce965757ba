"""A picture that crashes, hangs or starves a worker ends as failed with the reason; the others are embedded."""

from collections.abc import Callable

import pytest

from pixfind.library.library import Library

POISON = "picture_00013"


@pytest.mark.parametrize(
    ("how", "seconds", "reason"),
    [
        ("crash", 60, "decoder crash: every worker that decoded this image crashed (ended by SIGSEGV)"),
        ("exit", 60, "decoder crash: every worker that decoded this image crashed (it ended with exit code 3)"),
        ("eat-memory", 60, "damaged: MemoryError: "),
        ("hang", 3, "decode timeout: not decoded within 3 s"),
    ],
)
@pytest.mark.parametrize("workers", [1, 2])
def test_one_poisoned_picture_fails_alone(
    library: Library, start: Callable, outcomes: Callable, how: str, seconds: float, reason: str, workers: int
) -> None:
    process = start(how, POISON, seconds=seconds, workers=workers)
    said, told = process.communicate(timeout=600)

    assert 0 == process.returncode, told
    assert ("failed", reason) == outcomes().pop(f"{POISON}.jpg")
    counts = library.catalogue.ledger()
    assert (39, 1, 0) == (counts["embedded"], counts["failed"], counts["pending"])
    assert 40 == int(said.split()[0])


def test_pictures_that_hang_every_thread_of_a_worker_do_not_end_the_run(library: Library, start: Callable) -> None:
    # Four pictures, and a worker has three threads to decode. Sound ones must not take so long, however busy the machine is.
    process = start("hang", "0.jpg", seconds=3.0)
    _, told = process.communicate(timeout=600)

    assert 0 == process.returncode, told
    assert 4 == library.catalogue.ledger()["failed"]
    assert 36 == library.catalogue.ledger()["embedded"]


def test_a_worker_that_cannot_start_is_told_with_its_log(library: Library, start: Callable) -> None:
    (library.data / "indices_worker_0.npy").write_bytes(b"not an array".ljust(600))
    process = start()
    _, told = process.communicate(timeout=600)
    (library.data / "indices_worker_0.npy").unlink()

    assert process.returncode > 2
    assert "indices_worker_0.npy" in told
