# ruff: noqa: PLR2004 - a drawing is made of numbers; each is named by the line it stands in
"""
Made things: hot-air balloons, boats, houses, skylines, lighthouses; and birds, small in the sky.

Owns their outlines. Must not know landscapes.
"""

from __future__ import annotations

import numpy as np

from pixfind.demo.canvas import Canvas, Colour, Part, Plane, Rng, flat, jitter, mix, pick, step, tone
from pixfind.demo.sky import Sky

BRIGHTS: dict[str, Colour] = {
    "red": (0.86, 0.12, 0.12),
    "orange": (0.97, 0.50, 0.10),
    "yellow": (0.98, 0.82, 0.12),
    "green": (0.15, 0.60, 0.22),
    "blue": (0.12, 0.32, 0.80),
    "purple": (0.48, 0.18, 0.64),
    "pink": (0.95, 0.45, 0.66),
    "white": (0.95, 0.95, 0.95),
}


def paint_balloon(
    canvas: Canvas, rng: Rng, sky: Sky, x: float, y: float, radius: float, first: Colour, second: Colour
) -> None:
    """A hot-air balloon with gores in two colours, shaded as a ball, with ropes and a basket."""
    box = canvas.window([(x - radius, y - radius), (x + radius, y + radius * 1.5)])
    if box is None:
        return
    left, top, width, height = box
    across = (canvas.x[:, left : left + width] - x) / radius
    down = (canvas.y[top : top + height] - y) / radius
    taper = np.where(
        down < 0, np.sqrt(np.clip(1 - down * down, 0, 1)), np.clip(1 - np.clip(down / 1.42, 0, 1) ** 1.9, 0, 1) ** 0.85
    )
    mask = step((taper - np.abs(across)) * radius / canvas.pixel + 0.5) * (down > -1) * (down < 1.28)
    turn = np.arcsin(np.clip(across / np.maximum(taper, 0.05), -1, 1)) + rng.uniform(0, 0.6)
    stripe = step(np.asarray(np.sin(turn * int(rng.integers(5, 9))) * 6 + 0.5, np.float32))
    colour = mix(first, second, stripe)
    if rng.random() < 0.5:
        colour = mix(colour, np.broadcast_to(flat(second), colour.shape), step((0.16 - np.abs(down - 0.12)) * 20))
    light = np.clip(
        1.08 - 0.30 * (across * 0.8 + 0.25) ** 2 - 0.42 * np.clip(across, 0, 1) - 0.18 * np.clip(down, 0, 1), 0.3, 1.15
    )
    warm = 0.45 + 0.55 * flat(sky.ambient)
    canvas.cover(
        np.asarray(mask, np.float32), np.asarray(colour * light[..., None] * warm, np.float32), Part.BALLOON, top, left
    )
    _basket(canvas, x, y, radius)


def _basket(canvas: Canvas, x: float, y: float, radius: float) -> None:
    half, top, bottom = radius * 0.13, y + radius * 1.48, y + radius * 1.72
    for side in (-1, 1):
        rope = [(x + side * radius * 0.26, y + radius * 1.24), (x + side * (radius * 0.26 + 0.003), y + radius * 1.24),
                (x + side * half, top), (x + side * (half - 0.003), top)]  # fmt: skip
        canvas.fill(rope, (0.25, 0.2, 0.16), Part.BALLOON)
    canvas.fill(
        [(x - half, top), (x + half, top), (x + half * 0.85, bottom), (x - half * 0.85, bottom)],
        (0.42, 0.27, 0.14),
        Part.BALLOON,
    )


def paint_sailboat(canvas: Canvas, sky: Sky, x: float, y: float, size: float, sail: Colour, hull: Colour) -> None:
    """A boat with two sails; (x, y) is its water line."""
    light = 0.35 + 0.65 * flat(sky.ambient)
    white, body = (_times(colour, light) for colour in (sail, hull))
    mast = y - size
    canvas.fill([(x, mast), (x + size * 0.42, y - size * 0.16), (x, y - size * 0.16)], white, Part.BOAT)
    canvas.fill(
        [(x - size * 0.03, mast + size * 0.1), (x - size * 0.30, y - size * 0.16), (x - size * 0.03, y - size * 0.16)],
        tone(white, 0.88),
        Part.BOAT,
    )
    deck = [
        (x - size * 0.42, y - size * 0.12),
        (x + size * 0.46, y - size * 0.12),
        (x + size * 0.32, y),
        (x - size * 0.32, y),
    ]
    canvas.fill(deck, body, Part.BOAT)
    mirror = [
        (x - size * 0.3, y),
        (x + size * 0.3, y),
        (x + size * 0.1, y + size * 0.3),
        (x - size * 0.06, y + size * 0.3),
    ]
    canvas.fill(mirror, tone(body, 0.7), Part.BOAT, blur=0.65)


def _times(colour: Colour, light: Plane) -> Colour:
    red, green, blue = (float(c) for c in np.clip(flat(colour) * light, 0, 1))
    return red, green, blue


def paint_house(
    canvas: Canvas, rng: Rng, sky: Sky, x: float, foot: float, size: float, wall: Colour, roof: Colour
) -> None:
    """A small house: wall, gabled roof with a lit side, windows, door, chimney."""
    light = 0.25 + 0.75 * flat(sky.ambient)
    front, tiles = _times(wall, light), _times(roof, light)
    wide, tall = size * rng.uniform(0.55, 0.8), size * rng.uniform(0.55, 0.7)
    top = foot - tall
    canvas.fill([(x - wide, top), (x + wide, top), (x + wide, foot), (x - wide, foot)], front, Part.HOUSE)
    over, ridge = wide * 1.14, top - size * rng.uniform(0.38, 0.55)
    chimney = x + wide * 0.5
    canvas.fill(
        [(chimney, ridge), (chimney + size * 0.1, ridge), (chimney + size * 0.1, top), (chimney, top)],
        tone(tiles, 0.7),
        Part.HOUSE,
    )
    canvas.fill(
        [
            (x - over, top + size * 0.04),
            (x - wide * 0.45, ridge),
            (x + wide * 0.45, ridge),
            (x + over, top + size * 0.04),
        ],
        tiles,
        Part.HOUSE,
    )
    glass: Colour = (1.0, 0.84, 0.45) if sky.hour in ("dusk", "night", "sunset") else (0.42, 0.52, 0.60)
    for share in (-0.6, 0.6):
        _pane(canvas, x + wide * share, top + tall * 0.38, size * 0.13, glass)
    canvas.fill(
        [
            (x - size * 0.1, foot),
            (x - size * 0.1, foot - tall * 0.6),
            (x + size * 0.1, foot - tall * 0.6),
            (x + size * 0.1, foot),
        ],
        tone(front, 0.45),
        Part.HOUSE,
    )


def _pane(canvas: Canvas, x: float, y: float, half: float, glass: Colour) -> None:
    for grow, colour in ((1.25, (0.93, 0.92, 0.9)), (1.0, glass)):
        reach = half * grow
        canvas.fill(
            [(x - reach, y - reach), (x + reach, y - reach), (x + reach, y + reach), (x - reach, y + reach)],
            colour,
            Part.HOUSE,
        )


def paint_skyline(
    canvas: Canvas, rng: Rng, sky: Sky, base: float, height: float, lights: float = 0.0, haze: float = 0.0
) -> None:
    """Towers side by side, far and near rows; `lights` is the share of windows that are lit."""
    for row, (low, fade) in enumerate(((1.0, haze + 0.32), (0.72, haze))):
        x = -0.03
        while x < canvas.aspect + 0.03:
            wide = rng.uniform(0.045, 0.12)
            middle = 1 - 0.55 * abs(x / canvas.aspect - 0.5) * 2
            tall = height * low * middle * rng.uniform(0.45, 1.0)
            _tower(canvas, rng, sky, (x, base - tall, wide, tall), lights * (1 if row else 0.7), fade)
            x += wide * rng.uniform(0.85, 1.35)


def _tower(
    canvas: Canvas, rng: Rng, sky: Sky, box: tuple[float, float, float, float], lights: float, haze: float
) -> None:
    x, top, wide, tall = box
    left, right = canvas.width * x / canvas.aspect, canvas.width * (x + wide) / canvas.aspect
    first, last = max(0, int(left)), min(canvas.width, int(right))
    upper, lower = max(0, canvas.row(top)), canvas.row(top + tall)
    if last - first < 2 or lower - upper < 2:
        return
    wall = pick(
        rng, ((0.62, 0.62, 0.64), (0.50, 0.55, 0.62), (0.72, 0.66, 0.58), (0.40, 0.44, 0.52), (0.56, 0.46, 0.40))
    )
    shape = (lower - upper, last - first)
    side = np.linspace(1.08, 0.80, shape[1], dtype=np.float32)[None, :, None]
    colour = np.broadcast_to(flat(wall), (*shape, 3)) * (0.2 + 0.8 * flat(sky.ambient)) * side
    colour = _windows(canvas, rng, np.asarray(colour, np.float32), lights)
    colour = mix(colour, np.broadcast_to(flat(sky.horizon), colour.shape), np.clip(haze, 0, 0.9))
    canvas.cover(np.ones(shape, np.float32), colour, Part.BUILDING, upper, first)
    if rng.random() < 0.3:
        middle, mast = x + wide / 2, tall * rng.uniform(0.08, 0.25)
        canvas.fill(
            [(middle - 0.003, top), (middle, top - mast), (middle + 0.003, top)],
            _times(wall, flat(sky.ambient)),
            Part.BUILDING,
        )


def _windows(canvas: Canvas, rng: Rng, wall: Plane, lights: float) -> Plane:
    """A grid of panes, dark by day and warm where lit."""
    pitch = max(4, round(canvas.height * rng.uniform(0.013, 0.022)))
    rows, columns = np.arange(wall.shape[0]) // pitch, np.arange(wall.shape[1]) // pitch
    inside_y = (np.arange(wall.shape[0]) % pitch) >= max(1, pitch // 3)
    inside_x = (np.arange(wall.shape[1]) % pitch) >= max(1, pitch // 3)
    pane = (inside_y[:, None] & inside_x[None, :]).astype(np.float32)
    cells = rng.random((int(rows[-1]) + 1, int(columns[-1]) + 1), dtype=np.float32)
    lit = (cells < lights)[rows][:, columns].astype(np.float32) * pane
    warm = (
        flat(pick(rng, ((1.0, 0.86, 0.52), (1.0, 0.93, 0.76), (0.92, 0.95, 1.0))))
        * (0.75 + 0.4 * cells[rows][:, columns])[..., None]
    )
    shaded = wall * (1 - 0.34 * pane * (0.5 + cells[rows][:, columns]))[..., None]
    return mix(np.asarray(shaded, np.float32), np.asarray(warm, np.float32), lit)


def paint_lighthouse(canvas: Canvas, sky: Sky, x: float, foot: float, height: float) -> None:
    """A white and red tower with a lantern."""
    light = 0.35 + 0.65 * flat(sky.ambient)
    for band in range(6):
        low, high = band / 6 * 0.84, (band + 1) / 6 * 0.84
        colour = _times((0.95, 0.95, 0.93) if band % 2 == 0 else (0.82, 0.16, 0.14), light)
        half_low, half_high = (height * (0.10 - 0.045 * share) for share in (low, high))
        canvas.fill([(x - half_low, foot - height * low), (x + half_low, foot - height * low),
                     (x + half_high, foot - height * high), (x - half_high, foot - height * high)], colour, Part.BUILDING)  # fmt: skip
    for top, half, colour in ((0.86, 0.085, (0.25, 0.25, 0.27)), (0.94, 0.045, (1.0, 0.93, 0.62))):
        y = foot - height * top
        canvas.fill(
            [
                (x - height * half, y),
                (x + height * half, y),
                (x + height * half, y + height * 0.05),
                (x - height * half, y + height * 0.05),
            ],
            colour,
            Part.BUILDING,
        )
    roof = foot - height * 0.94
    canvas.fill(
        [(x - height * 0.06, roof), (x, roof - height * 0.07), (x + height * 0.06, roof)],
        _times((0.7, 0.14, 0.12), light),
        Part.BUILDING,
    )


def paint_birds(canvas: Canvas, rng: Rng, count: int, ink: Colour = (0.12, 0.12, 0.15)) -> None:
    """A few birds as far strokes, close together."""
    x, y = rng.uniform(0.2, canvas.aspect - 0.2), rng.uniform(0.1, 0.35)
    for _ in range(count):
        at_x, at_y = x + rng.normal(0, 0.09), y + rng.normal(0, 0.045)
        span, lift = rng.uniform(0.012, 0.026), rng.uniform(0.3, 0.6)
        for side in (-1, 1):
            wing = [(at_x, at_y), (at_x + side * span * 0.5, at_y - span * lift), (at_x + side * span, at_y - span * lift * 0.4),
                    (at_x + side * span * 0.5, at_y - span * lift * 0.65)]  # fmt: skip
            canvas.fill(wing, jitter(rng, ink, 0.02), Part.BIRD)
