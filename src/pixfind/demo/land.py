# ruff: noqa: PLR2004 - a drawing is made of numbers; each is named by the line it stands in
"""
Land: mountains, hills, dunes, snow, and the grounds that run towards the camera.

Owns ridges, slopes and the haze between them. Must not know plants or buildings.
"""

from __future__ import annotations

import numpy as np

from pixfind.demo.canvas import Canvas, Colour, Part, Plane, Rng, flat, jitter, mix, step, tone
from pixfind.demo.noise import fractal, line, receding
from pixfind.demo.sky import Sky, dimmed

#: Per ground: the two colours that its noise blends, how coarse it is, and its part.
GROUNDS: dict[str, tuple[Colour, Colour, float, Part]] = {
    "grass": ((0.36, 0.54, 0.16), (0.13, 0.29, 0.07), 6.0, Part.GRASS),
    "lawn": ((0.42, 0.62, 0.22), (0.24, 0.44, 0.12), 9.0, Part.GRASS),
    "dry": ((0.74, 0.66, 0.36), (0.48, 0.40, 0.18), 6.0, Part.GRASS),
    "snow": ((0.97, 0.98, 1.0), (0.78, 0.83, 0.92), 1.6, Part.SNOW),
    "sand": ((0.90, 0.80, 0.62), (0.70, 0.58, 0.42), 2.0, Part.SAND),
    "desert": ((0.90, 0.66, 0.40), (0.66, 0.40, 0.22), 1.4, Part.DESERT),
    "soil": ((0.46, 0.36, 0.26), (0.24, 0.18, 0.12), 5.0, Part.SOIL),
    "gravel": ((0.62, 0.60, 0.56), (0.34, 0.32, 0.30), 9.0, Part.SOIL),
    "wheat": ((0.93, 0.78, 0.38), (0.68, 0.48, 0.16), 7.0, Part.FIELD),
    "leaves": ((0.80, 0.46, 0.14), (0.44, 0.20, 0.07), 8.0, Part.AUTUMN),
    "asphalt": ((0.44, 0.44, 0.45), (0.28, 0.28, 0.30), 9.0, Part.ROAD),
    "rock": ((0.60, 0.57, 0.53), (0.30, 0.28, 0.27), 4.0, Part.ROCK),
}


def paint_ground(canvas: Canvas, rng: Rng, sky: Sky, kind: str, horizon: float, rough: float = 0.01) -> Plane:
    """Ground from the horizon down to the camera's feet; returns the line where it begins."""
    light, dark, cells, part = GROUNDS[kind]
    light, dark = jitter(rng, light, 0.04), jitter(rng, dark, 0.03)
    edge = horizon + rough * line(rng, canvas.width, 3, 5)
    top = max(0, canvas.row(float(edge.min())) - 1)
    rows = canvas.height - top
    if rows < 2:
        return edge
    fine = receding(rng, rows, canvas.width, cells * 0.35, 4, 2.5)
    broad = fractal(rng, rows, canvas.width, 3, 4, 0.5, 4.0)
    colour: Plane = mix(light, dark, np.clip(fine * 0.75 + broad * 0.55 - 0.15, 0, 1)) * _light(sky)
    near = np.arange(rows, dtype=np.float32)[:, None] / rows
    colour = mix(colour, np.broadcast_to(flat(sky.horizon), colour.shape), 0.35 * np.exp(-near * 9))
    canvas.cover(canvas.below(edge)[top:], colour, part, top)
    return edge


def _light(sky: Sky) -> Plane:
    return np.asarray(0.12 + 0.88 * flat(sky.ambient), np.float32)


def paint_mountains(
    canvas: Canvas, rng: Rng, sky: Sky, base: float, height: float, rock: Colour, snow: float = 0.0, haze: float = 0.3
) -> None:
    """A range with lit and shaded flanks; `snow` is how far down from the tops it lies (0: none)."""
    ridge = _peaks(rng, canvas.width, canvas.aspect)
    skyline = base - height * ridge
    relief = fractal(rng, canvas.height, canvas.width, 7, 6, 0.62, 0.8)
    folds = np.gradient(relief, axis=1) * canvas.height / 7 + np.gradient(ridge)[None, :] * -canvas.height * 0.12
    lit = step(folds * 0.42 + 0.5)
    colour = mix(tone(rock, 0.48), tone(rock, 1.15), lit * 0.85 + relief * 0.2)
    depth = (canvas.y - skyline[None, :]) / max(height, 0.01)
    if snow > 0:
        cap = step((snow * (0.6 + 0.8 * relief) - depth) * 9 + 0.5) * step((lit + relief - 0.45) * 5)
        colour = mix(colour, mix((0.66, 0.74, 0.88), (1.0, 1.0, 1.0), lit), cap)
    colour = colour * _light(sky)
    fade = haze + (1 - haze) * 0.55 * np.clip((canvas.y - base + height * 0.5) / max(height, 0.01), 0, 1)
    colour = mix(colour, np.broadcast_to(flat(sky.horizon), colour.shape), np.clip(fade, 0, 0.95))
    mask = canvas.below(skyline)
    canvas.cover(mask, colour, Part.MOUNTAIN)
    if snow > 0:
        canvas.label[(mask > 0.5) & (cap > 0.6)] = Part.SNOW


def _peaks(rng: Rng, width: int, aspect: float) -> Plane:
    """A mountain skyline between about 0.1 and 1: sharp tops, rounded feet."""
    at = np.linspace(0, aspect, width, dtype=np.float32)
    ridge = np.zeros(width, np.float32)
    for _ in range(int(rng.integers(4, 8))):
        top, reach = rng.uniform(-0.1, aspect + 0.1), rng.uniform(0.22, 0.55)
        ridge = np.maximum(ridge, rng.uniform(0.45, 1) * np.clip(1 - np.abs(at - top) / reach, 0, 1))
    rough = 0.13 * line(rng, width, 7 * aspect, 6, 0.55)
    return np.asarray(np.clip(0.16 + 0.84 * ridge + rough * (0.4 + ridge), 0.03, 1.15), np.float32)


def paint_hills(canvas: Canvas, rng: Rng, sky: Sky, base: float, height: float, tint: Colour, haze: float) -> Plane:
    """One soft row of hills; the farther, the more haze."""
    skyline = base - height * (0.5 + 0.5 * line(rng, canvas.width, 2.2, 4, 0.4))
    texture = fractal(rng, canvas.height, canvas.width, 16, 4, 0.6, 2.0)
    colour: Plane = mix(tone(tint, 0.72), tone(tint, 1.12), texture) * _light(sky)
    depth = np.clip((canvas.y - skyline[None, :]) / 0.3, 0, 1)
    colour = colour * (1.06 - 0.25 * depth)[..., None]
    colour = mix(colour, np.broadcast_to(flat(sky.horizon), colour.shape), haze)
    canvas.cover(canvas.below(skyline), np.asarray(colour, np.float32), Part.GRASS if haze < 0.5 else Part.MOUNTAIN)
    return skyline


def paint_dunes(canvas: Canvas, rng: Rng, sky: Sky, horizon: float, rows: int = 4) -> None:
    """Dunes with a bright and a shaded side, and wind ripples on the nearest."""
    sand = jitter(rng, (0.92, 0.66, 0.38), 0.04)
    for index in range(rows):
        near = (index + 1) / rows
        crest = horizon + (1 - horizon) * 0.75 * (index / rows) ** 1.2
        wave = line(rng, canvas.width, 1.3 + 0.8 * rng.random(), 3, 0.35)
        skyline = crest - (0.03 + 0.09 * near) * wave
        shade_line = skyline + (0.05 + 0.22 * near) * np.clip(line(rng, canvas.width, 2.2, 3, 0.4) * 0.6 + 0.3, 0, 1)
        ripple = fractal(rng, canvas.height, canvas.width, 26, 3, 0.6, 5.0)
        shade = step((shade_line[None, :] - canvas.y) / 0.012 + 0.5)
        colour = mix(sand, tone(sand, 0.56), shade * 0.9) * (0.94 + 0.12 * ripple * near)[..., None] * _light(sky)
        haze = flat(0.45 * (1 - near) ** 1.5)
        colour = mix(np.asarray(colour, np.float32), np.broadcast_to(flat(sky.horizon), colour.shape), haze)
        canvas.cover(canvas.below(skyline), colour, Part.DESERT)


def paint_snowfield(canvas: Canvas, rng: Rng, sky: Sky, horizon: float) -> Plane:
    """Snow with soft drifts: bluish in the hollows, white on the backs."""
    edge = horizon + 0.03 * line(rng, canvas.width, 2, 4, 0.4)
    drift = fractal(rng, canvas.height, canvas.width, 4, 4, 0.45, 4.0)
    slope = np.gradient(drift, axis=0) * canvas.height / 6
    grain = fractal(rng, canvas.height, canvas.width, 70, 2, 0.9)
    white = jitter(rng, (0.98, 0.98, 1.0), 0.01)
    colour = mix((0.72, 0.80, 0.93), white, np.clip(0.7 + slope * 0.55 + (grain - 0.5) * 0.12, 0, 1))
    colour = colour * (0.25 + 0.75 * flat(sky.ambient))
    canvas.cover(canvas.below(edge), np.asarray(colour, np.float32), Part.SNOW)
    return edge


def paint_road(canvas: Canvas, rng: Rng, sky: Sky, horizon: float, line_colour: Colour) -> None:
    """A road that runs to the horizon, with a dashed line in its middle."""
    x = canvas.aspect * rng.uniform(0.35, 0.65)
    foot = canvas.aspect / 2 + rng.normal(0, 0.15)
    wide, far = rng.uniform(0.35, 0.6), 0.008
    grey = dimmed(jitter(rng, (0.36, 0.36, 0.38), 0.04), sky, 0.12)
    canvas.fill([(x - far, horizon), (x + far, horizon), (foot + wide, 1.05), (foot - wide, 1.05)], grey, Part.ROAD)
    stops = horizon + (1.05 - horizon) * np.linspace(0, 1, 15) ** 2.2
    for top, bottom in zip(stops[1::2], stops[2::2], strict=False):
        shares = [(y - horizon) / (1.05 - horizon) for y in (float(top), float(bottom))]
        left, right = (x + (foot - x) * share for share in shares)
        thin, thick = (0.018 * share + 0.001 for share in shares)
        dash = [
            (left - thin, float(top)),
            (left + thin, float(top)),
            (right + thick, float(bottom)),
            (right - thick, float(bottom)),
        ]
        canvas.fill(dash, line_colour, Part.ROAD)
