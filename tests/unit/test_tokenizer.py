import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from pixfind import errors
from pixfind.models import files, tokenizer

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(params=["clip-tiny", "siglip2-tiny"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN / request.param, tmp_path / "model"))


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def opened(folder: Path, context: int | None = None) -> tokenizer.Tokenization:
    return tokenizer.load(files.inspect(folder, "m", text=True), context)


def test_canonical_text_has_no_capitals_no_punctuation_and_single_spaces() -> None:
    assert "a redblue bicycle its night" == tokenizer.canonicalize(
        "  A red/blue_bicycle:\n it's NIGHT!! ".replace("_", " _")
    )
    assert "snow forest" == tokenizer.canonicalize("Snow_forest.")


def test_short_texts_are_padded_and_long_ones_keep_their_end(folder: Path) -> None:
    tokens = opened(folder)

    ids = tokens.encode(["a dog", "dog " * 100]).ids

    assert (2, tokens.context) == ids.shape
    end = ids[0][ids[0] != ids[0][-1]].max() if folder.name == "clip" else ids[1][-1]
    assert end == ids[1][-1]


def test_clip_may_look_at_words_only_and_siglip_at_its_padding_too(folder: Path) -> None:
    made = opened(folder)

    mask = made.encode(["dog"]).mask[0]

    siglip = files.inspect(folder, "m").layout is files.Layout.TRANSFORMERS
    assert (made.context if siglip else 3) == mask.sum()


def test_capitals_do_not_matter(folder: Path) -> None:
    ids = opened(folder).encode(["a DOG on the Beach", "a dog on the beach"]).ids

    assert ids[0].tolist() == ids[1].tolist()


def test_a_tokenizer_with_more_words_than_the_tower_is_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    key = "text_cfg" if "text_cfg" in config else "text_config"
    change(folder / "config.json", **{key: config[key] | {"vocab_size": 100}})

    with pytest.raises(errors.InvalidModelFile, match=r"tokenizer\.json .*100"):
        opened(folder)


def test_a_tower_of_another_length_than_the_configuration_is_refused(folder: Path) -> None:
    with pytest.raises(errors.InvalidModelFile, match="99 tokens"):
        opened(folder, context=99)


def test_a_broken_tokenizer_is_named(folder: Path) -> None:
    path = next(folder.rglob("tokenizer.json"))
    path.write_text("{}")

    with pytest.raises(errors.InvalidModelFile, match=r"tokenizer\.json"):
        opened(folder)


def test_a_padding_token_that_is_no_token_is_refused(folder: Path) -> None:
    change(next(folder.rglob("tokenizer_config.json")), pad_token="<nothing>")  # noqa: S106

    with pytest.raises(errors.InvalidModelFile, match="<nothing>"):
        opened(folder)


def test_an_unknown_cleaning_is_refused(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(GOLDEN / "clip-tiny", tmp_path / "model"))
    config = json.loads((folder / "config.json").read_text())
    change(folder / "config.json", text_cfg=config["text_cfg"] | {"tokenizer_kwargs": {"clean": "shout"}})

    with pytest.raises(errors.InvalidModelFile, match="shout"):
        opened(folder)


@pytest.mark.parametrize("layout", ["clip-tiny", "siglip2-tiny-immich", "siglip2-tiny"])
def test_immich_pads_on_the_right_and_transformers_where_the_file_says(layout: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(GOLDEN / layout, tmp_path / "model"))
    right = opened(folder).encode(["a dog"]).ids[0].tolist()
    change(next(folder.rglob("tokenizer_config.json")), padding_side="left")

    left = opened(folder).encode(["a dog"]).ids[0].tolist()

    if layout == "siglip2-tiny":
        words = [number for number in right if number != right[-1]]
        assert [right[-1]] * (len(right) - len(words)) + words == left
    else:
        assert right == left


def test_transformers_cuts_where_the_file_says(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(GOLDEN / "siglip2-tiny", tmp_path / "model"))
    short, cut = opened(folder).encode(["a dog and a cat", "dog " * 100 + "a cat"]).ids.tolist()
    change(next(folder.rglob("tokenizer_config.json")), truncation_side="left")

    kept = opened(folder).encode(["dog " * 100 + "a cat"]).ids[0].tolist()

    cat = short[short.index(1) - 1]
    assert (cat in kept, cat in cut) == (True, False)
