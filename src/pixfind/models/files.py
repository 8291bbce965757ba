"""
The files of a model in a folder: three layouts, which files each encoder needs, and whether they are complete.

Owns file names, the two dialects of the configuration and the model's identity.
Must not know how an encoder is run, nor the hub. `hub` downloads the files that it names; the encoders open them.
"""

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from pixfind import errors
from pixfind.models import cache, external_data, onnx_header, vocabulary
from pixfind.storage import disk


class Layout(StrEnum):
    """The layout of a model's files."""

    IMMICH = "immich"
    """visual/ and textual/, with open_clip's configuration, as Immich publishes them"""
    TRANSFORMERS = "transformers"
    """onnx/ beside transformers' own configuration, as transformers.js reads them"""
    TORCH = "torch"
    """both encoders in one safetensors file, as the authors publish them; needs the torch extra"""


@dataclass(frozen=True, slots=True)
class Names:
    """The files of a layout, as paths relative to the model's folder."""

    vision: str
    """the float weights of the image encoder"""
    text: str
    config: str
    preprocessing: str
    tokenizer: str
    tokenizer_config: str


NAMES: Mapping[Layout, Names] = {
    Layout.IMMICH: Names(
        vision="visual/model.onnx",
        text="textual/model.onnx",
        config="config.json",
        preprocessing="visual/preprocess_cfg.json",
        tokenizer="textual/tokenizer.json",
        tokenizer_config="textual/tokenizer_config.json",
    ),
    Layout.TRANSFORMERS: Names(
        vision="onnx/vision_model.onnx",
        text="onnx/text_model.onnx",
        config="config.json",
        preprocessing="preprocessor_config.json",
        tokenizer="tokenizer.json",
        tokenizer_config="tokenizer_config.json",
    ),
    Layout.TORCH: Names(
        vision="model.safetensors",
        text="model.safetensors",
        config="config.json",
        preprocessing="preprocessor_config.json",
        tokenizer="tokenizer.json",
        tokenizer_config="tokenizer_config.json",
    ),
}

HALF_TEXT = "onnx/text_model_fp16.onnx"
"""The text encoder with weights in half precision, as exports for transformers.js publish it beside the float one."""

FIRST_FILES = " or ".join(names.vision for names in NAMES.values())
"""Files of which a model folder must contain one, for messages."""

_LARGE = 32 << 20
"""Bytes from which on a file's hash is cached."""

_PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib")


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model's folder that contains all required files."""

    name: str
    """the name that the user gave: from the model table, OWNER/REPO or a folder"""
    directory: Path
    layout: Layout
    dimension: int
    """numbers in one embedding"""
    hash: str
    """identity of what determines image embeddings (image encoder and preprocessing), hex; empty when the
    image encoder is not on this machine, for example where it only searches"""
    text_file: str = ""
    """the graph of the text encoder where it is not the one of the layout: HALF_TEXT"""

    def path(self, relative: str) -> Path:
        """Return the path of a file of the folder."""
        return self.directory / relative

    @property
    def names(self) -> Names:
        """The files of this layout, with the text encoder that was chosen."""
        return _names(self.layout, self.text_file)

    @property
    def has_half_text(self) -> bool:
        """Whether the weights of the text encoder are in half precision."""
        return self.text_file == HALF_TEXT

    @property
    def pooled_is_projected(self) -> bool:
        """Whether an output called `pooler_output` is the embedding: true for SigLIP, which has no projection."""
        return self.layout is not Layout.IMMICH and self.family == "siglip"

    @property
    def family(self) -> str:
        """The architecture by its name in transformers: clip or siglip; empty where the configuration does not name it."""
        return str(read_json(self.path(self.names.config)).get("model_type", ""))

    @property
    def vision(self) -> Path:
        """The weights of the image encoder."""
        return self.directory / self.names.vision

    @property
    def text(self) -> Path:
        """The weights of the text encoder."""
        return self.directory / self.names.text


def _names(layout: Layout, text_file: str) -> Names:
    return dataclasses.replace(NAMES[layout], text=text_file) if text_file else NAMES[layout]


def needed(layout: Layout, *, text: bool, image: bool, text_file: str = "") -> tuple[str, ...]:
    """Return the files that these encoders require; `text_file` is the graph of another text encoder than that of the layout."""
    names = _names(layout, text_file)
    return (
        names.config,
        *((names.vision, names.preprocessing) if image else ()),
        *((names.text, names.tokenizer) if text else ()),
    )


def wanted(
    layout: Layout, available: Iterable[str], *, text: bool, image: bool, text_file: str = ""
) -> tuple[str, ...]:
    """Return which of the available files to download: the required ones, their external data, and optional ones."""
    names = _names(layout, text_file)
    take = set(needed(layout, text=text, image=image, text_file=text_file))
    beside = [weights for weights, use in ((names.vision, image), (names.text, text)) if use]
    found = set(available)
    take |= {name for name in found if any(name.startswith((f"{w}_data", f"{w}.data")) for w in beside)}
    if text and names.tokenizer_config in found:
        take.add(names.tokenizer_config)
    return tuple(sorted(take))


def layout_of(available: Iterable[str]) -> Layout | None:
    """Return the layout that has files of these names, or None."""
    found = set(available)
    for layout, names in NAMES.items():
        if names.vision in found or names.text in found:
            return layout
    return Layout.TRANSFORMERS if HALF_TEXT in found else None


def inspect(directory: Path, name: str, *, text: bool = False, image: bool = True, text_file: str = "") -> ModelFiles:
    """
    Check a model's folder and return its files; `text_file` is the graph of another text encoder than that of the layout.

    Raises ModelFileMissing, UnsafeModelFile or InvalidModelFile, each naming the file.
    """
    layout = _layout_in(directory)
    lacking = missing(directory, layout, text=text, image=image, text_file=text_file)
    if lacking is not None:
        raise errors.ModelFileMissing(directory=directory, file=lacking)
    config = read_json(directory / NAMES[layout].config)
    return ModelFiles(
        name=name,
        directory=directory,
        layout=layout,
        dimension=_dimension(layout, config, directory),
        hash=_identity(directory, NAMES[layout]),
        text_file=text_file,
    )


def _layout_in(directory: Path) -> Layout:
    if not directory.is_dir():
        raise errors.ModelFileMissing(directory=directory, file="the folder itself")
    layout = layout_of(listed(directory))
    if layout is not None:
        return layout
    refuse_pickles(sorted(directory.rglob("*")))
    raise errors.ModelFileMissing(directory=directory, file=FIRST_FILES)


def listed(directory: Path) -> list[str]:
    """Return the names of the files by which `layout_of` recognises a layout."""
    found = [*directory.glob("*/*.onnx"), *directory.glob("*.safetensors")]
    return [path.relative_to(directory).as_posix() for path in found]


def refuse_pickles(paths: Iterable[Path]) -> None:
    """Raise UnsafeModelFile if there is a pickle among these files of a folder without a usable model."""
    for path in paths:
        if path.suffix in _PICKLES:
            raise errors.UnsafeModelFile(path=path, detail="it is a pickle")


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file; raises InvalidModelFile for anything else."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise errors.InvalidModelFile(path=path, detail=f"it is not readable as JSON ({error})") from error
    if not isinstance(value, dict):
        raise errors.InvalidModelFile(path=path, detail="it does not contain a JSON object")
    return value


def get(config: Mapping[str, Any], key: str, kind: type | tuple[type, ...], path: Path) -> Any:
    """Return config[key]; raises InvalidModelFile when it is absent or of another type."""
    if key not in config:
        raise errors.InvalidModelFile(path=path, detail=f'the key "{key}" is missing')
    value = config[key]
    # bool is an int in Python, never in these files.
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise errors.InvalidModelFile(path=path, detail=f'the key "{key}" has the unusable value {value!r}')
    return value


def _dimension(layout: Layout, config: dict[str, Any], directory: Path) -> int:
    path = directory / NAMES[layout].config
    if layout is Layout.IMMICH:
        return (
            int(get(config, "embed_dim", int, path))
            if "embed_dim" in config
            else _dimension_of_graphs(layout, directory)
        )
    family = get(config, "model_type", str, path)
    if family == "clip":
        # transformers omits values that equal its defaults, which are 512 and 768.
        return int(config.get("projection_dim", 512))
    if family == "siglip":
        return int(config.get("vision_config", {}).get("hidden_size", 768))
    detail = f'the model type "{family}" is not clip or siglip'
    if family == "siglip2":
        # NaFlex: patches with a mask and a shape in place of a square. SigLIP 2 of a fixed size calls itself "siglip".
        detail = 'the model type "siglip2" (NaFlex) takes pictures of any shape, which is not supported; '
        detail += "SigLIP 2 of one size is, for example google/siglip2-base-patch16-256"
    raise errors.InvalidModelFile(path=path, detail=detail)


def _dimension_of_graphs(layout: Layout, directory: Path) -> int:
    """Return the dimension of the graphs' outputs, for a configuration without it."""
    names = NAMES[layout]
    graphs = [directory / name for name in (names.vision, names.text) if (directory / name).is_file()]
    lengths = {shape[-1] for graph in graphs for shape in onnx_header.read(graph).outputs.values() if shape}
    length = lengths.pop() if len(lengths) == 1 else None
    if length is None:
        detail = 'the key "embed_dim" is missing, and the graphs do not give the dimension either'
        raise errors.InvalidModelFile(path=directory / names.config, detail=detail)
    return length


# --- identity -------------------------------------------------------------------------------------


def _identity(directory: Path, names: Names) -> str:
    if not (directory / names.vision).is_file():
        return ""
    parts = weights(directory / names.vision)
    if not all(path.is_file() for path in parts):
        return ""  # An interrupted download.
    digest = hashlib.sha256()
    for path in [*parts, directory / names.preprocessing]:
        if path.is_file():
            digest.update(_sha256(path))
    return digest.hexdigest()[:32]


def text_hash(files: ModelFiles) -> str:
    """Return the identity of what determines text embeddings (text encoder, tokenizer, vocabulary), hex; all of it must be on this machine."""
    names = files.names
    others = (names.config, names.tokenizer, names.tokenizer_config, vocabulary.FILE)
    digest = hashlib.sha256()
    for path in [*weights(files.directory / names.text), *(files.directory / name for name in others)]:
        digest.update(_sha256(path) if path.is_file() else b"-")
    return digest.hexdigest()[:32]


def weights(model: Path) -> list[Path]:
    """Return an ONNX file and its external data: files that it names, and files beside it whose names begin with its own."""
    beside = {path for path in model.parent.glob(f"{model.name}*") if path.is_file()}
    named = {model.parent / name for name in external_files(model)}
    return [model, *sorted((beside | named) - {model})]


def external_files(model: Path) -> tuple[str, ...]:
    """Return the names of a graph's external data, relative to its folder; raises InvalidModelFile."""
    return external_data.locations(model) if model.suffix == ".onnx" else ()


def missing(directory: Path, layout: Layout, *, text: bool, image: bool, text_file: str = "") -> str | None:
    """Return the first required file that is missing, None when the folder is complete; raises InvalidModelFile."""
    for relative in needed(layout, text=text, image=image, text_file=text_file):
        path = directory / relative
        if not path.is_file():
            return relative
        for name in external_files(path):
            if not (path.parent / name).is_file():
                return (path.parent / name).relative_to(directory).as_posix()
    return None


def _sha256(path: Path) -> bytes:
    """Return the hash of a file; for a large one it is cached, because every search and every worker needs it."""
    facts = path.stat()
    if facts.st_size < _LARGE:
        return _hash(path)
    key = f"{path.resolve()}\0{facts.st_size}\0{facts.st_mtime_ns}"
    note = cache.folder("hashes", hashlib.sha256(key.encode()).hexdigest()[:32])
    if note.is_file() and note.stat().st_size == hashlib.sha256().digest_size:
        return note.read_bytes()
    digest = _hash(path)
    # Where the cache is read-only, hashing takes half a second each time.
    with contextlib.suppress(*disk.FAILURES), cache.publishing(note) as temporary:
        (temporary / note.name).write_bytes(digest)
    return digest


def _hash(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
