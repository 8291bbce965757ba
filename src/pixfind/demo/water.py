# ruff: noqa: PLR2004 - a drawing is made of numbers; each is named by the line it stands in
"""
Water: seas with waves, still lakes that mirror what stands above them, foam on the shore.

Owns reflections and glitter. Must not know hours beyond the light that a `Sky` hands over.
"""

from __future__ import annotations

import numpy as np

from pixfind.demo.canvas import Canvas, Colour, Part, Plane, Rng, flat, jitter, mix, step
from pixfind.demo.noise import fractal, line, receding
from pixfind.demo.sky import Sky

SEA: dict[str, tuple[Colour, Colour]] = {
    "blue": ((0.30, 0.52, 0.68), (0.04, 0.22, 0.40)),
    "tropical": ((0.36, 0.76, 0.80), (0.06, 0.48, 0.60)),
    "grey": ((0.52, 0.57, 0.60), (0.24, 0.29, 0.32)),
    "green": ((0.34, 0.54, 0.50), (0.08, 0.27, 0.26)),
    "dark": ((0.16, 0.20, 0.30), (0.03, 0.06, 0.13)),
}


def paint_sea(canvas: Canvas, rng: Rng, sky: Sky, horizon: float, tint: str = "blue", swell: float = 1.0) -> None:
    """Open water from the horizon down: waves in perspective, the sky's colour at grazing angles, glitter."""
    top = canvas.row(horizon)
    rows = canvas.height - top
    if rows < 2:
        return
    waves = receding(rng, rows, canvas.width, 1.4 * swell, 4, 3.5)
    near = (np.arange(rows, dtype=np.float32)[:, None] / max(rows, 1)) ** 0.7
    light, dark = (jitter(rng, colour, 0.03) for colour in SEA[tint])
    body = mix(light, dark, np.clip(near * 0.8 + (waves - 0.5) * 1.1, 0, 1)) * _lit(sky)
    shine = np.clip(0.65 * (1 - near) + (waves - 0.5) * 1.2, 0, 0.75)
    water = mix(body, np.broadcast_to(flat(sky.horizon) * 0.95, body.shape), shine)
    canvas.cover(np.ones((rows, canvas.width), np.float32), water, Part.SEA, top)
    if sky.sun is not None:
        _glitter(canvas, sky, top, waves)


def _lit(sky: Sky) -> Plane:
    return np.asarray(0.35 + 0.65 * flat(sky.ambient), np.float32)


def _glitter(canvas: Canvas, sky: Sky, top: int, waves: Plane) -> None:
    """The sun's road on the water."""
    rows = canvas.height - top
    near = np.arange(rows, dtype=np.float32)[:, None] / max(rows, 1)
    x = sky.sun[0] if sky.sun else 0.0
    spread = 0.05 + 0.14 * near
    road = np.exp(-(((canvas.x - x) / spread) ** 2))
    sparkle = step((waves - 0.42 - 0.12 * near) * 7) * road * (0.95 - 0.45 * near)
    tint: Colour = (1.0, 0.78, 0.46) if sky.hour in ("sunset", "dawn", "dusk") else (1.0, 1.0, 0.94)
    canvas.rgb[top:] += (sparkle * 0.75)[..., None].astype(np.float32) * flat(tint)


def paint_lake(canvas: Canvas, rng: Rng, sky: Sky, shore: float, calm: float = 1.0) -> None:
    """Still water from the shore down: the picture above, upside down, rippled and a little darker."""
    top = canvas.row(shore)
    rows = canvas.height - top
    if rows < 2 or top < 2:
        return
    ripple = receding(rng, rows, canvas.width, 1.2, 3, 6.0) - 0.5
    depth = np.arange(rows, dtype=np.float32)[:, None]
    shift = ripple * (1.5 + depth * 0.09) * (1.6 - calm) * canvas.height / 120
    source = np.clip(top - 1 - (depth * min(1.0, top / rows) + shift), 0, top - 1).astype(np.int64)
    mirror = canvas.rgb[source, np.arange(canvas.width)[None, :]]
    deep = flat(jitter(rng, (0.07, 0.17, 0.22), 0.02)) * _lit(sky)
    share = 0.16 + 0.34 * depth / rows + ripple * 0.35 * (1.5 - calm)
    canvas.cover(np.ones((rows, canvas.width), np.float32), mix(mirror, deep, np.clip(share, 0, 0.8)), Part.LAKE, top)


def paint_beach(canvas: Canvas, rng: Rng, sky: Sky, shore: float, slope: float, sand: Colour) -> None:
    """Sand in the foreground with wet sand and foam where the waves end."""
    columns = np.arange(canvas.width, dtype=np.float32) / canvas.height
    edge = shore + slope * (columns - canvas.aspect / 2) + 0.018 * line(rng, canvas.width, 4, 4)
    grain = fractal(rng, canvas.height, canvas.width, 40, 3, 0.9)
    dunes = fractal(rng, canvas.height, canvas.width, 4, 4, 0.5, 3.0)
    depth = np.clip((canvas.y - edge[None, :]) / 0.3, 0, 1)
    dry = mix(sand, tuple(flat(sand) * 0.80), dunes * 0.8 + grain * 0.25)
    wet = np.clip(1 - depth * 3.2, 0, 1)
    lit = flat(sky.ambient) * 0.9 + 0.1
    colour = mix(dry, mix(tuple(flat(sand) * 0.55), sky.horizon, 0.25), wet * 0.85) * lit
    canvas.cover(canvas.below(edge), colour, Part.SAND)
    for back in (0.0, -rng.uniform(0.03, 0.05), -rng.uniform(0.075, 0.11)):
        _foam(canvas, rng, sky, edge + back * (1 + 0.4 * line(rng, canvas.width, 3, 3)), back)


def _foam(canvas: Canvas, rng: Rng, sky: Sky, edge: Plane, back: float) -> None:
    lace = fractal(rng, canvas.height, canvas.width, 26, 3, 0.7, 2.5)
    far = canvas.y - edge[None, :]
    width = 0.022 + back * 0.09
    band = np.exp(-((far / width) ** 2)) * step((lace - 0.36) * 4)
    white = 0.96 * (0.4 + 0.6 * flat(sky.ambient))
    mask = np.asarray(np.clip(band * 0.95, 0, 1), np.float32)
    canvas.cover(mask, np.broadcast_to(white, (*mask.shape, 3)), Part.FOAM)
