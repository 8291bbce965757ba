"""Which text encoder a model gets: the full one, or one in half precision that another repository publishes."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

from pixfind import errors
from pixfind.demo import collection
from pixfind.embedding.runners.serial import Serial
from pixfind.library import scan
from pixfind.library.library import Library
from pixfind.models import encoders, files, hub, registry, text_source
from pixfind.models.backends import half_precision
from pixfind.models.registry import HalfText
from pixfind.search import build, calibration, searcher
from pixfind.search.encoders import Encoders
from pixfind.testing.half import halve, starter_repository
from pixfind.testing.hub import Hub
from pixfind.testing.libraries import QUIET
from pixfind.workflows import fetch
from pixfind.workflows.choose_model import choose_model
from pixfind.workflows.embed import embed
from pixfind.workflows.events import StepProgress
from pixfind.workflows.merge import merge

STARTER = Path(files.__file__).with_name("starter")
MODEL, HALF = "trained", "other/half"
TEXTS = ("a red square", "a green meadow under a blue sky", "the night sky")


@pytest.fixture(autouse=True)
def _model(server: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model of the table whose text encoder another repository publishes in half precision: the starter, by another name."""
    server.repos |= {"someone/starter": STARTER, HALF: starter_repository(tmp_path / "half")}
    (starter,) = [row for row in registry.TABLE if row.name == registry.STARTER]
    row = dataclasses.replace(
        starter, name=MODEL, repo="someone/starter", revision="main", half_text=HalfText(HALF, 600_000)
    )
    monkeypatch.setattr(registry, "TABLE", (*registry.TABLE, row))


def rows(found: files.ModelFiles) -> "np.ndarray[tuple[int, int], np.dtype[np.float32]]":
    return encoders.open_text_encoder(found, threads=1).encode(TEXTS)


FULL_GRAPH = "textual/model.onnx"


def test_the_smaller_one_is_downloaded_and_answers_like_the_full_one(server: Hub) -> None:
    found = text_source.resolve(MODEL)

    assert ["config.json", files.HALF_TEXT, "tokenizer.json"] == server.fetched()
    assert MODEL == found.value.name
    assert "half of the download" in found.reason
    full = rows(text_source.resolve(MODEL, precision="fp32").value)
    assert (rows(found.value) * full).sum(axis=1).min() > 0.9999


def test_what_is_on_this_machine_answers_the_full_one_first(server: Hub) -> None:
    half = text_source.resolve(MODEL).value
    server.repos.clear()
    assert half == text_source.resolve(MODEL, offline=True).value

    server.repos["someone/starter"] = STARTER
    full = text_source.resolve(MODEL, precision="fp32").value
    found = text_source.resolve(MODEL, offline=True)

    assert full == found.value != half
    assert "it is on this machine" == found.reason


def test_offline_the_model_that_is_missing_is_named(server: Hub) -> None:
    with pytest.raises(errors.ModelMissing, match=f"The model {MODEL} .*offline"):
        text_source.resolve(MODEL, offline=True)

    assert 0 == server.api_calls


def test_a_hub_that_cannot_be_reached_is_told_by_the_name_of_the_model(
    server: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")

    with pytest.raises(errors.ModelMissing, match=f"The model {MODEL} .*cannot be reached"):
        text_source.resolve(MODEL)

    assert [] == server.asked


@pytest.mark.parametrize("lacking", ["the repository", "the file", "the dimension"])
def test_where_the_smaller_one_cannot_be_used_the_full_one_is_with_the_reason(
    lacking: str, server: Hub, tmp_path: Path
) -> None:
    if lacking == "the repository":
        del server.repos[HALF]
    elif lacking == "the file":
        (tmp_path / "half" / files.HALF_TEXT).rename(tmp_path / "half/onnx/text_model_q4.onnx")
    else:
        config = json.loads((tmp_path / "half/config.json").read_text())
        (tmp_path / "half/config.json").write_text(json.dumps(config | {"projection_dim": 64}))

    found = text_source.resolve(MODEL)

    assert FULL_GRAPH == found.value.names.text
    assert HALF in found.reason
    assert "cannot be used" in found.reason


def test_a_graph_that_no_engine_runs_is_replaced_by_the_full_one(server: Hub, library: Library, tmp_path: Path) -> None:
    (tmp_path / "half" / files.HALF_TEXT).write_bytes(b"no graph")
    use(library, MODEL)

    encoder = Encoders(library).text()

    assert FULL_GRAPH in server.fetched()
    assert (encoder.encode(TEXTS) * rows(text_source.resolve(MODEL, precision="fp32").value)).sum(axis=1).min() > 0.9999


@pytest.mark.parametrize(
    ("name", "precision", "match"),
    [
        ("starter", "fp16", "nobody is known to publish it for starter"),
        (MODEL, "int8", "published in fp32 and fp16"),
    ],
)
def test_a_precision_that_is_not_published_is_refused(name: str, precision: str, match: str) -> None:
    with pytest.raises(errors.PrecisionUnavailable, match=match):
        text_source.resolve(name, precision=precision)


def test_half_precision_that_was_asked_for_is_never_replaced(server: Hub) -> None:
    del server.repos[HALF]

    with pytest.raises(errors.ModelMissing, match="the hub says"):
        text_source.resolve(MODEL, precision="fp16")

    assert [] == server.asked


def test_a_repository_that_has_both_gives_the_smaller_one(server: Hub, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(server.repos["someone/siglip"], tmp_path / "siglip"))
    halve(folder / "onnx/text_model.onnx", folder / files.HALF_TEXT)
    server.repos["someone/siglip"] = folder

    found = text_source.resolve("someone/siglip").value

    assert found.has_half_text
    assert "onnx/text_model.onnx" not in server.fetched()
    full = rows(hub.resolve(str(folder), text=True))
    assert (rows(found) * full).sum(axis=1).min() > 0.999
    assert not text_source.resolve(str(folder)).value.has_half_text, "both are here"


def test_the_plan_names_every_file_with_its_size_and_progress_ends_at_the_sum(server: Hub) -> None:
    plan = fetch.plan(MODEL)
    assert [] == server.asked, "a plan downloads nothing"
    told: list[StepProgress] = []

    fetch.fetch(MODEL, lambda event: told.append(event) if isinstance(event, StepProgress) else None)

    named = sorted({one.file for one in (*plan.image, *plan.text)})
    assert named == server.fetched()
    assert (plan.bytes, plan.bytes) == (told[-1].done, told[-1].total)
    assert [event.done for event in told] == sorted(event.done for event in told)
    assert 0 == fetch.plan(MODEL).bytes
    assert () == fetch.plan(MODEL).image == fetch.plan(MODEL).text


# --- whether texts and images belong together --------------------------------------------------------


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of the kinds that the starter was trained on, enough of them to tell whether texts fit."""
    folder = tmp_path_factory.mktemp("drawn")
    for number, name in enumerate(collection.plan(60)):
        kind = name.rpartition("-")[0]
        collection.draw(kind, np.random.default_rng(number), (96, 96)).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library.create(tmp_path / "library")


def use(library: Library, model: str, folder: Path | None = None) -> None:
    """Choose the model; embed the pictures of a folder."""
    options = dataclasses.replace(QUIET, model=model)
    with library.lock("add"):
        choose_model(library, options)
        if folder is not None:
            scan.add(library, folder)
            embed(library, options, runner=Serial())
            merge(library)


def alignment(library: Library) -> float:
    model = library.model()
    assert model is not None
    made = calibration.load(calibration.path(library.data), model.hash, model.dimension)
    assert made is not None
    found = made.alignment()
    assert found is not None
    return found


def test_a_text_encoder_that_fits_the_images_is_kept(server: Hub, library: Library, drawn: Path) -> None:
    use(library, MODEL, drawn)

    report = build.build_index(library)

    assert report.text_problem is None
    assert alignment(library) > 2
    assert FULL_GRAPH not in server.fetched()
    assert searcher.search(library, "a red square", 3, include_weak=True).hits


def test_a_text_encoder_of_another_model_is_replaced_by_the_full_one(
    server: Hub, library: Library, drawn: Path, tmp_path: Path
) -> None:
    server.repos[HALF] = starter_repository(tmp_path / "turned", turned=True)
    use(library, MODEL, drawn)

    report = build.build_index(library)

    assert report.text_problem is None
    assert FULL_GRAPH in server.fetched()
    assert alignment(library) > 2
    assert not text_source.resolve(MODEL).value.has_half_text
    assert build.build_index(library).built is None, "with the full one nothing is left to do"


def test_a_text_encoder_of_another_model_is_reported_where_the_full_one_cannot_be_had(
    server: Hub, library: Library, drawn: Path, tmp_path: Path
) -> None:
    server.repos[HALF] = starter_repository(tmp_path / "turned", turned=True)
    use(library, MODEL, drawn)
    del server.repos["someone/starter"]

    report = build.build_index(library)

    assert "does not fit these images" in (report.text_problem or "")
    assert alignment(library) < build.MIN_ALIGNMENT
    text_source.resolve(MODEL).value.text.unlink()
    again = build.build_index(library)

    assert again.text_problem is None, "no text encoder is here any more, and so none that does not fit"
    assert (again.cutoff, again.built) == (report.cutoff, None)


# --- the copy that is run -------------------------------------------------------------------------


def copies(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "cache/derived").glob("*/wide.onnx"))


def test_the_copy_computes_in_float_and_keeps_the_table_of_tokens_as_it_is(server: Hub, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(server.repos["someone/siglip"], tmp_path / "siglip"))
    halve(folder / "onnx/text_model.onnx", folder / files.HALF_TEXT)
    rows(text_source.resolve(str(folder), precision="fp16").value)

    (path,) = copies(tmp_path)
    made = onnx.load(path)
    half = [tensor for tensor in made.graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT16]
    assert (640, 32) in [tuple(tensor.dims) for tensor in half]
    casts = [node for node in made.graph.node if node.op_type == "Cast"]
    assert all(attribute.i != onnx.TensorProto.FLOAT16 for node in casts for attribute in node.attribute)


def test_a_cache_that_takes_no_copy_runs_the_published_graph(tmp_path: Path) -> None:
    found = text_source.resolve(MODEL).value
    (tmp_path / "cache/derived").write_text("a file where the folder should be")

    full = rows(text_source.resolve(MODEL, precision="fp32").value)
    assert (rows(found) * full).sum(axis=1).min() > 0.999


@pytest.mark.parametrize(
    ("published", "copy", "match"),
    [
        (np.ones((3, 8)), np.ones((3, 8)), "to each other"),
        (np.eye(3, 8), np.eye(3, 8)[::-1], "0.0000 to its own"),
        (np.eye(3, 8), np.full((3, 8), np.nan), "nan to its own"),
        (np.eye(3, 8), np.eye(3, 9), "0.0000 to its own"),
    ],
)
def test_a_copy_that_does_not_agree_is_refused(
    published: "np.ndarray[tuple[int, int], np.dtype[np.float32]]",
    copy: "np.ndarray[tuple[int, int], np.dtype[np.float32]]",
    match: str,
    tmp_path: Path,
) -> None:
    graph = text_source.resolve(MODEL).value.text

    with pytest.raises(errors.InvalidModelFile, match=match):
        half_precision.widened(graph, lambda path: published if path == graph else copy)

    assert [] == copies(tmp_path)
