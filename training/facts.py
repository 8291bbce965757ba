"""
Facts: what is true, false or unknown of each drawn picture.

Counted from what is visible (shares of parts), from the pixels' colours, and from what a recipe said. Between "clearly"
and "not at all" lies unknown (-1), which is never used against the model.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pixfind.demo.canvas import Part
from training.gallery import STEP, Gallery
from training.lexicon import FACTS, NUMBER, PAIRS
from training.scenes_shapes import SHAPE_LABEL, SHAPES

P = Part
#: Fact -> (parts that show it, share from which it is true, share under which it is false).
VISIBLE: dict[str, tuple[tuple[Part, ...], float, float]] = {
    "sky": ((P.SKY, P.CLOUD, P.SUN, P.RAINBOW, P.AURORA, P.FIREWORK, P.MOON), 0.12, 0.01),
    "clouds": ((P.CLOUD,), 0.08, 0.01),
    "sun": ((P.SUN,), 0.003, 0.0003),
    "moon": ((P.MOON,), 0.002, 0.0003),
    "sea": ((P.SEA, P.FOAM), 0.12, 0.01),
    "lake": ((P.LAKE,), 0.12, 0.01),
    "water": ((P.SEA, P.LAKE, P.POOL, P.FOAM), 0.12, 0.01),
    "sand": ((P.SAND, P.DESERT), 0.12, 0.01),
    "pool": ((P.POOL,), 0.2, 0.01),
    "grass": ((P.GRASS,), 0.15, 0.02),
    "field": ((P.GRASS, P.FIELD), 0.25, 0.02),
    "wheat": ((P.FIELD,), 0.12, 0.01),
    "snow": ((P.SNOW,), 0.13, 0.01),
    "mountain": ((P.MOUNTAIN,), 0.10, 0.02),
    "trees": ((P.TREES, P.AUTUMN), 0.08, 0.01),
    "forest": ((P.TREES, P.AUTUMN), 0.35, 0.06),
    "autumn": ((P.AUTUMN,), 0.10, 0.01),
    "flowers": ((P.FLOWER,), 0.03, 0.002),
    "leaves": ((P.LEAF,), 0.2, 0.02),
    "city": ((P.BUILDING,), 0.10, 0.01),
    "buildings": ((P.BUILDING, P.HOUSE), 0.08, 0.008),
    "road": ((P.ROAD,), 0.10, 0.01),
    "house": ((P.HOUSE,), 0.025, 0.002),
    "car": ((P.CAR,), 0.03, 0.003),
    "boat": ((P.BOAT,), 0.01, 0.001),
    "balloon": ((P.BALLOON,), 0.02, 0.002),
    "desert": ((P.DESERT,), 0.15, 0.01),
    "rocks": ((P.ROCK,), 0.15, 0.02),
    "soil": ((P.SOIL, P.ROCK), 0.15, 0.02),
    "wall": ((P.WALL,), 0.25, 0.03),
    "fire": ((P.FIRE,), 0.08, 0.003),
    "food": ((P.FOOD,), 0.15, 0.01),
    "rainbow": ((P.RAINBOW,), 0.01, 0.001),
    "fireworks": ((P.FIREWORK,), 0.03, 0.002),
    "aurora": ((P.AURORA,), 0.05, 0.002),
}
#: Colour -> (weighed share of the picture from which it is true, plain share under which it is false).
TINTED: dict[str, tuple[float, float]] = {
    "red": (0.04, 0.008), "orange": (0.05, 0.012), "yellow": (0.05, 0.010), "green": (0.08, 0.025), "blue": (0.06, 0.015),
    "purple": (0.04, 0.010), "pink": (0.04, 0.010), "brown": (0.09, 0.04), "black": (0.10, 0.05), "white": (0.10, 0.04),
    "grey": (0.20, 0.10), "turquoise": (0.05, 0.015),
}  # fmt: skip
#: Things that people name with their colour: "a red car". What lies behind them counts less: few say "blue" of a sky.
COLOURED = (
    P.FLOWER,
    P.BALLOON,
    P.BOAT,
    P.HOUSE,
    P.THING,
    P.CAR,
    P.PERSON,
    P.ANIMAL,
    P.FOOD,
    P.SHAPE,
    P.BIRD,
    P.FABRIC,
    P.BUILDING,
)
BACKGROUND_WEIGHT = 0.3
ONLY_SAID = (
    "fog",
    "rain",
    "street",
    "brick",
    "wood",
    "stripes",
    "checks",
    "dots",
    "pattern",
    "indoors",
    "outdoors",
    "sunset",
    "night",
    "shapes",
)
OUTSIDE = (P.SKY, P.CLOUD, P.SEA, P.LAKE, P.SAND, P.GRASS, P.SNOW, P.MOUNTAIN, P.TREES, P.DESERT, P.AUTUMN, P.ROAD)


def name_colours(pixels: np.ndarray) -> np.ndarray:
    """The number (in `TINTED`) of each pixel's colour name, -1 where no name is plain."""
    rgb = pixels.astype(np.float32) / 255
    high, low = rgb.max(axis=-1), rgb.min(axis=-1)
    chroma = high - low
    saturation = chroma / np.maximum(high, 1e-3)
    hue = _hue(rgb, high, chroma)
    plain = (saturation < 0.13) | (chroma < 0.06)
    warm = (hue < 50) | (hue > 345)
    rules = [
        ("black", (high < 0.16) | plain & (high < 0.24)),
        ("white", plain & (high > 0.82)),
        ("grey", plain),
        (
            "brown",
            (hue >= 12) & (hue < 48) & (high < 0.64) & (saturation > 0.28)
            | warm & (high < 0.42) & (saturation > 0.3) & (saturation < 0.75),
        ),
        (
            "pink",
            ((hue < 12) | (hue > 330)) & (high > 0.7) & (saturation > 0.2) & (saturation < 0.58)
            | (hue > 295) & (hue <= 345) & (high > 0.55) & (saturation > 0.25),
        ),
        ("red", ((hue < 14) | (hue > 340)) & (saturation > 0.55) & (high > 0.28)),
        ("orange", (hue >= 14) & (hue < 44) & (saturation > 0.55) & (high >= 0.64)),
        ("yellow", (hue >= 44) & (hue < 68) & (saturation > 0.42) & (high > 0.55)),
        ("green", (hue >= 62) & (hue < 165) & (saturation > 0.2)),
        ("turquoise", (hue >= 165) & (hue < 195) & (saturation > 0.28)),
        ("blue", (hue >= 195) & (hue < 256) & (saturation > 0.26)),
        ("purple", (hue >= 256) & (hue <= 330) & (saturation > 0.22)),
    ]
    order = list(TINTED)
    names = np.full(high.shape, -1, np.int8)
    for name, where in reversed(rules):
        names[where] = order.index(name)
    return names


def _hue(rgb: np.ndarray, high: np.ndarray, chroma: np.ndarray) -> np.ndarray:
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    safe = np.maximum(chroma, 1e-4)
    sector = np.where(
        high == red, (green - blue) / safe, np.where(high == green, (blue - red) / safe + 2, (red - green) / safe + 4)
    )
    return np.asarray((sector % 6) * 60, np.float32)


def grid_colours(gallery: Gallery) -> np.ndarray:
    """The colour name of the pixel that each kept label stands for, -1 where no name is plain: (pictures, 28, 28) int8."""
    half = STEP // 2
    blocks = (gallery.pixels[at : at + 1000, half::STEP, half::STEP] for at in range(0, len(gallery), 1000))
    return np.concatenate([name_colours(block) for block in blocks])


def colour_shares(colours: np.ndarray, where: np.ndarray | None = None) -> np.ndarray:
    """Per picture, the share of its grid that has each colour name, counted only `where` told."""
    shares = [(colours == index) & (True if where is None else where) for index in range(len(TINTED))]
    return np.stack([share.mean(axis=(1, 2)) for share in shares], axis=1)


def count_facts(gallery: Gallery, named: np.ndarray | None = None) -> np.ndarray:
    """
    One row per picture, one column per fact: 1 true, 0 false, -1 unknown.

    `named` is what `grid_colours` gives, where the caller has it already.
    """
    truth = np.full((len(gallery), len(FACTS)), -1, np.int8)
    parts = gallery.parts
    for name, (shown, enough, none) in VISIBLE.items():
        truth[:, NUMBER[name]] = _between(parts[:, list(shown)].sum(axis=1), enough, none)
    named = grid_colours(gallery) if named is None else named
    things = np.isin(gallery.labels, COLOURED) | (gallery.labels >= SHAPE_LABEL)
    every, near = colour_shares(named), colour_shares(named, things)
    weighed = near + BACKGROUND_WEIGHT * (every - near)
    for index, (name, (enough, none)) in enumerate(TINTED.items()):
        truth[:, NUMBER[name]] = np.where(weighed[:, index] >= enough, 1, np.where(every[:, index] < none, 0, -1))
    _count_light(truth, gallery, every)
    _count_places(truth, parts)
    for row, entry in enumerate(gallery.known):
        _take_word_for_it(truth[row], entry)
    return truth


def _between(share: np.ndarray, enough: float, none: float) -> np.ndarray:
    return np.where(share >= enough, 1, np.where(share < none, 0, -1)).astype(np.int8)


def _count_light(truth: np.ndarray, gallery: Gallery, colours: np.ndarray) -> None:
    small = gallery.pixels[:, ::4, ::4].astype(np.float32) / 255
    mean = small.mean(axis=(1, 2, 3))
    chroma = (small.max(axis=3) - small.min(axis=3)).mean(axis=(1, 2))
    truth[:, NUMBER["dark"]] = np.where(mean < 0.2, 1, np.where(mean > 0.35, 0, -1))
    truth[:, NUMBER["bright"]] = np.where(mean > 0.7, 1, np.where(mean < 0.5, 0, -1))
    truth[:, NUMBER["black and white"]] = np.where(chroma < 0.012, 1, np.where(chroma > 0.05, 0, -1))
    vivid = (
        colours[
            :,
            [
                list(TINTED).index(c)
                for c in ("red", "orange", "yellow", "green", "blue", "purple", "pink", "turquoise")
            ],
        ]
        > 0.03
    ).sum(axis=1)
    truth[:, NUMBER["colourful"]] = np.where(vivid >= 5, 1, np.where(vivid <= 2, 0, -1))
    skies = np.array([entry["sky"] or (0, 0, 0) for entry in gallery.known], np.float32) / 255
    sky = truth[:, NUMBER["sky"]]
    blue = skies[:, 2] - skies[:, 0]
    day = (skies.mean(axis=1) > 0.4) & (sky == 1)
    truth[:, NUMBER["blue sky"]] = np.where(day & (blue > 0.18), 1, np.where((sky == 0) | (blue < 0.05), 0, -1))
    grey = day & (np.abs(blue) < 0.07)
    truth[:, NUMBER["overcast"]] = np.where(grey, 1, np.where((sky == 0) | (np.abs(blue) > 0.15), 0, -1))


def _count_places(truth: np.ndarray, parts: np.ndarray) -> None:
    """Facts that take more than one part."""
    sand, sea = parts[:, P.SAND], parts[:, P.SEA] + parts[:, P.FOAM]
    truth[:, NUMBER["beach"]] = np.where(
        (sand > 0.06) & (sea > 0.02), 1, np.where((sand < 0.01) & (sea < 0.05), 0, np.where(sand < 0.005, 0, -1))
    )
    flowers, grass = parts[:, P.FLOWER], parts[:, P.GRASS]
    truth[:, NUMBER["flower meadow"]] = np.where((flowers > 0.02) & (grass > 0.2), 1, np.where(flowers < 0.003, 0, -1))
    outside = parts[:, [int(part) for part in OUTSIDE]].sum(axis=1)
    truth[:, NUMBER["outdoors"]] = np.where(outside > 0.3, 1, -1)
    truth[:, NUMBER["indoors"]] = np.where(outside > 0.25, 0, -1)
    for name in (
        "fog",
        "rain",
        "street",
        "brick",
        "wood",
        "stripes",
        "checks",
        "dots",
        "pattern",
        "stars",
        "page",
        "lighthouse",
        "hills",
        "shapes",
    ):
        truth[:, NUMBER[name]] = 0
    truth[:, NUMBER["hills"]] = np.where((parts[:, P.MOUNTAIN] + parts[:, P.GRASS]) > 0.3, -1, 0)
    sky = parts[:, P.SKY] + parts[:, P.CLOUD] + parts[:, P.AURORA]
    truth[:, NUMBER["sunset"]] = np.where(sky < 0.03, 0, -1)
    truth[:, NUMBER["night"]] = 0


def _take_word_for_it(row: np.ndarray, entry: dict[str, object]) -> None:
    said, kind = entry["said"], str(entry["kind"])
    assert isinstance(said, dict)
    for name, value in said.items():
        hidden = name == "sunset" and value is True and row[NUMBER["sky"]] == 0
        row[NUMBER[str(name)]] = -1 if value is None or hidden else int(bool(value))
    if kind == "page":
        row[NUMBER["page"]] = 1
    if row[NUMBER["night"]] == 1:
        row[NUMBER["stars"]] = -1
    if kind == "street":
        row[NUMBER["buildings"]] = 1
    pairs = entry["pairs"]
    assert isinstance(pairs, list)
    _count_pairs(row, kind, [(str(colour), str(thing)) for colour, thing in pairs])


def _count_pairs(row: np.ndarray, kind: str, pairs: Sequence[tuple[str, str]]) -> None:
    """Shapes and coloured things: what was drawn is true, the rest false, except where lumps might pass for them."""
    loose = kind in ("clutter", "portrait", "product", "food", "texture", "room", "page")
    for shape in SHAPES:
        row[NUMBER[shape]] = -1 if loose else 0
    for colour, thing in PAIRS:
        absent = (thing in NUMBER and row[NUMBER[thing]] == 0) or (thing == "flower" and row[NUMBER["flowers"]] == 0)
        row[NUMBER[f"{colour} {thing}"]] = (
            0 if absent or (kind in ("shapes", "crossed", "held-out", "coloured")) else -1
        )
    for colour, thing in pairs:
        if thing in SHAPES:
            row[NUMBER[thing]] = 1
        row[NUMBER[f"{colour} {thing}"]] = 1
        if row[NUMBER[colour]] == 0 and thing in SHAPES:
            row[NUMBER[colour]] = 1
