# ruff: noqa: PLR2004 - a drawing is made of numbers; each is named by the line it stands in
"""
Skies: gradients of every hour, clouds, sun and moon, stars, rainbow, aurora, fireworks.

Owns light from above and its palettes. Must not know what lies under the horizon.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pixfind.demo.canvas import Canvas, Colour, Part, Plane, Rng, flat, jitter, mix, pick, step
from pixfind.demo.noise import fractal, line


@dataclass(frozen=True)
class Sky:
    """The light of a picture: what later layers need to know of the sky above them."""

    hour: str
    zenith: Colour
    horizon: Colour
    sun: tuple[float, float] | None
    ambient: Colour


#: Per hour: some (zenith, middle, horizon) triples. Real photographs of these hours look like this.
GRADIENTS: dict[str, tuple[tuple[Colour, Colour, Colour], ...]] = {
    "day": (
        ((0.16, 0.40, 0.78), (0.42, 0.64, 0.90), (0.76, 0.87, 0.96)),
        ((0.10, 0.34, 0.70), (0.30, 0.55, 0.86), (0.66, 0.82, 0.95)),
        ((0.30, 0.54, 0.86), (0.55, 0.74, 0.93), (0.84, 0.91, 0.96)),
        ((0.22, 0.50, 0.80), (0.50, 0.73, 0.90), (0.88, 0.93, 0.93)),
    ),
    "hazy": (
        ((0.60, 0.72, 0.84), (0.74, 0.81, 0.88), (0.88, 0.90, 0.91)),
        ((0.72, 0.80, 0.87), (0.83, 0.87, 0.91), (0.93, 0.94, 0.94)),
    ),
    "overcast": (
        ((0.62, 0.65, 0.69), (0.73, 0.75, 0.78), (0.84, 0.85, 0.86)),
        ((0.86, 0.88, 0.90), (0.91, 0.92, 0.93), (0.95, 0.95, 0.95)),
        ((0.45, 0.49, 0.54), (0.58, 0.61, 0.65), (0.74, 0.76, 0.78)),
    ),
    "sunset": (
        ((0.20, 0.20, 0.42), (0.82, 0.44, 0.44), (1.00, 0.70, 0.34)),
        ((0.32, 0.26, 0.46), (0.94, 0.50, 0.32), (1.00, 0.80, 0.46)),
        ((0.42, 0.36, 0.54), (0.96, 0.58, 0.46), (1.00, 0.84, 0.62)),
        ((0.52, 0.24, 0.26), (0.92, 0.42, 0.18), (1.00, 0.72, 0.26)),
        ((0.28, 0.36, 0.60), (0.86, 0.62, 0.60), (1.00, 0.76, 0.52)),
    ),
    "dawn": (
        ((0.40, 0.46, 0.70), (0.82, 0.68, 0.78), (1.00, 0.84, 0.72)),
        ((0.46, 0.58, 0.78), (0.90, 0.78, 0.78), (1.00, 0.90, 0.76)),
    ),
    "dusk": (
        ((0.09, 0.12, 0.30), (0.30, 0.28, 0.50), (0.82, 0.50, 0.44)),
        ((0.07, 0.12, 0.30), (0.16, 0.26, 0.48), (0.46, 0.50, 0.62)),
    ),
    "night": (
        ((0.02, 0.03, 0.10), (0.04, 0.07, 0.19), (0.10, 0.15, 0.30)),
        ((0.04, 0.03, 0.12), (0.09, 0.08, 0.24), (0.22, 0.18, 0.36)),
        ((0.01, 0.04, 0.10), (0.03, 0.09, 0.20), (0.09, 0.22, 0.32)),
    ),
}

#: What the light of an hour does to everything that it falls on.
AMBIENT: dict[str, Colour] = {
    "day": (1.0, 1.0, 0.98),
    "hazy": (0.96, 0.96, 0.96),
    "overcast": (0.84, 0.86, 0.89),
    "sunset": (0.62, 0.44, 0.38),
    "dawn": (0.90, 0.80, 0.80),
    "dusk": (0.34, 0.34, 0.48),
    "night": (0.14, 0.17, 0.30),
}


def dimmed(colour: Colour, sky: Sky, least: float) -> Colour:
    """A colour in the light of an hour; `least` is what remains of it in full darkness."""
    red, green, blue = (c * (least + (1 - least) * light) for c, light in zip(colour, sky.ambient, strict=True))
    return red, green, blue


def paint_sky(canvas: Canvas, rng: Rng, hour: str, horizon: float = 1.0) -> Sky:
    """Fill the canvas down to the horizon with the gradient of an hour; returns its light."""
    palette = GRADIENTS[hour]
    zenith, middle, low = (jitter(rng, colour, 0.03) for colour in palette[int(rng.integers(len(palette)))])
    height = np.clip(canvas.y / max(horizon, 0.2), 0, 1) ** rng.uniform(0.8, 1.4)
    bend = rng.uniform(0.45, 0.7)
    upper = mix(zenith, middle, np.clip(height / bend, 0, 1))
    column = mix(upper, np.broadcast_to(flat(low), upper.shape), np.clip((height - bend) / (1 - bend), 0, 1))
    tilt = 1 + rng.normal(0, 0.05) * (canvas.x / canvas.aspect - 0.5)
    colours = np.broadcast_to(column, (canvas.height, canvas.width, 3)) * flat(tilt)[..., None]
    canvas.rgb[:] = colours
    canvas.label[: canvas.row(horizon) + 1] = Part.SKY
    return Sky(hour, zenith, low, None, AMBIENT[hour])


def paint_sun(canvas: Canvas, sky: Sky, x: float, y: float, radius: float = 0.05) -> Sky:
    """A sun with its glow; low suns are yellow, high ones white."""
    low = sky.hour in ("sunset", "dawn", "dusk")
    tint: Colour = (1.0, 0.62, 0.25) if low else (1.0, 0.97, 0.88)
    shade = (canvas.label == Part.SKY).astype(np.float32)
    canvas.shine(canvas.glow(x, y, radius * 7) * (0.26 if low else 0.22) * shade, tint)
    canvas.shine(canvas.glow(x, y, radius * 2.4) * 0.34 * shade, tint)
    disc = canvas.disc(x, y, radius) * shade
    canvas.cover(disc, (1.0, 0.98, 0.80) if low else (1.0, 1.0, 0.97), Part.SUN)
    return Sky(sky.hour, sky.zenith, sky.horizon, (x, y), sky.ambient)


def paint_moon(canvas: Canvas, rng: Rng, x: float, y: float, radius: float) -> None:
    """A full or nearly full moon with a faint halo."""
    canvas.shine(canvas.glow(x, y, radius * 4) * 0.22, (0.7, 0.8, 1.0))
    face = fractal(rng, canvas.height, canvas.width, 14, 3)
    colour = mix((0.95, 0.95, 0.88), (0.74, 0.76, 0.76), step((face - 0.5) * 5))
    canvas.cover(canvas.disc(x, y, radius), colour, Part.MOON)


def paint_stars(canvas: Canvas, rng: Rng, count: int) -> None:
    """Small bright points, a few of them larger."""
    rows = rng.integers(0, canvas.height, count)
    columns = rng.integers(0, canvas.width, count)
    dark = canvas.label[rows, columns] == Part.SKY
    light = (rng.random(count) ** 3).astype(np.float32)[:, None] * flat([1.0, 1.0, 1.05])
    canvas.rgb[rows[dark], columns[dark]] += light[dark]
    large = max(1, canvas.height // 220)
    for row, column in zip(rows[:9], columns[:9], strict=True):
        patch = canvas.rgb[row : row + large + 1, column : column + large + 1]
        if canvas.label[row, column] == Part.SKY:
            patch += flat(0.5)


def paint_clouds(canvas: Canvas, rng: Rng, sky: Sky, cover: float, kind: str = "cumulus") -> None:
    """Clouds over what is still sky; `cover` is the share of the sky that they hide."""
    density, light = cloud_field(canvas, rng, kind)
    threshold = np.quantile(density, 1 - np.clip(cover, 0.02, 0.98))
    soft = {"cumulus": 0.13, "wisps": 0.5, "layers": 0.3}[kind]
    mask = step((density - threshold) / soft) * (canvas.label == Part.SKY)
    bright, dark = cloud_colours(rng, sky)
    canvas.cover(mask * flat(0.75 if kind == "wisps" else 0.96), mix(dark, bright, light), Part.CLOUD)


def cloud_field(canvas: Canvas, rng: Rng, kind: str) -> tuple[Plane, Plane]:
    """How thick the clouds are at each pixel, and how much of the light reaches it."""
    stretch = {"cumulus": 1.7, "wisps": 5.0, "layers": 4.0}[kind]
    cells = {"cumulus": rng.uniform(2, 4), "wisps": rng.uniform(3, 6), "layers": rng.uniform(4, 7)}[kind]
    density = fractal(rng, canvas.height, canvas.width, cells, 7, 0.52, stretch)
    lift = max(1, int(canvas.height * 0.035))
    above = np.roll(density, lift, axis=0)
    above[:lift] = density[:lift]
    light = np.clip(0.62 + (density - above) * 2.6 - (density - 0.6) * 0.5, 0, 1)
    return density, np.asarray(light, np.float32)


def cloud_colours(rng: Rng, sky: Sky) -> tuple[Colour, Colour]:
    """The lit and the shaded colour of clouds at an hour."""
    pairs: dict[str, tuple[Colour, Colour]] = {
        "day": ((1.0, 1.0, 1.0), (0.66, 0.71, 0.79)),
        "hazy": ((0.97, 0.97, 0.97), (0.76, 0.79, 0.83)),
        "overcast": ((0.86, 0.87, 0.88), (0.48, 0.51, 0.55)),
        "sunset": ((1.0, 0.72, 0.46), (0.48, 0.28, 0.38)),
        "dawn": ((1.0, 0.86, 0.82), (0.64, 0.56, 0.70)),
        "dusk": ((0.78, 0.46, 0.50), (0.18, 0.18, 0.32)),
        "night": ((0.22, 0.26, 0.38), (0.06, 0.08, 0.16)),
    }
    bright, dark = pairs[sky.hour]
    return jitter(rng, bright, 0.03), jitter(rng, dark, 0.03)


def paint_rainbow(canvas: Canvas, rng: Rng, strength: float = 0.45) -> None:
    """An arc of seven colours over the sky, the inside a little brighter."""
    x, y = canvas.aspect * rng.uniform(0.3, 0.7), rng.uniform(0.95, 1.2)
    radius, width = rng.uniform(0.72, 0.9), rng.uniform(0.05, 0.075)
    far = np.hypot(canvas.x - x, canvas.y - y)
    sky = np.isin(canvas.label, (Part.SKY, Part.CLOUD)).astype(np.float32)
    canvas.shine(step((radius - far) / 0.03) * 0.07 * sky, (1, 1, 1))
    at = (far - radius) / width
    bands: tuple[Colour, ...] = (
        (0.55, 0.30, 0.85), (0.25, 0.40, 0.95), (0.20, 0.75, 0.55), (0.65, 0.90, 0.25), (1.0, 0.85, 0.2),
        (1.0, 0.50, 0.15), (0.95, 0.20, 0.20),
    )  # fmt: skip
    stops = np.linspace(0, 1, len(bands))
    colours = np.stack([np.interp(at, stops, [band[c] for band in bands]) for c in range(3)], axis=-1)
    edge = np.clip(1 - np.abs(at - 0.5) * 2, 0, 1)
    mask = np.asarray(np.minimum(1, edge * 2.5) * strength * sky, np.float32)
    canvas.rgb += mask[..., None] * (colours.astype(np.float32) - canvas.rgb * 0.6)
    canvas.label[mask > strength * 0.5] = Part.RAINBOW


def paint_aurora(canvas: Canvas, rng: Rng) -> None:
    """Curtains of green light with violet hems."""
    for _ in range(int(rng.integers(2, 4))):
        foot = rng.uniform(0.35, 0.6) + 0.12 * line(rng, canvas.width, 2.5, 4)
        tall = rng.uniform(0.25, 0.4) * (1 + 0.5 * line(rng, canvas.width, 5, 4))
        rise = (foot[None, :] - canvas.y) / np.maximum(tall, 0.08)[None, :]
        curtain = np.clip(rise * 9, 0, 1) * np.clip(1 - rise, 0, 1) ** 1.4
        rays = 0.55 + 0.45 * line(rng, canvas.width, 40, 3)
        light = np.asarray(curtain * np.clip(rays, 0.1, 1)[None, :], np.float32) * (canvas.label == Part.SKY)
        hem = np.clip(rise, 0, 1)
        colour = mix(pick(rng, ((0.15, 0.95, 0.5), (0.2, 0.9, 0.65))), (0.6, 0.25, 0.8), hem)
        canvas.rgb += light[..., None] * colour * flat(rng.uniform(0.6, 0.85))
        canvas.label[light > 0.22] = Part.AURORA


def paint_firework(canvas: Canvas, rng: Rng, x: float, y: float, radius: float, colour: Colour) -> None:
    """One burst: rays of sparks that fall a little and fade."""
    sparks = int(rng.integers(45, 80))
    length = 40
    angle = rng.uniform(0, 2 * np.pi, sparks)[:, None]
    reach = (radius * rng.uniform(0.7, 1.0, sparks))[:, None] * np.linspace(0.12, 1, length)[None, :] ** 0.8
    fall = 0.22 * radius * np.linspace(0, 1, length)[None, :] ** 2
    rows = ((y + np.sin(angle) * reach + fall) * canvas.height).astype(np.int64).ravel()
    columns = ((x + np.cos(angle) * reach) * canvas.height).astype(np.int64).ravel()
    light = np.tile(np.linspace(0.25, 1.0, length) ** 1.5, sparks)
    inside = (rows >= 0) & (rows < canvas.height - 1) & (columns >= 0) & (columns < canvas.width - 1)
    rows, columns, light = rows[inside], columns[inside], light[inside]
    field = np.zeros((canvas.height, canvas.width), np.float32)
    np.maximum.at(field, (rows, columns), light.astype(np.float32))
    np.maximum.at(field, (rows, columns + 1), light.astype(np.float32) * 0.6)
    np.maximum.at(field, (rows + 1, columns), light.astype(np.float32) * 0.6)
    canvas.shine(canvas.glow(x, y, radius * 0.55) * 0.3, colour)
    canvas.rgb += field[..., None] * mix(colour, (1, 1, 1), field * 0.45)
    canvas.label[(field > 0.2) | (np.hypot(canvas.x - x, canvas.y - y) < radius * 0.5)] = Part.FIREWORK
