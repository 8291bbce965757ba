"""A pair of worker files: rows that tell of themselves, and never one without its embedding."""

import zlib
from pathlib import Path

import numpy as np
import pytest

from pixfind import errors
from pixfind.storage import embedding_files, worker_files
from pixfind.storage.embedding_files import Pair
from pixfind.types import EmbeddedImage, Fingerprint, ImageMetadata

ROW = EmbeddedImage(
    7,
    Fingerprint(1234, 1_700_000_000_123_456_789, bytes(range(16))),
    ImageMetadata(640, 480, 1_600_000_000, "Canon EOS 5D", 48.137, 11.575),
)


def embeddings(count: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, 8)).astype("<f2")


def test_a_row_comes_back_as_it_was_written(tmp_path: Path) -> None:
    unknown = EmbeddedImage(8, Fingerprint(1, 2, b"\0" * 16), ImageMetadata())
    written = embeddings(2)
    with Pair(*worker_files.paths(tmp_path, 3), 8, write=True) as pair:
        pair.append(embedding_files.index_rows([ROW, unknown], written), written)

    table = np.load(tmp_path / "indices_worker_3.npy")
    first = embedding_files.row_of(table[0])
    assert (ROW.image_id, ROW.fingerprint) == (first.image_id, first.fingerprint)
    assert (ROW.metadata.width, ROW.metadata.taken_at, ROW.metadata.camera) == (640, 1_600_000_000, "Canon EOS 5D")
    assert pytest.approx(48.137, abs=1e-4) == first.metadata.latitude
    assert unknown == embedding_files.row_of(table[1])


def test_the_files_are_plain_arrays_that_numpy_loads(tmp_path: Path) -> None:
    written = embeddings(3)
    with Pair(*worker_files.paths(tmp_path, 0), 8, write=True) as pair:
        pair.append(embedding_files.index_rows([ROW] * 3, written), written)
    loaded = np.load(tmp_path / "embeddings_worker_0.npy")
    table = np.load(tmp_path / "indices_worker_0.npy", mmap_mode="r")

    assert (np.float16, (3, 8)) == (loaded.dtype, loaded.shape)
    assert (written == loaded).all()
    assert [zlib.crc32(row.tobytes()) for row in loaded] == table["crc32"].tolist()
    assert [7, 7, 7] == table["image_id"].tolist()


def test_an_embedding_without_its_row_was_never_promised(tmp_path: Path) -> None:
    written = embeddings(2)
    paths = worker_files.paths(tmp_path, 0)
    with Pair(*paths, 8, write=True) as pair:
        pair.append(embedding_files.index_rows([ROW], written[:1]), written[:1])
        pair.embeddings.append(written[1:])  # and here the power went
    with Pair(*paths, 8) as pair:
        assert 1 == pair.count
    with Pair(*paths, 8, write=True) as pair:
        assert 1 == pair.embeddings.count


def test_one_flipped_bit_is_noticed() -> None:
    written = embeddings(4)
    table = embedding_files.index_rows([ROW] * 4, written)
    written.view(np.uint8)[2, 5] ^= 1

    assert [True, True, False, True] == embedding_files.crc_holds(table, written).tolist()


def test_two_writers_of_one_pair_are_told_apart(tmp_path: Path) -> None:
    held = worker_files.lock(tmp_path, 0, patience=0)
    with pytest.raises(errors.WorkerFilesBusy, match="worker 0"):
        worker_files.lock(tmp_path, 0, patience=0.1)
    held.release()
    worker_files.lock(tmp_path, 0, patience=0).release()
