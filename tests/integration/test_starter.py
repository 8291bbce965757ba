"""
The starter model in the package finds what the demo collection shows, and knows what it does not know.

Opened here with nothing but onnxruntime and tokenizers: the files alone keep these promises, whatever the encoders do.
"""

import hashlib
import json
import re
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image, ImageDraw
from tokenizers import Tokenizer

from pixfind import demo

FOLDER = Path(str(resources.files("pixfind.models.starter")))
SIZE = (160, 120)
EACH = 5
COLOURS = {
    "red": (217, 23, 23),
    "orange": (247, 135, 18),
    "yellow": (250, 224, 31),
    "green": (31, 153, 46),
    "blue": (26, 64, 212),
    "purple": (125, 36, 173),
    "pink": (250, 120, 179),
    "black": (10, 10, 10),
    "white": (250, 250, 250),
}


class Starter:
    """The two towers, the tokenizer and the list of known words."""

    def __init__(self) -> None:
        self.visual = onnxruntime.InferenceSession(str(FOLDER / "visual" / "model.onnx"))
        self.textual = onnxruntime.InferenceSession(str(FOLDER / "textual" / "model.onnx"))
        self.tokenizer = Tokenizer.from_file(str(FOLDER / "textual" / "tokenizer.json"))
        self.preparation = json.loads((FOLDER / "visual" / "preprocess_cfg.json").read_text())
        lines = (FOLDER / "vocabulary.txt").read_text().splitlines()
        self.known = {line for line in lines if line and line[0] not in "#!"}
        self.others = {line[1:] for line in lines if line.startswith("!")}

    def images(self, pictures: list[Image.Image]) -> np.ndarray:
        height, width = self.preparation["size"]
        small = [np.asarray(p.resize((width, height), Image.Resampling.BILINEAR), np.float32) / 255 for p in pictures]
        mean, std = (np.array(self.preparation[key], np.float32) for key in ("mean", "std"))
        batch = np.ascontiguousarray(((np.stack(small) - mean) / std).transpose(0, 3, 1, 2))
        return unit(self.visual.run(None, {"image": batch})[0])

    def text(self, query: str) -> np.ndarray:
        ids = np.array([self.tokenizer.encode(query).ids], np.int32)
        return unit(self.textual.run(None, {"text": ids})[0])[0]

    def knows(self, query: str) -> bool:
        """The rule that stands at the head of vocabulary.txt."""
        return any(self._knows_word(word) for word in re.findall(r"[a-z]+", query.lower()))

    def _knows_word(self, word: str) -> bool:
        if self.known & {word, word.removesuffix("s"), word.removesuffix("es"), word + "s"}:
            return True
        long = len(word) >= 5 and word not in self.others
        return long and any(len(w) >= 5 and w[0] == word[0] and one_slip(word, w) for w in self.known)


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def one_slip(one: str, other: str) -> bool:
    if abs(len(one) - len(other)) > 1:
        return False
    start = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    a, b = one[start:], other[start:]
    return a[1:] == b[1:] or a[1:] == b or a == b[1:] or (len(a) > 1 and a[1] + a[0] + a[2:] == b)


@cache
def starter() -> Starter:
    return Starter()


@cache
def collection() -> tuple[tuple[str, ...], np.ndarray]:
    """A few pictures of every kind of the demo, and their embeddings."""
    names = tuple(kind for kind in sorted(demo.KINDS) for _ in range(EACH))
    pictures = [demo.draw(name, np.random.default_rng([9, index]), SIZE) for index, name in enumerate(names)]
    return names, starter().images(pictures)


def best(query: str, count: int) -> list[str]:
    names, embeddings = collection()
    return [names[index] for index in np.argsort(-(embeddings @ starter().text(query)))[:count]]


@pytest.mark.parametrize(
    ("query", "kinds"),
    [
        (
            "sunset",
            {"sunset-sea", "sunset-mountains", "sunset-meadow", "city-sunset", "sunrise-lake", "desert", "balloons"},
        ),
        ("snow", {"winter-mountains", "winter-forest", "winter-cabin", "lake", "mountains"}),
        ("forest", {"forest", "autumn-forest", "autumn-trees"}),
        ("autumn forest", {"autumn-forest", "autumn-trees"}),
        ("beach", {"beach"}),
        ("flowers", {"flower", "bouquet", "flower-meadow"}),
        ("city", {"city-day", "city-night", "city-sunset", "fireworks"}),
        ("night", {"city-night", "starry-night", "aurora", "fireworks"}),
        (
            "water",
            {"beach", "sailing", "lighthouse", "lake", "autumn-lake", "sunset-sea", "sunrise-lake", "starry-night"},
        ),
    ],
)
def test_a_word_for_a_scene_finds_that_scene_first(query: str, kinds: set[str]) -> None:
    found = best(query, 10 if query != "beach" else 5)

    assert sum(kind in kinds for kind in found) >= 0.8 * len(found), found


@pytest.mark.parametrize(("query", "kind"), [("balloons", "balloons"), ("rainbow", "rainbow")])
def test_a_word_for_one_kind_finds_mostly_that_kind(query: str, kind: str) -> None:
    assert best(query, EACH).count(kind) >= EACH - 2


def test_sky_is_found_where_sky_is_visible() -> None:
    """No close flower and no forest's inside comes before open sky."""
    assert not {"flower", "bouquet", "forest", "autumn-forest"} & set(best("sky", 30))


@pytest.mark.parametrize("colour", sorted(COLOURS))
def test_a_word_for_a_colour_finds_the_plain_picture_of_that_colour(colour: str) -> None:
    embeddings = starter().images([Image.new("RGB", (96, 96), paint) for paint in COLOURS.values()])

    assert list(COLOURS)[int(np.argmax(embeddings @ starter().text(colour)))] == colour


def test_a_colour_with_a_shape_finds_exactly_that_pair() -> None:
    """Neither the colour alone nor the shape alone is enough; red squares and green triangles were never drawn for training."""
    pairs = [
        (colour, shape) for colour in ("red", "blue", "green", "yellow") for shape in ("circle", "square", "triangle")
    ]
    embeddings = starter().images([shape_picture(COLOURS[colour], shape) for colour, shape in pairs])
    found = [pairs[int(np.argmax(embeddings @ starter().text(f"a {c} {s}")))] for c, s in pairs]

    assert pairs == found


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("red", "square"), ("blue", "circle")),
        (("green", "triangle"), ("yellow", "square")),
        (("purple", "circle"), ("black", "triangle")),
        (("blue", "square"), ("white", "triangle")),
    ],
)
def test_what_belongs_together_is_told_from_the_same_words_crossed(
    one: tuple[str, str], other: tuple[str, str]
) -> None:
    """Both pictures show both colours and both shapes; three of the pairs were never drawn for training."""
    crossed = (one[0], other[1]), (other[0], one[1])
    embeddings = starter().images([shapes_picture([one, other]), shapes_picture(list(crossed))])

    for pairs, right in ((one, other), 0), (crossed, 1):
        for colour, shape in pairs:
            assert right == int(np.argmax(embeddings @ starter().text(f"a {colour} {shape}"))), (colour, shape)


def shapes_picture(pairs: list[tuple[str, str]]) -> Image.Image:
    """Two shapes side by side."""
    picture = Image.new("RGB", (160, 160), (168, 160, 150))
    for place, (colour, shape) in enumerate(pairs):
        picture.paste(shape_picture(COLOURS[colour], shape).resize((80, 80)), (80 * place, 40))
    return picture


def shape_picture(colour: tuple[int, int, int], shape: str) -> Image.Image:
    picture = Image.new("RGB", (320, 320), (168, 160, 150))
    pen = ImageDraw.Draw(picture)
    if shape == "circle":
        pen.ellipse((80, 80, 240, 240), fill=colour)
    elif shape == "square":
        pen.rectangle((85, 85, 235, 235), fill=colour)
    else:
        pen.polygon([(160, 75), (245, 235), (75, 235)], fill=colour)
    return picture.resize((160, 160), Image.Resampling.LANCZOS)


SLIPS = {
    "sunet": "sunset",
    "sunest": "sunset",
    "sunsett": "sunset",
    "montain": "mountain",
    "moutain": "mountain",
    "flowrs": "flowers",
    "baloon": "balloon",
    "forrest": "forest",
    "beahc": "beach",
    "grasss": "grass",
    "nigth": "night",
    "watre": "water",
    "stret": "street",
    "purpel": "purple",
    "rainbw": "rainbow",
}


def test_most_misspelt_words_land_nearest_to_the_right_one() -> None:
    words = sorted({*SLIPS.values(), "snow", "city", "red"})
    embeddings = np.stack([starter().text(word) for word in words])
    nearest = {wrong: words[int(np.argmax(embeddings @ starter().text(wrong)))] for wrong in SLIPS}

    assert sum(nearest[wrong] == word for wrong, word in SLIPS.items()) >= 0.8 * len(SLIPS), nearest


@pytest.mark.parametrize("wrong", sorted(SLIPS))
def test_a_misspelt_word_counts_as_known(wrong: str) -> None:
    assert starter().knows(wrong)


@pytest.mark.parametrize(
    "query", ["dog", "a photo of a horse", "my grandmother", "invoice 2019", "mouse", "glass", "塔", ""]
)
def test_a_query_without_a_known_word_is_told_apart(query: str) -> None:
    assert not starter().knows(query)


@pytest.mark.parametrize("query", ["sky", "a dog on the beach", "Red Circle!", "the mountains", "sunste", "FLOWRES"])
def test_one_known_word_is_enough(query: str) -> None:
    assert starter().knows(query)


def test_the_card_tells_the_truth_about_the_files() -> None:
    card = json.loads((FOLDER / "card.json").read_text())
    named = {
        str(path.relative_to(FOLDER).as_posix())
        for path in FOLDER.rglob("*")
        if path.suffix in (".onnx", ".json", ".txt")
    }

    assert named == {*card["files"], "card.json"}
    for name, facts in card["files"].items():
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == facts["sha256"], name


def test_the_model_is_small_enough_for_the_wheel() -> None:
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) < 5_000_000


def test_both_towers_take_a_batch_of_any_size_and_agree_on_the_dimension() -> None:
    config = json.loads((FOLDER / "config.json").read_text())
    for count in (1, 3):
        assert (count, config["embed_dim"]) == starter().images([Image.new("RGB", (64, 48))] * count).shape
    assert (config["embed_dim"],) == starter().text("sky").shape
    assert config["text_cfg"]["context_length"] == len(starter().tokenizer.encode("sky").ids)


def test_a_picture_embeds_alike_whether_alone_or_in_a_batch() -> None:
    _, embeddings = collection()
    alone = starter().images([demo.draw(min(demo.KINDS), np.random.default_rng([9, 0]), SIZE)])

    np.testing.assert_allclose(alone[0], embeddings[0], atol=1e-4)
