"""
The words of the starter model: which facts there are, how they are said, and captions made of them.

Owns phrases, captions, misspellings and the list of known words. Must not know pixels; what is true of a picture is
counted in `facts`.
"""

from __future__ import annotations

import re
from functools import cache

import numpy as np

from pixfind.demo.canvas import Rng
from training.scenes_shapes import COLOURS, HELD_OUT, SHAPES

#: Fact -> ways to say it. The first is the plainest.
PHRASES: dict[str, tuple[str, ...]] = {
    "sky": ("sky", "the sky", "skies", "open sky", "heaven"),
    "blue sky": ("blue sky", "clear blue sky", "bright blue sky", "sunny sky", "sunny day"),
    "clouds": ("clouds", "cloud", "cloudy", "cloudy sky", "white clouds", "clouds in the sky"),
    "overcast": ("overcast", "grey sky", "overcast sky", "dull weather", "gloomy"),
    "sun": ("sun", "the sun", "low sun", "sunlight"),
    "sunset": (
        "sunset",
        "sunrise",
        "dusk",
        "dawn",
        "sundown",
        "evening sky",
        "orange sky",
        "red sky",
        "evening",
        "twilight",
    ),
    "night": ("night", "at night", "nighttime", "dark night", "night sky", "midnight", "darkness"),
    "stars": ("stars in the sky", "starry sky", "starry night", "starry"),
    "moon": ("moon", "full moon", "moonlight", "the moon"),
    "sea": ("sea", "ocean", "the sea", "the ocean", "waves", "seaside", "seascape", "wave"),
    "lake": ("lake", "pond", "river", "still water", "reflection in the water", "reflection"),
    "water": ("water", "the water", "in the water", "splashing", "splash"),
    "beach": ("beach", "the beach", "sandy beach", "coast", "shore", "seashore", "shoreline", "coastline"),
    "sand": ("sand", "sandy", "in the sand", "sandy ground"),
    "pool": ("pool", "swimming pool", "swimming", "blue pool"),
    "grass": ("grass", "green grass", "grassy", "lawn", "meadow", "grassland", "pasture", "grassy field"),
    "field": ("field", "fields", "farmland", "countryside", "open field", "plain"),
    "wheat": ("wheat field", "golden field", "wheat", "crops", "hay"),
    "snow": ("snow", "snowy", "in the snow", "winter", "snow covered", "ice", "snowfield", "wintry", "icy"),
    "mountain": ("mountain", "mountains", "mountain range", "peak", "alps", "peaks", "summit"),
    "hills": ("hills", "hill", "hillside", "rolling hills", "valley"),
    "trees": ("trees", "tree", "the trees"),
    "forest": ("forest", "woods", "woodland", "jungle", "in the woods", "trunks"),
    "autumn": ("autumn", "fall colours", "autumn leaves", "autumn trees", "golden trees", "autumnal"),
    "flowers": ("flower", "flowers", "blossom", "petals", "bloom", "blossoms", "blooming"),
    "flower meadow": ("flower field", "field of flowers", "meadow of flowers", "wild flowers", "wildflowers"),
    "leaves": ("leaves", "foliage", "plants", "greenery", "plant", "leaf", "bush", "vegetation", "garden"),
    "city": ("city", "skyline", "skyscrapers", "downtown", "town", "urban", "cityscape", "towers", "skyscraper"),
    "buildings": ("buildings", "building", "architecture", "houses"),
    "street": ("street", "city street", "alley", "avenue"),
    "road": ("road", "highway", "path", "asphalt", "pavement", "sidewalk", "trail"),
    "house": ("house", "home", "cottage", "cabin", "barn", "hut"),
    "car": ("car", "vehicle", "automobile", "cars"),
    "boat": ("boat", "sailboat", "ship", "sail", "boats", "sailing", "ships"),
    "balloon": ("balloon", "balloons", "hot air balloon"),
    "lighthouse": ("lighthouse",),
    "desert": ("desert", "dunes", "dune", "sand dunes"),
    "rocks": ("rocks", "stones", "rocky", "rock", "stone", "cliff", "boulders"),
    "soil": ("ground", "dirt", "earth", "mud", "dirt ground", "soil", "gravel"),
    "indoors": ("room", "indoors", "inside", "indoor", "interior", "inside a room", "furniture", "house inside"),
    "outdoors": ("outdoors", "outside", "outdoor", "landscape", "nature", "scenery"),
    "wall": ("wall", "walls"),
    "brick": ("brick wall", "bricks", "brick"),
    "wood": ("wood", "wooden", "planks", "boards"),
    "fire": ("fire", "flames", "flame", "campfire", "burning"),
    "food": ("food", "plate", "meal", "dish", "plate of food", "dinner"),
    "page": ("text", "page", "document", "writing", "print", "letters"),
    "rainbow": ("rainbow",),
    "fireworks": ("fireworks", "firework"),
    "aurora": ("aurora", "northern lights", "polar lights"),
    "fog": ("fog", "mist", "foggy", "misty", "haze", "hazy"),
    "rain": ("rain", "rainy"),
    "pattern": ("pattern", "fabric", "cloth", "texture", "textile"),
    "stripes": ("stripes", "striped", "striped pattern"),
    "checks": ("checks", "checkered", "chequered", "checkered pattern"),
    "dots": ("dots", "dotted", "polka dots", "spots"),
    "shapes": ("shapes", "shape", "geometric shapes", "geometry"),
    "black and white": ("black and white", "monochrome", "greyscale", "black and white photo", "grayscale"),
    "dark": ("dark", "dim"),
    "bright": ("bright", "light"),
    "colourful": ("colourful", "colorful", "many colours", "vivid", "vivid colours"),
}
COLOUR_WORDS: dict[str, tuple[str, ...]] = {
    "red": ("red", "red", "red", "crimson", "scarlet"), "orange": ("orange",), "yellow": ("yellow", "yellow", "golden"),
    "green": ("green",), "blue": ("blue", "blue", "blue", "navy"), "purple": ("purple", "purple", "violet", "lilac"),
    "pink": ("pink", "pink", "magenta", "rose"), "brown": ("brown",), "black": ("black",), "white": ("white",),
    "grey": ("grey", "gray"), "turquoise": ("turquoise", "cyan", "teal"),
}  # fmt: skip
SHAPE_WORDS: dict[str, tuple[str, ...]] = {
    "circle": ("circle", "circle", "disc", "round"), "square": ("square",), "triangle": ("triangle",), "star": ("star",),
    "heart": ("heart",), "ring": ("ring", "ring", "loop"), "cross": ("cross", "cross", "plus"), "diamond": ("diamond", "diamond", "rhombus"),
}  # fmt: skip
THING_WORDS: dict[str, tuple[str, ...]] = {
    "flower": ("flower", "flowers", "blossom"), "balloon": ("balloon", "hot air balloon"), "car": ("car",),
    "house": ("house",), "boat": ("boat", "sailboat", "sail"),
}  # fmt: skip
PAIRS: tuple[tuple[str, str], ...] = tuple((colour, thing) for colour in COLOURS for thing in (*SHAPES, *THING_WORDS))
FACTS: tuple[str, ...] = (*PHRASES, *COLOURS, *SHAPES, *(f"{colour} {thing}" for colour, thing in PAIRS))
NUMBER: dict[str, int] = {name: index for index, name in enumerate(FACTS)}
#: Facts that a text may assert in training: everything but the held-out pairs.
SAYABLE: tuple[str, ...] = tuple(name for name in FACTS if tuple(name.split(" ", 1)) not in HELD_OUT)

TEMPLATES = (
    "{}",
    "{}",
    "{}",
    "a {}",
    "the {}",
    "a photo of {}",
    "a photo of a {}",
    "a picture of {}",
    "photo of the {}",
    "some {}",
    "an image of {}",
    "{} picture",
    "{} photo",
)
JOINS = (" and ", " with ", ", ", " ", " in front of ", " near ", " under ", " on ", " over ", " beside ")

#: Words that mean nothing to this model. Captions carry them so that it learns to look past them.
FILLERS = (
    "man", "woman", "dog", "two", "people", "boy", "girl", "little", "young", "group", "playing", "standing", "running", "child",
    "walking", "sitting", "jumping", "three", "looking", "holding", "shirt", "wearing", "large", "small", "ball", "bike", "riding",
    "children", "brown dog", "person", "men", "women", "several", "through", "cat", "horse", "bird", "train", "bus", "table",
    "old", "beautiful", "my", "next", "camera", "face", "hat", "posing", "family", "game", "player", "air", "very", "big", "summer",
    "baby", "smiling", "crowd", "hand", "dress", "bench", "beautiful", "holiday", "trip", "friends", "toy", "animal", "nice", "view",
)  # fmt: skip
GLUE = frozenset(
    [
        "a",
        "an",
        "the",
        "of",
        "in",
        "on",
        "at",
        "with",
        "and",
        "or",
        "over",
        "under",
        "near",
        "beside",
        "front",
        "to",
        "from",
        "by",
        "is",
        "are",
        "photo",
        "picture",
        "image",
        "some",
    ]
)

#: Words of phrases that are too common to count as known.
WEAK = frozenset(
    [
        "air",
        "clear",
        "covered",
        "day",
        "dull",
        "fall",
        "full",
        "hot",
        "low",
        "many",
        "open",
        "range",
        "rolling",
        "still",
        "weather",
        "wild",
    ]
)

#: Common words one letter away from a known one. They are words of their own, not misspellings.
LOOKALIKES = (
    "horse", "mouse", "peach", "bench", "waiter", "later", "light", "right", "fight", "sight", "knight", "glass", "brass", "class",
    "block", "while", "write", "crown", "frown", "drown", "store", "stove", "phone", "storm", "towel", "power", "toast", "roast",
    "trick", "wheel", "stairs", "stair", "bunny", "funny", "winner", "fellow", "dessert", "clown", "plate", "plane", "place",
    "greet", "queen", "reach", "teach", "leach", "watch", "match", "wafer", "hound", "pound", "round", "sound", "shape", "grape",
    "board", "beard", "heard", "boats", "coats", "goats", "boots", "books", "hills", "bills", "pills", "dolls", "balls", "walls",
    "flour", "float", "floor", "finger", "singer", "ranger", "painter", "tiger", "cough", "south", "mouth", "tooth", "child", "chair",
    "train", "brain", "grain", "drain", "plant", "paint", "point", "print", "saint", "sheep", "sleep", "steep", "steel", "wheat",
    "shore", "share", "shirt", "short", "skirt", "spoon", "stack", "stick", "stock", "snack", "snake", "trees", "tress", "dress",
    "press", "cross", "crops", "drops", "props", "hands", "bands", "lands", "beads", "heads", "leads", "bread", "dread", "cream",
    "dream", "steam", "stream", "strange", "orangutan", "forget", "florist", "meadows", "shadow", "window", "widow", "pillow",
    "willow", "hollow", "follow", "bellow", "mellow", "yell", "people", "ripple", "apple", "purse", "nurse", "curse", "course",
    "coach", "couch", "touch", "torch", "porch", "march", "month", "honey", "money", "monkey", "donkey", "turkey", "valet", "ballet",
    "wallet", "bullet", "basket", "casket", "jacket", "racket", "rocket", "pocket", "socket", "bucket", "ticket", "cricket",
    "hockey", "jockey", "trial", "smash", "slash", "soccer", "tennis", "rugby", "river", "liver", "diver", "driver", "drive", "fever", "lever", "never",
)  # fmt: skip


@cache
def known_words() -> tuple[str, ...]:
    """Every word that says something to the model, in alphabetical order."""
    phrases = [
        phrase for ways in (PHRASES, COLOUR_WORDS, SHAPE_WORDS, THING_WORDS) for way in ways.values() for phrase in way
    ]
    return tuple(sorted({word for phrase in phrases for word in phrase.split()} - GLUE))


@cache
def listed_words() -> frozenset[str]:
    """The known words that say something on their own: "northern lights" is known, "hot" and "many" are not."""
    return frozenset(known_words()) - WEAK


@cache
def other_words() -> tuple[str, ...]:
    """Words that look like known ones and are not."""
    return tuple(
        sorted({word for filler in (*FILLERS, *LOOKALIKES) for word in filler.split()} - set(known_words()) - GLUE)
    )


def say(rng: Rng, name: str) -> str:
    """One way to say a fact."""
    ways = PHRASES.get(name) or COLOUR_WORDS.get(name) or SHAPE_WORDS.get(name)
    if ways is None:
        colour, thing = name.split(" ", 1)
        return f"{_any(rng, COLOUR_WORDS[colour])} {_any(rng, SHAPE_WORDS.get(thing) or THING_WORDS[thing])}"
    if rng.random() < 0.5:
        return ways[0]
    return _any(rng, ways)


def _any(rng: Rng, ways: tuple[str, ...]) -> str:
    return ways[int(rng.integers(len(ways)))]


def prompt(rng: Rng, name: str) -> str:
    """A query for one fact, as people type it."""
    return mistyped(rng, _any(rng, TEMPLATES).format(say(rng, name)), 0.15)


def caption(rng: Rng, names: list[str]) -> str:
    """A sentence that asserts these facts, sometimes with words that mean nothing to the model."""
    said = [say(rng, name) for name in names]
    if rng.random() < 0.35:
        for _ in range(int(rng.integers(1, 4))):
            said.insert(int(rng.integers(len(said) + 1)), _any(rng, FILLERS))
    text = said[0]
    for phrase in said[1:]:
        text += _any(rng, JOINS) + ("a " if rng.random() < 0.2 else "the " if rng.random() < 0.2 else "") + phrase
    if rng.random() < 0.4:
        text = _any(rng, ("a ", "the ", "a photo of ", "a picture of ", "photo: ", "a view of ")) + text
    return mistyped(rng, text, 0.1)


def mistyped(rng: Rng, text: str, chance: float) -> str:
    """The text, perhaps with one letter of one longer word lost, doubled, changed or swapped with the next."""
    words = text.split(" ")
    long = [index for index, word in enumerate(words) if len(word) >= 5]
    if not long or rng.random() > chance:
        return text
    index = long[int(rng.integers(len(long)))]
    word = words[index]
    at = int(rng.integers(1, len(word) - 1))
    letter = "abcdefghijklmnopqrstuvwxyz"[int(rng.integers(26))]
    wrong = (word[:at] + word[at + 1 :], word[:at] + word[at] + word[at:], word[:at] + letter + word[at + 1 :],
             word[:at] + word[at + 1] + word[at] + word[at + 2 :])[int(rng.integers(4))]  # fmt: skip
    words[index] = wrong if wrong not in known_words() and wrong not in LOOKALIKES else word
    return " ".join(words)


def understood(query: str) -> list[str]:
    """
    The words of a query that the model knows. None: it should say so instead of answering noise.

    A word is known when it is in the list, when a plural ending makes it so, or when it has five letters or more, is one
    slip away from a listed word of five or more with the same first letter, and is no other word of its own.
    """
    return [word for word in re.findall(r"[a-z]+", query.lower()) if _known(word)]


def _known(word: str) -> bool:
    listed = listed_words()
    if word in listed or word.removesuffix("s") in listed or word.removesuffix("es") in listed or word + "s" in listed:
        return True
    if len(word) < 5 or word in other_words():
        return False
    return any(len(other) >= 5 and other[0] == word[0] and one_slip(word, other) for other in listed)


def one_slip(one: str, other: str) -> bool:
    """Whether one letter lost, added, changed or swapped with its neighbour makes one word the other."""
    if abs(len(one) - len(other)) > 1:
        return False
    start = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    rest, rest_other = one[start:], other[start:]
    swapped = rest[1:2] + rest[:1] + rest[2:] == rest_other and len(rest) > 1
    return swapped or rest[1:] == rest_other[1:] or rest[1:] == rest_other or rest == rest_other[1:]


def choose_facts(rng: Rng, truth: np.ndarray, weights: np.ndarray) -> list[str]:
    """One to four true facts for a caption; rarer facts come up more often."""
    names = np.flatnonzero((truth == 1) & (weights > 0))
    if len(names) == 0:
        return []
    count = min(len(names), int(rng.choice([1, 1, 2, 2, 3, 4])))
    share = weights[names] / weights[names].sum()
    return [FACTS[index] for index in rng.choice(names, count, replace=False, p=share)]
