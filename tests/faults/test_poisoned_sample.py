"""Pictures that are compared before a run: one that crashes its decoder, hangs or starves it is left out, and the others are used."""

from pathlib import Path

import numpy as np
import pytest

from pixfind.models import hub, preprocess
from pixfind.testing import make_pictures, samples
from pixfind.worker import sample

MODEL = Path(__file__).parents[1] / "golden" / "clip-tiny"
COUNT = 8


@pytest.fixture
def made() -> preprocess.Preprocessing:
    return preprocess.load(hub.resolve(str(MODEL)))


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    make_pictures(tmp_path / "pictures", COUNT)
    return sorted(map(str, (tmp_path / "pictures").iterdir()))


@pytest.mark.parametrize(("how", "seconds"), [("crash", 60), ("exit", 60), ("eat-memory", 60), ("hang", 3)])
def test_a_picture_that_ends_its_decoder_is_left_out_alone(
    made: preprocess.Preprocessing, paths: list[str], how: str, seconds: float
) -> None:
    sound = sample.prepared([*paths[:3], *paths[4:]], made)

    found = sample.prepared(paths, made, seconds=seconds, command=samples.command(how, "picture_00003"))

    assert COUNT - 1 == len(found)
    assert np.array_equal(np.stack(sound), np.stack(found))


def test_pictures_that_all_end_their_decoder_are_not_tried_for_ever(
    made: preprocess.Preprocessing, paths: list[str]
) -> None:
    assert [] == sample.prepared(paths, made, command=samples.command("exit", "picture_"))


def test_a_decoder_that_cannot_start_gives_no_pictures(made: preprocess.Preprocessing, paths: list[str]) -> None:
    assert [] == sample.prepared(paths, made, command=("false",))


def test_a_file_that_is_no_picture_is_left_out(made: preprocess.Preprocessing, paths: list[str]) -> None:
    Path(paths[0]).write_text("not a picture")
    Path(paths[1]).unlink()

    assert COUNT - 2 == len(sample.prepared(paths, made))
