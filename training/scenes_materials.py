"""
Materials: what grass, sand, snow, stone, leaves, fur and cloth look like from near, as tiles.

Owns how a tile is made and how it lies on the ground (in perspective) or stands before the camera. A tile says how light
each of its points is and where its second colour shows; which colours these are is the caller's business.
Tiles are few and fixed by their names and numbers, so that a picture depends on its own seed alone.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import cache

import numpy as np
from PIL import Image, ImageDraw

from pixfind.demo.canvas import Canvas, Plane, Rng

SIDE = 256
LEVELS = 6
TILES = 6
"""Different tiles of each material."""
DRAWN = 2 * SIDE
"""Strokes are drawn twice as large and reduced, for smooth edges."""


def field(rng: Rng, fall: float, least: float = 1.0, stretch: float = 1.0) -> Plane:
    """
    Periodic noise whose spectrum falls with the frequency to the power `fall`; mean 0, deviation 1.

    `least` is the lowest frequency, in waves a tile; `stretch` > 1 draws everything out sideways.
    """
    down, across = np.fft.fftfreq(SIDE, 1 / SIDE)[:, None], np.fft.rfftfreq(SIDE, 1 / SIDE)[None, :]
    frequency = np.hypot(down / stretch**0.5, across * stretch**0.5)
    weight = np.where(frequency >= least, np.maximum(frequency, 0.5) ** -fall, 0)
    phase = np.exp(2j * np.pi * rng.random(weight.shape))
    noise = np.fft.irfft2(weight * phase, (SIDE, SIDE))
    return np.asarray((noise - noise.mean()) / noise.std(), np.float32)


def relief(height: Plane, rng: Rng, steep: float) -> Plane:
    """How a height field looks in slanting light: 0.5 where it is level."""
    turn = rng.uniform(0, 2 * np.pi)
    down, across = np.gradient(height)
    slope = (np.cos(turn) * across + np.sin(turn) * down) / (np.hypot(down, across).std() + 1e-6)
    return np.asarray(0.5 + 0.5 * np.tanh(slope * steep), np.float32)


class _Sheet:
    """Strokes and patches over each other, each with a tone and perhaps of the second colour."""

    def __init__(self, tone: float) -> None:
        self.tone, self.second = (Image.new("L", (DRAWN, DRAWN), int(255 * level)) for level in (tone, 0))
        self._pens = (ImageDraw.Draw(self.tone), ImageDraw.Draw(self.second))

    def patch(self, points: list[tuple[float, float]], tone: float, second: float = 0.0) -> None:
        """A polygon; what leaves the sheet on one side comes back on the other."""
        xs, ys = [x for x, _ in points], [y for _, y in points]
        across, down = _wraps(min(xs), max(xs)), _wraps(min(ys), max(ys))
        for pen, level in zip(self._pens, (tone, second), strict=True):
            fill = int(255 * min(1.0, max(0.0, level)))
            for dx in across:
                for dy in down:
                    pen.polygon([(x + dx, y + dy) for x, y in points], fill=fill)

    def stroke(self, x: float, y: float, dx: float, dy: float, thick: float, tone: float, second: float = 0.0) -> None:
        reach = max(1e-6, float(np.hypot(dx, dy)))
        px, py = -dy / reach * thick, dx / reach * thick
        self.patch([(x - px, y - py), (x + px, y + py), (x + dx, y + dy)], tone, second)

    def planes(self) -> tuple[Plane, Plane]:
        tone, second = (np.asarray(sheet.reduce(2), np.float32) / 255 for sheet in (self.tone, self.second))
        return tone, second


def _wraps(low: float, high: float) -> tuple[int, ...]:
    """By how much to move what lies between these, so that all of it shows on the sheet."""
    return (0, DRAWN) if low < 0 else (0, -DRAWN) if high > DRAWN else (0,)


Planes = tuple[Plane, Plane]


def _grass(rng: Rng) -> Planes:
    sheet = _Sheet(0.15)
    count, long, lean, dry = (
        int(rng.integers(1500, 4000)),
        rng.uniform(14, 70),
        rng.uniform(0.2, 0.9),
        rng.random() ** 3,
    )
    for index in range(count):
        reach = long * rng.uniform(0.5, 1.5)
        tone = 0.15 + 0.75 * (index / count) ** 1.5 * rng.uniform(0.6, 1.15)
        x, y = rng.random(2) * DRAWN
        sheet.stroke(
            x, y, reach * lean * rng.normal(), -reach, rng.uniform(1, 3), tone, float(rng.random() < dry * 0.6)
        )
    tone, second = sheet.planes()
    return tone + 0.1 * field(rng, 1.5), second


def _fur(rng: Rng) -> Planes:
    sheet = _Sheet(0.4)
    long, spread, patched = rng.uniform(14, 60), rng.uniform(0.1, 0.5), field(rng, 2.0) * rng.uniform(0, 1)
    patched = patched - rng.uniform(0, 1.5)
    for _ in range(int(rng.integers(1500, 3500))):
        x, y = rng.random(2) * DRAWN
        other = patched[int(y) // 2, int(x) // 2] > 0
        reach = long * rng.uniform(0.5, 1.3)
        sheet.stroke(
            x, y, reach * spread * rng.normal(), reach, rng.uniform(1, 4), rng.uniform(0.15, 0.95), float(other)
        )
    return sheet.planes()


def _leaf(rng: Rng, x: float, y: float, reach: float, turn: float, slim: float) -> list[tuple[float, float]]:
    dx, dy = float(np.cos(turn)) * reach, float(np.sin(turn)) * reach
    wide = slim * rng.uniform(0.7, 1.3)
    return [
        (x - dx, y - dy), (x - dx * 0.3 - dy * wide, y - dy * 0.3 + dx * wide), (x + dx * 0.3 - dy * wide * 0.8, y + dy * 0.3 + dx * wide * 0.8),
        (x + dx, y + dy), (x + dx * 0.3 + dy * wide * 0.8, y + dy * 0.3 - dx * wide * 0.8), (x - dx * 0.3 + dy * wide, y - dy * 0.3 - dx * wide),
    ]  # fmt: skip


def _foliage(rng: Rng) -> Planes:
    """Leaves before dark gaps, the outer ones lit."""
    sheet = _Sheet(0.06)
    clumps = field(rng, 1.8, 2)
    count, size, slim = int(rng.integers(900, 2600)), rng.uniform(6, 26), rng.uniform(0.2, 0.5)
    for index in range(count):
        x, y = rng.random(2) * DRAWN
        depth = index / count + 0.35 * clumps[int(y) // 2, int(x) // 2]
        if depth < rng.uniform(-0.3, 0.3):
            continue
        tone = np.clip(0.1 + 0.6 * depth, 0.05, 0.9) * rng.uniform(0.6, 1.3)
        points = _leaf(rng, x, y, size * rng.uniform(0.6, 1.4), rng.normal(1.2, 0.8), slim)
        sheet.patch(points, float(tone), float(rng.random() < 0.15))
    return sheet.planes()


def _litter(rng: Rng) -> Planes:
    sheet = _Sheet(0.2)
    size, slim = rng.uniform(6, 22), rng.uniform(0.25, 0.6)
    for _ in range(int(rng.integers(800, 2000))):
        x, y = rng.random(2) * DRAWN
        points = _leaf(rng, x, y, size * rng.uniform(0.6, 1.4), rng.uniform(0, 6.3), slim)
        sheet.patch(points, rng.uniform(0.2, 1.0), float(rng.random() < 0.3))
    return sheet.planes()


def _stone(rng: Rng, sheet: _Sheet, x: float, y: float, radius: float, tone: float, second: float) -> None:
    """One stone: its shadow, its shaded body, its lit top."""
    corners = int(rng.integers(5, 10))
    angles = (np.arange(corners) + rng.uniform(-0.3, 0.3, corners)) * 2 * np.pi / corners
    reach = radius * rng.uniform(0.7, 1.2, corners)
    flat = rng.uniform(0.6, 1.0)
    outline = [(float(np.cos(a) * r), float(np.sin(a) * r * flat)) for a, r in zip(angles, reach, strict=True)]
    for shift, shrink, level in ((0.22, 1.05, tone * 0.25), (0.0, 1.0, tone * 0.7), (-0.14, 0.72, tone)):
        sheet.patch([(x + px * shrink, y + py * shrink + shift * radius) for px, py in outline], level, second)


def _stones(rng: Rng) -> Planes:
    sheet, largest, mossy = _Sheet(0.15), rng.uniform(30, 110), rng.random() ** 3
    for sorted_radius in np.sort(largest * rng.random(int(rng.integers(250, 700))) ** 3 + 4)[::-1]:
        radius = float(rng.uniform(4, largest * 0.5) if rng.random() < 0.15 else sorted_radius)
        x, y = rng.random(2) * DRAWN
        _stone(rng, sheet, x, y, radius, rng.uniform(0.45, 1.0), float(rng.random() < mossy))
    tone, second = sheet.planes()
    return tone * (1 + 0.15 * field(rng, 0.8)), second


def _gravel(rng: Rng) -> Planes:
    sheet, size = _Sheet(0.25), rng.uniform(3, 9)
    for _ in range(int(rng.integers(1200, 2400))):
        x, y = rng.random(2) * DRAWN
        _stone(rng, sheet, x, y, size * rng.uniform(0.4, 1.8), rng.uniform(0.4, 1.0), float(rng.random() < 0.2))
    return sheet.planes()


def _rock(rng: Rng) -> Planes:
    """A face of stone: ridges, layers, cracks."""
    height = np.abs(field(rng, rng.uniform(1.3, 1.8), 1, rng.choice([1.0, 1.0, 3.0, 0.4])))
    cracks = np.exp(-((field(rng, 1.6, 2) / 0.06) ** 2)) * rng.uniform(0, 0.6)
    tone = relief(height, rng, rng.uniform(0.4, 1.0)) + 0.12 * field(rng, 1.0) - cracks
    return tone, (field(rng, 1.6) > rng.uniform(0.8, 2)).astype(np.float32)


def _soil(rng: Rng) -> Planes:
    tone = relief(field(rng, rng.uniform(0.9, 1.5), 2), rng, rng.uniform(0.3, 0.9)) + 0.1 * field(rng, 1.6)
    return tone, (field(rng, 0.9) > rng.uniform(1.2, 2.5)).astype(np.float32)


def _dents(rng: Rng, count: int) -> Plane:
    """Foot marks and the like, as hollows."""
    sheet = Image.new("F", (SIDE, SIDE), 0.0)
    pen = ImageDraw.Draw(sheet)
    for _ in range(count):
        x, y, size = rng.random() * SIDE, rng.random() * SIDE, rng.uniform(2, 9)
        pen.ellipse([x - size, y - size * 0.6, x + size, y + size * 0.6], fill=-1.0)
    small = sheet.resize((SIDE // 2, SIDE // 2), Image.Resampling.BILINEAR)
    return np.asarray(small.resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.float32)


def _sand(rng: Rng) -> Planes:
    rows = np.arange(SIDE, dtype=np.float32)[:, None] / SIDE
    waves = np.sin(2 * np.pi * rng.integers(8, 40) * rows + field(rng, 2.0) * rng.uniform(0.5, 3)) * rng.uniform(0, 1)
    height = (
        0.6 * field(rng, 1.3, 2) + waves * float(rng.random() < 0.5) + _dents(rng, int(rng.choice([0, 0, 60, 200]))) * 2
    )
    tone = (
        0.6 + 0.5 * (relief(height, rng, rng.uniform(0.2, 0.8)) - 0.5) + 0.05 * field(rng, 0.3) + 0.06 * field(rng, 1.8)
    )
    return tone, (field(rng, 0.6) > 2.6).astype(np.float32)


def _snow(rng: Rng) -> Planes:
    height = field(rng, rng.uniform(1.8, 2.6)) + 0.1 * field(rng, 0.8) * rng.random()
    height = height + _dents(rng, int(rng.choice([0, 0, 40, 120, 300]))) * rng.uniform(0.5, 2)
    tone = 0.72 + 0.7 * (relief(height, rng, rng.uniform(0.2, 0.8)) - 0.5)
    return tone, (field(rng, 1.3) > rng.uniform(1.8, 4)).astype(np.float32)


def _asphalt(rng: Rng) -> Planes:
    cracks = np.exp(-((field(rng, 1.6, 2) / 0.03) ** 2)) * float(rng.random() < 0.4)
    tone = 0.5 + 0.12 * field(rng, 0.2) + 0.14 * field(rng, 1.7) - 0.3 * cracks
    return tone, (field(rng, 1.8) > rng.uniform(1.0, 3)).astype(np.float32)


def _cloth(rng: Rng) -> Planes:
    """Folds, and perhaps a weave or a print."""
    folds = relief(field(rng, 2.3, 1, rng.choice([0.3, 1.0, 3.0])), rng, rng.uniform(0.2, 0.8))
    down, across = np.mgrid[0:SIDE, 0:SIDE] * np.float32(2 * np.pi / SIDE)
    weave = np.sin(down * rng.integers(20, 60)) * np.sin(across * rng.integers(20, 60)) * rng.uniform(0, 0.15)
    style = rng.random()
    bend = field(rng, 2.2) * 0.5
    if style < 0.2:
        printed = np.sin(across * rng.integers(4, 20) + bend) > rng.uniform(-0.3, 0.6)
    elif style < 0.35:
        printed = np.sin(across * rng.integers(4, 14) + bend) * np.sin(down * rng.integers(4, 14) + bend) > 0.3
    else:
        printed = np.zeros((SIDE, SIDE), bool)
    return folds + weave, printed.astype(np.float32)


def _bark(rng: Rng) -> Planes:
    height = np.abs(field(rng, 1.2, 2, 0.15))
    return relief(height, rng, rng.uniform(0.4, 1.0)) * 0.7 + 0.15 + 0.1 * field(rng, 1.5), (
        field(rng, 1.5) > rng.uniform(1, 3)
    ).astype(np.float32)


MAKERS: dict[str, Callable[[Rng], Planes]] = {
    "grass": _grass, "fur": _fur, "foliage": _foliage, "litter": _litter, "stones": _stones, "gravel": _gravel, "rock": _rock,
    "soil": _soil, "sand": _sand, "snow": _snow, "asphalt": _asphalt, "cloth": _cloth, "bark": _bark,
}  # fmt: skip


@cache
def _pyramid(name: str, number: int) -> Plane:
    """A tile at every scale, each blown up to full size again: (levels, side, side, 2)."""
    rng = np.random.default_rng([zlib.crc32(name.encode()), number])
    return pyramid(np.stack([np.clip(plane, 0, 1) for plane in MAKERS[name](rng)], axis=-1))


def pyramid(tile: Plane) -> Plane:
    """The tile, and the tile ever more blurred: what a pixel sees that covers 2, 4, 8 ... of its points."""
    levels = [np.asarray(tile, np.float32)]
    for level in range(1, LEVELS):
        cell = 2**level
        small = tile.reshape(SIDE // cell, cell, SIDE // cell, cell, -1).mean(axis=(1, 3))
        planes = [
            np.asarray(
                Image.fromarray(np.ascontiguousarray(small[..., at])).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
            )
            for at in range(small.shape[-1])
        ]
        levels.append(np.stack(planes, axis=-1))
    return np.asarray(levels, np.float16)


def sample(tiles: Plane, u: Plane, v: Plane, level: Plane) -> Plane:
    """The pyramid at (u, v), in points of the finest tile; `level` is log2 of a pixel's size there. Tiles repeat."""
    deep = np.clip(np.round(level - 0.3), 0, LEVELS - 1).astype(np.intp)
    left, top = np.floor(u), np.floor(v)
    right_share, low_share = (u - left)[..., None], (v - top)[..., None]
    columns, rows = ([at.astype(np.intp) % SIDE, (at.astype(np.intp) + 1) % SIDE] for at in (left, top))
    upper, lower = (
        tiles[deep, row, columns[0]] * (1 - right_share) + tiles[deep, row, columns[1]] * right_share for row in rows
    )
    return np.asarray(upper * (1 - low_share) + lower * low_share, np.float32)


def any_tiles(rng: Rng, name: str) -> Plane:
    """One of the material's tiles."""
    return _pyramid(name, int(rng.integers(TILES)))


def lying(canvas: Canvas, rng: Rng, tiles: Plane, eye: float, scale: float, top: int = 0) -> Plane:
    """
    Tiles on the ground, seen in perspective from row `top` of the canvas down: (rows, width, planes).

    `eye` is the height of the true horizon, which may lie far above the picture; `scale` counts tiles across the picture at
    its foot.
    """
    below = np.maximum(canvas.y[top:] - eye, 0.004)
    foot = max(1 - eye, 0.05)
    away = foot / below
    points = scale * SIDE
    u = (canvas.x - canvas.aspect / 2) * away * points + rng.uniform(0, SIDE)
    v = np.broadcast_to(-away * foot * points + rng.uniform(0, SIDE), u.shape)
    size = points * canvas.pixel * away * np.sqrt(away)
    return sample(tiles, u, v, np.broadcast_to(np.log2(np.maximum(size, 1)), u.shape))


def facing(canvas: Canvas, rng: Rng, tiles: Plane, scale: float, turn: float = 0.0) -> Plane:
    """Tiles that stand before the camera: (height, width, planes); `scale` counts tiles over the picture's height."""
    points = scale * SIDE
    x, y = np.broadcast_arrays(canvas.x, canvas.y)
    cos, sin = float(np.cos(turn)) * points, float(np.sin(turn)) * points
    u, v = (x * cos - y * sin) + rng.uniform(0, SIDE), (x * sin + y * cos) + rng.uniform(0, SIDE)
    return sample(tiles, u, v, np.full(u.shape, np.log2(max(1.0, points * canvas.pixel))))
