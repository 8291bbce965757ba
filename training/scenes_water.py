"""
Water as light makes it: waves from a spectrum, the sky and the shore mirrored in them, the water's own colour below.

Owns waves and mirrors. A view of a plane of moving water: each pixel looks at a wave whose slope decides what it mirrors and
how much (Schlick's approximation of Fresnel's law, https://en.wikipedia.org/wiki/Schlick%27s_approximation).
"""

from __future__ import annotations

from functools import cache

import numpy as np

from pixfind.demo.canvas import Canvas, Colour, Part, Plane, Rng, flat, jitter, mix, pick
from pixfind.demo.noise import line
from pixfind.demo.sky import Sky
from training.scenes_materials import SIDE, any_tiles, facing, lying, pyramid

SEAS = 8
"""Different patterns of waves."""
BODIES: tuple[Colour, ...] = (
    (0.02, 0.10, 0.20), (0.03, 0.16, 0.28), (0.05, 0.26, 0.38), (0.08, 0.42, 0.50), (0.20, 0.62, 0.66), (0.06, 0.16, 0.14),
    (0.12, 0.18, 0.12), (0.20, 0.20, 0.14), (0.30, 0.26, 0.18), (0.02, 0.05, 0.07), (0.16, 0.22, 0.25), (0.10, 0.30, 0.24), (0.26, 0.28, 0.24), (0.34, 0.35, 0.33),
)  # fmt: skip
FOCAL = 1.1
"""Distance of the eye from the picture, in heights of the picture: about 50 degrees of view."""


@cache
def _waves(number: int) -> Plane:
    """Slopes across and along, and the height, of one pattern of waves, as a pyramid; the slopes have deviation 1."""
    rng = np.random.default_rng([77, number])
    down, across = np.fft.fftfreq(SIDE, 1 / SIDE)[:, None], np.fft.rfftfreq(SIDE, 1 / SIDE)[None, :]
    frequency = np.maximum(np.hypot(down, across), 0.5)
    wind, spread = rng.uniform(0, np.pi), rng.uniform(0.5, 4)
    along = np.abs(np.cos(np.arctan2(down, across) - wind)) ** spread
    longest, fall = rng.uniform(3, 10), rng.uniform(1.8, 3.0)
    amplitude = along * frequency**-fall * np.exp(-((longest / frequency) ** 2))
    waves = amplitude * np.exp(2j * np.pi * rng.random(frequency.shape))
    planes = [np.fft.irfft2(part, (SIDE, SIDE)) for part in (1j * across * waves, 1j * down * waves, waves)]
    return pyramid(np.stack([plane / plane.std() for plane in planes], axis=-1))


def paint_water(
    canvas: Canvas,
    rng: Rng,
    light: Sky,
    horizon: float,
    part: Part,
    eye: float | None = None,
    tint: Colour | None = None,
) -> None:
    """
    Water from `horizon` down, still to rough, clear to muddy, mirroring what is on the canvas above it.

    `eye` is the height of the true horizon where that lies above the picture: a look down. `tint` is the water's own colour.
    """
    top = canvas.row(horizon)
    if canvas.height - top < 2:
        return
    eye = horizon if eye is None else eye
    rough = float(np.exp(rng.uniform(np.log(0.02 if eye > -0.05 else 0.08), np.log(0.5))))
    waves = lying(canvas, rng, _waves(int(rng.integers(SEAS))), eye, float(np.exp(rng.uniform(-1.0, 1.3))), top)
    view = np.stack(
        np.broadcast_arrays((canvas.x - canvas.aspect / 2) / FOCAL, (eye - canvas.y[top:]) / FOCAL, np.float32(1)), -1
    )
    view = view / np.linalg.norm(view, axis=-1, keepdims=True)
    normal = np.stack([-rough * waves[..., 0], np.ones_like(waves[..., 0]), rough * waves[..., 1]], -1)
    normal = normal / np.linalg.norm(normal, axis=-1, keepdims=True)
    facing_it = np.clip(-(view * normal).sum(-1, keepdims=True), 0.0, 1.0)
    away = view + 2 * facing_it * normal
    mirrored = _mirrored(canvas, light, away, horizon, top)
    share = 0.02 + 0.98 * (1 - facing_it) ** 5
    body = (
        flat(tint or jitter(rng, pick(rng, BODIES), 0.04))
        * (0.2 + 0.8 * flat(light.ambient))
        * (1 + 0.25 * rough * waves[..., 2:3])
    )
    colour = body + share * (mirrored - body)
    colour = _foamed(rng, light, colour, waves[..., 2], rough)
    canvas.cover(np.ones(colour.shape[:2], np.float32), np.asarray(colour, np.float32), part, top)
    if light.sun is not None or (light.hour == "day" and rng.random() < 0.4):
        _glints(canvas, rng, light, away, top, eye)


def _mirrored(canvas: Canvas, light: Sky, away: Plane, horizon: float, top: int) -> Plane:
    """What the mirrored look meets: the picture above the horizon where it reaches, else the sky."""
    up = np.clip(away[..., 1], 0.0, 1.0)
    sky = mix(light.horizon, light.zenith, up**0.7)
    if top < 4:
        return sky
    ahead = np.maximum(away[..., 2], 0.15)
    rows = (horizon - up / ahead * FOCAL) * canvas.height
    columns = (canvas.aspect / 2 + away[..., 0] / ahead * FOCAL) * canvas.height
    seen = canvas.rgb[np.clip(rows, 0, top - 1).astype(np.intp), np.clip(columns, 0, canvas.width - 1).astype(np.intp)]
    beyond = np.clip(-rows / (0.3 * canvas.height), 0, 1)
    return mix(seen, sky, beyond)


def _foamed(rng: Rng, light: Sky, colour: Plane, height: Plane, rough: float) -> Plane:
    """White caps on the highest waves of a rough sea."""
    if rough < 0.15 or rng.random() < 0.4:
        return colour
    caps = np.clip((height - rng.uniform(1.2, 2.4)) * 2, 0, 1) * np.float32(rng.uniform(0.4, 1))
    return mix(colour, tuple(0.95 * flat(light.ambient)), caps)


def _glints(canvas: Canvas, rng: Rng, light: Sky, away: Plane, top: int, eye: float) -> None:
    """The sun in the waves: its road, and sparks."""
    x, y = light.sun or (canvas.aspect * rng.random(), eye - rng.uniform(0.2, 1.5))
    sun = np.array([(x - canvas.aspect / 2) / FOCAL, max(0.03, (eye - y) / FOCAL), 1.0])
    sun = sun / np.linalg.norm(sun)
    near = np.clip((away * sun).sum(-1), 0, 1)
    low = light.hour in ("sunset", "dawn", "dusk")
    shine = near ** rng.uniform(40, 300) * rng.uniform(0.4, 1.2)
    canvas.rgb[top:] += np.asarray(shine[..., None] * flat((1.0, 0.75, 0.42) if low else (1.0, 1.0, 0.95)), np.float32)


def paint_white_water(canvas: Canvas, rng: Rng, light: Sky, x: float, y: float, size: float) -> None:
    """A splash or a breaking wave: lace and drops around a point."""
    lace = facing(canvas, rng, any_tiles(rng, "gravel"), rng.uniform(0.3, 1.5))[..., 0]
    lump = canvas.glow(x, y, size) + canvas.glow(
        x + rng.normal(0, size), y + size * rng.uniform(0, 0.5), size * rng.uniform(0.4, 1)
    )
    mask = np.clip((lump + 1.2 * lace - rng.uniform(0.9, 1.3)) * rng.uniform(1.5, 5), 0, 1) * np.clip(lump * 3, 0, 1)
    canvas.cover(np.asarray(mask, np.float32), tuple(0.97 * (0.2 + 0.8 * flat(light.ambient))), Part.FOAM)
    for _ in range(int(rng.integers(0, 40))):
        dx, dy = rng.normal(0, size * 1.2), -abs(rng.normal(0, size))
        canvas.cover(canvas.disc(x + dx, y + dy, rng.uniform(0.003, 0.012)), (0.95, 0.97, 0.98), Part.FOAM)


def paint_breaker(canvas: Canvas, rng: Rng, light: Sky, horizon: float) -> None:
    """A wave that breaks: a clear steep face under a crest, and foam that tumbles before and behind it."""
    top = max(horizon, 0.0)
    crest = (
        top
        + (1 - top) * rng.uniform(0.1, 0.6)
        + rng.uniform(0.01, 0.08) * line(rng, canvas.width, rng.uniform(1, 4), 4)
    )
    steep = rng.uniform(0.04, 0.3)
    depth = (canvas.y - crest[None, :]) / steep
    streaks = facing(canvas, rng, any_tiles(rng, "bark"), rng.uniform(0.5, 2))[..., 0]
    body = flat(jitter(rng, pick(rng, BODIES), 0.06)) * (0.3 + 0.9 * flat(light.ambient))
    face = body * (1.3 - 0.6 * np.clip(depth, 0, 1) + 0.4 * (streaks - 0.5))[..., None]
    canvas.cover(((depth > 0) & (depth < 1)).astype(np.float32), np.asarray(face, np.float32), Part.SEA)
    lace = facing(canvas, rng, any_tiles(rng, "gravel" if rng.random() < 0.5 else "rock"), rng.uniform(0.3, 1.5))[
        ..., 0
    ]
    tumble = np.exp(-((depth - rng.uniform(-0.2, 1.2)) ** 2) / rng.uniform(0.05, 0.6))
    along = np.clip(0.5 + line(rng, canvas.width, rng.uniform(1, 3), 3)[None, :] + rng.uniform(-0.3, 0.6), 0, 1)
    mask = np.clip((tumble * along * 1.6 + lace - rng.uniform(0.8, 1.2)) * 4, 0, 1)
    white = 0.97 * (0.2 + 0.8 * flat(light.ambient)) * (0.8 + 0.3 * lace[..., None])
    canvas.cover(
        np.asarray(mask * (canvas.y > top), np.float32), np.asarray(np.minimum(white, 1), np.float32), Part.FOAM
    )
