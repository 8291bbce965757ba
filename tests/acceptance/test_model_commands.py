"""`pixfind model list`, `show`, `prune`, `rollback` and `tune`, as a user types them."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pixfind import errors
from pixfind.models import files, registry
from pixfind.testing.commands import Commands
from pixfind.testing.half import halve
from pixfind.testing.hub import Hub, serving

CLIP = Path(__file__).parents[1] / "golden" / "clip-tiny"

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path, commands: Commands) -> Run:
    """Run pixfind on a library of this test; returns what it wrote. `code` is the exit code that is expected."""

    def done(*arguments: object, code: int = 0) -> "subprocess.CompletedProcess[str]":
        found = commands.run(["--library", str(tmp_path / "library"), *map(str, arguments)])
        out, err = (os.fsdecode(text) for text in (found.stdout, found.stderr))
        assert code == found.returncode, err
        return subprocess.CompletedProcess(found.args, found.returncode, out, err)

    return done


def test_the_list_has_every_model_once_and_marks_the_default_and_what_is_here(run: Run) -> None:
    lines = run("model", "list").stdout.splitlines()

    assert len(registry.TABLE) == len(lines) - 1
    (default,) = [line for line in lines if "(default)" in line]
    assert default.startswith(registry.DEFAULT)
    (starter,) = [line for line in lines if line.startswith("starter")]
    assert "yes" in starter.split()


def test_one_model_is_shown_in_full_with_its_card(run: Run) -> None:
    shown = run("model", "show", "starter").stdout

    assert "name: starter\n" in shown
    assert "dimension: 128\n" in shown
    assert "starter" == json.loads(shown[shown.index("{") :])["name"]


def test_a_model_without_files_here_is_shown_without_a_card(run: Run) -> None:
    shown = run("model", "show", registry.DEFAULT).stdout

    assert "here: False\n" in shown
    assert "{" not in shown


def test_an_unknown_model_is_an_error_with_the_known_ones(run: Run) -> None:
    said = run("model", "show", "clip-vit-b23", code=errors.UnknownModel.exit_code).stderr

    assert "clip-vit-b23" in said
    assert registry.DEFAULT in said


def test_two_names_are_refused(run: Run) -> None:
    assert "pixfind models show NAME" in run("models", "starter", "clip-vit-b32", code=2).stderr


def test_a_directory_is_fetched_by_looking_at_it(run: Run) -> None:
    said = run("model", "fetch", CLIP).stderr

    assert "everything is here already" in said
    assert "dimensions, files" in said


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A hub on localhost with `someone/siglip`, whose text encoder is there in half precision too."""
    folder = Path(shutil.copytree(CLIP.with_name("siglip2-tiny"), tmp_path / "siglip"))
    halve(folder / "onnx/text_model.onnx", folder / files.HALF_TEXT)
    with serving() as state:
        state.repos = {"someone/siglip": folder}
        monkeypatch.setenv("HF_ENDPOINT", state.address)
        yield state


def test_a_dry_run_tells_what_would_be_downloaded_and_downloads_nothing(run: Run, hub: Hub) -> None:
    said = run("model", "fetch", "someone/siglip", "--dry-run").stderr

    assert "images: onnx/vision_model.onnx of someone/siglip, 234 kB" in said
    assert "texts: onnx/text_model_fp16.onnx of someone/siglip, 1" in said
    assert "would download " in said
    assert [] == hub.asked


def test_a_fetch_downloads_both_parts_and_goes_on_where_it_was_interrupted(run: Run, hub: Hub, tmp_path: Path) -> None:
    run("model", "fetch", "someone/siglip")
    assert files.HALF_TEXT in hub.fetched()
    assert "onnx/text_model.onnx" not in hub.fetched()
    assert "everything is here already" in run("model", "fetch", "someone/siglip").stderr

    (graph,) = (tmp_path / "cache").rglob("text_model_fp16.onnx")
    data = graph.read_bytes()
    graph.rename(graph.with_name(f"{graph.name}.partial")).write_bytes(data[:100_000])
    told = json.loads(run("model", "fetch", "someone/siglip", "--dry-run", "--json").stdout)
    assert len(data) - 100_000 == told["bytes"]
    assert [100_000] == [one["here"] for one in told["text"]]

    said = run("model", "fetch", "someone/siglip").stderr

    assert "100 kB of it are here" in said
    assert (files.HALF_TEXT, "bytes=100000-") == hub.asked[-1]
    assert data == graph.read_bytes()


def test_a_fetch_takes_the_precision_that_was_asked_for_or_refuses(run: Run, hub: Hub) -> None:
    assert (
        "part for texts: text_model.onnx (as requested)"
        in run("model", "fetch", "someone/siglip", "--precision", "fp32").stderr
    )
    assert files.HALF_TEXT not in hub.fetched()
    run("model", "fetch", "someone/siglip", "--precision", "int8", code=errors.PrecisionUnavailable.exit_code)
    run("model", "fetch", "starter", "--precision", "fp16", code=errors.PrecisionUnavailable.exit_code)


def test_the_first_search_with_words_fetches_the_part_for_texts(run: Run, hub: Hub, pictures: Path) -> None:
    run("add", pictures, "--model", "someone/siglip")
    run("embed", 1)
    run("merge")
    assert [] == [name for name in hub.fetched() if "text" in name]

    run("search-image", pictures / "picture_00001.jpg")
    assert [] == [name for name in hub.fetched() if "text" in name]
    run("search", "a dog", "--all")

    assert files.HALF_TEXT in hub.fetched()


# --- tune -----------------------------------------------------------------------------------------


def test_tune_compares_on_the_pictures_of_the_library_and_names_the_next_command(run: Run, pictures: Path) -> None:
    run("add", pictures, "--model", CLIP)
    run("embed", "--precision", "fp32")
    tuned = run("tune", "--sample", 16)
    chosen = tuned.stdout.rstrip().rpartition("\n")[2]

    for precision in ("fp32", "int8", "bf16"):
        assert precision in tuned.stdout
    assert ("embed it again with `pixfind index --precision" in tuned.stderr) == ("fp32" not in chosen), tuned


def test_tune_without_a_picture_that_can_be_read_says_so(run: Run, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    run("add", tmp_path / "none")
    run("tune", "--model", CLIP, code=errors.NotEmbedded.exit_code)


# --- what is kept after a switch ------------------------------------------------------------------


def test_a_switch_can_be_rolled_back_and_what_it_keeps_be_pruned(run: Run, pictures: Path) -> None:
    run("index", pictures, "--model", "starter")
    run("model", "switch", CLIP, "--anyway")
    assert str(CLIP) in run("status").stdout
    assert "kept for `pixfind model rollback`" in run("status").stdout

    back = run("model", "rollback").stderr
    assert "searches use starter fp32" in back
    assert f"`pixfind model switch {CLIP}` uses them" in back
    assert f"{CLIP} fp32 is kept until the next switch: 40 rows" in run("status").stdout

    assert f"deleted the embeddings of {CLIP} fp32" in run("model", "prune").stderr
    assert "nothing was kept" in run("model", "prune").stderr
    run("model", "rollback", code=errors.NothingToRollBack.exit_code)
