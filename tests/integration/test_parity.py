"""pixfind's own preprocessing, tokenization and towers against transformers' own, in numbers kept from it."""

import importlib.util
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pixfind.images import decode
from pixfind.models import encoders, hub
from pixfind.models.files import Layout
from pixfind.models.tokenizer import canonicalize

GOLDEN = Path(__file__).parents[1] / "golden"
MODELS = ("clip-tiny", "siglip2-tiny", "siglip2-tiny-immich", "siglip2-tiny-immich-next")
LIMITS = decode.limits_for(1 << 30).value
BOUND = {"fp32": 0.9999, "int8": 0.99, "bf16": 0.999}


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PIXFIND_CACHE", str(tmp_path / "cache"))


def pictures() -> list[Image.Image]:
    """All shapes and kinds: very wide, very tall, one pixel, grey, alpha, rotated by EXIF."""
    paths = sorted((GOLDEN / "pictures").glob("*.png"))
    return [decode.decode(path.read_bytes(), limits=LIMITS).image for path in paths]


def cosines(left: Any, right: Any) -> Any:
    left, right = np.asarray(left, np.float64), np.asarray(right, np.float64)
    return (left * right).sum(1) / np.linalg.norm(left, axis=1) / np.linalg.norm(right, axis=1)


WITHOUT_OPENVINO = importlib.util.find_spec("openvino") is None
PRECISIONS = [
    "fp32",
    "int8",
    pytest.param("bf16", marks=pytest.mark.skipif(WITHOUT_OPENVINO, reason="needs the openvino extra")),
]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("model", MODELS)
def test_pictures_of_all_shapes_get_the_embeddings_of_the_reference(model: str, precision: str) -> None:
    if precision == "bf16":
        _skip_without_bf16()
    encoder = encoders.open_image_encoder(hub.resolve(str(GOLDEN / model)), threads=1, precision=precision)

    rows = encoder.finish(encoder.forward([encoder.prepare(picture) for picture in pictures()]))

    expected = np.load(GOLDEN / f"{model}.npz")["images"]
    assert len(expected) == len(list((GOLDEN / "pictures").glob("*.png")))
    assert cosines(rows, expected).min() >= BOUND[precision]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("model", MODELS)
def test_texts_get_the_embeddings_of_the_reference(model: str, precision: str) -> None:
    if precision == "bf16":
        _skip_without_bf16()
    texts = json.loads((GOLDEN / "texts.json").read_text(encoding="utf-8"))
    encoder = encoders.open_text_encoder(hub.resolve(str(GOLDEN / model), text=True), threads=1, precision=precision)

    rows = encoder.encode(texts)

    assert cosines(rows, np.load(GOLDEN / f"{model}.npz")["texts"]).min() >= BOUND[precision]


def test_the_golden_embeddings_differ_from_picture_to_picture() -> None:
    """Random towers may give nearly the same for everything; then no parity test would mean anything."""
    for model in MODELS:
        rows = np.load(GOLDEN / f"{model}.npz")["images"]
        scores = rows @ rows.T
        assert np.median(scores[np.triu_indices(len(rows), 1)]) < 0.9


def _skip_without_bf16() -> None:
    from pixfind.models.backends import openvino

    if not openvino.has_bf16():
        pytest.skip("this processor has no bf16 instructions")


# --- with the torch extra ---------------------------------------------------------------------------


FULL_SIZE = [("clip-vit-b32", "immich"), ("siglip2-b32-256", "immich-next"), ("siglip2-b32-256", "transformers")]


@pytest.fixture(scope="module", params=FULL_SIZE, ids="-".join)
def full_size(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A model of the real architecture and cost, with random weights; up to 3 GB, so it does not outlive the test."""
    pytest.importorskip("torch")
    from tools import make_model

    name, layout = request.param
    folder = tmp_path_factory.mktemp(name)
    make_model.make(name, folder, layout=layout)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.torch
@pytest.mark.timeout(1200)
@pytest.mark.filterwarnings("ignore")
def test_a_full_size_model_equals_transformers(full_size: Path) -> None:
    from tools.reference import Reference

    files = hub.resolve(str(full_size), text=True)
    reference = Reference(full_size / "reference")
    texts = json.loads((GOLDEN / "texts.json").read_text(encoding="utf-8"))
    cleaned = [canonicalize(one) for one in texts] if files.layout is Layout.IMMICH and reference.siglip else texts
    images = encoders.open_image_encoder(files, threads=2)

    rows = images.finish(images.forward([images.prepare(picture) for picture in pictures()]))
    words = encoders.open_text_encoder(files, threads=2).encode(texts)

    assert cosines(rows, reference.images(pictures())).min() >= 0.9999
    assert cosines(words, reference.texts(cleaned)).min() >= 0.9999


@pytest.mark.torch
@pytest.mark.timeout(1200)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["clip-tiny", "siglip2-tiny"])
def test_the_torch_engine_equals_transformers(name: str, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from tools import make_model
    from tools.reference import Reference

    make_model.make(name, tmp_path, layout="transformers")
    files = hub.resolve(str(tmp_path / "reference"), text=True)
    reference = Reference(tmp_path / "reference")
    texts = json.loads((GOLDEN / "texts.json").read_text(encoding="utf-8"))
    images = encoders.open_image_encoder(files, threads=1)
    words = encoders.open_text_encoder(files, threads=1)

    rows = images.finish(images.forward([images.prepare(picture) for picture in pictures()]))

    assert ("torch", "fp32") == (images.engine.value, images.precision)
    assert cosines(rows, reference.images(pictures())).min() >= 0.9999
    assert cosines(words.encode(texts), reference.texts(texts)).min() >= 0.9999


@pytest.mark.torch
@pytest.mark.timeout(1200)
@pytest.mark.filterwarnings("ignore")
def test_a_compiled_image_tower_gives_the_same_embeddings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the processor, where it is off: what is compiled for a GPU is the same program. Batches of two sizes, as at a run's end."""
    pytest.importorskip("torch")
    from tools import make_model

    from pixfind.models.backends import torch as engine

    make_model.make("clip-tiny", tmp_path, layout="transformers")
    files = hub.resolve(str(tmp_path / "reference"))
    plain = encoders.open_image_encoder(files, threads=1)
    monkeypatch.setattr(engine, "_compiles", lambda device: True)
    compiled = encoders.open_image_encoder(files, threads=1)
    batch = [plain.prepare(picture) for picture in pictures()[:4]]

    for part in (batch, batch[:1]):
        assert cosines(compiled.finish(compiled.forward(part)), plain.finish(plain.forward(part))).min() >= 0.9999
