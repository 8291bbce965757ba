"""
From texts to the tokens of a text encoder.

Owns the `tokenizers` library and the rules of cleaning, padding and truncation, which come from the model's own files.
Must not know the encoder: `open_text_encoder` checks that the ids are valid for it.
"""

import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pixfind import errors
from pixfind.models.files import Layout, ModelFiles, get, read_json

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
# transformers omits values that equal its defaults.
_TRANSFORMERS_CONTEXT = {"clip": 77, "siglip": 64}


def collapse(text: str) -> str:
    """Return the text with every run of white space replaced by one space."""
    return " ".join(text.split())


def canonicalize(text: str) -> str:
    """Return the text as SigLIP's training cleaned it: no punctuation, lower case, single spaces."""
    return collapse(text.replace("_", " ").translate(_NO_PUNCTUATION).lower())


@dataclass(frozen=True, slots=True)
class Tokens:
    """A batch for a text encoder."""

    ids: NDArray[np.int64]
    """[n, context]"""
    mask: NDArray[np.int64]
    """[n, context], 1 for tokens that the encoder may attend to"""


class Tokenization:
    """A loaded tokenizer with the model's rules around it. Thread-safe."""

    def __init__(self, tokenizer: "Tokenizer", clean: Callable[[str], str], context: int, *, masks: bool) -> None:
        self.context = context
        self._tokenizer = tokenizer
        self._clean = clean
        self._masks = masks

    @property
    def largest_id(self) -> int:
        """The highest token id of the vocabulary."""
        return int(self._tokenizer.get_vocab_size()) - 1

    def encode(self, texts: Sequence[str]) -> Tokens:
        """Return [n, context] ids, padded and truncated as the model was trained."""
        found = self._tokenizer.encode_batch([self._clean(text) for text in texts])
        ids = np.array([encoding.ids for encoding in found], dtype=np.int64).reshape(-1, self.context)
        mask = np.array([encoding.attention_mask for encoding in found], dtype=np.int64).reshape(ids.shape)
        return Tokens(ids=ids, mask=mask if self._masks else np.ones_like(ids))


def load(files: ModelFiles, context: int | None) -> Tokenization:
    """
    Open the model's tokenizer.

    `context` is the number of tokens where the text encoder fixes it, None where it does not.
    Raises InvalidModelFile when the files contradict each other or are incomplete.
    """
    from tokenizers import Tokenizer

    path = files.path(files.names.tokenizer)
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing narrower
        raise errors.InvalidModelFile(path=path, detail=f"it is not a tokenizer ({error})") from error
    rules = _rules(files)
    length = _agree(files, context, rules.context)
    _fit(files, tokenizer, length)
    _check_vocabulary(files, tokenizer, rules.vocabulary)
    return Tokenization(tokenizer, rules.clean, length, masks=rules.masks)


@dataclass(frozen=True, slots=True)
class _Rules:
    context: int | None
    vocabulary: int | None
    clean: Callable[[str], str]
    masks: bool
    """False: the encoder was trained to look at its padding"""


def _rules(files: ModelFiles) -> _Rules:
    path = files.path(files.names.config)
    config = read_json(path)
    if files.layout is not Layout.IMMICH:
        return _transformers_rules(files, config)
    text = get(config, "text_cfg", dict, path)
    clean = text.get("tokenizer_kwargs", {}).get("clean", "whitespace")
    if clean not in {"whitespace", "lower", "canonicalize"}:
        raise errors.InvalidModelFile(path=path, detail=f'the cleaning "{clean}" is not known')
    cleaners = {"whitespace": collapse, "lower": lambda t: collapse(t).lower(), "canonicalize": canonicalize}
    return _Rules(text.get("context_length"), text.get("vocab_size"), cleaners[clean], masks=True)


def _transformers_rules(files: ModelFiles, config: dict[str, Any]) -> _Rules:
    family, text = config["model_type"], config.get("text_config", {})
    kind = _tokenizer_config(files).get("tokenizer_class", "")
    clean: Callable[[str], str] = str
    if family == "siglip":
        # SigLIP 2 was trained on lower case; its published tokenizer leaves that to the caller.
        clean = canonicalize if kind.startswith("SiglipTokenizer") else str.lower
    return _Rules(
        context=text.get("max_position_embeddings", _TRANSFORMERS_CONTEXT[family]),
        vocabulary=text.get("vocab_size"),
        clean=clean,
        masks=family != "siglip",
    )


def _agree(files: ModelFiles, tower: int | None, config: int | None) -> int:
    length = tower or config
    if length is None:
        path = files.path(files.names.config)
        raise errors.InvalidModelFile(path=path, detail="neither it nor the text encoder gives the number of tokens")
    if tower and config and tower != config:
        detail = f"it takes {tower} tokens where config.json says {config}"
        raise errors.InvalidModelFile(path=files.text, detail=detail)
    return int(length)


def _tokenizer_config(files: ModelFiles) -> dict[str, Any]:
    path = files.path(files.names.tokenizer_config)
    return read_json(path) if path.is_file() else {}


def _fit(files: ModelFiles, tokenizer: "Tokenizer", length: int) -> None:
    """Pad and truncate as the reference implementation of the layout does."""
    config, own = _tokenizer_config(files), tokenizer.padding or {}
    token = config.get("pad_token", own.get("pad_token"))
    if isinstance(token, dict):
        token = token.get("content")
    number = None if token is None else tokenizer.token_to_id(token)
    if number is None:
        path = files.path(files.names.tokenizer)
        raise errors.InvalidModelFile(path=path, detail=f"its padding token {token!r} is not in its vocabulary")
    padding = truncation = "right"
    if files.layout is not Layout.IMMICH:
        # Immich takes the token from here and nothing else; transformers takes the sides too.
        padding = config.get("padding_side", own.get("direction", "right"))
        truncation = config.get("truncation_side", "right")
    tokenizer.enable_padding(direction=padding, pad_id=number, pad_token=token, length=length)
    tokenizer.enable_truncation(max_length=length, direction=truncation)


def _check_vocabulary(files: ModelFiles, tokenizer: "Tokenizer", expected: int | None) -> None:
    size = tokenizer.get_vocab_size()
    if expected is not None and size > expected:
        detail = f"it has {size} tokens, but the text encoder of this model has {expected}"
        raise errors.InvalidModelFile(path=files.path(files.names.tokenizer), detail=detail)
