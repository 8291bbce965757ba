"""
The files of a model in a folder: three layouts, what each tower needs, and whether it is all there and fits.

Owns file names, the two JSON dialects and the model's identity.
Must not know how a tower is run, nor the hub. `hub` asks it what to fetch; the encoders open what it found.
"""

import contextlib
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
    """How a model's files are laid out."""

    IMMICH = "immich"
    """visual/ and textual/, with open_clip's configuration, as Immich publishes them"""
    TRANSFORMERS = "transformers"
    """onnx/ beside transformers' own configuration, as transformers.js reads them"""
    TORCH = "torch"
    """both towers in one safetensors file, as the authors publish them; needs the torch extra"""


@dataclass(frozen=True, slots=True)
class Names:
    """Where a layout keeps what; paths relative to the model's folder."""

    vision: str
    """the float weights of the image tower"""
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

FIRST_FILES = " or ".join(names.vision for names in NAMES.values())
"""What a folder must have for its layout to be known, for messages."""

_LARGE = 32 << 20
"""Bytes above which a file's hash is remembered."""

_PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib")


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model's folder that was looked through and found usable."""

    name: str
    """what the user called it: a name of the table, OWNER/REPO or a folder"""
    directory: Path
    layout: Layout
    dimension: int
    """numbers in one embedding"""
    hash: str
    """identity of what makes image embeddings (image tower and preprocessing), hex; empty when the
    image tower is not on this machine, as on a machine that only searches"""

    def path(self, relative: str) -> Path:
        """Return the path of a file of the folder."""
        return self.directory / relative

    @property
    def names(self) -> Names:
        return NAMES[self.layout]

    @property
    def pooled_is_projected(self) -> bool:
        """Whether an output called `pooler_output` is the embedding: so in SigLIP, which has no projection."""
        return self.layout is not Layout.IMMICH and self.family == "siglip"

    @property
    def family(self) -> str:
        """The architecture by its name in transformers: clip or siglip; empty where the layout does not say it."""
        return str(read_json(self.path(self.names.config)).get("model_type", ""))

    @property
    def vision(self) -> Path:
        return self.directory / self.names.vision

    @property
    def text(self) -> Path:
        return self.directory / self.names.text


def needed(layout: Layout, *, text: bool, image: bool) -> tuple[str, ...]:
    """Return the files that must be there for these towers."""
    names = NAMES[layout]
    return (
        names.config,
        *((names.vision, names.preprocessing) if image else ()),
        *((names.text, names.tokenizer) if text else ()),
    )


def wanted(layout: Layout, available: Iterable[str], *, text: bool, image: bool) -> tuple[str, ...]:
    """Return what to fetch of the available files: the needed ones and what may lie beside them."""
    names = NAMES[layout]
    take = set(needed(layout, text=text, image=image))
    beside = [weights for weights, use in ((names.vision, image), (names.text, text)) if use]
    found = set(available)
    take |= {name for name in found if any(name.startswith((f"{w}_data", f"{w}.data")) for w in beside)}
    if text and names.tokenizer_config in found:
        take.add(names.tokenizer_config)
    return tuple(sorted(take))


def layout_of(available: Iterable[str]) -> Layout | None:
    """Tell the layout from the names of the files, or None."""
    found = set(available)
    for layout, names in NAMES.items():
        if names.vision in found or names.text in found:
            return layout
    return None


def inspect(directory: Path, name: str, *, text: bool = False, image: bool = True) -> ModelFiles:
    """
    Look through a model's folder.

    Raises ModelFileMissing, UnsafeModelFile or ModelFileWrong, each naming the file.
    """
    layout = _layout_in(directory)
    lacking = missing(directory, layout, text=text, image=image)
    if lacking is not None:
        raise errors.ModelFileMissing(directory=directory, file=lacking)
    config = read_json(directory / NAMES[layout].config)
    return ModelFiles(
        name=name,
        directory=directory,
        layout=layout,
        dimension=_dimension(layout, config, directory),
        hash=_identity(directory, NAMES[layout]),
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
    """Return the names of the files that tell a layout."""
    found = [*directory.glob("*/*.onnx"), *directory.glob("*.safetensors")]
    return [path.relative_to(directory).as_posix() for path in found]


def refuse_pickles(paths: Iterable[Path]) -> None:
    """Say of a folder without a usable model that it holds one that we will not load; raises UnsafeModelFile."""
    for path in paths:
        if path.suffix in _PICKLES:
            raise errors.UnsafeModelFile(path=path, detail="it is a pickle")


def read_json(path: Path) -> dict[str, Any]:
    """Read one object; raises ModelFileWrong for anything else."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise errors.ModelFileWrong(path=path, detail=f"it is not readable as JSON ({error})") from error
    if not isinstance(value, dict):
        raise errors.ModelFileWrong(path=path, detail="it does not hold a JSON object")
    return value


def get(config: Mapping[str, Any], key: str, kind: type | tuple[type, ...], path: Path) -> Any:
    """Return config[key]; raises ModelFileWrong when it is absent or of another type."""
    if key not in config:
        raise errors.ModelFileWrong(path=path, detail=f'the key "{key}" is missing')
    value = config[key]
    # bool is an int in Python, never in these files.
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise errors.ModelFileWrong(path=path, detail=f'the key "{key}" has the unusable value {value!r}')
    return value


def _dimension(layout: Layout, config: dict[str, Any], directory: Path) -> int:
    path = directory / NAMES[layout].config
    if layout is Layout.IMMICH:
        return int(get(config, "embed_dim", int, path)) if "embed_dim" in config else _made(layout, directory)
    family = get(config, "model_type", str, path)
    if family == "clip":
        # transformers writes only what differs from its defaults; 512 and 768 are those.
        return int(config.get("projection_dim", 512))
    if family == "siglip":
        return int(config.get("vision_config", {}).get("hidden_size", 768))
    detail = f'the model type "{family}" is not clip or siglip'
    if family == "siglip2":
        # NaFlex: patches with a mask and a shape in place of a square. SigLIP 2 of a fixed size calls itself "siglip".
        detail = 'the model type "siglip2" (NaFlex) takes pictures of any shape, which is not supported; '
        detail += "SigLIP 2 of one size is, for example google/siglip2-base-patch16-256"
    raise errors.ModelFileWrong(path=path, detail=detail)


def _made(layout: Layout, directory: Path) -> int:
    """Return the dimension that the graphs that are here give, for a configuration that does not say it."""
    names = NAMES[layout]
    graphs = [directory / name for name in (names.vision, names.text) if (directory / name).is_file()]
    lengths = {shape[-1] for graph in graphs for shape in onnx_header.read(graph).outputs.values() if shape}
    length = lengths.pop() if len(lengths) == 1 else None
    if length is None:
        detail = 'the key "embed_dim" is missing, and the graphs do not say it either'
        raise errors.ModelFileWrong(path=directory / names.config, detail=detail)
    return length


# --- identity -------------------------------------------------------------------------------------


def _identity(directory: Path, names: Names) -> str:
    if not (directory / names.vision).is_file():
        return ""
    parts = weights(directory / names.vision)
    if not all(path.is_file() for path in parts):
        return ""  # A download that was cut: half a tower is none.
    digest = hashlib.sha256()
    for path in [*parts, directory / names.preprocessing]:
        if path.is_file():
            digest.update(_sha256(path))
    return digest.hexdigest()[:32]


def text_hash(files: ModelFiles) -> str:
    """Return the identity of what makes text embeddings (text encoder, tokenizer, list of words), hex; all of it must be on this machine."""
    names = files.names
    others = (names.config, names.tokenizer, names.tokenizer_config, vocabulary.FILE)
    digest = hashlib.sha256()
    for path in [*weights(files.directory / names.text), *(files.directory / name for name in others)]:
        digest.update(_sha256(path) if path.is_file() else b"-")
    return digest.hexdigest()[:32]


def weights(model: Path) -> list[Path]:
    """Return an ONNX file and its external data: what it names, and what lies beside it under its name."""
    beside = {path for path in model.parent.glob(f"{model.name}*") if path.is_file()}
    named = {model.parent / name for name in external_files(model)}
    return [model, *sorted((beside | named) - {model})]


def external_files(model: Path) -> tuple[str, ...]:
    """Return the names of a graph's external data, relative to its folder; raises ModelFileWrong."""
    return external_data.locations(model) if model.suffix == ".onnx" else ()


def missing(directory: Path, layout: Layout, *, text: bool, image: bool) -> str | None:
    """Return the first file that these towers need and the folder lacks, None when it lacks none; raises ModelFileWrong."""
    for relative in needed(layout, text=text, image=image):
        path = directory / relative
        if not path.is_file():
            return relative
        for name in external_files(path):
            if not (path.parent / name).is_file():
                return (path.parent / name).relative_to(directory).as_posix()
    return None


def _sha256(path: Path) -> bytes:
    """Hash a file; for a large one the answer is kept, because every search and every worker asks."""
    facts = path.stat()
    if facts.st_size < _LARGE:
        return _hash(path)
    key = f"{path.resolve()}\0{facts.st_size}\0{facts.st_mtime_ns}"
    note = cache.folder("hashes", hashlib.sha256(key.encode()).hexdigest()[:32])
    if note.is_file() and note.stat().st_size == hashlib.sha256().digest_size:
        return note.read_bytes()
    digest = _hash(path)
    # A read-only home costs half a second each time, nothing else.
    with contextlib.suppress(*disk.FAILURES), cache.publishing(note) as temporary:
        (temporary / note.name).write_bytes(digest)
    return digest


def _hash(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
