import contextlib
import json
from pathlib import Path

import pytest

from pixfind import errors
from pixfind.models import cache, files
from pixfind.models.files import Layout

IMMICH = [
    "README.md",
    "config.json",
    "visual/model.onnx",
    "visual/model.onnx.data",
    "visual/preprocess_cfg.json",
    "visual/fp16/model.armnn",
    "textual/model.onnx",
    "textual/tokenizer.json",
    "textual/tokenizer_config.json",
    "textual/vocab.json",
]
TRANSFORMERS = [
    "config.json",
    "model.safetensors",
    "preprocessor_config.json",
    "tokenizer.json",
    "onnx/model.onnx",
    "onnx/vision_model.onnx",
    "onnx/vision_model_fp16.onnx",
    "onnx/vision_model_quantized.onnx",
    "onnx/text_model.onnx",
    "onnx/text_model.onnx_data",
    "onnx/text_model.onnx_data_1",
]


def test_the_layout_is_told_by_the_towers() -> None:
    assert Layout.IMMICH is files.layout_of(IMMICH)
    assert Layout.TRANSFORMERS is files.layout_of(TRANSFORMERS)
    assert Layout.TORCH is files.layout_of(["config.json", "model.safetensors"])
    assert files.layout_of(["README.md", "pytorch_model.bin"]) is None


def test_a_folder_with_graphs_and_torch_weights_is_run_from_its_graphs() -> None:
    assert "model.safetensors" in TRANSFORMERS
    assert Layout.TRANSFORMERS is files.layout_of(TRANSFORMERS)


def test_external_data_comes_with_its_graph_and_other_precisions_do_not() -> None:
    found = files.wanted(Layout.IMMICH, IMMICH, text=False, image=True)
    assert ("config.json", "visual/model.onnx", "visual/model.onnx.data", "visual/preprocess_cfg.json") == found

    found = files.wanted(Layout.TRANSFORMERS, TRANSFORMERS, text=True, image=False)
    data = ("onnx/text_model.onnx", "onnx/text_model.onnx_data", "onnx/text_model.onnx_data_1")
    assert ("config.json", *data, "tokenizer.json") == found


def test_a_file_that_is_needed_is_wanted_even_when_the_hub_lacks_it() -> None:
    """So that its absence is told by name."""
    assert "visual/preprocess_cfg.json" in files.wanted(Layout.IMMICH, ["visual/model.onnx"], text=False, image=True)


def folder(tmp_path: Path, layout: Layout, config: dict[str, object]) -> Path:
    for name in (*files.needed(layout, text=True, image=True),):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    (tmp_path / "config.json").write_text(json.dumps(config))
    return tmp_path


@pytest.mark.parametrize(
    ("layout", "config", "dimension"),
    [
        (Layout.IMMICH, {"embed_dim": 512}, 512),
        (Layout.TRANSFORMERS, {"model_type": "clip", "projection_dim": 640}, 640),
        (Layout.TRANSFORMERS, {"model_type": "clip"}, 512),
        (Layout.TRANSFORMERS, {"model_type": "siglip", "vision_config": {"hidden_size": 1152}}, 1152),
        (Layout.TRANSFORMERS, {"model_type": "siglip", "vision_config": {}}, 768),
        (Layout.TORCH, {"model_type": "siglip"}, 768),
    ],
)
def test_the_dimension_is_what_the_configuration_says(
    layout: Layout, config: dict[str, object], dimension: int, tmp_path: Path
) -> None:
    found = files.inspect(folder(tmp_path, layout, config), "m", text=True)

    assert (layout, dimension) == (found.layout, found.dimension)


def test_a_folder_with_the_text_tower_only_has_no_identity(tmp_path: Path) -> None:
    made = folder(tmp_path, Layout.IMMICH, {"embed_dim": 8})
    (made / "visual/model.onnx").unlink()

    assert not files.inspect(made, "m", text=True, image=False).hash
    with pytest.raises(errors.ModelFileMissing, match=r"visual/model\.onnx"):
        files.inspect(made, "m")


def test_the_hash_of_a_large_file_is_remembered_and_renewed_when_the_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIXFIND_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(files, "_LARGE", 0)
    made = folder(tmp_path / "model", Layout.IMMICH, {"embed_dim": 8})
    before = files.inspect(made, "m").hash
    with monkeypatch.context() as patch:
        patch.setattr(files, "_hash", lambda _: pytest.fail("hashed again"))
        assert before == files.inspect(made, "m").hash

    (made / "visual/model.onnx").write_bytes(b"xy")

    assert before != files.inspect(made, "m").hash


def test_a_folder_that_publishes_nothing_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(errors.ModelFileMissing), cache.publishing(tmp_path / "derived/made.onnx"):
        pass

    assert [] == list((tmp_path / "derived").iterdir())


def test_a_publication_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "made.onnx"
    path.write_text("old")

    with contextlib.suppress(RuntimeError), cache.publishing(path) as temporary:
        (temporary / path.name).write_text("half")
        raise RuntimeError

    assert "old" == path.read_text()
    assert [path] == list(tmp_path.iterdir())


def test_the_file_that_others_look_for_comes_last(tmp_path: Path) -> None:
    path = tmp_path / "graph.onnx"

    with cache.publishing(path) as temporary:
        for name in ("graph.onnx", "graph.onnx.data"):
            (temporary / name).write_text(name)

    assert {"graph.onnx", "graph.onnx.data"} == {file.name for file in tmp_path.iterdir()}
