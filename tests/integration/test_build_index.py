"""A build does what has changed and no more: nothing new costs nothing, and texts go through the model once."""

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy import float32
from numpy.typing import NDArray

from pixfind import errors
from pixfind.embedding.runners.serial import Serial
from pixfind.index import header, reader
from pixfind.library import scan
from pixfind.library.library import Library
from pixfind.models import cache, hub
from pixfind.models.encoders import TextEncoder
from pixfind.models.files import ModelFiles
from pixfind.search import build, calibration, reference_embeddings
from pixfind.search.encoders import Encoders
from pixfind.testing import make_image, make_library
from pixfind.workflows.embed import embed
from pixfind.workflows.merge import merge
from pixfind.workflows.options import EmbedOptions


class Counting(Encoders):
    """The real encoders, and how many texts went through them."""

    texts = 0

    def text(self) -> "_CountingTexts":  # type: ignore[override]
        return _CountingTexts(super().text())


class _CountingTexts:
    def __init__(self, encoder: TextEncoder) -> None:
        self._encoder = encoder
        self.lists_words = encoder.lists_words

    def encode(self, texts: list[str]) -> NDArray[float32]:
        Counting.texts += len(texts)
        return self._encoder.encode(texts)

    def unknown(self, text: str) -> bool:
        return self._encoder.unknown(text)

    def unknown_words(self, text: str) -> tuple[str, ...]:
        return self._encoder.unknown_words(text)


@pytest.fixture(autouse=True)
def _count() -> None:
    Counting.texts = 0


def add_one(library: Library, path: Path, seed: int) -> None:
    make_image(path, seed=seed)
    with library.lock("embed"):
        scan.add(library, path.parent)
        embed(library)
        merge(library)


def test_a_second_build_with_nothing_new_does_nothing(embedded: Library) -> None:
    first = build.build_index(embedded, encoders=Counting(embedded))
    before = embedded.index_path.stat()
    second = build.build_index(embedded, encoders=Counting(embedded))

    assert first.built is not None
    assert second.built is None
    assert (first.header, first.cutoff) == (second.header, second.cutoff)
    assert before == embedded.index_path.stat()


class WithoutTexts(Encoders):
    """Encoders of a machine that has not downloaded the text encoder, and is offline."""

    def text_files(self) -> ModelFiles:
        raise errors.ModelMissing(name="starter", detail="offline", folder="/nowhere")


def test_without_a_text_encoder_a_second_build_with_nothing_new_does_nothing(embedded: Library) -> None:
    first = build.build_index(embedded, encoders=WithoutTexts(embedded))
    second = build.build_index(embedded, encoders=WithoutTexts(embedded))
    assert first.built is not None
    assert second.built is None
    assert first.text_problem == second.text_problem is not None

    complete = build.build_index(embedded)
    assert complete.built is not None
    assert complete.text_problem is None


def test_an_empty_library_has_nothing_to_build(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    with make_library(tmp_path / "library", tmp_path / "none") as library:
        build.build_index(library)
        assert build.build_index(library).built is None


def test_the_texts_of_a_model_are_encoded_once_for_all_libraries(
    embedded: Library, tmp_path: Path, pictures: Path
) -> None:
    build.build_index(embedded, encoders=Counting(embedded))
    once = Counting.texts
    with make_library(tmp_path / "other", pictures) as other:
        build.build_index(other, encoders=Counting(other))

    assert once > 50
    assert once == Counting.texts


def test_cached_texts_are_those_that_the_model_makes(embedded: Library) -> None:
    fresh = reference_embeddings.get(Counting(embedded))
    cached = reference_embeddings.get(Counting(embedded))
    encoder = Encoders(embedded).text()
    known = [text for text in calibration.queries("reference") if not encoder.unknown(text)]

    np.testing.assert_array_equal(fresh.reference, cached.reference)
    np.testing.assert_array_equal(encoder.encode(known), cached.reference)


@pytest.mark.parametrize("damage", [b"", b"garbage", None], ids=["empty", "garbage", "cut"])
def test_a_damaged_cache_is_made_again(embedded: Library, damage: bytes | None) -> None:
    right = reference_embeddings.get(Counting(embedded))
    (path,) = cache.folder("reference-embeddings").iterdir()
    path.write_bytes(path.read_bytes()[:5_000] if damage is None else damage)

    again = reference_embeddings.get(Counting(embedded))

    np.testing.assert_array_equal(right.negative, again.negative)
    np.testing.assert_array_equal(right.negative, reference_embeddings.get(Encoders(embedded)).negative)


def test_a_cache_that_cannot_be_written_costs_time_and_nothing_else(
    embedded: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a-file").write_bytes(b"")
    monkeypatch.setenv("PIXFIND_CACHE", str(tmp_path / "a-file"))

    assert build.build_index(embedded, encoders=Counting(embedded)).text_problem is None


def test_a_picture_more_makes_a_build_and_a_few_keep_the_calibration(embedded: Library, pictures: Path) -> None:
    build.build_index(embedded)
    first = calibration.load(calibration.path(embedded.data), *identity(embedded))
    add_one(embedded, pictures / "late-1.jpg", 101)
    report = build.build_index(embedded)
    kept = calibration.load(calibration.path(embedded.data), *identity(embedded))
    for number in range(2, 5):
        add_one(embedded, pictures / f"late-{number}.jpg", 100 + number)
    build.build_index(embedded)
    measured = calibration.load(calibration.path(embedded.data), *identity(embedded))

    assert report.built is not None
    assert 41 == report.header.rows
    assert first is not None
    assert kept is not None
    assert measured is not None
    assert [40, 40, 44] == [first.rows, kept.rows, measured.rows]


def identity(library: Library) -> tuple[str, int]:
    model = library.model()
    assert model is not None
    return model.hash, model.dimension


@pytest.mark.parametrize("damage", ["missing", "cut", "calibration"])
def test_what_is_damaged_is_built_again(embedded: Library, damage: str) -> None:
    build.build_index(embedded)
    path = calibration.path(embedded.data) if damage == "calibration" else embedded.index_path
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-10])

    assert build.build_index(embedded).built is not None
    assert header.check(embedded.index_path, embedded.embeddings()) is None
    assert build.build_index(embedded).built is None


def test_changed_bytes_are_found_by_a_thorough_build(embedded: Library) -> None:
    build.build_index(embedded)
    data = bytearray(embedded.index_path.read_bytes())
    data[100] ^= 1
    embedded.index_path.write_bytes(data)

    assert build.build_index(embedded).built is None
    assert build.build_index(embedded, thorough=True).built is not None
    assert header.check(embedded.index_path, embedded.embeddings()) is None


def test_another_text_encoder_is_calibrated_again(tmp_path: Path, pictures: Path) -> None:
    """A model folder of which only the texts' part was replaced: the image embeddings stay, the scores do not."""
    folder = tmp_path / "model"
    shutil.copytree(hub.resolve("starter").directory, folder)
    with Library.create(tmp_path / "library") as library, library.lock("index"):
        scan.add(library, pictures)
        embed(library, EmbedOptions(model=str(folder), workers=1, nice=0), runner=Serial())
        merge(library)
        assert build.build_index(library).built is not None
        assert build.build_index(library).built is None
        words = folder / "vocabulary.txt"
        words.write_text(words.read_text("utf-8") + "anotherword\n", encoding="utf-8")

        assert build.build_index(library).built is not None
        assert build.build_index(library).built is None


def test_a_few_new_pictures_are_found_without_a_build(
    embedded: Library, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(header, "_TAIL_SHARE", 10)
    build.build_index(embedded)
    before = embedded.index_path.stat()
    for number in range(2):
        add_one(embedded, pictures / f"late-{number}.jpg", 100 + number)
    few = build.build_index(embedded)

    assert few.built is None
    assert before == embedded.index_path.stat()
    embeddings = embedded.embeddings()
    opened = reader.open(embedded.index_path, embeddings)
    assert not opened.stale
    assert [40, 41] == opened.search(embeddings[40:42].astype(float32), 1)[0][:, 0].tolist()

    for number in range(2, 5):
        add_one(embedded, pictures / f"late-{number}.jpg", 100 + number)
    assert 45 == build.build_index(embedded).header.rows


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are text elsewhere")
def test_a_library_whose_path_is_no_text_has_an_index(tmp_path: Path, pictures: Path) -> None:
    with make_library(tmp_path / os.fsdecode(b"caf\xe9/library"), pictures) as library:
        assert build.build_index(library).built is not None
        opened = reader.open(library.index_path, library.embeddings())
        assert opened.problem is None
        assert 0 == opened.search(library.embeddings()[:1].astype(float32), 1)[0][0, 0]
