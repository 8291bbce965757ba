"""
The model table: the models that have a short name, with their source, cost and quality.

Owns names and published figures; a figure that was not published is `None`, never a guess.
Must not know files, downloads or any library that runs a model.
`hub` turns a name into files, `encoders` turns files into a loaded model.
"""

from dataclasses import dataclass

STARTER = "starter"
"""The model inside the package: no network, coarse; for the first run, the demo and the tests."""

DEFAULT = "siglip2-b32-256"
"""The default for real libraries: the quality of much larger models of 2023 at the cost of the smallest one."""


@dataclass(frozen=True, slots=True)
class HalfText:
    """A text encoder of the same checkpoint with weights in half precision, which another repository publishes."""

    repo: str
    """OWNER/REPO on the hub, with the files of the transformers layout"""
    download_bytes: int
    """weights and tokenizer: from the parameter count at 2 bytes each, and the tokenizer's published size"""


@dataclass(frozen=True, slots=True)
class Model:
    """One row of the table."""

    name: str
    repo: str
    """OWNER/REPO on the hub; empty for the starter, which is in the package"""
    revision: str
    """branch, tag or commit on the hub"""
    dimension: int
    """numbers in one embedding"""
    image_size: int
    """side of the square input of the image encoder, pixels"""
    context_length: int
    """tokens in the input of the text encoder"""
    licence: str
    download_bytes: int
    """both encoders and the tokenizer, from the parameter count at 4 bytes each, or those of `half_text` for it; 0 when nothing is downloaded"""
    quality: float | None
    """text-to-image recall on Crossmodal-3600 in English, mean of @1, @5 and @10, percent"""
    quality_source: str
    relative_cost: float
    """time for one image relative to siglip2-b32-256, from the number of operations of the image encoder"""
    summary: str
    half_text: HalfText | None = None
    """what is downloaded by default in place of the text encoder of `repo`"""


_IMMICH = 'Immich\'s documentation, "Searching"'

# Both publishers exported Google's checkpoints; what is known of the files of onnx-community is in docs/reference/models.md.
_TOKENIZER_BYTES = 34_400_000

# Languages that need a language code before the text (NLLB) are not in the table: a search has no such field.
# No commit is pinned by hand: the hub names the commit of the first download, and a library remembers the
# hash of the files themselves, which covers folders and mirrors too. A new library follows the branch, so it may get the
# layout that the publisher has announced for it; both are read and tested (docs/reference/models.md).
TABLE: tuple[Model, ...] = (
    Model(
        name=STARTER,
        repo="",
        revision="",
        dimension=128,
        image_size=80,
        context_length=32,
        licence="Apache-2.0",
        download_bytes=0,
        quality=None,
        quality_source="trained by this project; see its card.json",
        relative_cost=0.01,
        summary="in the package, no network, coarse: for a first look",
    ),
    Model(
        name="siglip2-b32-256",
        repo="immich-app/ViT-B-32-SigLIP2-256__webli",
        revision="main",
        dimension=768,
        image_size=256,
        context_length=64,
        licence="Apache-2.0",
        download_bytes=980_000_000,
        quality=73.15,
        quality_source=_IMMICH,
        relative_cost=1.0,
        summary="the default: good in English, fair in many languages, fast",
        half_text=HalfText("onnx-community/siglip2-base-patch32-256-ONNX", 565_000_000 + _TOKENIZER_BYTES),
    ),
    Model(
        name="siglip2-b16-224",
        repo="immich-app/ViT-B-16-SigLIP2__webli",
        revision="main",
        dimension=768,
        image_size=224,
        context_length=64,
        licence="Apache-2.0",
        download_bytes=970_000_000,
        quality=75.19,
        quality_source=_IMMICH,
        relative_cost=3.0,
        summary="better answers at three times the time",
        half_text=HalfText("onnx-community/siglip2-base-patch16-224-ONNX", 565_000_000 + _TOKENIZER_BYTES),
    ),
    Model(
        name="siglip2-l16-256",
        repo="immich-app/ViT-L-16-SigLIP2-256__webli",
        revision="main",
        dimension=1024,
        image_size=256,
        context_length=64,
        licence="Apache-2.0",
        download_bytes=2_430_000_000,
        quality=74.26,
        quality_source=_IMMICH,
        relative_cost=14.0,
        summary="large; for machines with a GPU",
        half_text=HalfText("onnx-community/siglip2-large-patch16-256-ONNX", 1_132_000_000 + _TOKENIZER_BYTES),
    ),
    Model(
        name="clip-vit-b32",
        repo="immich-app/ViT-B-32__laion2b-s34b-b79k",
        revision="main",
        dimension=512,
        image_size=224,
        context_length=77,
        licence="MIT",
        download_bytes=610_000_000,
        quality=68.78,
        quality_source=_IMMICH,
        relative_cost=0.77,
        summary="small download and least memory; English only",
    ),
    Model(
        name="clip-vit-b32-openai",
        repo="immich-app/ViT-B-32__openai",
        revision="main",
        dimension=512,
        image_size=224,
        context_length=77,
        licence="MIT",
        download_bytes=610_000_000,
        quality=59.37,
        quality_source=_IMMICH,
        relative_cost=0.77,
        summary="the first CLIP; to compare with older collections",
    ),
    Model(
        name="xlm-roberta-vit-b32",
        repo="immich-app/XLM-Roberta-Base-ViT-B-32__laion5b_s13b_b90k",
        revision="main",
        dimension=512,
        image_size=224,
        context_length=77,
        licence="MIT",
        download_bytes=1_460_000_000,
        quality=68.33,
        quality_source=_IMMICH,
        relative_cost=0.77,
        summary="multilingual; strong in Chinese",
    ),
)


def find(name: str) -> Model | None:
    """Return the row of that name, or None."""
    return next((model for model in TABLE if model.name == name), None)


def names() -> str:
    """Return all names, for messages."""
    return ", ".join(model.name for model in TABLE)
