"""
Open country for training pictures: any sky over any far layer over any ground, in any weather, with things in front.

Owns how a landscape is put together and in which light. The painters are those of the demo collection.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from pixfind.demo import land, plants, sky, things, water
from pixfind.demo.canvas import Canvas, Colour, Part, Plane, Rng, flat, jitter, mix, pick, tone
from pixfind.demo.noise import fractal, line
from pixfind.demo.sky import Sky
from training import scenes_materials as materials
from training import scenes_near as near
from training import scenes_shapes as shapes
from training.scenes_water import paint_breaker, paint_water, paint_white_water


@dataclass
class Notes:
    """What a recipe knows of its own picture and pixels cannot tell."""

    hour: str = "none"
    said: dict[str, bool | None] = field(default_factory=dict)
    pairs: list[tuple[str, str]] = field(default_factory=list)
    gentle: bool = False


#: Ground -> the materials that it may be made of.
MATERIALS: dict[str, tuple[str, ...]] = {
    "grass": ("grass",), "lawn": ("grass", "fur"), "dry": ("grass",), "snow": ("snow",), "sand": ("sand",), "desert": ("sand", "gravel"),
    "soil": ("soil", "soil", "gravel"), "gravel": ("gravel", "stones"), "wheat": ("grass",), "leaves": ("litter",),
    "asphalt": ("asphalt",), "rock": ("rock", "stones"),
}  # fmt: skip
_EARTH: tuple[Colour, ...] = ((0.45, 0.36, 0.26), (0.34, 0.30, 0.26), (0.60, 0.52, 0.40))
_DRY: tuple[Colour, ...] = ((0.74, 0.66, 0.40), (0.62, 0.52, 0.30), (0.50, 0.44, 0.26))
_MOSS: tuple[Colour, ...] = ((0.36, 0.44, 0.16), (0.28, 0.36, 0.14), (0.44, 0.40, 0.22))
#: Ground -> colours that may be mixed in.
SECONDS: dict[str, tuple[Colour, ...]] = {
    "grass": (*_DRY, (0.20, 0.40, 0.10)), "lawn": _DRY, "dry": (*_EARTH, *_MOSS), "snow": (*_EARTH, (0.75, 0.80, 0.90)),
    "sand": (*_EARTH, (0.95, 0.93, 0.88)), "desert": _EARTH, "soil": (*_DRY, *_MOSS), "gravel": _EARTH, "wheat": _MOSS,
    "leaves": ((0.85, 0.70, 0.20), (0.70, 0.25, 0.08), (0.36, 0.30, 0.14)), "asphalt": ((0.25, 0.25, 0.26), (0.55, 0.54, 0.52)),
    "rock": (*_MOSS, (0.75, 0.72, 0.66)),
}  # fmt: skip
#: Granite, limestone, sandstone, slate, basalt.
ROCKS: tuple[Colour, ...] = (
    (0.66, 0.64, 0.60), (0.88, 0.84, 0.76), (0.74, 0.52, 0.36), (0.50, 0.50, 0.52), (0.36, 0.35, 0.34), (0.70, 0.62, 0.50),
)  # fmt: skip
#: Material that stands up in the distance -> its part, dark, bright and second colours.
FACES: dict[str, tuple[Part, Colour, Colour, tuple[Colour, ...]]] = {
    "rock": (Part.ROCK, (0.20, 0.18, 0.16), (0.68, 0.64, 0.58), _MOSS),
    "stones": (Part.ROCK, (0.14, 0.13, 0.12), (0.70, 0.68, 0.64), _MOSS),
    "foliage": (Part.TREES, (0.04, 0.09, 0.03), (0.42, 0.56, 0.20), ((0.55, 0.62, 0.25), (0.60, 0.50, 0.20))),
    "grass": (Part.GRASS, (0.12, 0.22, 0.06), (0.50, 0.62, 0.24), _DRY),
    "bark": (Part.TREES, (0.10, 0.08, 0.06), (0.44, 0.36, 0.27), _MOSS),
}
HOURS = ("day", "hazy", "overcast", "sunset", "dawn", "dusk", "night")
HOUR_WEIGHTS = (0.38, 0.14, 0.19, 0.13, 0.03, 0.05, 0.08)
GROUNDS = (
    "grass",
    "lawn",
    "dry",
    "snow",
    "sand",
    "desert",
    "soil",
    "gravel",
    "wheat",
    "leaves",
    "asphalt",
    "rock",
    "sea",
    "lake",
    "beach",
)
GROUND_WEIGHTS = np.array((13, 6, 5, 9, 4, 3, 5, 3, 3, 3, 5, 6, 9, 9, 8), float)
FARS = ("nothing", "mountains", "hills", "conifer", "leafy", "autumn", "skyline", "band", "canopy", "face")
FAR_WEIGHTS = np.array((18, 12, 8, 7, 10, 3, 7, 5, 18, 14), float)


def one_of(rng: Rng, names: tuple[str, ...], weights: np.ndarray | tuple[float, ...]) -> str:
    share = np.asarray(weights, float)
    return names[int(rng.choice(len(names), p=share / share.sum()))]


def landscape(canvas: Canvas, rng: Rng) -> Notes:
    """Any sky over any far layer over any ground, with things in front."""
    hour = one_of(rng, HOURS, HOUR_WEIGHTS)
    looks_down = rng.random() < 0.33
    horizon = rng.uniform(-0.05, 0.14) if looks_down else float(np.clip(rng.normal(0.45, 0.2), 0.02, 0.97))
    light = any_sky(canvas, rng, hour, max(horizon, 0.02))
    ground = one_of(rng, GROUNDS, GROUND_WEIGHTS)
    if horizon > 0:
        any_far(canvas, rng, light, ground, horizon)
    eye = min(horizon, 0.1) - rng.uniform(0.05, 0.9) if looks_down else horizon
    _ground(canvas, rng, light, ground, horizon, eye)
    notes = Notes(hour)
    if rng.random() < 0.5:
        _roughen(canvas, rng)
    _standing(canvas, rng, light, ground, max(horizon, 0.0), notes)
    if rng.random() < 0.65:
        _front(canvas, rng, light, ground)
    _weather(canvas, rng, light, hour, notes)
    if hour == "night":
        canvas.rgb *= np.float32(rng.uniform(0.5, 1.3))
    return notes


def any_sky(canvas: Canvas, rng: Rng, hour: str, horizon: float) -> Sky:
    light = sky.paint_sky(canvas, rng, hour, horizon)
    if (hour in ("sunset", "dawn") and rng.random() < 0.65) or (hour == "day" and rng.random() < 0.08):
        x, y = canvas.aspect * rng.random(), horizon - rng.uniform(-0.03, 0.3) if hour != "day" else rng.uniform(0, 0.4)
        light = sky.paint_sun(canvas, light, x, y, rng.uniform(0.015, 0.09))
    if hour == "night" and rng.random() < 0.5:
        sky.paint_stars(canvas, rng, int(rng.integers(20, 160)))
    if hour in ("night", "dusk") and rng.random() < 0.35:
        sky.paint_moon(
            canvas, rng, canvas.aspect * rng.random(), horizon * rng.uniform(0.1, 0.8), rng.uniform(0.02, 0.09)
        )
    if rng.random() < (0.75 if hour != "night" else 0.3):
        kind = ("cumulus", "wisps", "layers")[int(rng.integers(3))]
        sky.paint_clouds(canvas, rng, light, rng.uniform(0.05, 0.9) * horizon, kind)
    if hour == "sunset":
        dim = rng.uniform(0.15, 1.3)
        red, green, blue = (float(min(1, c * dim)) for c in light.ambient)
        light = Sky(hour, light.zenith, light.horizon, light.sun, (red, green, blue))
    return light


def any_far(canvas: Canvas, rng: Rng, light: Sky, ground: str, horizon: float) -> None:
    far = one_of(rng, FARS, FAR_WEIGHTS)
    haze = rng.uniform(0, 0.6)
    if far == "mountains":
        snow = rng.uniform(0.2, 1.2) if ground == "snow" or rng.random() < 0.35 else 0.0
        rock = pick(rng, ((0.44, 0.44, 0.48), (0.50, 0.42, 0.36), (0.34, 0.42, 0.32), (0.40, 0.44, 0.52)), 0.06)
        land.paint_mountains(canvas, rng, light, horizon + 0.02, rng.uniform(0.08, 0.5), rock, snow, haze)
    elif far == "hills":
        for row in range(int(rng.integers(1, 4))):
            tint = jitter(rng, (0.34, 0.42, 0.24), 0.08)
            land.paint_hills(
                canvas, rng, light, horizon + 0.02 * row, rng.uniform(0.04, 0.25), tint, haze * (1 - row / 3)
            )
    elif far in ("conifer", "leafy", "autumn"):
        plants.paint_treeline(canvas, rng, light, horizon + 0.02, rng.uniform(0.05, 0.5), far, haze * 0.6)
    elif far == "skyline":
        lights = rng.uniform(0.2, 0.7) if light.hour in ("night", "dusk") else rng.uniform(0, 0.15)
        things.paint_skyline(canvas, rng, light, horizon + 0.02, rng.uniform(0.15, 0.6), lights, haze * 0.5)
    elif far == "canopy":
        _canopy(canvas, rng, light, horizon)
    elif far == "face":
        kind = one_of(rng, ("rock", "stones", "foliage", "grass"), (4, 3, 5, 2))
        paint_far_face(canvas, rng, light, horizon + 0.02, float(np.exp(rng.uniform(-3.0, 0.3))), kind)
    elif far == "band":
        near.paint_shore_line(
            canvas,
            rng,
            jitter(rng, tone((0.4, 0.38, 0.32), float(np.mean(light.ambient))), 0.08),
            horizon - rng.uniform(0, 0.2),
            Part.THING,
        )


def _ground(canvas: Canvas, rng: Rng, light: Sky, ground: str, horizon: float, eye: float) -> None:
    """Whatever lies before the camera, from the horizon to its feet."""
    if ground in ("sea", "lake"):
        paint_water(canvas, rng, light, horizon, Part.SEA if ground == "sea" else Part.LAKE, eye)
        if ground == "sea" and light.hour != "night":
            _waves(canvas, rng, light, horizon)
        return
    if ground == "beach":
        _beach(canvas, rng, light, horizon, eye)
        return
    if ground == "snow" and rng.random() < 0.15:
        land.paint_snowfield(canvas, rng, light, horizon)
    elif ground == "desert" and rng.random() < 0.4:
        land.paint_dunes(canvas, rng, light, horizon, int(rng.integers(2, 6)))
    elif rng.random() < 0.1:
        land.paint_ground(canvas, rng, light, ground, horizon, rng.uniform(0, 0.06))
    else:
        paint_material(canvas, rng, light, ground, horizon, eye)
    if ground in ("grass", "dry", "soil") and rng.random() < 0.12:
        colours = [pick(rng, tuple(plants.PETALS.values())) for _ in range(int(rng.integers(1, 3)))]
        plants.paint_meadow(canvas, rng, horizon, colours, int(rng.integers(60, 300)))


def paint_material(canvas: Canvas, rng: Rng, light: Sky, ground: str, horizon: float, eye: float) -> None:
    """Ground of a real material, in perspective, in the light of the hour."""
    edge = horizon + rng.uniform(0, 0.05) * line(rng, canvas.width, 3, 5)
    top = max(0, canvas.row(float(edge.min())) - 1)
    if canvas.height - top < 2:
        return
    bright, dark, _, part = land.GROUNDS[ground]
    if ground == "rock":
        bright = pick(rng, ROCKS, 0.05)
        dark = tone(bright, rng.uniform(0.2, 0.5))
    names = MATERIALS[ground]
    tiles = materials.any_tiles(rng, names[int(rng.integers(len(names)))])
    coarse = 0.8 if ground == "rock" else 0.0
    planes = materials.lying(canvas, rng, tiles, eye, float(np.exp(rng.uniform(-1.0, 1.4) - coarse)), top)
    colour = _coloured(rng, planes, jitter(rng, dark, 0.05), jitter(rng, bright, 0.06), SECONDS[ground])
    if ground == "snow" and light.hour in ("day", "hazy", "overcast"):
        # Cameras show snow white, also under a grey sky.
        colour = colour * np.float32(rng.uniform(1.0, 1.3))
    rows = canvas.height - top
    broad = fractal(rng, rows, canvas.width, rng.uniform(1, 4), 4, 0.5, rng.uniform(1, 4))
    colour = (
        colour * (1 + (broad - 0.5) * np.float32(rng.uniform(0, 0.5)))[..., None] * (0.12 + 0.88 * flat(light.ambient))
    )
    far = np.exp(-np.arange(rows, dtype=np.float32)[:, None] / rows * rng.uniform(5, 12)) * np.float32(
        rng.uniform(0, 0.4)
    )
    colour = mix(
        np.asarray(colour, np.float32), np.broadcast_to(flat(light.horizon), colour.shape), far if eye >= 0 else 0.0
    )
    canvas.cover(canvas.below(edge)[top:], colour, part, top)


def _coloured(rng: Rng, planes: Plane, dark: Colour, bright: Colour, seconds: tuple[Colour, ...]) -> Plane:
    """A tile's tone between two colours, and its second colour where it has one."""
    tone_of = np.clip(0.5 + (planes[..., 0] - 0.5) * np.float32(rng.uniform(0.8, 1.7)), -0.2, 1.2)
    body = mix(dark, bright, tone_of)
    second = mix(tone(pick(rng, seconds, 0.05), 0.5), pick(rng, seconds, 0.05), tone_of)
    return mix(body, second, planes[..., 1] * np.float32(rng.uniform(0, 0.9)))


def _beach(canvas: Canvas, rng: Rng, light: Sky, horizon: float, eye: float) -> None:
    """Sea, surf, wet and dry sand; the shore level or slanting, near or far."""
    paint_water(canvas, rng, light, horizon, Part.SEA, eye)
    _waves(canvas, rng, light, horizon)
    sand = pick(
        rng, ((0.90, 0.82, 0.66), (0.78, 0.70, 0.58), (0.95, 0.90, 0.80), (0.64, 0.58, 0.50), (0.50, 0.46, 0.42)), 0.05
    )
    shore = max(horizon, 0.0) + rng.uniform(0.06, 0.65) * (1 - max(horizon, 0.0))
    before = canvas.label.copy()
    water.paint_beach(canvas, rng, light, shore, rng.normal(0, 0.3), sand)
    tiles = materials.any_tiles(rng, "sand" if rng.random() < 0.85 else "gravel")
    grain = materials.lying(canvas, rng, tiles, eye, float(np.exp(rng.uniform(-1.0, 1.2))))[..., 0]
    sandy = (canvas.label == Part.SAND) & (before != Part.SAND)
    canvas.rgb[sandy] *= (0.55 + 0.8 * grain[sandy])[:, None]


def paint_far_face(canvas: Canvas, rng: Rng, light: Sky, base: float, tall: float, kind: str) -> None:
    """What stands up behind the ground: a cliff, a bank of stones, a hedge, tall grass, a wall of leaves."""
    part, dark, bright, seconds = FACES[kind]
    if part == Part.ROCK:
        bright = pick(rng, ROCKS, 0.05)
        dark = tone(bright, rng.uniform(0.15, 0.45))
    edge = base - tall * (0.75 + 0.4 * line(rng, canvas.width, rng.uniform(1, 8), 6, 0.55))
    planes = materials.facing(canvas, rng, materials.any_tiles(rng, kind), float(np.exp(rng.uniform(-0.7, 1.2))))
    colour = _coloured(rng, planes, jitter(rng, dark, 0.05), jitter(rng, bright, 0.07), seconds)
    colour = colour * (0.15 + 0.85 * flat(light.ambient)) * np.float32(rng.uniform(0.6, 1.2))
    haze = np.float32(rng.uniform(0, 0.3) if tall < 0.4 else 0.0)
    colour = mix(np.asarray(colour, np.float32), np.broadcast_to(flat(light.horizon), colour.shape), haze)
    mask = canvas.below(np.asarray(edge, np.float32), rng.uniform(1, 4)) * (canvas.y < base + 0.03)
    canvas.cover(np.asarray(mask, np.float32), colour, part)


def _canopy(canvas: Canvas, rng: Rng, light: Sky, horizon: float) -> None:
    """Trees that fill what is over the ground, as in parks and gardens: clumps of leaves, shade, gaps of sky."""
    top = rng.uniform(-0.6, 0.9) * horizon
    edge = top + rng.uniform(0.02, 0.15) * line(rng, canvas.width, rng.uniform(2, 6), 5)
    clumps = fractal(rng, canvas.height, canvas.width, rng.uniform(3, 8), 3, 0.6)
    leafage = fractal(rng, canvas.height, canvas.width, rng.uniform(14, 40), 3, 0.9)
    autumn = rng.random() < 0.1
    palette = plants.AUTUMNS if autumn else near.FOLIAGE
    if rng.random() < 0.7:
        leafage = materials.facing(
            canvas, rng, materials.any_tiles(rng, "foliage"), float(np.exp(rng.uniform(-0.7, 1.4)))
        )[..., 0]
    tint = mix(
        tone(pick(rng, palette, 0.05), 0.2),
        tone(pick(rng, palette, 0.05), 1.3),
        np.clip(clumps * 0.6 + leafage * 0.9 - 0.25, 0, 1),
    )
    colour = tint * (0.15 + 0.85 * flat(light.ambient)) * np.float32(rng.uniform(0.6, 1.3))
    gaps = (clumps * 0.5 + leafage * 0.5 < rng.uniform(0.1, 0.36)).astype(np.float32)
    mask = canvas.below(np.asarray(edge, np.float32), 4) * (1 - gaps * np.float32(rng.choice([0.0, 0.9])))
    mask = mask * (canvas.y < horizon + 0.03)
    canvas.cover(np.asarray(mask, np.float32), np.asarray(colour, np.float32), Part.AUTUMN if autumn else Part.TREES)
    for _ in range(int(rng.integers(0, 6))):
        x, thick = canvas.aspect * rng.random(), rng.uniform(0.005, 0.05)
        bark = tone(pick(rng, near.WOODS), 0.2 + 0.5 * float(np.mean(light.ambient)))
        lean = rng.normal(0, 0.05)
        trunk = [
            (x - thick, horizon + 0.03),
            (x + thick, horizon + 0.03),
            (x + lean + thick * 0.7, top),
            (x + lean - thick * 0.7, top),
        ]
        canvas.fill(trunk, bark, Part.TREES)


def _roughen(canvas: Canvas, rng: Rng) -> None:
    """What grounds have and painters forget: fine grain, worn patches of earth, the shade of things out of sight."""
    ground = (~np.isin(canvas.label, (Part.SKY, Part.CLOUD, Part.SUN, Part.MOON))).astype(np.float32)
    if rng.random() < 0.6:
        grain = fractal(rng, canvas.height, canvas.width, rng.uniform(10, 50), 3, 0.9, rng.choice([1.0, 1.0, 2.5]))
        canvas.rgb *= (1 + (grain - 0.5) * ground * np.float32(rng.uniform(0.1, 0.7)))[..., None]
    if rng.random() < 0.2:
        worn = fractal(rng, canvas.height, canvas.width, rng.uniform(1.5, 5), 4, 0.5, 3.0)
        grassy = np.isin(canvas.label, (Part.GRASS, Part.SNOW, Part.SOIL)).astype(np.float32)
        mask = np.clip((worn - rng.uniform(0.5, 0.75)) * 8, 0, 1) * grassy
        canvas.cover(
            np.asarray(mask, np.float32),
            pick(rng, ((0.5, 0.4, 0.3), (0.62, 0.52, 0.4), (0.4, 0.4, 0.38)), 0.06),
            Part.SOIL,
        )
    if rng.random() < 0.3:
        shade = fractal(rng, canvas.height, canvas.width, rng.uniform(1.5, 6), 4, 0.6, 2.0)
        dark = np.clip((shade - rng.uniform(0.4, 0.65)) * 8, 0, 1) * ground
        canvas.rgb *= (1 - dark * np.float32(rng.uniform(0.3, 0.6)))[..., None]


def _waves(canvas: Canvas, rng: Rng, light: Sky, horizon: float) -> None:
    """Surf, breakers, or neither."""
    for _ in range(int(rng.choice([0, 0, 0, 1, 2]))):
        paint_breaker(canvas, rng, light, horizon)
    if rng.random() < 0.25:
        _surf(canvas, rng)


def _surf(canvas: Canvas, rng: Rng) -> None:
    """White water: patches of foam on the sea."""
    lace = fractal(rng, canvas.height, canvas.width, rng.uniform(3, 8), 5, 0.75, rng.uniform(1.5, 4))
    wet = (canvas.label == Part.SEA).astype(np.float32)
    mask = np.clip((lace - rng.uniform(0.5, 0.7)) * 7, 0, 1) * wet
    canvas.cover(np.asarray(mask, np.float32), (0.93, 0.95, 0.96), Part.FOAM)


def _standing(canvas: Canvas, rng: Rng, light: Sky, ground: str, horizon: float, notes: Notes) -> None:
    """Trees, houses, roads, boats: what stands on this ground."""
    wet = ground in ("sea", "lake")
    deep = 1 - horizon
    if not wet and ground != "beach" and rng.random() < 0.12:
        land.paint_road(canvas, rng, light, horizon, (0.9, 0.85, 0.6))
    if not wet and rng.random() < 0.3:
        for share in np.sort(rng.random(int(rng.integers(1, 5)))):
            foot, tall = horizon + deep * 0.5 * float(share), rng.uniform(0.15, 0.4) + 0.5 * float(share)
            x = canvas.aspect * rng.uniform(-0.05, 1.05)
            if rng.random() < 0.4 or ground == "snow":
                plants.paint_conifer(canvas, rng, light, x, foot, tall, 0.6 if ground == "snow" else 0.0)
            else:
                palette = plants.AUTUMNS if ground == "leaves" else plants.GREENS
                plants.paint_tree(canvas, rng, light, x, foot, tall, palette)
    if not wet and rng.random() < 0.13:
        name, wall = named_colour(rng)
        things.paint_house(
            canvas,
            rng,
            light,
            canvas.aspect * rng.random(),
            horizon + deep * rng.uniform(0.1, 0.4),
            rng.uniform(0.12, 0.4),
            wall,
            pick(rng, near.MUTEDS),
        )
        notes.pairs.append((name, "house"))
    if wet and rng.random() < 0.35:
        _boats(canvas, rng, light, horizon, notes)
    if rng.random() < 0.08:
        near.paint_lump(
            canvas,
            rng,
            canvas.aspect * rng.random(),
            horizon * rng.uniform(0.1, 0.8),
            rng.uniform(0.03, 0.2),
            near.any_colour(rng),
        )
    if rng.random() < 0.05:
        things.paint_birds(canvas, rng, int(rng.integers(2, 9)))
    if light.hour == "day" and rng.random() < 0.04:
        sky.paint_rainbow(canvas, rng, rng.uniform(0.3, 0.6))


def _boats(canvas: Canvas, rng: Rng, light: Sky, horizon: float, notes: Notes) -> None:
    """One to three boats with sails of one colour."""
    name, sail = named_colour(rng)
    for _ in range(int(rng.integers(1, 4))):
        foot = horizon + (1 - horizon) * rng.uniform(0.03, 0.5)
        things.paint_sailboat(
            canvas,
            light,
            canvas.aspect * rng.random(),
            foot,
            rng.uniform(0.1, 0.45),
            sail,
            near.any_colour(rng),
        )
    notes.pairs.append((name, "boat"))


def named_colour(rng: Rng) -> tuple[str, Colour]:
    names = tuple(shapes.COLOURS)
    name = names[int(rng.integers(len(names)))]
    return name, jitter(rng, shapes.COLOURS[name], 0.05)


def _front(canvas: Canvas, rng: Rng, light: Sky, ground: str) -> None:
    """People, animals, lumps, boxes before the landscape, in its light; in water up to some height."""
    before, labels = canvas.rgb.copy(), canvas.label.copy()
    wet = ground in ("sea", "lake")
    for _ in range(int(rng.choice([1, 1, 1, 2, 2, 3, 5]))):
        someone(canvas, rng, rng.uniform(0.12, 0.7))
    dim = 0.25 + 0.75 * np.float32(light.ambient)
    changed = np.abs(canvas.rgb - before).max(axis=2) > 0.02
    canvas.rgb[changed] *= dim
    if wet and changed.any() and rng.random() < 0.75:
        rows, columns = np.nonzero(changed)
        surface = int(rng.uniform(rows.min(), rows.max()))
        canvas.rgb[surface:], canvas.label[surface:] = before[surface:], labels[surface:]
        if rng.random() < 0.5:
            x, y = float(columns.mean()) / canvas.height, surface / canvas.height
            paint_white_water(canvas, rng, light, x, y, rng.uniform(0.03, 0.2))


def someone(canvas: Canvas, rng: Rng, size: float) -> None:
    x, y, kind = canvas.aspect * rng.random(), rng.uniform(0.4, 0.95), rng.random()
    if kind < 0.35:
        near.paint_figure(canvas, rng, x, min(1.4, y + size * 0.7), size * 1.6, near.any_colour(rng))
    elif kind < 0.6:
        near.paint_creature(canvas, rng, x, y, size * 0.5)
    elif kind < 0.8:
        near.paint_lump(canvas, rng, x, y, size * 0.4, near.any_colour(rng))
    else:
        near.paint_box(
            canvas, rng, x, y + size / 3, size * rng.uniform(0.4, 1.3), size * rng.uniform(0.3, 1), near.any_colour(rng)
        )


def _weather(canvas: Canvas, rng: Rng, light: Sky, hour: str, notes: Notes) -> None:
    chance = rng.random()
    notes.said.update({"fog": False, "rain": False})
    if chance < 0.06 and hour in ("overcast", "hazy", "dawn"):
        thick = np.clip(rng.uniform(0.5, 0.8) + 0.25 * (0.5 - np.abs(canvas.y - rng.uniform(0.2, 0.6))), 0, 0.93)
        canvas.veil(np.broadcast_to(thick, canvas.label.shape).astype(np.float32), light.horizon)
        notes.said["fog"] = True
    elif 0.06 <= chance < 0.085:
        fall = fractal(rng, canvas.height, canvas.width, 30, 2, 0.9, 0.12)
        canvas.veil(np.asarray((fall > 0.72) * rng.uniform(0.2, 0.6), np.float32), (0.85, 0.87, 0.9))
        notes.said["rain"] = True
