import json
import os
import pickle
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image

from pixfind import errors
from pixfind.models import encoders, engines, hub, preprocess, registry
from pixfind.models.backends import onnx_graphs, quantize
from pixfind.types import Choice

GOLDEN = Path(__file__).parents[1] / "golden"
CLIP, SIGLIP = GOLDEN / "clip-tiny", GOLDEN / "siglip2-tiny"
SIGLIP_IMMICH, SIGLIP_NEXT = GOLDEN / "siglip2-tiny-immich", GOLDEN / "siglip2-tiny-immich-next"


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PIXFIND_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return Path(shutil.copytree(CLIP, tmp_path / "clip"))


@pytest.fixture
def siglip(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SIGLIP, tmp_path / "siglip"))


def images(folder: Path, **options: Any) -> encoders.ImageEncoder:
    return encoders.open_image_encoder(hub.resolve(str(folder)), threads=1, **options)


def texts(folder: Path, **options: Any) -> encoders.TextEncoder:
    return encoders.open_text_encoder(hub.resolve(str(folder), text=True), threads=1, **options)


def texts_of_the_starter() -> encoders.TextEncoder:
    return encoders.open_text_encoder(hub.resolve("starter", text=True), threads=1)


def noise(count: int) -> list[Image.Image]:
    random = np.random.default_rng(5)
    return [Image.fromarray(random.integers(0, 256, (40, 50, 3), dtype=np.uint8)) for _ in range(count)]


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def edit(path: Path, batch: int | None = None, output: str | None = None) -> None:
    """Fix the batch of a graph, or rename its first output."""
    model = onnx.load(path)
    for port in (*model.graph.input, *model.graph.output):
        if batch is not None:
            port.type.tensor_type.shape.dim[0].dim_value = batch
    if output is not None:
        for node in model.graph.node:
            node.output[:] = [output if name == model.graph.output[0].name else name for name in node.output]
        model.graph.output[0].name = output
    onnx.save(model, path)


# --- the interface --------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", [CLIP, SIGLIP], ids=lambda folder: folder.name)
def test_an_encoder_tells_what_really_runs(folder: Path) -> None:
    encoder = images(folder)

    assert ("cpu", "fp32", "onnxruntime") == (encoder.device, encoder.precision, encoder.engine.value)
    assert 32 == encoder.decode_side
    assert "pixfind tune" in encoder.engine.reason


def test_rows_are_of_unit_length_and_of_the_type_that_is_stored() -> None:
    encoder = images(CLIP)

    rows = encoder.finish(encoder.forward([encoder.prepare(picture) for picture in noise(5)]))

    assert (np.dtype(np.float16), (5, 24)) == (rows.dtype, rows.shape)
    np.testing.assert_allclose(np.linalg.norm(rows.astype(float), axis=1), 1, atol=1e-3)


def test_a_picture_gets_the_same_embedding_alone_and_in_a_batch() -> None:
    encoder = images(SIGLIP)
    prepared = [encoder.prepare(picture) for picture in noise(7)]

    together = encoder.forward(prepared)

    alone = np.concatenate([encoder.forward([one]) for one in prepared])
    np.testing.assert_allclose(together, alone, atol=1e-4)


def test_a_graph_with_a_fixed_batch_takes_any_number_of_pictures(siglip: Path) -> None:
    expected = images(SIGLIP)
    edit(siglip / "onnx/vision_model.onnx", batch=4)
    encoder = images(siglip)

    for count in (1, 4, 6):
        prepared = [encoder.prepare(picture) for picture in noise(count)]
        np.testing.assert_allclose(encoder.forward(prepared), expected.forward(prepared), atol=1e-4)


def test_preparing_in_many_threads_gives_what_one_thread_gives() -> None:
    encoder = images(CLIP)
    pictures = noise(40)

    with ThreadPoolExecutor(8) as pool:
        many = list(pool.map(encoder.prepare, pictures))

    assert all(np.array_equal(one, encoder.prepare(p)) for one, p in zip(many, pictures, strict=True))


def test_a_row_that_is_no_number_is_an_error_that_names_the_row() -> None:
    encoder = images(CLIP)
    raw = np.ones((4, 24), dtype=np.float32)
    raw[1, 3] = np.nan
    raw[2] = 0

    with pytest.raises(errors.NotFinite) as caught:
        encoder.finish(raw)

    assert [1, 2] == caught.value.fields["rows"]


def test_no_texts_give_no_rows() -> None:
    assert (0, 24) == texts(CLIP).encode([]).shape


def test_no_word_is_unknown_to_a_model_without_a_list() -> None:
    assert not texts(CLIP).unknown("xyzzy")
    assert not texts(SIGLIP).unknown("")


def test_the_starter_says_when_it_knows_no_word() -> None:
    encoder = texts_of_the_starter()

    assert [True, False, False, True] == [encoder.unknown(text) for text in ("xyzzy", "a sunset", "xyzzy sky", "рыба")]


def test_the_starter_names_the_words_that_it_does_not_know() -> None:
    assert ("dog",) == texts_of_the_starter().unknown_words("dog on the beach")
    assert () == texts(CLIP).unknown_words("xyzzy")


def test_the_table_tells_what_the_starter_is() -> None:
    row = registry.find("starter")
    files = hub.resolve("starter")

    assert row is not None
    assert (row.dimension, row.image_size) == (files.dimension, preprocess.load(files).side)


def test_the_starter_answers_its_first_text_with_nothing_loaded_that_it_does_not_use() -> None:
    """What its half second of processor time goes into; benchmarks/process.py measures it."""
    code = (
        "import sys; from pixfind.models import encoders, hub;"
        "encoders.open_text_encoder(hub.resolve('starter', text=True), threads=1).encode(['a dog']);"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    loaded = set(subprocess.check_output([sys.executable, "-c", code], text=True).split())

    assert {"numpy", "onnxruntime", "tokenizers"} <= loaded
    heavy = {"onnx", "torch", "transformers", "huggingface_hub", "openvino", "faiss", "fastapi", "rich"}
    assert set() == loaded & heavy


# --- precision ------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", [CLIP, SIGLIP], ids=lambda folder: folder.name)
def test_int8_is_made_once_and_kept(folder: Path) -> None:
    first = images(folder, precision="int8")
    made = quantize.int8(hub.resolve(str(folder)).vision)
    written = made.stat().st_mtime_ns

    second = images(folder, precision="int8")

    assert ("int8", "int8") == (first.precision, second.precision)
    assert written == quantize.int8(hub.resolve(str(folder)).vision).stat().st_mtime_ns
    assert made.stat().st_size < hub.resolve(str(folder)).vision.stat().st_size


def test_int8_leaves_products_of_two_activations_alone() -> None:
    """Attention in int8 is slower and less exact."""
    graph = onnx.load(quantize.int8(CLIP / "visual/model.onnx")).graph

    kinds = [node.op_type for node in graph.node]
    assert "MatMulInteger" in kinds
    assert 2 * 2 == kinds.count("MatMul")


def test_an_int8_graph_that_the_repo_brings_is_preferred(clip: Path) -> None:
    shutil.copyfile(clip / "visual/model.onnx", clip / "visual/model_int8.onnx")

    assert clip / "visual/model_int8.onnx" == quantize.int8(clip / "visual/model.onnx")


def test_a_changed_model_gets_a_new_int8_graph(clip: Path) -> None:
    first = quantize.int8(clip / "visual/model.onnx")
    os.utime(clip / "visual/model.onnx", ns=(1, 1))

    assert first != quantize.int8(clip / "visual/model.onnx")


def test_a_failed_quantisation_leaves_no_file(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("onnxruntime.quantization.quantize_dynamic", fail)

    with pytest.raises(errors.DiskFull, match="space"):
        quantize.int8(clip / "visual/model.onnx")
    assert [] == [path for path in (tmp_path / "cache").rglob("*") if path.is_file() and "int" in path.name]


def test_weights_get_seven_bits_where_sixteen_would_overflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantize, "has_vnni", lambda: False)

    assert "int7.onnx" == quantize.int8(CLIP / "visual/model.onnx").name


def test_auto_is_what_tune_found_for_this_model_only() -> None:
    engines.save_tuned(hub.resolve(str(CLIP)), Choice("int8", "measured"))

    assert "int8" == images(CLIP).precision
    assert "fp32" == images(SIGLIP).precision
    assert "fp32" == images(CLIP, precision="fp32").precision


def test_a_damaged_memory_of_tune_is_as_none(tmp_path: Path) -> None:
    engines.save_tuned(hub.resolve(str(CLIP)), Choice("int8", "measured"))
    for path in (tmp_path / "cache/tuned").iterdir():
        path.write_text("{")

    assert "fp32" == images(CLIP).precision


def test_texts_stay_in_fp32_unless_asked_for() -> None:
    engines.save_tuned(hub.resolve(str(CLIP)), Choice("int8", "measured"))

    assert "fp32" == texts(CLIP).precision
    assert "int8" == texts(CLIP, precision="int8").precision


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(errors.PrecisionUnavailable, match="fp4"):
        images(CLIP, precision="fp4")


@pytest.mark.parametrize("device", ["cuda", "coreml", "directml", "abacus"])
def test_a_device_that_is_not_here_is_an_error_and_never_a_silent_processor(device: str) -> None:
    with pytest.raises(errors.DeviceUnavailable, match=device):
        images(CLIP, device=device)


def test_int8_for_another_device_than_the_processor_is_refused() -> None:
    with pytest.raises(errors.PrecisionUnavailable, match="cuda"):
        images(CLIP, precision="int8", device="cuda")


# --- mapped weights -------------------------------------------------------------------------------


def test_a_large_text_tower_is_mapped_and_answers_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    expected = texts(CLIP).encode(["a dog", "a red car"])
    monkeypatch.setattr(onnx_graphs, "_MIN_MAPPED_BYTES", 1000)

    first, again = texts(CLIP), texts(CLIP)

    assert 1 == len(list((tmp_path / "cache").rglob("mapped.onnx.data")))
    np.testing.assert_allclose(expected, first.encode(["a dog", "a red car"]), atol=1e-5)
    np.testing.assert_allclose(expected, again.encode(["a dog", "a red car"]), atol=1e-5)


def test_a_small_graph_is_used_as_it_is() -> None:
    assert CLIP / "textual/model.onnx" == onnx_graphs.mapped(CLIP / "textual/model.onnx")


@pytest.mark.parametrize("trouble", ["full", "read-only"])
def test_a_cache_that_takes_nothing_does_not_stop_a_search(
    trouble: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(onnx_graphs, "_MIN_MAPPED_BYTES", 1000)
    if trouble == "full":
        monkeypatch.setattr(onnx_graphs, "_FREE_FACTOR", 10**15)
    else:
        (tmp_path / "cache").write_text("a file where the folder should be")

    assert (1, 24) == texts(CLIP).encode(["a dog"]).shape


# --- bad files ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "file",
    ["config.json", "visual/model.onnx", "visual/preprocess_cfg.json", "textual/model.onnx", "textual/tokenizer.json"],
)
def test_a_missing_file_is_named(file: str, clip: Path) -> None:
    (clip / file).unlink()

    with pytest.raises(errors.ModelFileMissing, match=file):
        hub.resolve(str(clip), text=True)


def test_an_empty_folder_names_what_it_looked_for(tmp_path: Path) -> None:
    with pytest.raises(errors.ModelFileMissing, match=r"visual/model\.onnx or onnx/vision_model\.onnx"):
        hub.resolve(str(tmp_path))


@pytest.mark.parametrize("file", ["visual/model.onnx", "textual/model.onnx"])
@pytest.mark.parametrize("damage", [b"", b"not a graph", "half"])
def test_a_damaged_graph_is_named(file: str, damage: bytes | str, clip: Path) -> None:
    path = clip / file
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] if isinstance(damage, str) else damage)

    with pytest.raises(errors.InvalidModelFile, match=file):
        (images if file.startswith("visual") else texts)(clip)


def test_a_pickle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps({}))

    with pytest.raises(errors.UnsafeModelFile, match=r"pytorch_model\.bin"):
        hub.resolve(str(tmp_path))


def test_a_pickle_named_as_a_graph_is_not_loaded(clip: Path) -> None:
    (clip / "visual/model.onnx").write_bytes(pickle.dumps({"weights": [1, 2, 3]}))

    with pytest.raises(errors.InvalidModelFile, match=r"visual/model\.onnx"):
        images(clip)


def test_external_data_outside_of_the_folder_is_refused(clip: Path, tmp_path: Path) -> None:
    path = clip / "visual/model.onnx"
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="model.onnx.data", size_threshold=0)
    assert (1, 24) == images(clip).forward([np.zeros((32, 32, 3), np.uint8)]).shape
    shutil.move(path.with_name("model.onnx.data"), tmp_path / "outside.data")
    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = "../../outside.data"
    path.write_bytes(model.SerializeToString())

    for precision in ("fp32", "int8"):
        with pytest.raises(errors.InvalidModelFile, match=r"visual/model\.onnx .*outside"):
            images(clip, precision=precision)


def test_a_damaged_graph_is_named_when_int8_is_made_of_it(clip: Path) -> None:
    (clip / "visual/model.onnx").write_bytes(b"not a graph")

    with pytest.raises(errors.InvalidModelFile, match=r"visual/model\.onnx"):
        images(clip, precision="int8")


def test_another_size_than_the_configuration_says_is_refused(clip: Path) -> None:
    change(clip / "config.json", embed_dim=512)

    with pytest.raises(errors.InvalidModelFile, match=r"visual/model\.onnx .*512"):
        images(clip)


def test_another_picture_size_than_the_preprocessing_makes_is_refused(clip: Path) -> None:
    change(clip / "visual/preprocess_cfg.json", size=[48, 48])

    with pytest.raises(errors.InvalidModelFile, match=r"visual/model\.onnx .*48"):
        images(clip)


def test_a_clip_graph_that_stops_before_the_projection_is_refused(siglip: Path) -> None:
    """SigLIP's pooled output is its embedding; the same name in CLIP is not."""
    assert "onnxruntime" == images(siglip).engine.value
    change(siglip / "config.json", model_type="clip", projection_dim=32)

    with pytest.raises(errors.InvalidModelFile, match=r"vision_model\.onnx .*image_embeds"):
        images(siglip)


def test_the_output_is_found_under_the_names_that_exporters_give(clip: Path) -> None:
    edit(clip / "visual/model.onnx", output="image_embeds")

    assert 24 == images(clip).dimension


def test_the_towers_of_two_models_do_not_pass_as_one(clip: Path) -> None:
    shutil.copyfile(SIGLIP / "onnx/text_model.onnx", clip / "textual/model.onnx")

    with pytest.raises(errors.InvalidModelFile, match="textual"):
        texts(clip)


def test_a_tokenizer_with_ids_that_the_tower_lacks_is_named(clip: Path) -> None:
    """The configuration may agree with the tokenizer and both may be of another model than the tower."""
    tokenizer = json.loads((clip / "textual/tokenizer.json").read_text())
    size = len(tokenizer["model"]["vocab"])
    tokenizer["model"]["vocab"] |= {f"extra{number}": size + number for number in range(50)}
    (clip / "textual/tokenizer.json").write_text(json.dumps(tokenizer))
    config = json.loads((clip / "config.json").read_text())
    change(clip / "config.json", text_cfg=config["text_cfg"] | {"vocab_size": size + 50})

    with pytest.raises(errors.InvalidModelFile, match=r"tokenizer\.json .*does not fit"):
        texts(clip)


@pytest.mark.parametrize("content", ["{", "[]", '{"embed_dim": "many"}', '{"embed_dim": true}'])
def test_a_configuration_that_says_nothing_is_named(content: str, clip: Path) -> None:
    (clip / "config.json").write_text(content)

    with pytest.raises(errors.InvalidModelFile, match=r"config\.json"):
        hub.resolve(str(clip))


def test_a_configuration_without_a_dimension_takes_that_of_the_graph(clip: Path) -> None:
    (clip / "config.json").write_text('{"text_cfg": {"context_length": 16}}')

    assert 24 == images(clip).dimension == texts(clip).dimension


def test_two_towers_of_other_dimensions_leave_it_open(clip: Path) -> None:
    (clip / "config.json").write_text("{}")
    shutil.copyfile(SIGLIP_IMMICH / "textual/model.onnx", clip / "textual/model.onnx")

    with pytest.raises(errors.InvalidModelFile, match=r"config\.json .*embed_dim"):
        hub.resolve(str(clip))


def test_naflex_is_refused_with_what_to_take_instead(siglip: Path) -> None:
    change(siglip / "config.json", model_type="siglip2")

    with pytest.raises(errors.InvalidModelFile, match=r"NaFlex.*siglip2-base-patch16-256"):
        hub.resolve(str(siglip))


def test_a_family_that_we_do_not_know_is_refused(siglip: Path) -> None:
    change(siglip / "config.json", model_type="blip")

    with pytest.raises(errors.InvalidModelFile, match="blip"):
        hub.resolve(str(siglip))


def test_the_identity_changes_with_weights_and_preprocessing_and_with_nothing_else(clip: Path) -> None:
    before = hub.resolve(str(clip)).hash
    (clip / "README.md").write_text("hello")
    shutil.copytree(clip, clip.parent / "elsewhere")
    assert before == hub.resolve(str(clip)).hash == hub.resolve(str(clip.parent / "elsewhere")).hash

    change(clip / "visual/preprocess_cfg.json", interpolation="bilinear")
    other = hub.resolve(str(clip)).hash
    edit(clip / "visual/model.onnx", output="renamed")

    assert 3 == len({before, other, hub.resolve(str(clip)).hash})
