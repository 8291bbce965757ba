"""Changing the model: search answers with the old one until the new one is complete and whole, then with the new one alone."""

import asyncio
import contextlib
import dataclasses
import itertools
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pixfind import errors
from pixfind.embedding.runners.serial import Serial
from pixfind.library import generations, repair, scan, verify
from pixfind.library.library import Library, locate
from pixfind.models import encoders, hub
from pixfind.search import build, query
from pixfind.search import searcher as search
from pixfind.search.searcher import Searcher
from pixfind.server import schemas
from pixfind.server.search import SearchService
from pixfind.testing import copy_library, make_image, make_library, make_pictures
from pixfind.testing.libraries import QUIET
from pixfind.worker.decoders import DecoderPool
from pixfind.workflows import events, inactive_models, status, switch_model
from pixfind.workflows.choose_model import fetch_model
from pixfind.workflows.embed_part import embed_part
from pixfind.workflows.index import IndexSummary, index
from pixfind.workflows.options import EmbedOptions

GOLDEN = Path(__file__).parents[1] / "golden"
CLIP = str(GOLDEN / "clip-tiny")
SIGLIP = str(GOLDEN / "siglip2-tiny")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that answers with the starter model; to be copied. It has fewer pictures than elsewhere: most tests embed them again."""
    place = tmp_path_factory.mktemp("original")
    make_pictures(place / "pictures", 12)
    with make_library(place / "library", place / "pictures") as made:
        build.build_index(made)
    return place


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return tmp_path / "pictures"


@pytest.fixture
def library(original: Path, tmp_path: Path) -> Iterator[Library]:
    """A library that answers with the starter model. Ends with `verify` of every generation."""
    with copy_library(original, tmp_path) as made:
        yield made
    with Library.open(tmp_path / "library") as now:
        for one in itertools.chain([now], inactive_models.open_inactive(now)):
            assert [] == verify.verify(one)


def to(model: str | None, precision: str = "auto") -> EmbedOptions:
    return dataclasses.replace(QUIET, model=model, precision=precision)


@contextlib.contextmanager
def filling(library: Library, options: EmbedOptions, *, embed: bool = True) -> Iterator[Library]:
    """Yield the library of the new model, where `index` was interrupted just before it switches, or before it embeds."""

    def interrupt(event: events.Event) -> None:
        if isinstance(event, events.StepStarted if embed else events.EmbedStarted) and (
            not embed or event.step is events.Step.VERIFY  # type: ignore[union-attr]
        ):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index(library, options=options, runner=Serial(), observer=interrupt)
    with inactive_models.open_staged(library) as filled:
        yield filled


def changed(library: Library, options: EmbedOptions, *, anyway: bool = False) -> IndexSummary:
    """`pixfind index` on the library that answers now."""
    with now(library) as current:
        return index(current, options=options, switch_anyway=anyway, runner=Serial())


def now(library: Library) -> Library:
    return Library.open(library.path, write=True)


def answering(library: Library) -> str:
    """The model that a fresh process answers with, by the answer itself."""
    with Library.open(library.path) as current:
        model = current.model()
        assert model is not None
        hits = search.search(current, "sky", 12, include_weak=True).hits
        text = encoders.open_text_encoder(hub.resolve(model.name, text=True, image=False)).encode(["sky"])[0]
        right = current.embeddings().astype(np.float64) @ text
        assert [pytest.approx(right[hit.embedding_index], abs=1e-3) for hit in hits] == [hit.score for hit in hits]
        return Path(model.name).name


# --- the way there --------------------------------------------------------------------------------


def test_the_old_model_answers_until_the_switch_and_the_new_one_from_it_on(library: Library) -> None:
    with filling(library, to(CLIP)) as filled:
        assert 12 == filled.merged_rows
        assert "starter" == answering(library)
        switch_model.switch(library, filled)

    assert "clip-tiny" == answering(library)
    assert sorted(paths_of(library)) == [str(path) for path in pictures_of(library)]


def paths_of(library: Library) -> list[str]:
    with Library.open(library.path) as current:
        return [hit.path for hit in search.search(current, "sky", 100, include_weak=True).hits]


def pictures_of(library: Library) -> list[Path]:
    return sorted((library.path.parent / "pictures").glob("*.jpg"))


def test_ids_stay_the_same(library: Library) -> None:
    before = dict(library.catalogue._connection.execute("SELECT path, id FROM images"))
    changed(library, to(CLIP))

    with Library.open(library.path) as current:
        assert before == dict(current.catalogue._connection.execute("SELECT path, id FROM images"))


def test_nothing_is_made_where_no_model_is_changed(library: Library) -> None:
    changed(library, to("starter"))
    changed(library, to(None))

    assert not (library.path / "models.json").exists()
    assert not (library.path / "models").exists()


def test_a_change_that_is_interrupted_goes_on_with_and_without_its_name(library: Library) -> None:
    with filling(library, to(CLIP), embed=False) as filled:
        saved = embed_part(filled, 0, 3, to(None))
    assert "starter" == answering(library)
    with Library.open(library.path) as current:
        told = status.status(current)
        assert told.change is not None
        assert ("starter", CLIP, 12) == (told.model, told.change["model"], told.change["images"]["pending"])
    with filling(library, to(CLIP), embed=False):
        pass
    done = changed(library, to(None))

    assert "clip-tiny" == answering(library)
    assert 0 < saved == 12 - done.embedded.images, "what was saved is not embedded again"
    assert 12 == done.merged.total
    assert (CLIP, "starter") == (done.model.name, done.previous.name)  # type: ignore[union-attr]


def test_pictures_that_come_change_move_and_go_meanwhile_are_right_after_it(library: Library, pictures: Path) -> None:
    with filling(library, to(CLIP)):
        pass
    make_image(pictures / "new.jpg", seed=100)
    make_image(pictures / "picture_00001.jpg", seed=101)
    (pictures / "picture_00002.jpg").rename(pictures / "moved.jpg")
    (pictures / "picture_00003.jpg").unlink()
    changed(library, to(None))

    assert "clip-tiny" == answering(library)
    assert sorted(paths_of(library)) == [str(path) for path in pictures_of(library)]
    with Library.open(library.path) as current:
        assert 14 == current.merged_rows, "only the new and the changed one were embedded again"
        for path in pictures_of(library):
            assert str(path) == search.search(current, query.parse(f"+{path}"), 1).hits[0].path


def test_names_that_are_exchanged_are_followed(library: Library, pictures: Path) -> None:
    with filling(library, to(CLIP)) as filled:
        first, second = "picture_00004.jpg", "picture_00005.jpg"
        with library.catalogue.transaction():
            for old, new in ((first, "x"), (second, first), ("x", second)):
                library.catalogue._connection.execute(
                    "UPDATE images SET path = ? WHERE path = ?", (str(pictures / new), str(pictures / old))
                )
        filled.catalogue.sync_from(library.catalogue)

        names = "SELECT id, path FROM images ORDER BY id"
        assert list(library.catalogue._connection.execute(names)) == list(filled.catalogue._connection.execute(names))
        assert 12 == filled.catalogue.ledger()["embedded"]


def test_what_is_excluded_meanwhile_is_excluded_after_it_and_back_again(library: Library, pictures: Path) -> None:
    with filling(library, to(CLIP)) as filled:
        scan.add(library, pictures, ("picture_0000*",))
        filled.catalogue.sync_from(library.catalogue)
        assert (10, 2) == (filled.catalogue.ledger()["skipped"], filled.catalogue.ledger()["embedded"])
        library.catalogue.run(
            "set_root", "scan.sql", **{**dataclasses.asdict(library.catalogue.roots()[0]), "exclude": "[]"}
        )
        scan.add(library, pictures)
        filled.catalogue.sync_from(library.catalogue)
        assert (0, 10) == (filled.catalogue.ledger()["skipped"], filled.catalogue.ledger()["pending"])


def test_broken_pictures_are_not_tried_again(library: Library, pictures: Path) -> None:
    (pictures / "broken.jpg").write_bytes(b"no picture")
    changed(library, to("starter"))
    with filling(library, to(CLIP), embed=False) as filled:
        assert (1, 12) == (filled.catalogue.ledger()["failed"], filled.catalogue.ledger()["pending"])


# --- another model, another precision -------------------------------------------------------------


def test_a_third_model_is_refused_until_the_change_is_abandoned(library: Library) -> None:
    with filling(library, to(CLIP), embed=False):
        pass
    for model in (SIGLIP, "starter"):
        with pytest.raises(errors.ModelSwitchInProgress, match="model rollback"):
            switch_model.plan_switch(library, to(model))
    assert "starter" == switch_model.rollback(library).model.name
    changed(library, to(SIGLIP))

    assert "siglip2-tiny" == answering(library)


def test_another_precision_is_changed_like_another_model(library: Library) -> None:
    changed(library, to(CLIP))
    changed(library, to(None, "int8"))

    with Library.open(library.path) as current:
        assert (CLIP, "int8") == (current.model().name, current.model().precision)  # type: ignore[union-attr]
    assert generations.Generations("models/3", previous="models/2", last_number=3) == generations.read(library.path)
    assert not (library.path / "metadata.db").exists(), "a switch keeps one model, not all"
    changed(library, to(None))
    assert generations.Generations("models/3", previous="models/2", last_number=3) == generations.read(library.path)


def test_embed_alone_never_changes_the_model(library: Library) -> None:
    with pytest.raises(errors.OtherModel, match=f"model switch {CLIP}"):
        fetch_model(library, to(CLIP))


def test_a_folder_whose_files_were_replaced_is_no_change_of_the_model(library: Library, tmp_path: Path) -> None:
    """Nor do its texts ask for the old model's pictures."""
    mine = tmp_path / "mine"
    shutil.copytree(CLIP, mine)
    changed(library, to(str(mine)))
    settings = mine / "visual" / "preprocess_cfg.json"
    settings.write_text(settings.read_text(encoding="utf-8").replace("bicubic", "bilinear"), encoding="utf-8")
    with Library.open(library.path) as current:
        with pytest.raises(errors.OtherModel):
            switch_model.plan_switch(current, to(None))
        with pytest.raises(errors.OtherModel):
            search.search(current, "sky")
        assert switch_model.plan_switch(current, to(str(mine))).generation is None


# --- what keeps it from switching -----------------------------------------------------------------


def test_an_unplugged_drive_keeps_its_pictures_findable(library: Library, tmp_path: Path) -> None:
    make_pictures(tmp_path / "drive", 2, first=50)
    scan.add(library, tmp_path / "drive")
    changed(library, to(None))
    (tmp_path / "drive").rename(tmp_path / "unplugged")
    with pytest.raises(errors.ModelSwitchIncomplete, match="2 in folders that are offline"):
        changed(library, to(CLIP))
    assert "starter" == answering(library)
    assert 14 == len(paths_of(library))
    changed(library, to(None), anyway=True)
    assert 12 == len(paths_of(library))
    (tmp_path / "unplugged").rename(tmp_path / "drive")
    changed(library, to(None))

    assert 14 == len(paths_of(library))


def test_a_new_model_that_is_not_whole_is_refused_and_can_be_mended(library: Library) -> None:
    with filling(library, to(CLIP)) as filled:
        data = bytearray(filled.embeddings_path.read_bytes())
        data[128 + 30] ^= 1
        filled.embeddings_path.write_bytes(data)
        with pytest.raises(errors.ModelSwitchRefused, match=r"embeddings\.npy row 0"):
            switch_model.switch(library, filled)
    assert "starter" == answering(library)
    assert ["models/2"] == [one.generation for one in inactive_models.open_inactive(library) if verify.verify(one)]
    for one in inactive_models.open_inactive(library, write=True):
        assert [] == repair.repair(one, verify.verify(one))
    changed(library, to(None))

    assert "clip-tiny" == answering(library)


def test_a_lost_database_of_the_new_model_is_made_again_from_its_rows(library: Library) -> None:
    with filling(library, to(CLIP)):
        pass
    (library.path / "models" / "2" / "metadata.db").write_bytes(os.urandom(20_000))
    for path in (library.path / "models" / "2").glob("metadata.db-*"):
        path.unlink()
    for one in inactive_models.open_inactive(library, write=True):
        assert [] == repair.repair(one, verify.verify(one))
    changed(library, to(None))

    assert "clip-tiny" == answering(library)
    assert sorted(paths_of(library)) == [str(path) for path in pictures_of(library)]
    with Library.open(library.path) as current:
        assert 12 == current.merged_rows, "nothing was embedded again"


def test_a_model_that_cannot_read_texts_never_answers(library: Library, tmp_path: Path) -> None:
    shutil.copytree(CLIP, tmp_path / "deaf")
    shutil.rmtree(tmp_path / "deaf" / "textual")
    with pytest.raises(errors.ModelFileMissing, match="textual"):
        changed(library, to(str(tmp_path / "deaf")))

    assert "starter" == answering(library)


def test_an_index_that_is_missing_keeps_it_from_switching(library: Library) -> None:
    with filling(library, to(CLIP)) as filled:
        filled.index_path.unlink()
        with pytest.raises(errors.ModelSwitchRefused, match=r"faiss\.index"):
            switch_model.switch(library, filled)
    assert "starter" == answering(library)


@pytest.mark.parametrize("limit", [100, 4096, 40_000])
def test_a_disk_that_fills_up_stops_the_change_and_nothing_else(library: Library, limit: int) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        with pytest.raises(errors.DiskFull):
            changed(library, to(CLIP))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "starter" == answering(library)
    changed(library, to(CLIP))

    assert "clip-tiny" == answering(library)


# --- the way back ---------------------------------------------------------------------------------


def test_a_rollback_goes_back_once_and_forward_again_costs_no_embedding(library: Library, pictures: Path) -> None:
    changed(library, to(CLIP))
    (pictures / "picture_00003.jpg").unlink()
    make_image(pictures / "late.jpg", seed=100)
    changed(library, to(None))
    with now(library) as current, current.lock("rollback"):
        done = switch_model.rollback(current)
        assert ("starter", CLIP, 1) == (done.model.name, done.retired.name, done.pending)  # type: ignore[union-attr]
        switch_model.finish_interrupted(current)
    assert "starter" == answering(library)
    assert 11 == len(paths_of(library)), "the one that went is gone, the late one waits"
    with now(library) as current:
        assert done.model == switch_model.rollback(current).model
        switch_model.finish_interrupted(current)
    changed(library, to(None))
    assert str(pictures / "late.jpg") in paths_of(library)
    changed(library, to(CLIP))

    assert "clip-tiny" == answering(library)
    with Library.open(library.path) as current:
        assert 13 == current.merged_rows


def test_a_rollback_that_was_killed_before_it_could_tell_goes_back_only_once(library: Library) -> None:
    """Two steps back are possible here: the change to SigLIP, and the one to CLIP before it."""
    changed(library, to(CLIP))
    with now(library) as current, filling(current, to(SIGLIP), embed=False):
        switch_model.rollback(current)
    for _ in range(2):
        with now(library) as current:
            assert CLIP == switch_model.rollback(current).model.name
    with now(library) as current:
        switch_model.finish_interrupted(current)
        assert "starter" == switch_model.rollback(current).model.name


def test_a_library_that_never_changed_has_nothing_to_go_back_to(library: Library) -> None:
    with pytest.raises(errors.NothingToRollBack, match="starter"):
        switch_model.rollback(library)


def test_what_is_kept_can_be_dropped(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    changed(library, to(CLIP))
    monkeypatch.chdir(library.path)
    (library.path / "data" / "mine.txt").write_text("not of pixfind", encoding="utf-8")
    with now(library) as current:
        assert ["starter fp32"] == switch_model.prune(current)
        with pytest.raises(errors.NothingToRollBack):
            switch_model.rollback(current)

    assert "clip-tiny" == answering(library)
    assert library.path == locate()
    assert ["mine.txt"] == [path.name for path in (library.path / "data").iterdir()]
    assert not list(library.path.glob("metadata.db*"))


def test_a_lost_models_json_is_told_and_written_anew(library: Library) -> None:
    changed(library, to(CLIP))
    (library.path / "models.json").unlink()
    with pytest.raises(errors.LibraryDamaged, match=r"models\.json"):
        Library.open(library.path)
    assert f"{CLIP} fp32" == switch_model.restore_if_needed(library.path)
    assert generations.Generations("models/2", previous=".", last_number=2) == generations.read(library.path)

    assert "clip-tiny" == answering(library)
    assert switch_model.restore_if_needed(library.path) is None


def test_a_models_json_that_names_folders_elsewhere_is_refused(library: Library) -> None:
    changed(library, to(CLIP))
    path = library.path / "models.json"
    good = path.read_text(encoding="utf-8")
    path.write_text(json.dumps({**json.loads(good), "aside": "models/../../pictures"}), encoding="utf-8")
    with pytest.raises(errors.LibraryDamaged, match="other folders"):
        Library.open(library.path)
    path.write_text(good, encoding="utf-8")


# --- a searcher that lives on ---------------------------------------------------------------------


def test_a_searcher_that_lives_on_never_mixes_two_models(library: Library) -> None:
    """The switch and the rollback happen in other processes, while this one searches without a pause."""
    command = [sys.executable, "-m", "pixfind", "-q", "--library", str(library.path), "model"]
    searcher = Searcher(library)
    right = {"starter": answers_of(searcher)}
    with filling(library, to(CLIP)) as filled:
        right["clip-tiny"] = answers_of(Searcher(filled))
    assert right["starter"] != right["clip-tiny"]
    seen: list[str] = []
    for arguments in (["switch", CLIP], ["rollback"]):
        process = subprocess.Popen([*command, *arguments])
        ended = None
        # One more look after the process has ended: by then it is the other model for certain.
        while ended is None:
            ended = process.poll()
            answer = answers_of(searcher)
            (model,) = [name for name, answers in right.items() if answers == answer]
            if [model] != seen[-1:]:
                seen.append(model)
            time.sleep(0.01)
        assert 0 == ended

    assert ["starter", "clip-tiny", "starter"] == seen
    assert "starter" == searcher.library.model().name  # type: ignore[union-attr]


def answers_of(searcher: Searcher) -> list[tuple[int, int, float]]:
    hits = searcher.search("sky", 12, include_weak=True).hits
    return [(hit.image_id, hit.embedding_index, round(hit.score, 4)) for hit in hits]


def test_a_server_moves_to_the_other_model_with_all_its_searchers(library: Library) -> None:
    asked = schemas.SearchRequest.model_validate({"q": "sky", "k": 12, "all": True})
    searches = SearchService(library.path, DecoderPool.for_uploads())

    async def ask() -> list[list[tuple[int, float]]]:
        found = await asyncio.gather(*(searches.search(asked) for _ in range(6)))
        return [[(hit.image_id, round(hit.score or 0, 4)) for hit in one.hits] for one in found]

    seen = [asyncio.run(ask())]
    changed(library, to(CLIP))
    seen.append(asyncio.run(ask()))
    with now(library) as current:
        right = [(image_id, score) for image_id, _, score in answers_of(Searcher(current))]
        switch_model.rollback(current)
        switch_model.finish_interrupted(current)
    seen.append(asyncio.run(ask()))
    searches.close()

    assert all(one == answers[0] for answers in seen for one in answers), "all searchers answer alike"
    assert right == seen[1][0]
    assert seen[0] == seen[2] != seen[1]


def test_a_library_opened_by_its_generation_stays_with_it(library: Library) -> None:
    with filling(library, to(CLIP)) as filled:
        searcher = Searcher(filled)
        answers_of(searcher)
        assert filled is searcher.library
