"""The batch size: every size is tried, the fastest is kept, and a larger one must be worth it."""

import pytest

from pixfind.worker.batch_size import BatchSizeTuner


def run(tuner: BatchSizeTuner, seconds: dict[int, float], count: int = 40) -> list[int]:
    """The sizes of so many batches on a machine where a picture takes `seconds` in a batch of each size."""
    sizes = []
    for _ in range(count):
        sizes.append(tuner.size)
        tuner.record(tuner.size, tuner.size * seconds[tuner.size])
    return sizes


@pytest.mark.parametrize("fastest", [8, 16, 32])
def test_the_fastest_is_kept(fastest: int) -> None:
    sizes = run(BatchSizeTuner((8, 16, 32)), {size: 1.0 if size == fastest else 1.5 for size in (8, 16, 32)})

    assert {8, 16, 32} == set(sizes[:15])
    assert [fastest] * 20 == sizes[-20:]


def test_a_larger_one_that_is_hardly_faster_is_not_worth_it() -> None:
    assert 8 == run(BatchSizeTuner((8, 16, 32)), {8: 1.01, 16: 1.0, 32: 1.3})[-1]


def test_the_first_of_a_size_and_one_bad_moment_do_not_count() -> None:
    tuner = BatchSizeTuner((8, 16))
    slow = iter([9.0, 9.0, 1.0, 2.0, 1.0, 2.0, 7.0, 2.0, 1.0, 2.0])
    for seconds in slow:
        tuner.record(tuner.size, tuner.size * seconds)

    assert 8 == tuner.size


def test_batches_that_are_not_full_tell_nothing() -> None:
    tuner = BatchSizeTuner((8, 16))
    for _ in range(50):
        tuner.record(3, 0.001)

    assert 8 == tuner.size
    assert 16 == tuner.largest


def test_one_size_is_not_tried() -> None:
    assert [64] * 40 == run(BatchSizeTuner((64,)), {64: 1.0})
