"""
Flat shapes in named colours, one to four on a ground, for "a red circle".

Some pairs of colour and shape are never drawn for training: a model that finds them has learnt both words, not the pair.
"""

from __future__ import annotations

import numpy as np

from pixfind.demo.canvas import Canvas, Colour, Part, Point, Rng, jitter
from training.scenes_near import MUTEDS, any_colour, surface

SHAPES = ("circle", "square", "triangle", "star", "heart", "ring", "cross", "diamond")
COLOURS: dict[str, Colour] = {
    "red": (0.85, 0.09, 0.09), "orange": (0.97, 0.53, 0.07), "yellow": (0.98, 0.88, 0.12), "green": (0.12, 0.60, 0.18),
    "blue": (0.10, 0.25, 0.83), "purple": (0.49, 0.14, 0.68), "pink": (0.98, 0.47, 0.70), "brown": (0.43, 0.25, 0.11),
    "black": (0.04, 0.04, 0.04), "white": (0.98, 0.98, 0.98), "grey": (0.52, 0.52, 0.52), "turquoise": (0.10, 0.78, 0.80),
}  # fmt: skip

#: Labels from here on say which shape a pixel shows: the base plus the shape's number.
SHAPE_LABEL = 64

#: One per colour, spread over the shapes; drawn only when held-out pairs are measured.
HELD_OUT = frozenset((colour, SHAPES[(index * 3 + 1) % len(SHAPES)]) for index, colour in enumerate(COLOURS))


def outline(shape: str, x: float, y: float, radius: float, turn: float) -> list[list[Point]]:
    """The polygons of a shape, the outside first; a second polygon is a hole."""
    if shape in ("circle", "ring"):
        rings = [radius] if shape == "circle" else [radius, radius * 0.58]
        return [_around(x, y, [reach] * 40, 0) for reach in rings]
    if shape == "star":
        return [_around(x, y, [radius * 1.15, radius * 0.48] * 5, turn - np.pi / 2)]
    if shape in ("square", "diamond", "triangle"):
        sides = 3 if shape == "triangle" else 4
        start = {"square": np.pi / 4, "diamond": np.pi / 2, "triangle": -np.pi / 2}[shape]
        return [_around(x, y, [radius * 1.15] * sides, turn * (0.35 if sides == 4 else 1) + start)]
    return [_turned(_heart() if shape == "heart" else _cross(), x, y, radius, turn)]


def _around(x: float, y: float, reaches: list[float], start: float) -> list[Point]:
    angles = start + 2 * np.pi * np.arange(len(reaches)) / len(reaches)
    return [(x + float(np.cos(a)) * r, y + float(np.sin(a)) * r) for a, r in zip(angles, reaches, strict=True)]


def _turned(points: list[Point], x: float, y: float, radius: float, turn: float) -> list[Point]:
    cos, sin = float(np.cos(turn)), float(np.sin(turn))
    return [(x + radius * (px * cos - py * sin), y + radius * (px * sin + py * cos)) for px, py in points]


def _heart() -> list[Point]:
    at = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    across = np.sin(at) ** 3
    down = -(13 * np.cos(at) - 5 * np.cos(2 * at) - 2 * np.cos(3 * at) - np.cos(4 * at)) / 16
    return [(float(u), float(v)) for u, v in zip(across, down, strict=True)]


def _cross() -> list[Point]:
    arm, full = 0.34, 1.0
    return [(-arm, -full), (arm, -full), (arm, -arm), (full, -arm), (full, arm), (arm, arm),
            (arm, full), (-arm, full), (-arm, arm), (-full, arm), (-full, -arm), (-arm, -arm)]  # fmt: skip


def paint_shape(canvas: Canvas, rng: Rng, shape: str, colour: Colour, x: float, y: float, radius: float) -> None:
    """One shape, flat or faintly shaded; its pixels are labelled with what shape it is."""
    turn = rng.normal(0, 0.25)
    before = canvas.rgb.copy() if shape == "ring" else None
    paint = surface(canvas, rng, colour, rng.uniform(0, 0.25)) if rng.random() < 0.3 else colour
    polygons = outline(shape, x, y, radius, turn)
    canvas.fill(polygons[0], paint, Part.SHAPE)
    canvas.label[canvas.label == Part.SHAPE] = SHAPE_LABEL + SHAPES.index(shape)
    if before is not None:
        canvas.fill(polygons[1], before, Part.NOTHING)


def paint_shapes(canvas: Canvas, rng: Rng, held_out: bool = False, crossed: bool = False) -> list[tuple[str, str]]:
    """A ground with one to four shapes that do not touch; returns the pairs (colour, shape)."""
    full = np.ones((canvas.height, canvas.width), np.float32)
    pairs = (
        _crossed_pairs(rng)
        if crossed
        else [_pair(rng, held_out and index == 0) for index in range(int(rng.choice([1, 1, 1, 2, 2, 3, 4])))]
    )
    count = len(pairs)
    ground = _ground(rng, {colour for colour, _ in pairs})
    canvas.cover(full, surface(canvas, rng, ground, rng.choice([0.0, 0.1, 0.4])), Part.NOTHING)
    placed: list[tuple[float, float, float]] = []
    kept: list[tuple[str, str]] = []
    for colour, shape in pairs:
        spot = _free_spot(canvas, rng, placed, count)
        if spot is None:
            continue
        placed.append(spot)
        kept.append((colour, shape))
        paint_shape(canvas, rng, shape, jitter(rng, COLOURS[colour], 0.025), *spot)
    return kept


def _pair(rng: Rng, held_out: bool) -> tuple[str, str]:
    if held_out:
        pairs = sorted(HELD_OUT)
        return pairs[int(rng.integers(len(pairs)))]
    while True:
        pair = (str(rng.choice(list(COLOURS))), str(rng.choice(SHAPES)))
        if pair not in HELD_OUT:
            return pair


def _crossed_pairs(rng: Rng) -> list[tuple[str, str]]:
    """Two to four pairs of few colours and few shapes: who only knows which words are there cannot tell which belong together."""
    colours, shapes = (list(rng.choice(names, 3, replace=False)) for names in (list(COLOURS), SHAPES))
    pairs = [(str(colour), str(shape)) for colour in colours for shape in shapes if (colour, shape) not in HELD_OUT]
    return [pairs[index] for index in rng.permutation(len(pairs))[: int(rng.integers(2, 5))]]


def _ground(rng: Rng, taken: set[str]) -> Colour:
    """A ground that stands out from all the shapes on it."""
    for _ in range(30):
        ground = (
            any_colour(rng)
            if rng.random() < 0.5
            else jitter(rng, (*MUTEDS, (0.97, 0.97, 0.97))[int(rng.integers(12))], 0.03)
        )
        if all(np.abs(np.subtract(ground, COLOURS[colour])).max() > 0.33 for colour in taken):
            break
    return ground


def _free_spot(
    canvas: Canvas, rng: Rng, placed: list[tuple[float, float, float]], count: int
) -> tuple[float, float, float] | None:
    for _ in range(40):
        radius = float(rng.uniform(0.12, 0.40 / count**0.4))
        x, y = float(rng.uniform(radius, canvas.aspect - radius)), float(rng.uniform(radius, 1 - radius))
        if all(np.hypot(x - px, y - py) > (radius + pr) * 1.15 for px, py, pr in placed):
            return x, y, radius
    return None
