"""
Make a CLIP or SigLIP 2 model of the real architecture with random weights, in the layouts that users download.

    python -m tools.make_model clip-vit-b32 DIR --seed 0
    python -m tools.make_model siglip2-b32-256 DIR --seed 0 --layout transformers

For tests and benchmarks: the graph, the files and the cost are those of the real model, the answers are not.
Needs the torch extra. Beside the ONNX files it keeps the weights for transformers, as the reference of the parity tests.

Random weights as transformers draws them (0.02 everywhere) give nearly the same embedding for every picture, and then
no comparison of two precisions means anything. So every matrix is drawn with unit gain, and attention is made sharp
enough to look at some patches more than at others. Real models have a few very large activations that random ones lack:
int8 is harder for them, so its agreement must be measured on the user's own model (`pixfind tune` does that).
"""

import argparse
import json
import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import processors
from torch import nn
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer, SiglipConfig, SiglipModel
from transformers.models.siglip2.tokenization_siglip2 import Siglip2Tokenizer

CLIP_MEAN = [0.48145466, 0.4578275, 0.40821073]
CLIP_STD = [0.26862954, 0.26130258, 0.27577711]
SIGLIP_MEAN = SIGLIP_STD = [0.5, 0.5, 0.5]
OPSET = 17
SHARPNESS = 3.0
"""Gain of the query and key matrices."""

WORDS = [
    "a",
    "the",
    "of",
    "on",
    "in",
    "at",
    "with",
    "and",
    "photo",
    "picture",
    "dog",
    "cat",
    "bird",
    "horse",
    "beach",
    "sunset",
    "mountain",
    "snow",
    "forest",
    "tree",
    "lake",
    "sea",
    "sky",
    "city",
    "street",
    "car",
    "train",
    "boat",
    "bicycle",
    "child",
    "woman",
    "man",
    "face",
    "food",
    "cake",
    "fruit",
    "apple",
    "flower",
    "garden",
    "house",
    "red",
    "green",
    "blue",
    "yellow",
    "black",
    "white",
    "small",
    "large",
    "old",
    "young",
    "playing",
    "running",
    "eating",
    "sitting",
    "standing",
    "sleeping",
    "night",
    "day",
    "rain",
    "cloud",
]


@dataclass(frozen=True)
class Size:
    """One architecture."""

    family: str
    image: int
    patch: int
    width: int
    text_width: int
    heads: int
    text_heads: int
    layers: int
    vocabulary: int
    context: int
    dimension: int


SIZES = {
    "clip-vit-b32": Size("clip", 224, 32, 768, 512, 12, 8, 12, 49408, 77, 512),
    "siglip2-b32-256": Size("siglip", 256, 32, 768, 768, 12, 12, 12, 256000, 64, 768),
    "clip-tiny": Size("clip", 32, 8, 48, 32, 4, 4, 2, 768, 16, 24),
    "siglip2-tiny": Size("siglip", 32, 8, 32, 32, 4, 4, 2, 640, 12, 32),
}


def make(name: str, directory: Path, *, seed: int = 0, layout: str = "immich") -> None:
    """Write the model's folder; `reference/` below it is what transformers loads."""
    size = SIZES[name]
    torch.manual_seed(seed)
    model = _model(size).eval()
    with torch.no_grad():
        _draw(model)
    tokenizer = _clip_tokenizer(size) if size.family == "clip" else _siglip_tokenizer(size)
    directory.mkdir(parents=True, exist_ok=True)
    reference = directory / "reference"
    model.save_pretrained(reference)
    tokenizer.save_pretrained(reference)
    _write_json(reference / "preprocessor_config.json", _preprocessor(size, layout))
    (_write_immich if layout == "immich" else _write_transformers)(model, size, directory)


def _model(size: Size) -> nn.Module:
    common: dict[str, Any] = {"num_hidden_layers": size.layers}
    vision = common | {
        "hidden_size": size.width,
        "intermediate_size": 4 * size.width,
        "num_attention_heads": size.heads,
        "image_size": size.image,
        "patch_size": size.patch,
    }
    text = common | {
        "hidden_size": size.text_width,
        "intermediate_size": 4 * size.text_width,
        "num_attention_heads": size.text_heads,
        "vocab_size": size.vocabulary,
        "max_position_embeddings": size.context,
    }
    if size.family == "clip":
        ends = {"bos_token_id": size.vocabulary - 2, "eos_token_id": size.vocabulary - 1, "pad_token_id": 0}
        config = CLIPConfig(text_config=text | ends, vision_config=vision, projection_dim=size.dimension)
        return _build(CLIPModel, config)
    ends = {"bos_token_id": 2, "eos_token_id": 1, "pad_token_id": 0}
    config = SiglipConfig(text_config=text | ends | {"projection_size": size.dimension}, vision_config=vision)
    return _build(SiglipModel, config)


def _build(kind: type[nn.Module], config: Any) -> nn.Module:
    # Plain attention: the fused one exports to a graph that depends on the version of torch.
    config._attn_implementation = "eager"  # noqa: SLF001
    return kind(config)


def _draw(model: nn.Module) -> None:
    for name, parameter in model.named_parameters():
        if parameter.ndim < 2 or "logit" in name:
            continue
        if "embedding" in name and "patch" not in name:
            nn.init.normal_(parameter, std=0.5)
            continue
        fan_in = math.prod(parameter.shape[1:])
        sharp = any(part in name for part in ("q_proj", "k_proj", "in_proj_weight"))
        nn.init.normal_(parameter, std=(math.sqrt(SHARPNESS) if sharp else 1.0) / math.sqrt(fan_in))


# --- tokenizers, built by transformers' own classes so that the files have the real form -------------------------


def _clip_tokenizer(size: Size) -> CLIPTokenizer:
    alphabet = _byte_alphabet()
    tokens = [*alphabet, *(f"{letter}</w>" for letter in alphabet)]
    merges = _merges(tokens, end="</w>")
    return CLIPTokenizer(
        vocab=_vocabulary(tokens, size.vocabulary, last=["<|startoftext|>", "<|endoftext|>"]),
        merges=merges,
        model_max_length=size.context,
    )


def _siglip_tokenizer(size: Size) -> Siglip2Tokenizer:
    specials = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    tokens = [*specials, *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *(chr(c) for c in range(33, 127))]
    merges = _merges(tokens, start="▁")
    tokenizer = Siglip2Tokenizer(
        vocab=_vocabulary(tokens, size.vocabulary, last=[]),
        merges=merges,
        model_max_length=size.context,
        padding_side="right",
    )
    # As in the published file: the end token after the text, none before it.
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="$A <eos>", pair="$A <eos> $B <eos>", special_tokens=[("<eos>", 1)]
    )
    return tokenizer


def _merges(tokens: list[str], *, start: str = "", end: str = "") -> list[tuple[str, str]]:
    """Add every word of WORDS as a chain of merges from its left; `tokens` grows by what they make."""
    merges = []
    for word in WORDS:
        letters = [*([start] if start else []), *word]
        letters[-1] += end
        left = letters[0]
        for right in letters[1:]:
            pair = (left, right)
            left += right
            if left not in tokens:
                tokens.append(left)
                merges.append(pair)
    return merges


def _vocabulary(tokens: list[str], count: int, last: list[str]) -> dict[str, int]:
    assert len(tokens) + len(last) <= count, "the vocabulary is too small for the words"
    filler = [f"<filler_{number}>" for number in range(count - len(tokens) - len(last))]
    return {token: number for number, token in enumerate([*tokens, *filler, *last])}


def _byte_alphabet() -> list[str]:
    """The 256 letters of GPT-2's byte-level alphabet, in CLIP's order."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in plain]
    return [chr(byte) for byte in plain] + [chr(256 + position) for position in range(len(rest))]


# --- layouts ------------------------------------------------------------------------------------------------------


def _write_immich(model: nn.Module, size: Size, directory: Path) -> None:
    _export_image(model, size, directory / "visual/model.onnx", "image", {"embedding": "embedding"})
    _export_text(model, size, directory / "textual/model.onnx", "text", {"embedding": "embedding"}, torch.int32)
    _write_json(directory / "visual/preprocess_cfg.json", _open_clip_preprocessing(size))
    _write_json(directory / "config.json", _open_clip_config(size))
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(directory / "reference" / file, directory / "textual" / file)


def _write_transformers(model: nn.Module, size: Size, directory: Path) -> None:
    siglip = {"last_hidden_state": "last_hidden_state", "pooler_output": "embedding"}
    image = siglip if size.family == "siglip" else {"image_embeds": "embedding"}
    text = siglip if size.family == "siglip" else {"text_embeds": "embedding"}
    _export_image(model, size, directory / "onnx/vision_model.onnx", "pixel_values", image)
    _export_text(model, size, directory / "onnx/text_model.onnx", "input_ids", text, torch.int64)
    for file in ("config.json", "preprocessor_config.json", "tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(directory / "reference" / file, directory / file)


class _Tower(nn.Module):
    """One tower with the outputs that a layout names."""

    def __init__(self, run: Callable[[torch.Tensor], Any], project: nn.Module | None, outputs: dict[str, str]) -> None:
        super().__init__()
        self.run, self.project, self.outputs = run, project, outputs

    def forward(self, values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        out = self.run(values)
        embedding = out.pooler_output if self.project is None else self.project(out.pooler_output)
        made = {"embedding": embedding, "last_hidden_state": out.last_hidden_state}
        return tuple(made[source] for source in self.outputs.values())


def _export_image(model: nn.Module, size: Size, path: Path, name: str, outputs: dict[str, str]) -> None:
    tower = _Tower(model.vision_model, getattr(model, "visual_projection", None), outputs)
    _export(tower, torch.zeros(2, 3, size.image, size.image), path, name, list(outputs))


def _export_text(
    model: nn.Module, size: Size, path: Path, name: str, outputs: dict[str, str], kind: torch.dtype
) -> None:
    tower = _Tower(model.text_model, getattr(model, "text_projection", None), outputs)
    _export(tower, torch.ones(2, size.context, dtype=kind), path, name, list(outputs))


def _export(tower: nn.Module, example: torch.Tensor, path: Path, name: str, outputs: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    free = {port: {0: "batch_size"} for port in (name, *outputs)}
    with torch.no_grad():
        torch.onnx.export(
            tower.eval(),
            (example,),
            str(path),
            input_names=[name],
            output_names=outputs,
            dynamic_axes=free,
            opset_version=OPSET,
            dynamo=False,
        )


def _open_clip_preprocessing(size: Size) -> dict[str, Any]:
    clip = size.family == "clip"
    return {
        "size": [size.image, size.image],
        "mode": "RGB",
        "mean": CLIP_MEAN if clip else SIGLIP_MEAN,
        "std": CLIP_STD if clip else SIGLIP_STD,
        "interpolation": "bicubic",
        "resize_mode": "shortest" if clip else "squash",
        "fill_color": 0,
    }


def _open_clip_config(size: Size) -> dict[str, Any]:
    text: dict[str, Any] = {"context_length": size.context, "vocab_size": size.vocabulary, "width": size.text_width}
    if size.family == "siglip":
        text["tokenizer_kwargs"] = {"clean": "canonicalize"}
    return {
        "embed_dim": size.dimension,
        "vision_cfg": {"image_size": size.image, "patch_size": size.patch, "width": size.width, "layers": size.layers},
        "text_cfg": text | {"heads": size.text_heads, "layers": size.layers},
    }


def _preprocessor(size: Size, layout: str) -> dict[str, Any]:
    clip = size.family == "clip"
    square = {"height": size.image, "width": size.image}
    common = {
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": CLIP_MEAN if clip else SIGLIP_MEAN,
        "image_processor_type": "CLIPImageProcessor" if clip else "SiglipImageProcessor",
        "image_std": CLIP_STD if clip else SIGLIP_STD,
        # Google publishes SigLIP 2 with bilinear (2); open_clip, and so Immich, run it with bicubic (3), as CLIP.
        "resample": 3 if clip or layout == "immich" else 2,
        "rescale_factor": 1 / 255,
        "size": {"shortest_edge": size.image} if clip else square,
    }
    return common | ({"crop_size": square, "do_center_crop": True} if clip else {})


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Make a CLIP-like model with random weights.")
    parser.add_argument("name", choices=sorted(SIZES))
    parser.add_argument("directory", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--layout", choices=("immich", "transformers"), default="immich")
    arguments = parser.parse_args()
    make(arguments.name, arguments.directory, seed=arguments.seed, layout=arguments.layout)
    print(f"{arguments.name} with random weights (seed {arguments.seed}): {arguments.directory}")


if __name__ == "__main__":
    main()
