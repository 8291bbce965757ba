# ruff: noqa: PLR2004 - a drawing is made of numbers; each is named by the line it stands in
"""
A canvas: the pixels of a picture, and for every pixel what it shows.

Owns masks and how layers are combined. Must not know what a sky or a tree looks like.
The painters (`sky`, `land`, `water`, `plants`, `things`) add layers, from far to near.

Coordinates: y runs from 0 (top) to 1 (bottom), x from 0 to `aspect`, so that a circle is round.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

Plane = npt.NDArray[np.floating[Any]]
Labels = npt.NDArray[np.uint8]
Rng = np.random.Generator
Colour = tuple[float, float, float]
Point = tuple[float, float]

SUPERSAMPLE = 3


class Part(IntEnum):
    """What a pixel shows."""

    NOTHING = 0
    SKY = 1
    CLOUD = 2
    SUN = 3
    SEA = 4
    LAKE = 5
    SAND = 6
    GRASS = 7
    SNOW = 8
    MOUNTAIN = 9
    TREES = 10
    FLOWER = 11
    BUILDING = 12
    ROAD = 13
    SOIL = 14
    DESERT = 15
    BALLOON = 16
    BOAT = 17
    HOUSE = 18
    FIRE = 19
    RAINBOW = 20
    FIREWORK = 21
    AURORA = 22
    MOON = 23
    AUTUMN = 24
    ROCK = 25
    THING = 26
    WALL = 27
    FLOOR = 28
    CAR = 29
    PERSON = 30
    ANIMAL = 31
    POOL = 32
    LEAF = 33
    FOOD = 34
    SHAPE = 35
    BIRD = 36
    WINDOW = 37
    FABRIC = 38
    FIELD = 39
    FOAM = 40


class Canvas:
    """A picture that is being drawn: float32 colours [h, w, 3] in 0..1, and a `Part` for each pixel [h, w]."""

    def __init__(self, height: int, width: int) -> None:
        self.height = height
        self.width = width
        self.aspect = width / height
        self.rgb: Plane = np.zeros((height, width, 3), np.float32)
        self.label: Labels = np.zeros((height, width), np.uint8)
        self.y: Plane = ((np.arange(height, dtype=np.float32) + 0.5) / height)[:, None]
        self.x: Plane = ((np.arange(width, dtype=np.float32) + 0.5) / height)[None, :]

    @property
    def pixel(self) -> float:
        """The height of one pixel, in canvas units."""
        return 1.0 / self.height

    def row(self, y: float) -> int:
        """Return the pixel row at `y`, clipped to the canvas."""
        return int(np.clip(round(y * self.height), 0, self.height))

    def cover(self, mask: Plane, colour: Plane | Colour, part: Part, top: int = 0, left: int = 0) -> None:
        """Blend a colour over the canvas with the opacity `mask` [h, w] in 0..1, whose corner is at (top, left) pixels."""
        height, width = mask.shape
        rows, columns = slice(top, top + height), slice(left, left + width)
        under = self.rgb[rows, columns]
        paint = np.asarray(colour, np.float32)
        under += mask[..., None] * (paint - under)
        self.label[rows, columns][mask > 0.5] = part

    def shine(self, light: Plane, colour: Colour) -> None:
        """Add light [h, w], such as a glow or glitter, without changing labels."""
        self.rgb += light[..., None] * np.asarray(colour, np.float32)

    def veil(self, amount: Plane | float, colour: Colour) -> None:
        """Blend the whole canvas towards a colour: haze, fog, the light of an hour; `amount` in 0..1."""
        share = np.asarray(amount, np.float32)
        self.rgb += (share[..., None] if share.ndim else share) * (np.asarray(colour, np.float32) - self.rgb)

    def below(self, line: Plane, softness: float = 1.5) -> Plane:
        """Return the mask of everything below a skyline `line` [w]."""
        return step((self.y - line[None, :]) / (softness * self.pixel) + 0.5)

    def disc(self, x: float, y: float, radius: float, squeeze: float = 1.0) -> Plane:
        """Return the mask of a disc with a soft edge; `squeeze` scales its height."""
        far = np.hypot(self.x - x, (self.y - y) / squeeze)
        return step((radius - far) / self.pixel + 0.5)

    def glow(self, x: float, y: float, radius: float) -> Plane:
        """Return Gaussian light [h, w] around a point."""
        far = (self.x - x) ** 2 + (self.y - y) ** 2
        return np.asarray(np.exp(-far / (2 * radius * radius)), np.float32)

    def fill(self, points: list[Point], colour: Plane | Colour, part: Part, blur: float = 0.0) -> None:
        """Fill a polygon with smooth edges. A colour plane must have the size of the canvas."""
        box = self.window(points)
        if box is None:
            return
        left, top, width, height = box
        sheet = Image.new("L", (width * SUPERSAMPLE, height * SUPERSAMPLE))
        scale = self.height * SUPERSAMPLE
        corners = [(x * scale - left * SUPERSAMPLE, y * scale - top * SUPERSAMPLE) for x, y in points]
        ImageDraw.Draw(sheet).polygon(corners, fill=255)
        small = sheet.reduce(SUPERSAMPLE)
        mask = np.asarray(small, np.float32) * np.float32((1 - blur) / 255)
        if isinstance(colour, np.ndarray):
            colour = colour[top : top + height, left : left + width]
        self.cover(mask, colour, part, top, left)

    def window(self, points: list[Point]) -> tuple[int, int, int, int] | None:
        """Return left, top, width and height in pixels of a box around these points; None when it is outside the canvas."""
        xs, ys = [x for x, _ in points], [y for _, y in points]
        left = max(0, int(min(xs) * self.height) - 1)
        top = max(0, int(min(ys) * self.height) - 1)
        right = min(self.width, int(max(xs) * self.height) + 2)
        bottom = min(self.height, int(max(ys) * self.height) + 2)
        return (left, top, right - left, bottom - top) if right > left and bottom > top else None

    def image(self) -> Image.Image:
        """Return the picture as eight-bit RGB."""
        return Image.fromarray((np.clip(self.rgb, 0, 1) * 255 + 0.5).astype(np.uint8))


def flat(value: npt.ArrayLike) -> Plane:
    """Return a number or a colour as a float32 array."""
    return np.asarray(value, np.float32)


def step(value: Plane) -> Plane:
    """Return the smoothstep of each value: 0 below 0, 1 above 1, smooth in between."""
    clipped = np.clip(value, 0, 1)
    return np.asarray(clipped * clipped * (3 - 2 * clipped), np.float32)


def mix(one: Plane | Colour, other: Plane | Colour, share: Plane | float) -> Plane:
    """Return a blend of two colours; `share` is the part of the second, one number or one per pixel."""
    part = np.asarray(share, np.float32)
    if part.ndim:
        part = part[..., None]
    first = np.asarray(one, np.float32)
    return np.asarray(first + part * (np.asarray(other, np.float32) - first), np.float32)


def jitter(rng: Rng, colour: Colour, amount: float = 0.05) -> Colour:
    """Return a colour near this one, with random small changes of brightness and tint."""
    shift = rng.normal(0, amount)
    red, green, blue = (float(np.clip(c + shift + rng.normal(0, amount / 2), 0, 1)) for c in colour)
    return red, green, blue


def tone(colour: Colour, factor: float) -> Colour:
    """Return the colour multiplied by a factor, clipped to 0..1."""
    red, green, blue = (float(np.clip(c * factor, 0, 1)) for c in colour)
    return red, green, blue


def pick(rng: Rng, choices: tuple[Colour, ...], amount: float = 0.04) -> Colour:
    """Return a random colour of a palette, slightly changed."""
    return jitter(rng, choices[int(rng.integers(len(choices)))], amount)
