"""The default model as it is published takes one input at a time: every engine embeds any number with it, and says what fails."""

import contextlib
import importlib.util
import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from PIL import Image

from pixfind import errors
from pixfind.models import cache, encoders, files, hub, onnx_header, preprocess
from pixfind.models import tokenizer as texts
from pixfind.models.backends import towers

GOLDEN = Path(__file__).parents[1] / "golden"
PUBLISHED = ("clip-tiny", "siglip2-tiny-immich")
WORDS = ("a dog", "a red bicycle", "sunset over the sea")
NEEDS_OPENVINO = pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="needs the openvino extra")
SESSIONS = ["onnxruntime", pytest.param("openvino", marks=NEEDS_OPENVINO)]
PRECISIONS = ["fp32", "int8", pytest.param("bf16", marks=NEEDS_OPENVINO)]


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PIXFIND_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def _no_cache(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")


def model(name: str) -> files.ModelFiles:
    return hub.resolve(str(GOLDEN / name), text=True)


def session(library: str, graph: Path) -> towers.Session:
    if library == "openvino":
        from pixfind.models.backends import openvino

        return openvino.Session(graph, threads=1, precision="fp32")
    from pixfind.models.backends import onnx as engine

    return engine.Session(graph, threads=1, precision="fp32", device="cpu")


def pictures(count: int) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


def unit(rows: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def skip_without_bf16(precision: str) -> None:
    if precision == "bf16":
        from pixfind.models.backends import openvino

        if not openvino.has_bf16():
            pytest.skip("this processor has no bf16 instructions")


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_golden_models_have_the_shape_that_is_published(name: str) -> None:
    made = model(name)
    image, text = onnx_header.read(made.vision), onnx_header.read(made.text)

    assert {"image": (1, 3, 32, 32)} == image.inputs
    assert {"embedding": (1, made.dimension)} == image.outputs == text.outputs
    assert (["text"], True) == (list(text.inputs), text.takes_one)
    (tokens,) = onnx.load(made.text).graph.input
    assert onnx.TensorProto.INT32 == tokens.type.tensor_type.elem_type


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", PUBLISHED)
def test_three_at_once_equal_three_alone(name: str, precision: str) -> None:
    skip_without_bf16(precision)
    made = model(name)
    image = encoders.open_image_encoder(made, threads=1, precision=precision)
    text = encoders.open_text_encoder(made, threads=1, precision=precision)

    # The range of int8 is that of the whole batch.
    bound = {"fp32": 1e-5, "int8": 0.1, "bf16": 0.02}[precision]
    rows, words = unit(image.forward(list(pictures(3)))), text.encode(WORDS)
    alone = np.concatenate([unit(image.forward([one])) for one in pictures(3)])
    np.testing.assert_allclose(rows, alone, atol=bound)
    np.testing.assert_allclose(words, np.concatenate([text.encode([one]) for one in WORDS]), atol=bound)


@pytest.mark.usefixtures("_no_cache")
@pytest.mark.parametrize("library", SESSIONS)
@pytest.mark.parametrize("name", PUBLISHED)
def test_a_graph_that_could_not_be_freed_is_run_one_by_one(name: str, library: str) -> None:
    made = model(name)
    image = towers.ImageTower(session(library, made.vision), made, preprocess.load(made))
    text = towers.TextTower(session(library, made.text), made)
    tokens = texts.load(made, text.context).encode(WORDS)

    rows, words = image.run(pictures(3)), text.run(tokens)

    alone = [text.run(texts.Tokens(tokens.ids[n : n + 1], tokens.mask[n : n + 1])) for n in range(3)]
    np.testing.assert_allclose(rows, np.concatenate([image.run(one[None]) for one in pictures(3)]), atol=1e-5)
    np.testing.assert_allclose(words, np.concatenate(alone), atol=1e-5)


@pytest.mark.usefixtures("_no_cache")
@pytest.mark.parametrize("precision", ["fp32", pytest.param("bf16", marks=NEEDS_OPENVINO)])
def test_without_a_cache_all_is_embedded_all_the_same(precision: str) -> None:
    skip_without_bf16(precision)
    made = model("siglip2-tiny-immich")

    assert (3, 32) == encoders.open_image_encoder(made, precision=precision).forward(list(pictures(3))).shape
    assert (3, 32) == encoders.open_text_encoder(made, precision=precision).encode(WORDS).shape


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_freed_graph_is_what_runs(precision: str) -> None:
    skip_without_bf16(precision)
    made = model("siglip2-tiny-immich")
    encoders.open_image_encoder(made, precision=precision)
    encoders.open_text_encoder(made, precision=precision)

    free = [path for path in cache.folder().rglob("*.onnx") if not onnx_header.read(path).takes_one]
    assert {"fp32": 2, "int8": 4, "bf16": 2}[precision] == len(free)
    assert [] == list(cache.folder().rglob("one-by-one"))


@pytest.mark.parametrize("library", SESSIONS)
def test_what_a_library_refuses_is_told_with_the_file_and_without_a_traceback(library: str) -> None:
    graph = model("siglip2-tiny-immich").vision
    opened = session(library, graph)
    (output,) = opened.outputs

    with pytest.raises(errors.InvalidModelFile, match=r"visual/model\.onnx cannot be used: .+"):
        opened.run({"image": np.zeros((3, 3, 32, 32), np.float32)}, output)


@pytest.mark.parametrize("library", SESSIONS)
def test_a_graph_that_a_library_cannot_read_is_told_with_its_file(library: str, tmp_path: Path) -> None:
    graph = tmp_path / "model.onnx"
    graph.write_bytes(b"not a graph")

    with pytest.raises(errors.InvalidModelFile, match=r"model\.onnx cannot be used: .+"):
        session(library, graph)


def test_an_int8_graph_that_the_repository_brings_is_run_one_by_one(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(GOLDEN / "siglip2-tiny-immich", tmp_path / "model"))
    shutil.copyfile(folder / "visual/model.onnx", folder / "visual/model_int8.onnx")

    encoder = encoders.open_image_encoder(hub.resolve(str(folder)), precision="int8")

    assert (3, 32) == encoder.forward(list(pictures(3))).shape


# --- the layout that comes next ---------------------------------------------------------------------


NEXT = "siglip2-tiny-immich-next"


def test_the_next_layout_takes_bytes_and_keeps_its_weights_in_safetensors() -> None:
    made = model(NEXT)

    assert {"image": (None, 32, 32, 3)} == onnx_header.read(made.vision).inputs
    assert (["image_embedding"], ["text_embedding"]) == (
        list(onnx_header.read(made.vision).outputs),
        list(onnx_header.read(made.text).outputs),
    )
    assert 23 == onnx_header.read(made.vision).opset
    assert [made.vision, made.vision.with_suffix(".safetensors")] == files.weights(made.vision)


def test_the_weights_are_part_of_what_a_library_remembers(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(GOLDEN / NEXT, tmp_path / "model"))
    before = hub.resolve(str(folder)).hash
    weights = folder / "visual/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\1")

    assert before != hub.resolve(str(folder)).hash


def test_weights_that_are_missing_are_named(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(GOLDEN / NEXT, tmp_path / "model"))
    (folder / "visual/model.safetensors").unlink()

    with pytest.raises(errors.ModelFileMissing, match=r"visual/model\.safetensors"):
        hub.resolve(str(folder))


@NEEDS_OPENVINO
def test_bytes_give_the_same_embeddings_in_both_libraries() -> None:
    made = model(NEXT)
    rows = [
        unit(towers.ImageTower(session(library, made.vision), made, preprocess.load(made)).run(pictures(3)))
        for library in ("onnxruntime", "openvino")
    ]

    np.testing.assert_allclose(rows[0], rows[1], atol=1e-4)


def test_both_layouts_of_one_model_give_the_same_embeddings() -> None:
    now, later = model("siglip2-tiny-immich"), model(NEXT)
    images = [unit(encoders.open_image_encoder(one, threads=1).forward(list(pictures(3)))) for one in (now, later)]
    words = [encoders.open_text_encoder(one, threads=1).encode(WORDS) for one in (now, later)]

    np.testing.assert_allclose(images[0], images[1], atol=1e-4)
    # The table of tokens is published in half precision.
    np.testing.assert_allclose(words[0], words[1], atol=1e-3)


@pytest.mark.parametrize("library", ["onnxruntime", pytest.param("openvino", marks=NEEDS_OPENVINO)])
def test_a_library_that_is_too_old_is_told_before_it_can_embed_wrongly(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{library}.__version__", "1.22.0")

    with pytest.raises(errors.RuntimeOutdated, match=f"needs {library} "):
        session(library, model(NEXT).vision)


# --- the whole program ------------------------------------------------------------------------------


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("precision", PRECISIONS[1:])
def test_an_embed_with_the_published_graphs_embeds_all_and_no_worker_dies(precision: str, tmp_path: Path) -> None:
    skip_without_bf16(precision)
    folder, library = tmp_path / "pictures", tmp_path / "library"
    folder.mkdir()
    for number, pixels in enumerate(pictures(20)):
        Image.fromarray(pixels).save(folder / f"{number}.png")
    ours = [sys.executable, "-m", "pixfind", "--quiet", "--library", str(library)]

    for words in (
        ["add", str(folder), "--model", str(GOLDEN / "siglip2-tiny-immich"), "--precision", precision],
        ["embed", "1"],
    ):
        subprocess.run([*ours, *words], check=True, capture_output=True)

    with contextlib.closing(sqlite3.connect(library / "metadata.db")) as database:
        ((report,),) = database.execute("SELECT report FROM runs WHERE report IS NOT NULL").fetchall()
    assert ({"embedded": 20}, 0, precision) == tuple(
        json.loads(report)[key] for key in ("outcomes", "deaths", "precision")
    )
