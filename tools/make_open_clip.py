"""
Make tiny graphs with open_clip itself, exported as Immich exports them: to test that their fixed batch can be freed.

    python -m tools.make_open_clip tests/golden/open_clip

Needs `pip install open_clip_torch timm onnxscript` beside the torch extra. Both of torch's exporters are used, because the published
graphs do not say which of them made them. Run it again only for another architecture or exporter.
"""

import argparse
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import onnx
import open_clip.timm_model
import torch
from open_clip.model import CLIP, CustomTextCLIP
from torch import nn

OPSET = {False: 17, True: 18}
TEXT = {"context_length": 12, "vocab_size": 64, "width": 16, "heads": 2, "layers": 1}
CONFIGS: dict[str, dict[str, Any]] = {
    # As ViT-B-32 and ViT-B-32-SigLIP2-256 of open_clip, smaller.
    "clip": {
        "embed_dim": 8,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 16, "head_width": 8, "patch_size": 16},
        "text_cfg": TEXT,
    },
    "siglip2": {
        "embed_dim": 16,
        "init_logit_bias": -10,
        "vision_cfg": {
            "image_size": 32,
            "timm_model_name": "vit_base_patch32_siglip_256",
            "timm_pool": "map",
            "timm_proj": "none",
        },
        "text_cfg": TEXT
        | {
            "no_causal_mask": True,
            "proj_bias": True,
            "pool_type": "last",
            "norm_kwargs": {"eps": 1e-6},
            "act_kwargs": {"approximate": "tanh"},
        },
    },
}
SMALLER = {"img_size": 32, "embed_dim": 16, "depth": 1, "num_heads": 2, "patch_size": 16}


class _Encode(nn.Module):
    """One of the two encoders as a module, with rows of unit length."""

    def __init__(self, model: nn.Module, encode: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        self.model, self.encode = model, encode

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return self.encode(values, normalize=True)


def _model(name: str) -> nn.Module:
    torch.manual_seed(0)
    created = open_clip.timm_model.timm.create_model
    open_clip.timm_model.timm.create_model = partial(created, **SMALLER)
    try:
        model = (CLIP if name == "clip" else CustomTextCLIP)(**CONFIGS[name]).eval()
    finally:
        open_clip.timm_model.timm.create_model = created
    for parameter in model.parameters():
        parameter.requires_grad_(requires_grad=False)
        if parameter.ndim > 1:
            # As they are drawn for training, all inputs get nearly the same embedding.
            nn.init.normal_(parameter, std=0.5)
    return model


def _export(name: str, directory: Path, *, dynamo: bool) -> None:
    model = _model(name)
    pixels, tokens = torch.randn(1, 3, 32, 32), torch.ones(1, TEXT["context_length"], dtype=torch.int32)
    for tower, encode, example, port in (
        ("visual", model.encode_image, pixels, "image"),
        ("textual", model.encode_text, tokens, "text"),
    ):
        path = directory / f"{name}-{tower}-{'dynamo' if dynamo else 'traced'}.onnx"
        torch.onnx.export(
            _Encode(model, encode),
            (example,),
            str(path),
            input_names=[port],
            # With the newer exporter a text tower has a value called "embedding" inside.
            output_names=[f"{port}_embedding" if dynamo else "embedding"],
            opset_version=OPSET[dynamo],
            dynamo=dynamo,
            **({"external_data": False} if dynamo else {}),
        )

        _strip(path)


def _strip(path: Path) -> None:
    """Leave out where in the code each node was made."""
    model = onnx.load(path)
    for part in (model.graph, *model.graph.node, *model.graph.initializer, *model.graph.value_info):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    onnx.save(model, path)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Make tiny graphs with open_clip.")
    parser.add_argument("directory", type=Path)
    directory: Path = parser.parse_args().directory
    directory.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    torch.backends.mha.set_fastpath_enabled(False)
    for name in CONFIGS:
        for dynamo in (False, True):
            _export(name, directory, dynamo=dynamo)
    print(f"graphs of open_clip {open_clip.__version__}, torch {torch.__version__}: {directory}")


if __name__ == "__main__":
    main()
