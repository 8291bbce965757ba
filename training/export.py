"""
Export: the towers as the files of a model folder.

Owns the layout of that folder: two ONNX graphs, tokenizer, preprocessing, vocabulary, card. Weights are stored as float16
and widened when loaded: half the size, and answers that differ in the fourth digit.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer

from training import lexicon
from training.model import CONTEXT, DIMENSION, SIDE, Towers

STORED_WHOLE = 256


def write_model(folder: Path, towers: Towers, tokenizer: Tokenizer, made: dict[str, Any]) -> None:
    """Write every file of the model, the card last."""
    (folder / "visual").mkdir(parents=True, exist_ok=True)
    (folder / "textual").mkdir(exist_ok=True)
    image = torch.zeros(2, 3, SIDE, SIDE)
    text = torch.ones(2, CONTEXT, dtype=torch.int32)
    _graph(towers.image, image, folder / "visual" / "model.onnx", "image")
    _graph(towers.text, text, folder / "textual" / "model.onnx", "text")
    tokenizer.save(str(folder / "textual" / "tokenizer.json"), pretty=False)
    _json(folder / "visual" / "preprocess_cfg.json", {
        "size": [SIDE, SIDE], "mode": "RGB", "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25],
        "interpolation": "bilinear", "resize_mode": "squash", "fill_color": 0,
    })  # fmt: skip
    _json(folder / "config.json", {
        "embed_dim": DIMENSION, "vision_cfg": {"image_size": SIDE},
        "text_cfg": {"context_length": CONTEXT, "vocab_size": tokenizer.get_vocab_size()},
    })  # fmt: skip
    (folder / "vocabulary.txt").write_text(vocabulary())
    write_card(folder, {"made": made})


def vocabulary() -> str:
    """The known words, and after `!` the words that look like them and are others."""
    head = [
        "# Words that this model knows, one a line. A query is unknown when none of its words is known.",
        "# Known also: a listed word with or without a plural ending; and a word of five letters or more that is one slip",
        "# (a letter lost, added, changed, or two swapped) from a listed word of five or more with the same first letter,",
        "# unless it stands below after an exclamation mark: those are words of their own.",
    ]
    return "\n".join([*head, *sorted(lexicon.listed_words()), *(f"!{word}" for word in lexicon.other_words())]) + "\n"


def write_card(folder: Path, news: dict[str, Any]) -> None:
    """Bring the card up to date: what is new, and the hashes of all other files."""
    path = folder / "card.json"
    card = json.loads(path.read_text()) if path.exists() else {}
    card.update(CARD)
    card.update(news)
    card["training_code"] = code_hash()
    card["files"] = {
        str(file.relative_to(folder)): {
            "bytes": file.stat().st_size,
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        }
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name not in ("card.json", "__init__.py") and file.suffix != ".pyc"
    }
    _json(path, card)


CARD: dict[str, Any] = {
    "name": "starter",
    "for": "trying pixfind, its demo and its tests without any network: colours, light and outdoor scenes",
    "not_for": "objects, animals, people, faces, reading, counting; a real library deserves a real model",
    "trained_on": "pictures that this repository draws (training/scenes.py); no photograph, caption or weight of anyone else",
    "licence": "the same as pixfind",
    "knows": [
        "colours",
        "sky and weather",
        "times of day",
        "water and shores",
        "land and plants",
        "towns",
        "fire",
        "flat shapes",
        "patterns",
    ],
    "vocabulary": "vocabulary.txt",
    "limits": [
        "English words only, about three hundred of them",
        "embeds pictures squashed to 80 pixels, so small things are lost",
        "learnt from drawings: on photographs it is far coarser than on drawn pictures",
    ],
}


def code_hash() -> str:
    """One hash over the code that shapes the model: painters, scenes, facts, words, towers, training."""
    here = Path(__file__).parent
    apart = {"__init__.py", "evaluate.py", "export.py", "precisions.py", "collection.py"}
    every = [*here.glob("*.py"), *(here.parent / "src" / "pixfind" / "demo").glob("*.py")]
    files = sorted(file for file in every if file.name not in apart)
    total = hashlib.sha256()
    for file in files:
        total.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return total.hexdigest()


def _json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")


def _graph(tower: torch.nn.Module, example: torch.Tensor, path: Path, name: str) -> None:
    torch.onnx.export(
        tower, (example,), str(path), input_names=[name], output_names=["embedding"], opset_version=17, dynamo=False,
        dynamic_axes={name: {0: "batch"}, "embedding": {0: "batch"}},
    )  # fmt: skip
    model = onnx.load(path)
    _halve(model)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _halve(model: onnx.ModelProto) -> None:
    """Store large weights as float16, each widened by a Cast that runtimes fold away when they load."""
    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < STORED_WHOLE:
            continue
        wide, narrow = tensor.name, tensor.name + ".half"
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), narrow))
        casts.append(helper.make_node("Cast", [narrow], [wide], to=TensorProto.FLOAT))
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*casts, *nodes])
