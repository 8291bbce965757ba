"""
The layout that Immich's exporter writes next: pictures as bytes, normalised inside, opset 23, weights in a .safetensors file.

Written node by node after the graphs in github.com/immich-app/ml-models (ci/graphs), for SigLIP 2 only: what torch exports depends on
its version, and has its attention and its batch in another form. `make_model` writes the rest of the folder.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

OPSET, IR_VERSION = 23, 10
_EPSILON = 1e-6
_HEADER_LENGTH = 8
"""bytes of a safetensors file before its header, which they give the length of"""

Weights = Mapping[str, NDArray[np.float32]]
"""of transformers' SiglipModel, by its own names"""


def image(weights: Weights, heads: int, layers: int, path: Path) -> None:
    """Write the image tower: uint8 [batch, side, side, 3] to [batch, width]."""
    graph = _Graph(weights)
    embeddings = "vision_model.embeddings"
    kernel = weights[f"{embeddings}.patch_embedding.weight"]
    width, patch = kernel.shape[0], kernel.shape[-1]
    places = weights[f"{embeddings}.position_embedding.weight"]
    side = patch * int(len(places) ** 0.5)
    # (x / 255 - 0.5) / 0.5, folded into the patches: without padding that is exact.
    graph.weight("kernel", kernel / 127.5)
    graph.weight("kernel_bias", weights[f"{embeddings}.patch_embedding.bias"] - kernel.sum(axis=(1, 2, 3)))
    graph.weight("places", places[None])
    graph.weight("grid", np.array([0, width, len(places)]))
    x = graph.node("Cast", ["image"], to=TensorProto.FLOAT)
    x = graph.node("Transpose", [x], perm=[0, 3, 1, 2])
    x = graph.node("Conv", [x, "kernel", "kernel_bias"], kernel_shape=[patch, patch], strides=[patch, patch])
    x = graph.node("Transpose", [graph.node("Reshape", [x, "grid"])], perm=[0, 2, 1])
    x = graph.node("Add", [x, "places"])
    for layer in range(layers):
        x = graph.block(x, f"vision_model.encoder.layers.{layer}", heads)
    x = graph.norm(x, "vision_model.post_layernorm")
    graph.unit(graph.pooled(x, "vision_model.head", heads), "image_embedding")
    graph.save(path, ("image", TensorProto.UINT8, ["batch", side, side, 3]), ("image_embedding", width))


def text(weights: Weights, heads: int, layers: int, path: Path) -> None:
    """Write the text tower: int32 [batch, context] to [batch, dimension]."""
    graph = _Graph(weights)
    places = weights["text_model.embeddings.position_embedding.weight"]
    # Half of the size of the file is this table; it is published in half precision.
    graph.weight("tokens", weights["text_model.embeddings.token_embedding.weight"].astype(np.float16))
    graph.weight("places", places)
    graph.weight("last", np.array(-1))
    x = graph.node("Cast", [graph.node("Gather", ["tokens", "text"], axis=0)], to=TensorProto.FLOAT)
    x = graph.node("Add", [x, "places"])
    for layer in range(layers):
        x = graph.block(x, f"text_model.encoder.layers.{layer}", heads)
    x = graph.norm(x, "text_model.final_layer_norm")
    x = graph.node("Gather", [x, "last"], axis=1)
    graph.unit(graph.linear(x, "text_model.head"), "text_embedding")
    dimension = weights["text_model.head.bias"].shape[0]
    graph.save(path, ("text", TensorProto.INT32, ["batch", len(places)]), ("text_embedding", dimension))


class _Graph:
    def __init__(self, weights: Weights) -> None:
        self._of_model = weights
        self._nodes: list[Any] = []
        self._weights: dict[str, NDArray[Any]] = {}

    def weight(self, name: str, values: NDArray[Any]) -> str:
        self._weights[name] = np.array(values, order="C")
        return name

    def node(self, kind: str, inputs: list[str], outputs: int = 1, **attributes: Any) -> Any:
        names = [f"{kind.lower()}_{len(self._nodes)}_{place}" for place in range(outputs)]
        self._nodes.append(helper.make_node(kind, inputs, names, **attributes))
        return names[0] if outputs == 1 else names

    def linear(self, x: str, name: str) -> str:
        matrix = self.weight(f"{name}.weight", self._of_model[f"{name}.weight"].T)
        return str(self._product(x, matrix, self.weight(f"{name}.bias", self._of_model[f"{name}.bias"])))

    def norm(self, x: str, name: str) -> str:
        scale = self.weight(f"{name}.weight", self._of_model[f"{name}.weight"])
        bias = self.weight(f"{name}.bias", self._of_model[f"{name}.bias"])
        return str(self.node("LayerNormalization", [x, scale, bias], axis=-1, epsilon=_EPSILON))

    def block(self, x: str, name: str, heads: int) -> str:
        """Add one layer: attention and two products, each after its norm and beside its input."""
        parts = [f"{name}.self_attn.{part}_proj" for part in "qkv"]
        joined = np.concatenate([self._of_model[f"{part}.weight"] for part in parts])
        bias = np.concatenate([self._of_model[f"{part}.bias"] for part in parts])
        normed = self.norm(x, f"{name}.layer_norm1")
        q, k, v = self._split(normed, f"{name}.qkv", joined, bias, 3)
        x = self.node("Add", [x, self.linear(self._attention(q, k, v, heads), f"{name}.self_attn.out_proj")])
        return str(self.node("Add", [x, self._mlp(self.norm(x, f"{name}.layer_norm2"), f"{name}.mlp")]))

    def pooled(self, x: str, name: str, heads: int) -> str:
        """Add the pooling of SigLIP: one learned query looks at all patches."""
        matrix, bias = (self._of_model[f"{name}.attention.in_proj_{part}"] for part in ("weight", "bias"))
        width = matrix.shape[1]
        query = self._of_model[f"{name}.probe"] @ matrix[:width].T + bias[:width]
        k, v = self._split(x, f"{name}.kv", matrix[width:], bias[width:], 2)
        shape = self.node("Shape", [x], start=0, end=1)
        ones = self.weight(f"{name}.ones", np.array([1, width]))
        many = self.node("Concat", [shape, ones], axis=0)
        q = self.node("Expand", [self.weight(f"{name}.query", query), many])
        x = self.linear(self._attention(q, k, v, heads), f"{name}.attention.out_proj")
        x = self.node("Add", [x, self._mlp(self.norm(x, f"{name}.layernorm"), f"{name}.mlp")])
        return str(self.node("Gather", [x, self.weight(f"{name}.first", np.array(0))], axis=1))

    def unit(self, x: str, name: str) -> None:
        """End with rows of unit length."""
        axes, least = self.weight("axes", np.array([-1])), self.weight("least", np.array(1e-12, dtype=np.float32))
        length = self.node("Clip", [self.node("ReduceL2", [x, axes], keepdims=1), least])
        self._nodes.append(helper.make_node("Div", [x, length], [name]))

    def save(self, path: Path, given: tuple[str, int, list[Any]], made: tuple[str, int]) -> None:
        name, kind, shape = given
        initializers = [numpy_helper.from_array(values, key) for key, values in self._weights.items()]
        graph = helper.make_graph(
            self._nodes,
            "main_graph",
            [helper.make_tensor_value_info(name, kind, shape)],
            [helper.make_tensor_value_info(made[0], TensorProto.FLOAT, ["batch", made[1]])],
            initializers,
        )
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="pytorch")
        onnx.checker.check_model(model)
        path.parent.mkdir(parents=True, exist_ok=True)
        _keep_outside(model, self._weights, path)

    def _product(self, x: str, matrix: str, bias: str) -> Any:
        return self.node("Add", [self.node("MatMul", [x, matrix]), bias])

    def _split(self, x: str, name: str, matrix: NDArray[Any], bias: NDArray[Any], parts: int) -> Any:
        made = self._product(x, self.weight(f"{name}.weight", matrix.T), self.weight(f"{name}.bias", bias))
        lengths = self.weight(f"split_{parts}", np.full(parts, len(bias) // parts))
        return self.node("Split", [made, lengths], outputs=parts, axis=-1)

    def _attention(self, q: str, k: str, v: str, heads: int) -> str:
        return str(self.node("Attention", [q, k, v], q_num_heads=heads, kv_num_heads=heads, is_causal=0))

    def _mlp(self, x: str, name: str) -> str:
        return self.linear(self.node("Gelu", [self.linear(x, f"{name}.fc1")], approximate="tanh"), f"{name}.fc2")


def _keep_outside(model: Any, weights: dict[str, NDArray[Any]], path: Path) -> None:
    """Move the weights to `<stem>.safetensors` beside the graph, which names their places in it."""
    sidecar = path.with_suffix(".safetensors")
    # Whole numbers are targets of Reshape and the like: who infers shapes must see them in the graph.
    save_file({name: values for name, values in weights.items() if values.dtype.kind == "f"}, sidecar)
    with sidecar.open("rb") as file:
        length = int.from_bytes(file.read(_HEADER_LENGTH), "little")
        places = json.loads(file.read(length))
    for tensor in (one for one in model.graph.initializer if one.name in places):
        first, end = places[tensor.name]["data_offsets"]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        entries = {"location": sidecar.name, "offset": _HEADER_LENGTH + length + first, "length": end - first}
        for key, value in entries.items():
            tensor.external_data.add(key=key, value=str(value))
    path.write_bytes(model.SerializeToString())
