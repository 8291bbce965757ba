"""A picture that crashes, hangs or fills its decoder ends its own request; the next picture is decoded."""

import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from pixfind import errors
from pixfind.images import decode, thumbnails
from pixfind.models.preprocess import Preprocessing
from pixfind.testing import wait_for
from pixfind.testing.decoders import COMMAND
from pixfind.testing.images import break_image, encode, png_bomb
from pixfind.worker import decoders
from pixfind.worker.decoders import DecoderPool, MakeThumbnail

MEMORY = 256 << 20
PICTURE = encode(Image.effect_noise((320, 200), 60).convert("RGB"), ".jpg")
SQUARE = Preprocessing(16, 16, squash=False, interpolation=Image.Resampling.BICUBIC, mean=(0, 0, 0), std=(1, 1, 1))


@pytest.fixture
def pool() -> Iterator[DecoderPool]:
    """One decoder that misbehaves when a picture says so."""
    made = DecoderPool(1, MEMORY, seconds=100, command=COMMAND)
    yield made
    made.close()


def _works(pool: DecoderPool) -> None:
    assert thumbnails.size(pool.thumbnail(PICTURE, 64)) == (64, 40)


def test_the_result_is_that_of_this_process() -> None:
    pool = DecoderPool(1, MEMORY)
    try:
        with_profile = thumbnails.make(PICTURE, 64, limits=pool.limits)
        assert with_profile == pool.thumbnail(PICTURE, 64)
        prepared = pool.prepare(PICTURE, SQUARE)
    finally:
        pool.close()

    assert (16, 16, 3) == prepared.shape
    assert np.ptp(prepared) > 0


def test_a_crash_is_reported_and_the_next_picture_is_decoded(pool: DecoderPool) -> None:
    for _ in range(2):
        with pytest.raises(errors.DecodingFailed, match="crashed"):
            pool.thumbnail(PICTURE + b"crash", 64)
        _works(pool)


def test_a_hang_is_ended_and_the_next_picture_is_decoded(pool: DecoderPool) -> None:
    _works(pool)
    pool._seconds = 0.5
    with pytest.raises(errors.DecodingFailed, match=r"took longer than 0\.5 s"):
        pool.thumbnail(PICTURE + b"hang", 64)
    pool._seconds = 100
    _works(pool)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems cannot limit the memory of a process")
def test_too_much_memory_is_refused_and_the_next_picture_is_decoded(pool: DecoderPool) -> None:
    with pytest.raises(errors.DecodingFailed, match="more than 256 MiB"):
        pool.thumbnail(PICTURE + b"fill the memory", 64)
    _works(pool)


def test_the_metadata_of_a_picture_come_as_they_are(pool: DecoderPool) -> None:
    assert decode.decode(PICTURE, limits=pool.limits).metadata == pool.metadata(PICTURE)
    with pytest.raises(errors.NotAnImage):
        pool.metadata(b"text")


def test_what_a_library_prints_is_no_result(pool: DecoderPool) -> None:
    assert pool.thumbnail(PICTURE, 64) == pool.thumbnail(PICTURE + b"print", 64)


@pytest.mark.parametrize(
    "code",
    ["print('x' * 10_000)", "import os; os.write(1, b'd' + b'\\xff' * 8)", "import os; os.write(1, b'r' + bytes(7) + b'\\x02{}')", ""],
    ids=["noise", "endless", "no error of ours", "nothing"],
)  # fmt: skip
def test_a_process_that_answers_nonsense_is_a_crash(code: str) -> None:
    pool = DecoderPool(1, MEMORY, command=(sys.executable, "-c", f"{code}\nimport sys; sys.stdin.buffer.read(1)"))
    with pytest.raises(errors.DecodingFailed):
        pool.thumbnail(PICTURE, 64)
    pool.close()


def test_problems_of_pictures_come_as_they_are(pool: DecoderPool) -> None:
    for data, kind in ((b"text", errors.NotAnImage), (break_image(PICTURE, "truncated"), errors.Truncated)):
        with pytest.raises(kind):
            pool.thumbnail(data, 64)
    with pytest.raises(errors.TooLarge, match="3600 MP"):
        pool.prepare(png_bomb(), SQUARE)


def test_a_hang_holds_up_nobody_while_another_process_is_free() -> None:
    pool = DecoderPool(2, MEMORY, seconds=100, command=COMMAND)
    ended: list[type[BaseException]] = []

    def hang() -> None:
        try:
            pool.thumbnail(PICTURE + b"hang", 64)
        except errors.DecodingFailed as error:
            ended.append(type(error))

    hanging = threading.Thread(target=hang)
    hanging.start()
    wait_for(lambda: pool._free.qsize() == 1)
    for _ in range(3):
        _works(pool)
    pool.close()
    hanging.join()

    assert [errors.DecodingFailed] == ended
    with pytest.raises(errors.DecodingFailed, match="closed"):
        pool.thumbnail(PICTURE, 64)


def _task(picture: bytes, seconds: int) -> bytes:
    described = pickle.dumps(MakeThumbnail(64, decode.limits_for(MEMORY).value))
    return decoders.TASK.pack(len(described), len(picture), MEMORY, seconds) + described + picture


def test_a_task_that_was_cut_ends_the_process_without_a_word() -> None:
    """Whoever asked was killed in the middle of it."""
    whole = _task(PICTURE, 100)
    for length in (0, decoders.TASK.size - 1, decoders.TASK.size + 5, len(whole) - 1):
        done = subprocess.run(decoders._COMMAND, input=whole[:length], capture_output=True, check=False)

        assert (0, b"", b"") == (done.returncode, done.stdout, done.stderr)


@pytest.mark.skipif(not hasattr(signal, "alarm"), reason="the system ends no process that is late")
def test_a_picture_that_hangs_ends_its_process_also_when_nobody_is_there_to_end_it() -> None:
    done = subprocess.run(COMMAND, input=_task(PICTURE + b"hang", 0), capture_output=True, check=False)

    assert -signal.SIGALRM == done.returncode
