"""
Towns for training pictures: streets to a vanishing point, house fronts, cars.

Owns what stands along a street and on it. The light is that of `scenes_land`.
"""

from __future__ import annotations

import numpy as np

from pixfind.demo import things
from pixfind.demo.canvas import Canvas, Colour, Part, Rng, mix, pick, tone
from pixfind.demo.sky import Sky
from training import scenes_near as near
from training.scenes_land import HOUR_WEIGHTS, HOURS, Notes, any_sky, named_colour, one_of, paint_material


def street(canvas: Canvas, rng: Rng) -> Notes:
    """Between houses: a road to a vanishing point, façades on both sides, cars, people; or one façade from the front."""
    if rng.random() < 0.35:
        return house_front(canvas, rng)
    hour = one_of(rng, HOURS, HOUR_WEIGHTS)
    horizon = rng.uniform(0.35, 0.65)
    light = any_sky(canvas, rng, hour, horizon)
    lights = rng.uniform(0.2, 0.6) if hour in ("night", "dusk") else 0.03
    things.paint_skyline(canvas, rng, light, horizon + 0.02, rng.uniform(0.1, 0.4), lights, 0.1)
    paint_material(canvas, rng, light, "asphalt", horizon, horizon)
    for side in (0, 1):
        if rng.random() < 0.85:
            _facade(canvas, rng, light, horizon, side, lights)
    notes = Notes(hour, {"street": True, "city": True})
    if rng.random() < 0.5:
        near.strew(canvas, rng, int(rng.integers(2, 9)), horizon - 0.1, horizon + 0.3, float(np.mean(light.ambient)))
    for _ in range(int(rng.integers(0, 5))):
        near_by = rng.random() ** 1.5
        x, foot = canvas.aspect * rng.uniform(0.15, 0.85), horizon + 0.04 + (0.9 - horizon) * near_by
        if rng.random() < 0.6:
            name, paint = named_colour(rng)
            paint_car(canvas, rng, light, x, foot, 0.07 + 0.4 * near_by, paint)
            notes.pairs.append((name, "car"))
        else:
            near.paint_figure(canvas, rng, x, foot, 0.12 + 0.6 * near_by, near.any_colour(rng))
    if hour == "night":
        canvas.shine(canvas.glow(canvas.aspect * rng.random(), rng.uniform(0.2, 0.7), 0.12) * 0.6, (1.0, 0.8, 0.5))
    return notes


def house_front(canvas: Canvas, rng: Rng) -> Notes:
    """A wall with windows across the street, people and cars before it."""
    hour = one_of(rng, HOURS, HOUR_WEIGHTS)
    roof, foot = rng.uniform(-0.4, 0.3), rng.uniform(0.55, 0.9)
    light = any_sky(canvas, rng, hour, 0.5)
    bright = 0.15 + 0.85 * float(np.mean(light.ambient))
    _front_wall(canvas, rng, light, roof)
    _windows(canvas, rng, roof, foot, bright)
    paint_material(canvas, rng, light, "asphalt", foot, foot - rng.uniform(0.05, 0.5))
    notes = Notes(hour, {"street": True, "city": None, "buildings": True, "wall": None})
    near.strew(canvas, rng, int(rng.integers(0, 8)), foot - 0.4, foot + 0.1, bright)
    for _ in range(int(rng.choice([0, 0, 1, 2]))):
        name, paint = named_colour(rng)
        x, ground, size = canvas.aspect * rng.random(), rng.uniform(foot, 1.0), rng.uniform(0.3, 0.7)
        paint_car(canvas, rng, light, x, ground, size, paint)
        notes.pairs.append((name, "car"))
    for _ in range(int(rng.choice([0, 1, 1, 2, 4]))):
        x, ground, tall = canvas.aspect * rng.random(), rng.uniform(foot, 1.2), rng.uniform(0.3, 0.9)
        near.paint_figure(canvas, rng, x, ground, tall, near.any_colour(rng))
    return notes


def _front_wall(canvas: Canvas, rng: Rng, light: Sky, roof: float) -> None:
    """Bricks or plaster from the roof's edge down."""
    colour = pick(rng, (*near.MUTEDS, *near.WOODS, (0.62, 0.30, 0.22), (0.80, 0.72, 0.52), (0.70, 0.78, 0.82)), 0.06)
    rgb, label = canvas.rgb.copy(), canvas.label.copy()
    if rng.random() < 0.4:
        near.paint_bricks(canvas, rng, colour, int(rng.integers(14, 40)))
    else:
        canvas.rgb[:] = near.surface(canvas, rng, colour, 0.3, "asphalt")
    canvas.rgb *= 0.15 + 0.85 * np.float32(light.ambient)
    canvas.label[:] = Part.BUILDING
    above = canvas.y[:, 0] < roof
    canvas.rgb[above], canvas.label[above] = rgb[above], label[above]


def _windows(canvas: Canvas, rng: Rng, roof: float, foot: float, bright: float) -> None:
    """Rows of framed panes."""
    bay, floor = rng.uniform(0.14, 0.4), rng.uniform(0.18, 0.5)
    glass = pick(rng, ((0.10, 0.12, 0.15), (0.30, 0.36, 0.42), (0.55, 0.62, 0.70), (0.85, 0.75, 0.50)), 0.05)
    frame = pick(rng, (*near.MUTEDS, (0.9, 0.9, 0.88)), 0.05)
    for left in np.arange(rng.uniform(-bay, 0), canvas.aspect, bay):
        for top in np.arange(roof + 0.15 * floor, foot - 0.6 * floor, floor):
            for grow, colour in ((0.02, frame), (0.0, glass)):
                x, y, right, low = left - grow, top - grow, left + bay * 0.5 + grow, top + floor * 0.6 + grow
                canvas.fill([(x, y), (right, y), (right, low), (x, low)], tone(colour, bright), Part.BUILDING)


def _facade(canvas: Canvas, rng: Rng, light: Sky, horizon: float, side: int, lights: float) -> None:
    """A wall in perspective with rows of windows."""
    outer, inner = (
        (canvas.aspect, canvas.aspect * rng.uniform(0.55, 0.85))
        if side
        else (0.0, canvas.aspect * rng.uniform(0.15, 0.45))
    )
    share = np.clip((canvas.x - inner) / (outer - inner), 0, 1)
    roof = horizon - (0.05 + share * rng.uniform(0.3, 0.9))
    foot = horizon + (0.01 + share * rng.uniform(0.15, 0.5))
    mask = ((canvas.y > roof) & (canvas.y < foot) & (share > 0)).astype(np.float32)
    floors = (canvas.y - roof) / (foot - roof) * rng.integers(3, 9)
    bays = 1 / (share + 0.25) * rng.uniform(2, 5)
    pane = ((floors % 1 > 0.35) & (floors % 1 < 0.85) & (bays % 1 > 0.3) & (bays % 1 < 0.8)).astype(np.float32)
    wall = pick(
        rng, ((0.70, 0.62, 0.50), (0.60, 0.34, 0.26), (0.62, 0.62, 0.62), (0.84, 0.80, 0.72), (0.50, 0.46, 0.44)), 0.05
    )
    lit = np.asarray(0.15 + 0.85 * np.float32(light.ambient), np.float32)
    glass: Colour = (1.0, 0.85, 0.5) if lights > rng.random() else tone((0.3, 0.35, 0.4), float(lit.mean()))
    body = near.surface(canvas, rng, wall, 0.25) * lit
    canvas.cover(mask, mix(body, np.broadcast_to(np.float32(glass), body.shape), pane * 0.85), Part.BUILDING)


def paint_car(canvas: Canvas, rng: Rng, light: Sky, x: float, foot: float, size: float, paint: Colour) -> None:
    """A car from the side or the front."""
    lit = tone(paint, 0.3 + 0.7 * float(np.mean(light.ambient)))
    body = [
        (-0.5, -0.08),
        (-0.5, -0.24),
        (-0.3, -0.28),
        (-0.2, -0.44),
        (0.16, -0.44),
        (0.3, -0.27),
        (0.5, -0.22),
        (0.5, -0.08),
    ]
    if rng.random() < 0.4:
        body = [(-0.4, -0.06), (-0.42, -0.32), (-0.28, -0.56), (0.28, -0.56), (0.42, -0.32), (0.4, -0.06)]
    canvas.fill(
        [
            (x - size * 0.5, foot),
            (x + size * 0.5, foot),
            (x + size * 0.45, foot - size * 0.06),
            (x - size * 0.45, foot - size * 0.06),
        ],
        (0.05, 0.05, 0.06),
        Part.CAR,
    )
    canvas.fill([(x + px * size, foot + py * size) for px, py in body], lit, Part.CAR)
    glass = [(-0.17, -0.28), (-0.13, -0.41), (0.13, -0.41), (0.2, -0.28)]
    canvas.fill([(x + px * size, foot + py * size) for px, py in glass], (0.2, 0.24, 0.28), Part.CAR)
    for wheel in (-0.3, 0.3):
        canvas.cover(canvas.disc(x + wheel * size, foot - size * 0.06, size * 0.09), (0.05, 0.05, 0.05), Part.CAR)
