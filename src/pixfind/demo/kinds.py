# ruff: noqa: PLR2004 - a drawing is made of numbers; each is named by the line it stands in
"""
The kinds of picture in the demo collection: each a short recipe over the painters.

Owns composition: what stands where, and in which light. Must not know files.
"""

from collections.abc import Callable

import numpy as np

from pixfind.demo import land, plants, sky, things, water
from pixfind.demo.canvas import Canvas, Colour, Part, Rng, jitter, pick
from pixfind.demo.plants import AUTUMNS, PETALS
from pixfind.demo.sky import Sky
from pixfind.demo.things import BRIGHTS

Recipe = Callable[[Canvas, Rng], None]

ROCKS: tuple[Colour, ...] = ((0.44, 0.44, 0.48), (0.50, 0.45, 0.42), (0.38, 0.42, 0.50))
SANDS: tuple[Colour, ...] = ((0.92, 0.82, 0.62), (0.95, 0.88, 0.74), (0.86, 0.74, 0.55))
WALLS: tuple[Colour, ...] = ((0.92, 0.89, 0.82), (0.72, 0.20, 0.16), (0.94, 0.82, 0.52), (0.55, 0.68, 0.78))
ROOFS: tuple[Colour, ...] = ((0.62, 0.24, 0.16), (0.36, 0.30, 0.28), (0.42, 0.44, 0.50))
HEARTS: tuple[Colour, ...] = ((0.96, 0.76, 0.16), (0.42, 0.24, 0.08), (0.80, 0.60, 0.12))


def _choose(rng: Rng, *choices: str) -> str:
    return choices[int(rng.integers(len(choices)))]


def _some(rng: Rng, palette: dict[str, Colour], count: int) -> list[Colour]:
    names = rng.permutation(sorted(palette))[:count]
    return [jitter(rng, palette[str(name)], 0.03) for name in names]


def _day(canvas: Canvas, rng: Rng, horizon: float, cover: float | None = None) -> Sky:
    """A blue sky, mostly with some clouds."""
    light = sky.paint_sky(canvas, rng, "day", horizon)
    share = rng.uniform(0.05, 0.45) if cover is None else cover
    if share > 0:
        sky.paint_clouds(
            canvas, rng, light, share * min(1.0, horizon * 1.5), _choose(rng, "cumulus", "cumulus", "wisps")
        )
    return light


def _low_sun(canvas: Canvas, rng: Rng, hour: str, horizon: float) -> Sky:
    """A sun close to the horizon, clouds lit from below."""
    light = sky.paint_sky(canvas, rng, hour, horizon)
    x, y = canvas.aspect * rng.uniform(0.22, 0.78), horizon - rng.uniform(0.03, 0.2)
    light = sky.paint_sun(canvas, light, x, y, rng.uniform(0.03, 0.055))
    sky.paint_clouds(canvas, rng, light, rng.uniform(0.12, 0.4) * horizon, _choose(rng, "layers", "wisps", "cumulus"))
    return light


def sunset_sea(canvas: Canvas, rng: Rng) -> None:
    """The sun goes down over the sea, its road on the water."""
    horizon = rng.uniform(0.52, 0.68)
    light = _low_sun(canvas, rng, "sunset", horizon)
    if rng.random() < 0.4:
        land.paint_mountains(canvas, rng, light, horizon + 0.01, rng.uniform(0.05, 0.12), (0.3, 0.24, 0.3), 0, 0.35)
    water.paint_sea(canvas, rng, light, horizon, "blue")
    if rng.random() < 0.6:
        x, y = canvas.aspect * rng.uniform(0.15, 0.85), rng.uniform(horizon + 0.06, 0.85)
        things.paint_sailboat(canvas, light, x, y, rng.uniform(0.1, 0.22), (0.5, 0.36, 0.36), (0.2, 0.14, 0.16))
    if rng.random() < 0.5:
        things.paint_birds(canvas, rng, int(rng.integers(3, 8)))


def sunset_mountains(canvas: Canvas, rng: Rng) -> None:
    """Row behind row of mountains in evening light."""
    light = _low_sun(canvas, rng, "sunset", rng.uniform(0.5, 0.6))
    for row in range(4):
        haze = 0.72 - 0.2 * row
        land.paint_hills(canvas, rng, light, 0.56 + 0.13 * row, rng.uniform(0.1, 0.2), (0.30, 0.20, 0.26), haze)


def sunset_meadow(canvas: Canvas, rng: Rng) -> None:
    """A tree on a meadow against the evening sky."""
    horizon = rng.uniform(0.66, 0.76)
    light = _low_sun(canvas, rng, "sunset", horizon)
    plants.paint_treeline(canvas, rng, light, horizon + 0.02, rng.uniform(0.04, 0.09), "leafy", 0.3)
    land.paint_ground(canvas, rng, light, _choose(rng, "wheat", "grass"), horizon, 0.015)
    tall = rng.uniform(0.35, 0.5)
    plants.paint_tree(canvas, rng, light, canvas.aspect * rng.uniform(0.2, 0.8), horizon + 0.08, tall)


def sunrise_lake(canvas: Canvas, rng: Rng) -> None:
    """Pink morning light doubled in a still lake."""
    shore = rng.uniform(0.5, 0.6)
    light = _low_sun(canvas, rng, "dawn", shore)
    land.paint_mountains(canvas, rng, light, shore + 0.01, rng.uniform(0.16, 0.32), pick(rng, ROCKS), 0.3, 0.45)
    plants.paint_treeline(canvas, rng, light, shore + 0.01, rng.uniform(0.04, 0.1), "conifer", 0.25)
    water.paint_lake(canvas, rng, light, shore, 0.9)


def blue_sky(canvas: Canvas, rng: Rng) -> None:
    """White clouds on blue, little else."""
    _day(canvas, rng, 1.15, rng.uniform(0.15, 0.5))
    if rng.random() < 0.4:
        things.paint_birds(canvas, rng, int(rng.integers(3, 9)))


def beach(canvas: Canvas, rng: Rng) -> None:
    """Sand, foam, blue water."""
    horizon = rng.uniform(0.36, 0.5)
    light = _day(canvas, rng, horizon)
    if rng.random() < 0.4:
        land.paint_mountains(canvas, rng, light, horizon + 0.01, rng.uniform(0.05, 0.12), (0.32, 0.42, 0.38), 0, 0.5)
    water.paint_sea(canvas, rng, light, horizon, _choose(rng, "tropical", "tropical", "blue"))
    water.paint_beach(canvas, rng, light, rng.uniform(0.68, 0.8), rng.normal(0, 0.18), pick(rng, SANDS))
    if rng.random() < 0.5:
        x, y = canvas.aspect * rng.uniform(0.1, 0.9), horizon + rng.uniform(0.04, 0.12)
        hull = _some(rng, BRIGHTS, 1)[0]
        things.paint_sailboat(canvas, light, x, y, rng.uniform(0.08, 0.16), (0.97, 0.97, 0.95), hull)


def sailing(canvas: Canvas, rng: Rng) -> None:
    """Sailing boats on a blue sea."""
    horizon = rng.uniform(0.45, 0.6)
    light = _day(canvas, rng, horizon)
    water.paint_sea(canvas, rng, light, horizon, _choose(rng, "blue", "tropical", "green"))
    for _ in range(int(rng.integers(1, 5))):
        near = rng.random() ** 0.7
        x, y = canvas.aspect * rng.uniform(0.1, 0.9), horizon + 0.02 + near * (0.86 - horizon)
        sail = jitter(rng, (0.97, 0.96, 0.93), 0.02) if rng.random() < 0.6 else _some(rng, BRIGHTS, 1)[0]
        things.paint_sailboat(canvas, light, x, y, 0.06 + 0.34 * near, sail, _some(rng, BRIGHTS, 1)[0])


def lighthouse(canvas: Canvas, rng: Rng) -> None:
    """A lighthouse on a green headland over the sea."""
    horizon = rng.uniform(0.52, 0.62)
    light = _day(canvas, rng, horizon)
    water.paint_sea(canvas, rng, light, horizon, _choose(rng, "blue", "green"))
    left = rng.random() < 0.5
    x = canvas.aspect * (rng.uniform(0.15, 0.3) if left else rng.uniform(0.7, 0.85))
    slope = (canvas.x[0] - x) / canvas.aspect
    edge = 0.66 + np.clip(np.abs(slope) - 0.12, 0, 1) ** 1.2 * 0.75
    canvas.cover(canvas.below(np.asarray(edge + 0.02, np.float32)), (0.40, 0.36, 0.32), Part.ROCK)
    grass = canvas.below(np.asarray(edge + 0.055, np.float32))
    rim = canvas.below(np.asarray(edge, np.float32)) * (1 - grass)
    canvas.cover(rim, (0.48, 0.60, 0.26), Part.GRASS)
    canvas.cover(grass, (0.34, 0.48, 0.18), Part.GRASS)
    things.paint_lighthouse(canvas, light, x, 0.68, rng.uniform(0.42, 0.54))


def lake(canvas: Canvas, rng: Rng) -> None:
    """Mountains and firs mirrored in a lake."""
    shore = rng.uniform(0.5, 0.62)
    light = _day(canvas, rng, shore)
    land.paint_mountains(
        canvas, rng, light, shore + 0.01, rng.uniform(0.25, 0.42), pick(rng, ROCKS), rng.uniform(0.2, 0.6), 0.22
    )
    plants.paint_treeline(canvas, rng, light, shore + 0.01, rng.uniform(0.06, 0.14), "conifer", 0.1)
    water.paint_lake(canvas, rng, light, shore, rng.uniform(0.5, 1.0))


def autumn_lake(canvas: Canvas, rng: Rng) -> None:
    """Golden trees around still water."""
    shore = rng.uniform(0.5, 0.6)
    light = _day(canvas, rng, shore, rng.uniform(0, 0.25))
    land.paint_hills(canvas, rng, light, shore, rng.uniform(0.15, 0.25), (0.42, 0.40, 0.30), 0.45)
    plants.paint_treeline(canvas, rng, light, shore + 0.01, rng.uniform(0.14, 0.26), "autumn", 0.06)
    water.paint_lake(canvas, rng, light, shore, rng.uniform(0.6, 1.0))


def mountains(canvas: Canvas, rng: Rng) -> None:
    """A high range above green hills."""
    light = _day(canvas, rng, rng.uniform(0.5, 0.65))
    snowy = rng.choice([0.0, 0.15, 0.3, 0.45])
    land.paint_mountains(canvas, rng, light, 0.66, rng.uniform(0.36, 0.52), pick(rng, ROCKS), snowy, 0.32)
    land.paint_hills(canvas, rng, light, 0.72, rng.uniform(0.1, 0.18), (0.24, 0.38, 0.22), 0.25)
    plants.paint_treeline(canvas, rng, light, rng.uniform(0.76, 0.8), rng.uniform(0.06, 0.1), "conifer", 0.08)
    land.paint_ground(canvas, rng, light, _choose(rng, "grass", "lawn"), rng.uniform(0.76, 0.8), 0.02)


def winter_mountains(canvas: Canvas, rng: Rng) -> None:
    """White peaks over a field of snow."""
    light = _day(canvas, rng, 0.7, rng.uniform(0, 0.3))
    land.paint_mountains(canvas, rng, light, 0.7, rng.uniform(0.36, 0.5), pick(rng, ROCKS), rng.uniform(0.8, 1.3), 0.18)
    plants.paint_treeline(canvas, rng, light, 0.72, rng.uniform(0.05, 0.1), "conifer", 0.25)
    land.paint_snowfield(canvas, rng, light, 0.71)


def winter_forest(canvas: Canvas, rng: Rng) -> None:
    """Firs with snow on their boughs."""
    horizon = rng.uniform(0.58, 0.68)
    hour = _choose(rng, "day", "hazy", "dawn")
    light = sky.paint_sky(canvas, rng, hour, horizon)
    plants.paint_treeline(canvas, rng, light, horizon + 0.02, rng.uniform(0.14, 0.24), "conifer", 0.5)
    land.paint_snowfield(canvas, rng, light, horizon)
    for near in np.sort(rng.random(int(rng.integers(5, 10)))):
        foot = horizon + 0.04 + 0.34 * float(near)
        plants.paint_conifer(canvas, rng, light, canvas.aspect * rng.random(), foot, 0.22 + 0.4 * float(near), 0.75)


def winter_cabin(canvas: Canvas, rng: Rng) -> None:
    """A cabin in the snow at the blue hour, light in its windows."""
    horizon = rng.uniform(0.56, 0.64)
    light = sky.paint_sky(canvas, rng, _choose(rng, "dawn", "day", "hazy"), horizon)
    land.paint_mountains(canvas, rng, light, horizon + 0.02, rng.uniform(0.15, 0.3), pick(rng, ROCKS), 1.2, 0.4)
    plants.paint_treeline(canvas, rng, light, horizon + 0.03, rng.uniform(0.1, 0.16), "conifer", 0.25)
    land.paint_snowfield(canvas, rng, light, horizon + 0.02)
    x = canvas.aspect * rng.uniform(0.35, 0.65)
    things.paint_house(canvas, rng, light, x, 0.78, rng.uniform(0.18, 0.24), (0.48, 0.30, 0.18), (0.95, 0.96, 1.0))
    for side in (-1, 1):
        plants.paint_conifer(
            canvas, rng, light, x + side * rng.uniform(0.3, 0.45), rng.uniform(0.8, 0.9), rng.uniform(0.36, 0.5), 0.7
        )


def forest(canvas: Canvas, rng: Rng) -> None:
    """Among green trees."""
    plants.paint_forest(
        canvas, rng, Sky("day", (0, 0, 0), (0.9, 0.95, 0.8), None, (1, 1, 0.95)), False, rng.uniform(0.2, 0.6)
    )


def autumn_forest(canvas: Canvas, rng: Rng) -> None:
    """Among red and golden trees."""
    plants.paint_forest(
        canvas, rng, Sky("day", (0, 0, 0), (1, 0.9, 0.7), None, (1, 1, 0.95)), True, rng.uniform(0.2, 0.5)
    )


def autumn_trees(canvas: Canvas, rng: Rng) -> None:
    """Golden trees on a meadow."""
    horizon = rng.uniform(0.6, 0.68)
    light = _day(canvas, rng, horizon)
    plants.paint_treeline(canvas, rng, light, horizon + 0.02, rng.uniform(0.1, 0.2), "autumn", 0.2)
    land.paint_ground(canvas, rng, light, _choose(rng, "leaves", "dry", "lawn"), horizon, 0.02)
    for near in np.sort(rng.random(int(rng.integers(2, 5)))):
        tall = 0.34 + 0.34 * float(near)
        plants.paint_tree(
            canvas, rng, light, canvas.aspect * rng.random(), horizon + 0.04 + 0.2 * float(near), tall, AUTUMNS
        )


def green_field(canvas: Canvas, rng: Rng) -> None:
    """Green hills, a tree, a big sky."""
    horizon = rng.uniform(0.56, 0.68)
    light = _day(canvas, rng, horizon)
    land.paint_hills(canvas, rng, light, horizon, rng.uniform(0.06, 0.12), (0.34, 0.48, 0.22), 0.4)
    land.paint_ground(canvas, rng, light, _choose(rng, "grass", "lawn"), horizon, 0.03)
    if rng.random() < 0.75:
        plants.paint_tree(
            canvas,
            rng,
            light,
            canvas.aspect * rng.uniform(0.15, 0.85),
            horizon + rng.uniform(0.05, 0.15),
            rng.uniform(0.3, 0.5),
        )


def farmhouse(canvas: Canvas, rng: Rng) -> None:
    """A house among fields."""
    horizon = rng.uniform(0.56, 0.66)
    light = _day(canvas, rng, horizon)
    plants.paint_treeline(canvas, rng, light, horizon + 0.02, rng.uniform(0.08, 0.16), "leafy", 0.2)
    land.paint_ground(canvas, rng, light, _choose(rng, "wheat", "grass", "lawn"), horizon, 0.012)
    x = canvas.aspect * rng.uniform(0.3, 0.7)
    things.paint_house(
        canvas,
        rng,
        light,
        x,
        horizon + rng.uniform(0.08, 0.14),
        rng.uniform(0.18, 0.26),
        pick(rng, WALLS),
        pick(rng, ROOFS),
    )
    side = -1 if x > canvas.aspect / 2 else 1
    plants.paint_tree(canvas, rng, light, x + side * rng.uniform(0.34, 0.44), horizon + 0.12, rng.uniform(0.34, 0.46))


def wheat_field(canvas: Canvas, rng: Rng) -> None:
    """Golden wheat under blue."""
    horizon = rng.uniform(0.5, 0.64)
    light = _day(canvas, rng, horizon)
    plants.paint_treeline(canvas, rng, light, horizon + 0.02, rng.uniform(0.03, 0.08), "leafy", 0.25)
    land.paint_ground(canvas, rng, light, "wheat", horizon, 0.012)


def flower_meadow(canvas: Canvas, rng: Rng) -> None:
    """Flowers of one to three colours all over a meadow."""
    horizon = rng.uniform(0.36, 0.52)
    light = _day(canvas, rng, horizon)
    if rng.random() < 0.6:
        land.paint_mountains(canvas, rng, light, horizon + 0.02, rng.uniform(0.14, 0.26), pick(rng, ROCKS), 0.3, 0.4)
    plants.paint_treeline(canvas, rng, light, horizon + 0.02, rng.uniform(0.04, 0.09), "leafy", 0.25)
    land.paint_ground(canvas, rng, light, "grass", horizon, 0.015)
    plants.paint_meadow(canvas, rng, horizon, _some(rng, PETALS, int(rng.integers(1, 4))), int(rng.integers(900, 1500)))


def flower(canvas: Canvas, rng: Rng) -> None:
    """One flower, near, before a soft background."""
    back = _some(rng, {"leaf": (0.10, 0.24, 0.08), "moss": (0.16, 0.26, 0.12), "teal": (0.08, 0.22, 0.20)}, 1)[0]
    plants.paint_bokeh(canvas, rng, back, pick(rng, ((0.40, 0.60, 0.24), (0.55, 0.66, 0.34), (0.34, 0.56, 0.40))))
    x, y = canvas.aspect * rng.uniform(0.36, 0.64), rng.uniform(0.42, 0.52)
    foot = x + rng.normal(0, 0.12)
    canvas.fill(
        [(x - 0.012, y), (x + 0.012, y), (foot + 0.016, 1.05), (foot - 0.016, 1.05)], (0.20, 0.40, 0.14), Part.LEAF
    )
    plants.paint_flower(canvas, rng, x, y, rng.uniform(0.26, 0.36), _some(rng, PETALS, 1)[0], pick(rng, HEARTS))


def bouquet(canvas: Canvas, rng: Rng) -> None:
    """Many flowers side by side."""
    plants.paint_bokeh(canvas, rng, (0.08, 0.20, 0.08), (0.30, 0.48, 0.20), Part.LEAF, 6)
    colours = _some(rng, PETALS, int(rng.integers(2, 5)))
    for _ in range(int(rng.integers(14, 22))):
        x, y = canvas.aspect * rng.uniform(0.02, 0.98), rng.uniform(0.05, 0.98)
        plants.paint_flower(
            canvas, rng, x, y, rng.uniform(0.12, 0.2), colours[int(rng.integers(len(colours)))], pick(rng, HEARTS)
        )


def balloons(canvas: Canvas, rng: Rng) -> None:
    """Hot-air balloons over open country."""
    horizon = rng.uniform(0.78, 0.88)
    hour = _choose(rng, "day", "day", "dawn", "sunset")
    light = sky.paint_sky(canvas, rng, hour, horizon)
    sky.paint_clouds(canvas, rng, light, rng.uniform(0.05, 0.3), "wisps")
    land.paint_hills(canvas, rng, light, horizon, rng.uniform(0.06, 0.12), (0.36, 0.40, 0.26), 0.5)
    land.paint_ground(canvas, rng, light, _choose(rng, "lawn", "wheat", "desert"), horizon, 0.02)
    slots = rng.permutation(4)[: int(rng.integers(2, 5))]
    for slot in slots:
        x, y = canvas.aspect * (slot + rng.uniform(0.35, 0.65)) / 4, rng.uniform(0.2, 0.48)
        first, second = _some(rng, BRIGHTS, 2)
        things.paint_balloon(canvas, rng, light, x, y, rng.uniform(0.1, 0.18), first, second)


def city_day(canvas: Canvas, rng: Rng) -> None:
    """A skyline behind water or a park."""
    base = rng.uniform(0.6, 0.7)
    light = _day(canvas, rng, base)
    things.paint_skyline(canvas, rng, light, base + 0.02, rng.uniform(0.36, 0.5), 0.02)
    if rng.random() < 0.5:
        water.paint_lake(canvas, rng, light, base + 0.01, 0.4)
    else:
        plants.paint_treeline(canvas, rng, light, base + 0.08, rng.uniform(0.07, 0.12), "leafy", 0.05)
        land.paint_ground(canvas, rng, light, "lawn", base + 0.07, 0.004)


def city_night(canvas: Canvas, rng: Rng) -> None:
    """A bright skyline mirrored in the river."""
    base = rng.uniform(0.58, 0.66)
    light = sky.paint_sky(canvas, rng, "dusk", base)
    if rng.random() < 0.4:
        sky.paint_moon(canvas, rng, canvas.aspect * rng.uniform(0.15, 0.85), rng.uniform(0.1, 0.2), 0.035)
    canvas.shine(canvas.glow(canvas.aspect / 2, base, 0.4) * 0.2, (1.0, 0.7, 0.45))
    things.paint_skyline(canvas, rng, light, base + 0.01, rng.uniform(0.38, 0.5), rng.uniform(0.45, 0.7))
    water.paint_lake(canvas, rng, light, base + 0.005, 0.35)


def city_sunset(canvas: Canvas, rng: Rng) -> None:
    """A skyline before a burning sky."""
    base = rng.uniform(0.66, 0.76)
    light = _low_sun(canvas, rng, "sunset", base)
    things.paint_skyline(canvas, rng, light, base + 0.02, rng.uniform(0.3, 0.42), 0.25, 0.12)
    water.paint_lake(canvas, rng, light, base + 0.01, 0.4)


def desert(canvas: Canvas, rng: Rng) -> None:
    """Dunes."""
    horizon = rng.uniform(0.36, 0.5)
    hour = _choose(rng, "day", "day", "sunset")
    light = _day(canvas, rng, horizon, 0) if hour == "day" else _low_sun(canvas, rng, hour, horizon)
    land.paint_dunes(canvas, rng, light, horizon, int(rng.integers(4, 6)))


def road(canvas: Canvas, rng: Rng) -> None:
    """A road towards the mountains."""
    horizon = rng.uniform(0.5, 0.6)
    light = _day(canvas, rng, horizon)
    land.paint_mountains(
        canvas, rng, light, horizon + 0.02, rng.uniform(0.14, 0.3), pick(rng, ROCKS), rng.uniform(0, 0.5), 0.35
    )
    land.paint_ground(canvas, rng, light, _choose(rng, "dry", "desert", "grass"), horizon, 0.006)
    land.paint_road(canvas, rng, light, horizon + 0.004, _choose_colour(rng))


def _choose_colour(rng: Rng) -> Colour:
    return (0.93, 0.76, 0.22) if rng.random() < 0.5 else (0.92, 0.92, 0.9)


def rainbow(canvas: Canvas, rng: Rng) -> None:
    """A rainbow over green country after rain."""
    horizon = rng.uniform(0.66, 0.76)
    light = sky.paint_sky(canvas, rng, _choose(rng, "day", "hazy"), horizon)
    sky.paint_clouds(canvas, rng, light, rng.uniform(0.2, 0.4), "cumulus")
    sky.paint_rainbow(canvas, rng, rng.uniform(0.42, 0.6))
    land.paint_hills(canvas, rng, light, horizon, rng.uniform(0.08, 0.14), (0.28, 0.42, 0.20), 0.4)
    land.paint_ground(canvas, rng, light, "grass", horizon, 0.02)


def aurora(canvas: Canvas, rng: Rng) -> None:
    """Northern lights over snow or a lake."""
    horizon = rng.uniform(0.66, 0.74)
    light = sky.paint_sky(canvas, rng, "night", horizon)
    sky.paint_stars(canvas, rng, 500)
    sky.paint_aurora(canvas, rng)
    light = Sky("night", light.zenith, (0.10, 0.34, 0.30), None, (0.30, 0.46, 0.48))
    plants.paint_treeline(canvas, rng, light, horizon + 0.01, rng.uniform(0.08, 0.16), "conifer", 0.1)
    if rng.random() < 0.5:
        water.paint_lake(canvas, rng, light, horizon, 0.8)
    else:
        land.paint_snowfield(canvas, rng, light, horizon)


def fireworks(canvas: Canvas, rng: Rng) -> None:
    """Fireworks over a lit city at the water."""
    base = rng.uniform(0.74, 0.8)
    light = sky.paint_sky(canvas, rng, "night", base)
    for colour in _some(rng, BRIGHTS, int(rng.integers(3, 6))):
        x, y = canvas.aspect * rng.uniform(0.12, 0.88), rng.uniform(0.14, 0.42)
        sky.paint_firework(canvas, rng, x, y, rng.uniform(0.14, 0.28), colour)
    light = Sky("night", light.zenith, (0.30, 0.26, 0.42), None, (0.34, 0.34, 0.46))
    things.paint_skyline(canvas, rng, light, base + 0.01, rng.uniform(0.14, 0.22), 0.6)
    water.paint_lake(canvas, rng, light, base, 0.4)


def starry_night(canvas: Canvas, rng: Rng) -> None:
    """A moon and stars above mountains and a lake."""
    horizon = rng.uniform(0.62, 0.7)
    light = sky.paint_sky(canvas, rng, "dusk", horizon)
    sky.paint_stars(canvas, rng, 420)
    sky.paint_moon(
        canvas, rng, canvas.aspect * rng.uniform(0.2, 0.8), rng.uniform(0.14, 0.28), rng.uniform(0.04, 0.065)
    )
    land.paint_mountains(canvas, rng, light, horizon + 0.01, rng.uniform(0.2, 0.34), (0.42, 0.46, 0.60), 0.5, 0.25)
    plants.paint_treeline(canvas, rng, light, horizon + 0.01, rng.uniform(0.05, 0.1), "conifer", 0.1)
    water.paint_lake(canvas, rng, light, horizon, 0.85)


#: Every kind by the name that its files carry, with how often it comes up.
KINDS: dict[str, tuple[Recipe, int]] = {
    "sunset-sea": (sunset_sea, 4), "sunset-mountains": (sunset_mountains, 2), "sunset-meadow": (sunset_meadow, 2),
    "sunrise-lake": (sunrise_lake, 2), "blue-sky": (blue_sky, 3), "beach": (beach, 4), "sailing": (sailing, 3),
    "lighthouse": (lighthouse, 2), "lake": (lake, 3), "autumn-lake": (autumn_lake, 2), "mountains": (mountains, 4),
    "winter-mountains": (winter_mountains, 3), "winter-forest": (winter_forest, 2), "winter-cabin": (winter_cabin, 1),
    "forest": (forest, 3), "autumn-forest": (autumn_forest, 2), "autumn-trees": (autumn_trees, 2),
    "green-field": (green_field, 3), "farmhouse": (farmhouse, 2), "wheat-field": (wheat_field, 2),
    "flower-meadow": (flower_meadow, 3), "flower": (flower, 4), "bouquet": (bouquet, 2), "balloons": (balloons, 3),
    "city-day": (city_day, 3), "city-night": (city_night, 3), "city-sunset": (city_sunset, 2), "desert": (desert, 2),
    "road": (road, 2), "rainbow": (rainbow, 1), "aurora": (aurora, 2), "fireworks": (fireworks, 2),
    "starry-night": (starry_night, 1),
}  # fmt: skip
