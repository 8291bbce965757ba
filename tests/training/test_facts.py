"""Facts: true, false or unknown, counted from what a picture shows."""

import numpy as np
from training.facts import TINTED, count_facts
from training.gallery import STEP, Gallery
from training.lexicon import NUMBER

from pixfind.demo.canvas import Part

SIDE = 112
RED, BLUE, GREY = (210, 20, 20), (40, 80, 210), (128, 128, 128)


def gallery(pixels: np.ndarray, label: np.ndarray) -> Gallery:
    shares = np.bincount(label.ravel(), minlength=len(Part)) / label.size
    known: list[dict[str, object]] = [{"kind": "landscape", "said": {}, "pairs": [], "sky": None}]
    half = STEP // 2
    return Gallery(pixels[None], label[None, half::STEP, half::STEP], shares[None].astype(np.float32), known)


def facts(ground: tuple[int, int, int], part: Part, spot: tuple[int, int, int], shown: Part, side: int) -> np.ndarray:
    """A picture of one colour and part, with a square of another in its middle."""
    pixels = np.full((SIDE, SIDE, 3), ground, np.uint8)
    label = np.full((SIDE, SIDE), part, np.uint8)
    middle = slice(SIDE // 2 - side // 2, SIDE // 2 + side // 2)
    pixels[middle, middle], label[middle, middle] = spot, shown
    return count_facts(gallery(pixels, label))[0]


def test_a_small_red_thing_makes_a_picture_red() -> None:
    assert 1 == facts(GREY, Part.WALL, RED, Part.THING, 28)[NUMBER["red"]]


def test_the_same_patch_as_background_leaves_it_open() -> None:
    assert -1 == facts(GREY, Part.WALL, RED, Part.WALL, 28)[NUMBER["red"]]


def test_a_picture_that_is_blue_all_over_is_blue() -> None:
    assert 1 == facts(BLUE, Part.SKY, GREY, Part.THING, 28)[NUMBER["blue"]]


def test_a_colour_that_is_nowhere_is_false() -> None:
    row = facts(GREY, Part.WALL, RED, Part.THING, 28)

    assert all(row[NUMBER[colour]] == 0 for colour in TINTED if colour not in ("red", "grey"))


def test_between_clearly_and_not_at_all_lies_unknown() -> None:
    """Snow on 13 % of a picture is snow, on less than 1 % none, between them nobody knows."""
    sides = {4: 0, 24: -1, 60: 1}

    assert sides == {side: int(facts(GREY, Part.ROAD, (250,) * 3, Part.SNOW, side)[NUMBER["snow"]]) for side in sides}
