"""A full disk at any write: a clear error, an exit code, everything durable kept, and the next run continues where it stopped."""

import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pixfind import errors
from pixfind.embedding.runners.serial import Serial
from pixfind.index import build
from pixfind.library import commit, merge, verify
from pixfind.library.library import Library
from pixfind.testing.libraries import QUIET
from pixfind.workflows.embed import embed
from pixfind.workflows.embed_part import embed_part

EMBEDDINGS_OF_TEN = 128 + 10 * 2 * 128


@pytest.mark.parametrize("limit", [200, 600, EMBEDDINGS_OF_TEN, 5000])
def test_a_disk_that_fills_up_stops_the_embed_and_the_next_run_ends_it(
    library: Library, start: Callable, limit: int
) -> None:
    """The limit on file size meets worker files first, then the database."""
    process = start(file_limit=limit)
    _, told = process.communicate(timeout=600)

    assert errors.DiskFull.exit_code == process.returncode, told
    assert "The disk is full" in told
    assert "run the same command again" in told
    assert [] == verify.verify(library)
    process = start()
    _, told = process.communicate(timeout=600)
    assert 0 == process.returncode, told
    assert 40 == library.catalogue.ledger()["embedded"]


def test_a_disk_that_fills_up_during_merge_keeps_what_is_adopted(library: Library) -> None:
    embed(library, QUIET, runner=Serial())
    with _file_size_limit(EMBEDDINGS_OF_TEN), pytest.raises(errors.DiskFull, match=r"embeddings\.npy"):
        merge.merge(library)
    assert [] == verify.verify(library)

    assert 40 == merge.merge(library).rows


def test_a_disk_that_fills_up_during_adopt_leaves_rows_for_the_next_start(library: Library) -> None:
    embed_part(library, 0, 1, QUIET)
    with _file_size_limit(4096), pytest.raises(errors.DiskFull, match=r"metadata\.db"):
        commit.adopt_left_behind(library)
    assert 40 == library.catalogue.ledger()["pending"]

    assert 40 == len(commit.adopt_left_behind(library).embedded)


def test_a_disk_that_fills_up_during_the_index_keeps_the_old_index(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    embeddings = rng.normal(size=(3000, 64)).astype(np.float16)
    path = tmp_path / "faiss.index"
    build.build(embeddings[:2000], path, extend=False)
    before = path.read_bytes()
    with _file_size_limit(20_000), pytest.raises(errors.DiskFull, match=r"faiss\.index"):
        build.build(embeddings, path, extend=False)

    assert before == path.read_bytes()
    assert [path] == list(tmp_path.iterdir())


class _file_size_limit:  # noqa: N801
    """A disk with this many bytes of room in each file."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __enter__(self) -> None:
        self.before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.size, self.before[1]))

    def __exit__(self, *_: object) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self.before)
