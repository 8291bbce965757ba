from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from pixfind import errors
from pixfind.models.backends import onnx_ports

GRAPH = Path("onnx/vision_model.onnx")
Outputs = dict[str, Sequence[int | str | None]]
HIDDEN: Outputs = {"last_hidden_state": ["b", 50, 768]}


def test_the_projected_output_is_taken_whatever_its_place() -> None:
    outputs: Outputs = {**HIDDEN, "pooler_output": ["b", 768], "image_embeds": ["b", 512]}

    assert "image_embeds" == onnx_ports.output(outputs, GRAPH, dimension=512, pooled_is_projected=False)


def test_pooled_is_the_embedding_where_there_is_no_projection() -> None:
    outputs: Outputs = {**HIDDEN, "pooler_output": ["b", 768]}

    assert "pooler_output" == onnx_ports.output(outputs, GRAPH, dimension=768, pooled_is_projected=True)


def test_pooled_is_refused_where_there_is_a_projection() -> None:
    """The classic bug: 768 numbers that look like an embedding and lie in another space."""
    pooled: Outputs = {"pooler_output": ["b", 768]}
    for outputs in ({**HIDDEN, **pooled}, pooled):
        with pytest.raises(errors.InvalidModelFile, match=r"vision_model\.onnx"):
            onnx_ports.output(outputs, GRAPH, dimension=768, pooled_is_projected=False)


def test_a_sole_output_needs_no_known_name() -> None:
    assert "1234" == onnx_ports.output({"1234": ["b", 512]}, GRAPH, dimension=512, pooled_is_projected=False)


@pytest.mark.parametrize("shape", [["b", 768], ["b", 50, 512], ["b"]])
def test_an_output_of_another_shape_is_refused(shape: list[int | str]) -> None:
    with pytest.raises(errors.InvalidModelFile, match=r"\[b, 512\]"):
        onnx_ports.output({"embedding": shape}, GRAPH, dimension=512, pooled_is_projected=False)


def test_an_output_without_a_shape_is_left_to_the_first_run() -> None:
    assert "embedding" == onnx_ports.output({"embedding": []}, GRAPH, dimension=512, pooled_is_projected=False)


def pixels(shape: list[int | str | None], kind: str = "float32") -> dict[str, onnx_ports.Port]:
    return {"image": onnx_ports.Port(shape, np.dtype(kind))}


def test_floats_are_planes_and_bytes_are_pixels() -> None:
    assert not onnx_ports.image_input(pixels(["b", 3, 224, 224]), GRAPH, 224).takes_bytes
    assert not onnx_ports.image_input(pixels([1, "c", "h", "w"], "float16"), GRAPH, 224).takes_bytes
    assert onnx_ports.image_input(pixels(["b", 224, 224, 3], "uint8"), GRAPH, 224).takes_bytes
    assert onnx_ports.image_input(pixels(["b", None, None, 3], "uint8"), GRAPH, 224).takes_bytes


@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        (["b", 3, 224, 224], "float32"),
        (["b", 256, 256, 3], "float32"),
        (["b", 3, 256, 256], "uint8"),
        (["b", None, None, None], "uint8"),
        (["b", 224, 224, 3], "uint8"),
        (["b", 3, 256, 256], "int8"),
        (["b", 3, 256, 256], "object"),
    ],
)
def test_pixels_that_the_preprocessing_does_not_make_are_refused(shape: list[int | str | None], kind: str) -> None:
    with pytest.raises(errors.InvalidModelFile, match=f"of {kind}.*256"):
        onnx_ports.image_input(pixels(shape, kind), GRAPH, 256)


@pytest.mark.parametrize("name", ["embedding", "image_embedding", "text_embedding", "image_embeds", "text_embeds"])
def test_an_embedding_is_found_beside_other_outputs(name: str) -> None:
    assert name == onnx_ports.output({**HIDDEN, name: [1, 512]}, GRAPH, dimension=512, pooled_is_projected=False)


def test_tokens_and_mask_are_told_apart() -> None:
    assert ("text", None) == onnx_ports.text_inputs({"text": ["b", 77]}, GRAPH)
    both = {"attention_mask": ["b", "n"], "input_ids": ["b", "n"]}
    assert ("input_ids", "attention_mask") == onnx_ports.text_inputs(both, GRAPH)


def test_a_graph_of_both_towers_is_refused() -> None:
    with pytest.raises(errors.InvalidModelFile, match="pixel_values"):
        onnx_ports.text_inputs({"input_ids": ["b", "n"], "pixel_values": ["b", 3, 224, 224]}, GRAPH)
