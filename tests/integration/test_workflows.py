"""What a command does, called as a function: the steps, what they tell, and what they return."""

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pixfind import errors
from pixfind.embedding.runners.serial import Serial
from pixfind.library import verify
from pixfind.library.library import Library
from pixfind.testing import make_image, make_pictures
from pixfind.testing.libraries import QUIET
from pixfind.workflows import events
from pixfind.workflows.events import Event, Step
from pixfind.workflows.index import IndexSummary, embed_and_merge, index

CLIP = str(Path(__file__).parents[1] / "golden" / "clip-tiny")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    make_pictures(tmp_path / "pictures", 6)
    return tmp_path / "pictures"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "library"


def indexed(place: Path, *folders: Path, told: list[Event] | None = None, **options: Any) -> IndexSummary:
    with Library.create(place) as library:
        done = index(
            library,
            folders,
            dataclasses.replace(QUIET, **options),
            runner=Serial(),
            observer=(lambda _event: None) if told is None else told.append,
        )
    with Library.open(place) as library:
        assert [] == verify.verify(library)
    return done


def test_index_returns_what_each_step_did(place: Path, pictures: Path) -> None:
    done = indexed(place, pictures)

    assert [6] == [report.new for report in done.scanned]
    assert (6, 6, 6) == (done.embedded.images, done.merged.rows, done.built.header.rows)  # type: ignore[union-attr]
    assert ("starter", None, False) == (done.model.name, done.previous, done.stopped)


def test_index_without_folders_takes_those_that_the_library_knows(place: Path, pictures: Path) -> None:
    indexed(place, pictures)
    make_image(pictures / "late.jpg", seed=50)
    done = indexed(place)

    assert [1] == [report.new for report in done.scanned]
    assert (1, 7) == (done.merged.rows, done.merged.total)


def test_the_observer_is_told_of_each_step_in_order(place: Path, pictures: Path) -> None:
    told: list[Event] = []
    indexed(place, pictures, told=told)
    moving = (events.StepProgress, events.EmbedProgress)

    assert [
        events.StepStarted(Step.FETCH_MODEL),
        events.StepStarted(Step.SCAN, str(pictures)),
        events.FolderScanned,
        events.ModelChosen,
        events.EmbedStarted,
        events.EmbedFinished,
        events.StepStarted(Step.MERGE),
        events.RowsMerged,
        events.StepStarted(Step.BUILD_INDEX),
        events.IndexBuilt,
    ] == [
        event if isinstance(event, events.StepStarted) else type(event)
        for event in told
        if not isinstance(event, moving)
    ]


def test_a_switch_of_the_model_is_told_and_returned(place: Path, pictures: Path) -> None:
    indexed(place, pictures)
    told: list[Event] = []
    done = indexed(place, told=told, model=CLIP)

    assert done.previous is not None
    assert (CLIP, "starter") == (done.model.name, done.previous.name)
    assert [events.SwitchBegun(done.previous)] == [event for event in told if isinstance(event, events.SwitchBegun)]
    assert events.ModelSwitched(done.model, done.previous) == told[-1]


def test_what_an_observer_raises_ends_the_run_and_the_same_call_goes_on(place: Path, pictures: Path) -> None:
    def leave(event: Event) -> None:
        if isinstance(event, events.RowsMerged):
            raise KeyboardInterrupt

    with Library.create(place) as library:
        with pytest.raises(KeyboardInterrupt):
            index(library, [pictures], QUIET, runner=Serial(), observer=leave)
        assert library.holder() is None
    done = indexed(place)

    assert (0, 6, 6) == (done.embedded.images, done.merged.total, done.built.header.rows)  # type: ignore[union-attr]


def test_a_run_is_remembered_with_its_report(place: Path, pictures: Path) -> None:
    indexed(place, pictures)
    with Library.open(place) as library:
        *_, ended_at, report = next(library.catalogue.rows("last_run", "library.sql"))

    assert ended_at is not None
    assert '"images": 6' in report


def test_a_model_that_is_not_available_is_told_before_any_folder_is_looked_through(place: Path, pictures: Path) -> None:
    told: list[Event] = []
    with Library.create(place) as library, pytest.raises(errors.UnknownModel):
        index(library, [pictures], dataclasses.replace(QUIET, model="no such model"), observer=told.append)

    assert [event for event in told if event != events.StepStarted(Step.FETCH_MODEL)] == []


def test_embed_and_merge_builds_an_index_only_where_it_is_asked_to(place: Path, pictures: Path) -> None:
    indexed(place, pictures)
    make_image(pictures / "late.jpg", seed=50)
    with Library.open(place, write=True) as library:
        nothing = embed_and_merge(library, QUIET, runner=Serial())
        assert (0, None) == (nothing.embedded.images, nothing.built), "it does not look through folders"
        built = embed_and_merge(library, QUIET, then_index=True, runner=Serial()).built
        assert 6 == built.header.rows  # type: ignore[union-attr]


@pytest.mark.parametrize("module", ["status", "running"])
def test_what_only_looks_or_asks_loads_no_model_no_decoder_and_no_worker(module: str) -> None:
    code = f"import sys, pixfind.workflows.{module}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    heavy = (
        "PIL",
        "onnxruntime",
        "faiss",
        "pixfind.worker.pipeline",
        "pixfind.models",
        "pixfind.images",
        "pixfind.search",
    )
    assert [] == [name for name in loaded if name.startswith(heavy)]
