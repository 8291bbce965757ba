"""A library of a collection that has switched to another model is noticed by whatever asks next."""

import asyncio
import dataclasses
from pathlib import Path

from pixfind.collection.config import CollectionConfig, MemberConfig
from pixfind.collection.searcher import ModelEncoders
from pixfind.embedding.runners.serial import Serial
from pixfind.library.library import Library, ModelIdentity
from pixfind.search import build
from pixfind.search.encoders import Encoders
from pixfind.server.collection_search import CollectionSearches
from pixfind.server.collection_view import CollectionView
from pixfind.testing import make_library, make_pictures
from pixfind.testing.libraries import QUIET
from pixfind.worker.decoders import DecoderPool
from pixfind.workflows.index import index

CLIP = str(Path(__file__).parents[1] / "golden/clip-tiny")


def test_programs_get_the_model_that_answers_now_and_its_encoders(tmp_path: Path) -> None:
    make_pictures(tmp_path / "pictures", 12)
    with make_library(tmp_path / "library", tmp_path / "pictures") as library:
        build.build_index(library)
    config = CollectionConfig((MemberConfig("one", path=tmp_path / "library"),), 600.0)
    decoders = DecoderPool.for_uploads()
    searches = CollectionSearches(config, CollectionView(config, []), decoders, lambda _: None)
    searches.warm()

    async def dimensions() -> tuple[int, int]:
        model, encoders = await searches.model_and_encoders()
        await encoders.ready(["snow"])
        known = await searches.model()
        assert model == known
        return model.dimension, len(encoders.encode_texts(["snow"])[0])

    before = asyncio.run(dimensions())
    with Library.open(tmp_path / "library", write=True) as library:
        index(library, options=dataclasses.replace(QUIET, model=CLIP), runner=Serial())
    after = asyncio.run(dimensions())
    searches.close()
    decoders.close()

    with Library.open(tmp_path / "library") as library:
        present = library.model()
    assert present is not None
    assert before[0] == before[1] != after[0]
    assert (present.dimension, present.dimension) == after


def test_programs_get_embeddings_of_the_known_model_while_no_library_answers(tmp_path: Path) -> None:
    make_pictures(tmp_path / "pictures", 12)
    with make_library(tmp_path / "library", tmp_path / "pictures") as library:
        build.build_index(library)
        known = library.model()
    config = CollectionConfig((MemberConfig("one", path=tmp_path / "library"),), 600.0)
    decoders = DecoderPool.for_uploads()
    searches = CollectionSearches(config, CollectionView(config, []), decoders, lambda _: None)
    for searcher in searches._searchers.resources:
        searcher.model()
    (tmp_path / "library").rename(tmp_path / "away")

    model, encoders = asyncio.run(searches.model_and_encoders())

    assert known == model
    assert model.dimension == encoders.dimension
    searches.close()
    decoders.close()


class _Recorded(Encoders):
    """Encoders that note their end."""

    closed = False

    def close(self) -> None:
        self.closed = True


def test_encoders_of_two_models_are_kept_and_those_that_were_used_last_are_the_latest() -> None:
    config = CollectionConfig((MemberConfig("one", path=Path("/library")),), 600.0)
    kept = ModelEncoders(config, _Recorded)
    first, second, third = (
        ModelIdentity(name=name, hash=name, dimension=4, precision="fp32") for name in ("first", "second", "third")
    )
    of_first = kept.of(first)
    of_second = kept.of(second)

    assert of_first is kept.of(dataclasses.replace(first, name="the same files", precision="int8")) is kept.latest
    assert isinstance(of_first, _Recorded)
    assert isinstance(of_second, _Recorded)
    of_third = kept.of(third)
    assert (False, True) == (of_first.closed, of_second.closed)
    assert of_third is kept.latest
    kept.close()
    assert of_first.closed
