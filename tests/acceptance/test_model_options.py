"""Which model, precision and limit a library takes, and the commands that change them."""

import json
from pathlib import Path

import pytest
from tests.acceptance.test_options import CLIP, call

from pixfind import errors
from pixfind.library.library import Library
from pixfind.library.verify import verify
from pixfind.testing import make_image, make_pictures

# --- which model: until something is embedded, what is asked for is taken -------------------------


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    """A library that knows three pictures and a model, and has embedded nothing."""
    make_pictures(tmp_path / "pictures", 3)
    call("--library", tmp_path / "library", "add", tmp_path / "pictures", "--model", CLIP, "--precision", "fp32")
    return tmp_path / "library"


def model(place: Path) -> tuple[str, str]:
    with Library.open(place) as library:
        found = library.model()
    assert found is not None
    return found.name, found.precision


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("embed", (str(CLIP), "fp32")),
        ("embed --precision int8", (str(CLIP), "int8")),
        ("embed --model starter", ("starter", "fp32")),
        ("index --precision int8", (str(CLIP), "int8")),
        ("index --model starter --precision fp32", ("starter", "fp32")),
    ],
)
def test_with_nothing_embedded_the_model_is_the_one_that_is_asked_for(
    begun: Path, words: str, wanted: tuple[str, str]
) -> None:
    call("--library", begun, *words.split(), "--cpu", "100%")

    assert wanted == model(begun)
    with Library.open(begun) as library:
        assert (3, []) == (library.catalogue.ledger()["embedded"], verify(library))
        assert json.loads((library.data / "model.json").read_text(encoding="utf-8"))["precision"] == wanted[1]


def test_a_choice_can_be_taken_back_until_it_is_used(begun: Path) -> None:
    call("--library", begun, "add", begun.parent / "pictures", "--precision", "int8")
    assert (str(CLIP), "int8") == model(begun)
    call("--library", begun, "add", begun.parent / "pictures", "--model", "starter")
    assert ("starter", "fp32") == model(begun)
    call(
        "--library",
        begun,
        "embed",
        "--worker-id",
        "0",
        "--num-workers",
        "2",
        "--precision",
        "int8",
        error=errors.OtherPrecision,
    )
    call("--library", begun, "embed", "--worker-id", "0", "--num-workers", "2")
    call("--library", begun, "embed", "--model", CLIP, error=errors.OtherModel)


def test_a_precision_that_is_refused_names_the_command_that_takes_it(begun: Path) -> None:
    call("--library", begun, "embed")
    said = call("--library", begun, "embed", "--precision", "int8", error=errors.OtherPrecision)
    (line,) = [line for line in said.splitlines() if "pixfind index" in line]
    call("--library", begun, *line.partition("pixfind ")[2].split())

    assert (str(CLIP), "int8") == model(begun)


def test_a_higher_limit_takes_what_a_lower_one_left_out(tmp_path: Path) -> None:
    make_image(tmp_path / "pictures" / "large.jpg", size=(200, 150))
    make_image(tmp_path / "pictures" / "small.jpg", size=(64, 48))

    def skipped(*words: object) -> int:
        call("--library", tmp_path / "library", "index", *words, "--model", "starter")
        with Library.open(tmp_path / "library") as library:
            return library.catalogue.ledger()["skipped"]

    assert 2 == skipped(tmp_path / "pictures", "--max-megapixels", "0.0025")
    assert 2 == skipped("--max-megapixels", "0.0025"), "the same limit changes nothing"
    assert 1 == skipped("--max-megapixels", "0.01")
    assert 0 == skipped()


# --- done together --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("index --rollback", "model rollback"),
        ("index --drop-previous", "model prune"),
        ("index --switch-anyway", "model switch --anyway"),
    ],
)
def test_a_flag_that_has_become_a_command_works_and_names_it(begun: Path, old: str, new: str) -> None:
    call("--library", begun, "index", "--cpu", "100%")
    (begun.parent / "pictures").rename(begun.parent / "unplugged")
    switch = ("model", "switch", "starter", "--cpu", "100%")
    call("--library", begun, *switch, error=errors.ModelSwitchIncomplete)
    said = call("--library", begun, *old.split()).stderr

    assert f"`{old}` is deprecated and will be removed; use `pixfind {new}`" in said


def test_the_model_is_switched_and_rolled_back_and_pruned(begun: Path) -> None:
    call("--library", begun, "index", "--cpu", "100%")
    said = call("--library", begun, "model", "switch", "starter", "--cpu", "100%").stderr
    assert "`pixfind model rollback`" in said
    assert ("starter", "fp32") == model(begun)
    said = call("--library", begun, "model", "rollback").stderr
    assert "`pixfind model switch starter` uses them" in said
    assert (str(CLIP), "fp32") == model(begun)
    assert "deleted the embeddings of starter fp32" in call("--library", begun, "model", "prune").stderr
    assert "nothing was kept" in call("--library", begun, "model", "prune").stderr


def test_the_demo_never_switches_the_model_of_a_library(begun: Path) -> None:
    call("--library", begun, "index", "--cpu", "100%")
    call("--library", begun, "demo", "--count", "20", error=errors.OtherModel)

    assert (str(CLIP), "fp32") == model(begun)


def test_model_list_and_show_print_what_models_prints() -> None:
    assert call("models", "--json").stdout == call("model", "list", "--json").stdout
    assert call("models", "starter", "--json").stdout == call("model", "show", "starter", "--json").stdout
    assert "starter: " in call("model", "fetch", "starter").stderr
