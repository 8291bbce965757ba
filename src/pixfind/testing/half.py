"""
Text encoders in half precision, as exporters for transformers.js publish them, made from small float ones.
"""

import json
import shutil
import warnings
from pathlib import Path

from pixfind.models import files


def halve(graph: Path, path: Path) -> None:
    """Write a graph with its weights and its arithmetic in half precision; inputs and outputs keep their types."""
    import onnx

    with warnings.catch_warnings():
        # It warns of each small number that half precision cannot hold.
        warnings.simplefilter("ignore")
        from onnxruntime.transformers import float16

        path.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(float16.convert_float_to_float16(onnx.load(graph), keep_io_types=True), path)


def starter_repository(folder: Path, *, turned: bool = False) -> Path:
    """
    Make a repository with the starter's text encoder in half precision and nothing else; returns `folder`.

    `turned` exchanges the numbers of its embeddings, which makes it the text encoder of some other model of the same size.
    """
    starter = Path(files.__file__).with_name("starter")
    folder.mkdir(parents=True)
    shutil.copyfile(starter / "textual/tokenizer.json", folder / "tokenizer.json")
    graph = starter / "textual/model.onnx"
    if turned:
        graph = folder / "turned.onnx"
        _turn(starter / "textual/model.onnx", graph)
    halve(graph, folder / files.HALF_TEXT)
    config = {
        "model_type": "clip",
        "projection_dim": 128,
        "text_config": {"max_position_embeddings": 32, "vocab_size": 1500},
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def _turn(graph: Path, path: Path) -> None:
    import numpy as np
    import onnx

    model = onnx.load(graph)
    (output,) = model.graph.output
    (last,) = [node for node in model.graph.node if output.name in node.output]
    last.output[list(last.output).index(output.name)] = "before"
    order = onnx.numpy_helper.from_array(np.random.default_rng(0).permutation(128), "order")
    model.graph.initializer.append(order)
    model.graph.node.append(onnx.helper.make_node("Gather", ["before", "order"], [output.name], axis=1))
    onnx.save(model, path)
