"""
Make a CLIP or SigLIP 2 model of the real architecture with random weights, in the layouts that users download.

    python -m tools.make_model clip-vit-b32 DIR --seed 0
    python -m tools.make_model siglip2-b32-256 DIR --seed 0 --layout transformers

- immich: what Immich publishes now: one input at a time, float pictures, rows of unit length (its exporter traces one example).
- immich-next: what Immich publishes next (tools/immich_next.py); SigLIP 2 only.
- transformers: what transformers.js reads, with a free batch.

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
from tools import immich_next
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
    "clip-vit-b32-256": Size("clip", 256, 32, 768, 512, 12, 8, 12, 49408, 77, 512),
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
    _LAYOUTS[layout](model, size, directory)


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
    run = _Pooled(model.vision_model) if size.family == "siglip" else model.vision_model
    image = _Tower(run, getattr(model, "visual_projection", None), ["embedding"], unit=True)
    text = _Tower(model.text_model, getattr(model, "text_projection", None), ["embedding"], unit=True)
    pixels, tokens = torch.zeros(1, 3, size.image, size.image), torch.ones(1, size.context, dtype=torch.int32)
    _export(image, pixels, directory / "visual/model.onnx", "image", ["embedding"], free=False)
    _export(text, tokens, directory / "textual/model.onnx", "text", ["embedding"], free=False)
    _write_immich_files(size, directory)


def _write_immich_next(model: nn.Module, size: Size, directory: Path) -> None:
    if size.family != "siglip":
        raise SystemExit("the layout immich-next is made of SigLIP 2 only: use --layout immich")
    weights = {name: values.numpy() for name, values in model.state_dict().items()}
    immich_next.image(weights, size.heads, size.layers, directory / "visual/model.onnx")
    immich_next.text(weights, size.text_heads, size.layers, directory / "textual/model.onnx")
    _write_immich_files(size, directory)


def _write_immich_files(size: Size, directory: Path) -> None:
    _write_json(directory / "visual/preprocess_cfg.json", _open_clip_preprocessing(size))
    _write_json(directory / "config.json", _open_clip_config(size))
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(directory / "reference" / file, directory / "textual" / file)


def _write_transformers(model: nn.Module, size: Size, directory: Path) -> None:
    siglip = ["last_hidden_state", "pooler_output"]
    image = siglip if size.family == "siglip" else ["image_embeds"]
    text = siglip if size.family == "siglip" else ["text_embeds"]
    vision = _Tower(model.vision_model, getattr(model, "visual_projection", None), image)
    pixels, tokens = torch.zeros(2, 3, size.image, size.image), torch.ones(2, size.context, dtype=torch.int64)
    _export(vision, pixels, directory / "onnx/vision_model.onnx", "pixel_values", image)
    textual = _Tower(model.text_model, getattr(model, "text_projection", None), text)
    _export(textual, tokens, directory / "onnx/text_model.onnx", "input_ids", text)
    for file in ("config.json", "preprocessor_config.json", "tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(directory / "reference" / file, directory / file)


_LAYOUTS: dict[str, Callable[[nn.Module, Size, Path], None]] = {
    "immich": _write_immich,
    "immich-next": _write_immich_next,
    "transformers": _write_transformers,
}


class _Tower(nn.Module):
    """One tower with the outputs that a layout names; all but the hidden state are the embedding."""

    def __init__(
        self, run: Callable[[torch.Tensor], Any], project: nn.Module | None, outputs: list[str], *, unit: bool = False
    ) -> None:
        super().__init__()
        self.run, self.project, self.outputs, self.unit = run, project, outputs, unit

    def forward(self, values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        out = self.run(values)
        embedding = out.pooler_output if self.project is None else self.project(out.pooler_output)
        if self.unit:
            embedding = nn.functional.normalize(embedding, dim=-1)
        return tuple(out.last_hidden_state if name == "last_hidden_state" else embedding for name in self.outputs)


class _Pooled(nn.Module):
    """SigLIP's image tower with the pooling written as timm does, from which Immich exports: heads in a length of their own."""

    def __init__(self, tower: Any) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, pixels: torch.Tensor) -> Any:
        head = self.tower.head
        out = self.tower(pixels)
        hidden = out.last_hidden_state
        batch, _, width = hidden.shape
        heads = head.attention.num_heads
        parts = zip(head.attention.in_proj_weight.chunk(3), head.attention.in_proj_bias.chunk(3), strict=True)
        q, k, v = (
            nn.functional.linear(values, *part).reshape(batch, -1, heads, width // heads).transpose(1, 2)
            for values, part in zip((head.probe.expand(batch, -1, -1), hidden, hidden), parts, strict=True)
        )
        looked = torch.softmax(q @ k.transpose(-2, -1) * (width // heads) ** -0.5, dim=-1) @ v
        pooled = head.attention.out_proj(looked.transpose(1, 2).reshape(batch, 1, width))
        out.pooler_output = (pooled + head.mlp(head.layernorm(pooled)))[:, 0]
        return out


def _export(
    tower: nn.Module, example: torch.Tensor, path: Path, name: str, outputs: list[str], *, free: bool = True
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with torch.no_grad():
        torch.onnx.export(
            tower.eval(),
            (example,),
            str(path),
            input_names=[name],
            output_names=outputs,
            dynamic_axes={port: {0: "batch_size"} for port in (name, *outputs)} if free else None,
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
        "resample": 2 if layout == "transformers" and not clip else 3,
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
    parser.add_argument("--layout", choices=sorted(_LAYOUTS), default="immich")
    arguments = parser.parse_args()
    make(arguments.name, arguments.directory, seed=arguments.seed, layout=arguments.layout)
    print(f"{arguments.name} with random weights (seed {arguments.seed}): {arguments.directory}")


if __name__ == "__main__":
    main()
