"""
Scenes: the pictures that the starter model learns from, about 112 pixels a side.

Owns which scenes there are and how often. A scene is drawn with the painters of the demo collection (prettier than life)
and of `scenes_near` (everything else), then photographed by `camera`. What is true of it is counted in `facts`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageFilter

from pixfind.demo import land, plants, sky, things
from pixfind.demo.canvas import Canvas, Labels, Part, Plane, Rng, jitter, mix, pick, tone
from pixfind.demo.kinds import KINDS
from pixfind.demo.noise import fractal
from pixfind.demo.sky import Sky
from training import scenes_materials as materials
from training import scenes_near as near
from training import scenes_shapes as shapes
from training.camera import Pixels, photograph
from training.scenes_land import (
    Notes,
    any_far,
    any_sky,
    landscape,
    named_colour,
    one_of,
    paint_far_face,
    paint_material,
    someone,
)  # fmt: skip
from training.scenes_town import paint_car, street
from training.scenes_water import paint_water, paint_white_water

SIDE = 112


@dataclass
class Scene:
    """One training picture: pixels, what each shows, and what was put into it."""

    pixels: Pixels
    label: Labels
    kind: str
    said: dict[str, bool | None] = field(default_factory=dict)
    pairs: list[tuple[str, str]] = field(default_factory=list)


DAYLIGHT = Sky("day", (0.5, 0.7, 0.9), (0.9, 0.95, 0.97), None, (1.0, 1.0, 1.0))
Recipe = Callable[[Canvas, Rng], Notes]


def draw_scene(rng: Rng, kind: str | None = None, side: int = SIDE) -> Scene:
    """Draw and photograph one scene."""
    kind = kind or one_of(rng, tuple(RECIPES), tuple(weight for _, weight in RECIPES.values()))
    canvas = Canvas(side, side)
    notes = RECIPES[kind][0](canvas, rng)
    pixels, label = photograph(canvas, rng, notes.gentle)
    said = {**_hour_said(notes.hour), **notes.said}
    return Scene(pixels, label, kind, said, notes.pairs)


def _hour_said(hour: str) -> dict[str, bool | None]:
    if hour == "none":
        return {}
    return {
        "sunset": True if hour == "sunset" else None if hour in ("dawn", "dusk") else False,
        "night": True if hour == "night" else None if hour == "dusk" else False,
        "outdoors": True,
        "indoors": False,
    }


DEMO_HOURS = {"sunset": "sunset", "sunrise": "dawn", "aurora": "night", "fireworks": "night", "starry": "night"}


def demo_kind(canvas: Canvas, rng: Rng) -> Notes:
    """One of the demo collection's kinds, at training size."""
    name = tuple(KINDS)[int(rng.integers(len(KINDS)))]
    KINDS[name][0](canvas, rng)
    words = set(name.split("-"))
    hour = next(
        (hour for word, hour in DEMO_HOURS.items() if word in words),
        "night" if "night" in words else "sunset" if "sunset" in words else "day",
    )
    notes = Notes(hour)
    if name in ("balloons", "desert", "winter-forest", "winter-cabin"):
        notes.said["sunset"] = None
    if name in ("flower", "bouquet"):
        notes.said["outdoors"] = None
    return notes


def _soft(canvas: Canvas, rng: Rng) -> None:
    blurred = canvas.image().filter(ImageFilter.GaussianBlur(float(rng.uniform(0.5, 5))))
    canvas.rgb = np.asarray(blurred, np.float32) / 255


def portrait(canvas: Canvas, rng: Rng) -> Notes:
    """One near thing before something out of focus: how most photographs of animals, people and things look."""
    back = rng.random()
    if back < 0.3:
        notes = landscape(canvas, rng)
    elif back < 0.5:
        near.paint_foliage(canvas, rng, leaves=int(rng.integers(0, 60)))
        notes = Notes("day", {"outdoors": None, "indoors": None})
    elif back < 0.65:
        near.paint_room(canvas, rng)
        notes = Notes("none", {"indoors": True, "outdoors": False, "sunset": False})
    else:
        palette = (near.MUTEDS, near.FOLIAGE, near.WOODS, (*near.MUTEDS, *near.FURS), near.FOLIAGE)[
            int(rng.integers(5))
        ]
        near.paint_backdrop(canvas, rng, palette)
        notes = Notes("none", {"sunset": False, "night": None})
    if rng.random() < 0.75:
        _soft(canvas, rng)
    x, y, size = canvas.aspect * rng.uniform(0.25, 0.75), rng.uniform(0.45, 0.75), rng.uniform(0.3, 0.9)
    kind = rng.random()
    if kind < 0.4:
        near.paint_creature(canvas, rng, x, y, size * 0.55)
    elif kind < 0.65:
        near.paint_figure(canvas, rng, x, y + size * rng.uniform(0.8, 2.2), size * 2.4, near.any_colour(rng))
    elif kind < 0.9:
        for _ in range(int(rng.integers(1, 5))):
            near.paint_lump(
                canvas,
                rng,
                x + rng.normal(0, 0.15),
                y + rng.normal(0, 0.15),
                size * rng.uniform(0.15, 0.5),
                near.any_colour(rng),
            )
    else:
        near.paint_box(canvas, rng, x, y + size / 2, size, size * 0.8, near.any_colour(rng))
    if rng.random() < 0.25:
        near.paint_sticks(canvas, rng, pick(rng, (*near.WOODS, *near.FOLIAGE)), int(rng.integers(2, 12)), Part.THING)
    return notes


def room(canvas: Canvas, rng: Rng) -> Notes:
    """Indoors, with or without people."""
    near.paint_room(canvas, rng)
    if rng.random() < 0.5:
        near.strew(canvas, rng, int(rng.integers(2, 10)), 0.2, 0.9, rng.uniform(0.5, 1))
    for _ in range(int(rng.choice([0, 0, 1, 2]))):
        someone(canvas, rng, rng.uniform(0.3, 0.9))
    return Notes("none", {"indoors": True, "outdoors": False, "sunset": False, "night": None})


def texture(canvas: Canvas, rng: Rng) -> Notes:
    """A surface that fills the frame: cloth, wood, stone, bricks, gravel, a pattern."""
    full = np.ones((canvas.height, canvas.width), np.float32)
    kind = int(rng.integers(6))
    said: dict[str, bool | None] = {
        "sunset": False,
        "night": None,
        "wood": None,
        "brick": False,
        "stripes": None,
        "pattern": None,
    }
    if kind == 0:
        rings = surface_of_wood(canvas, rng)
        canvas.cover(full, rings, Part.WALL)
        said["wood"] = True
    elif kind == 1:
        near.paint_bricks(
            canvas, rng, pick(rng, ((0.62, 0.28, 0.2), (0.7, 0.4, 0.3), (0.6, 0.58, 0.55))), int(rng.integers(5, 18))
        )
        said["brick"] = True
    elif kind == 2:
        style = ("stripes", "checks", "dots")[int(rng.integers(3))]
        near.paint_stripes(canvas, rng, near.any_colour(rng), near.any_colour(rng), style)
        said.update(
            {"pattern": True, "stripes": style == "stripes", "checks": style == "checks", "dots": style == "dots"}
        )
    else:
        canvas.cover(full, near.surface(canvas, rng, near.any_colour(rng), rng.uniform(0.1, 0.9)), Part.FABRIC)
    return Notes("none", said)


def surface_of_wood(canvas: Canvas, rng: Rng) -> Plane:
    """Planks with grain."""
    tint = pick(rng, near.WOODS)
    grain = fractal(rng, canvas.height, canvas.width, rng.uniform(8, 20), 5, 0.7, rng.choice([6.0, 0.1]))
    body = mix(tint, tone(tint, 0.5), grain)
    plank = ((canvas.y * rng.integers(2, 8)) % 1 < 0.04) * np.ones_like(grain)
    return mix(body, (0.1, 0.07, 0.05), plank * 0.7)


def clutter(canvas: Canvas, rng: Rng) -> Notes:
    """Lumps over lumps."""
    near.paint_clutter(canvas, rng, int(rng.integers(10, 45)))
    return Notes("none", {"sunset": False, "night": None})


def product(canvas: Canvas, rng: Rng) -> Notes:
    """A thing on a plain ground, mostly white or pale, as in a studio or a catalogue: not snow."""
    full = np.ones((canvas.height, canvas.width), np.float32)
    ground = pick(
        rng,
        (
            (1, 1, 1),
            (1, 1, 1),
            (0.97, 0.97, 0.98),
            (0.96, 0.96, 0.96),
            (0.88, 0.88, 0.88),
            (0.05, 0.05, 0.05),
            (0.7, 0.78, 0.85),
            (0.8, 0.74, 0.66),
        ),
        0.02,
    )
    canvas.cover(full, ground, Part.NOTHING)
    canvas.veil(np.clip((canvas.y - 0.6) * 2, 0, 1) * full * np.float32(rng.uniform(0, 0.2)), (0.5, 0.5, 0.5))
    _someone_central(canvas, rng)
    return Notes("none", {"sunset": False, "night": False})


def _someone_central(canvas: Canvas, rng: Rng) -> None:
    x, y, size = canvas.aspect / 2 + rng.normal(0, 0.06), 0.55 + rng.normal(0, 0.05), rng.uniform(0.3, 0.6)
    kind = rng.random()
    if kind < 0.25:
        near.paint_creature(canvas, rng, x, y, size * 0.7)
    elif kind < 0.6:
        near.paint_box(canvas, rng, x - 0.05, y + size * 0.5, size * rng.uniform(0.5, 1.1), size, near.any_colour(rng))
    else:
        for _ in range(int(rng.integers(1, 6))):
            near.paint_lump(
                canvas,
                rng,
                x + rng.normal(0, 0.1),
                y + rng.normal(0, 0.1),
                size * rng.uniform(0.2, 0.6),
                near.any_colour(rng),
            )


def coloured_things(canvas: Canvas, rng: Rng) -> Notes:
    """One large thing in a named colour, and what kind of thing it is: flower, balloon, car."""
    name, colour = named_colour(rng)
    light = Sky("day", (0.4, 0.6, 0.9), (0.8, 0.9, 0.95), None, (1, 1, 1))
    kind = ("flower", "flower", "balloon", "car")[int(rng.integers(4))]
    x, y = canvas.aspect * rng.uniform(0.3, 0.7), rng.uniform(0.35, 0.65)
    hour = "none"
    if kind == "flower":
        (near.paint_foliage if rng.random() < 0.6 else _soft_green)(canvas, rng)
        if rng.random() < 0.6:
            _soft(canvas, rng)
        heart = pick(rng, ((0.96, 0.76, 0.16), (0.3, 0.18, 0.08), (0.7, 0.7, 0.2)))
        for _ in range(int(rng.choice([1, 1, 2, 4, 8]))):
            size = rng.uniform(0.12, 0.4)
            plants.paint_flower(canvas, rng, x, y, size, jitter(rng, colour, 0.04), heart)
            x, y = canvas.aspect * rng.random(), rng.random()
    elif kind == "balloon":
        hour = ("day", "hazy", "sunset", "dawn")[int(rng.integers(4))]
        light = any_sky(canvas, rng, hour, 1.2)
        things.paint_balloon(
            canvas, rng, light, x, y - 0.1, rng.uniform(0.15, 0.35), colour, tone(colour, rng.uniform(0.6, 1))
        )
    else:
        hour = "day"
        light = any_sky(canvas, rng, hour, 0.4)
        any_far(canvas, rng, light, "asphalt", 0.4)
        land.paint_ground(canvas, rng, light, "asphalt", 0.4, 0)
        paint_car(canvas, rng, light, x, rng.uniform(0.65, 0.9), rng.uniform(0.4, 0.9), colour)
    return Notes(hour, {"sunset": None if hour in ("sunset", "dawn") else False}, [(name, kind)])


def _soft_green(canvas: Canvas, rng: Rng) -> None:
    plants.paint_bokeh(canvas, rng, pick(rng, near.FOLIAGE), pick(rng, (*near.FOLIAGE, *near.MUTEDS)), Part.LEAF, 6)


def flat_shapes(canvas: Canvas, rng: Rng) -> Notes:
    """Shapes with colours, on a ground."""
    return Notes(
        "none", {"shapes": True, "sunset": False, "night": False}, shapes.paint_shapes(canvas, rng), gentle=True
    )


def held_out_shapes(canvas: Canvas, rng: Rng) -> Notes:
    """Shapes of which the first has a pair of colour and shape that training never sees."""
    return Notes(
        "none", {"shapes": True, "sunset": False, "night": False}, shapes.paint_shapes(canvas, rng, True), gentle=True
    )


def crossed_shapes(canvas: Canvas, rng: Rng) -> Notes:
    """Shapes that share their colours and kinds crosswise."""
    pairs = shapes.paint_shapes(canvas, rng, crossed=True)
    return Notes("none", {"shapes": True, "sunset": False, "night": False}, pairs, gentle=True)


def flames(canvas: Canvas, rng: Rng) -> Notes:
    """Fire."""
    near.paint_fire(canvas, rng)
    return Notes("none", {"sunset": None, "night": None})


def food(canvas: Canvas, rng: Rng) -> Notes:
    """A plate."""
    near.paint_plate(canvas, rng)
    return Notes("none", {"sunset": False, "night": False, "indoors": None})


def page(canvas: Canvas, rng: Rng) -> Notes:
    """Print."""
    near.paint_page(canvas, rng)
    return Notes("none", {"sunset": False, "night": False})


def pool(canvas: Canvas, rng: Rng) -> Notes:
    """Clear blue-green water from above, its edge, somebody in it."""
    full = np.ones((canvas.height, canvas.width), np.float32)
    net = fractal(rng, canvas.height, canvas.width, rng.uniform(5, 12), 3, 0.6, 1.6)
    caustic = np.clip(1 - np.abs(net - 0.5) * 7, 0, 1)
    tint = jitter(rng, pick(rng, ((0.16, 0.62, 0.78), (0.25, 0.75, 0.85), (0.12, 0.45, 0.70))), 0.05)
    canvas.cover(full, mix(tint, (0.85, 0.97, 1.0), np.asarray(caustic * rng.uniform(0.1, 0.6), np.float32)), Part.POOL)
    if rng.random() < 0.5:
        paint_water(canvas, rng, DAYLIGHT, rng.uniform(-0.05, 0.2), Part.POOL, rng.uniform(-0.6, 0.0), tint)
    if rng.random() < 0.6:
        near.paint_shore_line(canvas, rng, (0.8, 0.78, 0.74), rng.uniform(0.7, 0.95), Part.FLOOR)
    for _ in range(int(rng.integers(0, 3))):
        someone(canvas, rng, rng.uniform(0.2, 0.6))
        if rng.random() < 0.4:
            paint_white_water(
                canvas, rng, DAYLIGHT, canvas.aspect * rng.random(), rng.uniform(0.3, 0.9), rng.uniform(0.05, 0.2)
            )
    return Notes("none", {"sunset": False, "night": False})


def leaves(canvas: Canvas, rng: Rng) -> Notes:
    """Foliage that fills the frame, or grass from above."""
    near.paint_foliage(canvas, rng, leaves=int(rng.integers(30, 140)))
    if rng.random() < 0.3:
        near.paint_sticks(canvas, rng, pick(rng, near.WOODS), int(rng.integers(2, 10)), Part.TREES)
    if rng.random() < 0.4:
        someone(canvas, rng, rng.uniform(0.2, 0.6))
    return Notes("day", {"indoors": None})


def woods(canvas: Canvas, rng: Rng) -> Notes:
    """Inside a forest in any light."""
    hour = ("day", "overcast", "hazy", "day")[int(rng.integers(4))]
    ambient = tone(sky.AMBIENT[hour], rng.uniform(0.5, 1.1))
    light = Sky(hour, (0, 0, 0), (0.9, 0.95, 0.85), None, ambient)
    if rng.random() < 0.4:
        plants.paint_forest(canvas, rng, light, rng.random() < 0.25, rng.uniform(0, 0.9))
    else:
        _trunks_and_leaves(canvas, rng, light)
    notes = Notes(hour, {"forest": True})
    if rng.random() < 0.35:
        someone(canvas, rng, rng.uniform(0.2, 0.6))
    return notes


def _trunks_and_leaves(canvas: Canvas, rng: Rng, light: Sky) -> None:
    """A wood from within: leaves behind, trunks from far to near, litter or growth on the ground, spots of sun."""
    horizon = rng.uniform(0.4, 0.95)
    any_sky(canvas, rng, "overcast", 1.0)
    paint_far_face(canvas, rng, light, 1.1, rng.uniform(0.9, 2.5), "foliage")
    paint_material(
        canvas, rng, light, one_of(rng, ("leaves", "grass", "soil", "dry", "snow"), (4, 4, 2, 1, 1)), horizon, horizon
    )
    bark = pick(rng, (*near.WOODS, (0.5, 0.48, 0.44), (0.75, 0.74, 0.70)), 0.05)
    planes = materials.facing(canvas, rng, materials.any_tiles(rng, "bark"), rng.uniform(0.5, 2))
    for depth in np.sort(rng.random(int(rng.integers(4, 30)))):
        x, thick, foot = canvas.aspect * rng.random(), 0.006 + 0.09 * depth**3, horizon + (1.1 - horizon) * depth**2
        lit = planes[..., :1] * np.float32(bark) * np.float32(light.ambient) * np.float32(rng.uniform(0.5, 1.6))
        lean = rng.normal(0, 0.08)
        trunk = [(x - thick, foot), (x + thick, foot), (x + lean + thick * 0.7, -0.05), (x + lean - thick * 0.7, -0.05)]
        canvas.fill(trunk, np.asarray(lit, np.float32), Part.TREES)
    if rng.random() < 0.5:
        spots = fractal(rng, canvas.height, canvas.width, rng.uniform(4, 16), 3, 0.6, rng.uniform(1, 3))
        canvas.rgb *= (1 + 1.2 * np.clip((spots - 0.6) * 5, 0, 1))[..., None]


def flash_night(canvas: Canvas, rng: Rng) -> Notes:
    """By night, in the light of a flash or a lamp: somebody bright near by, a little ground, and then the dark."""
    horizon = rng.uniform(0.3, 0.75)
    light = Sky("day", (0.02, 0.02, 0.03), (0.03, 0.03, 0.04), None, (0.95, 0.92, 0.85))
    canvas.cover(np.ones((canvas.height, canvas.width), np.float32), (0.02, 0.02, 0.025), Part.NOTHING)
    if rng.random() < 0.5:
        paint_far_face(canvas, rng, light, horizon + 0.02, rng.uniform(0.1, 0.6), "foliage")
    if rng.random() < 0.8:
        paint_material(
            canvas,
            rng,
            light,
            one_of(rng, ("grass", "soil", "asphalt", "snow", "sand"), (4, 3, 4, 1, 1)),
            horizon,
            horizon,
        )
    reach = np.clip((canvas.y - horizon) / max(0.05, 1 - horizon), 0, 1) ** rng.uniform(0.7, 2)
    canvas.rgb *= np.asarray(np.clip(reach * rng.uniform(0.5, 1), 0.02, 1)[..., None], np.float32)
    for _ in range(int(rng.integers(0, 12))):
        tint = pick(rng, ((1.0, 0.8, 0.45), (1.0, 0.95, 0.8), (1.0, 0.3, 0.2), (0.4, 0.6, 1.0)))
        canvas.shine(canvas.glow(canvas.aspect * rng.random(), rng.uniform(0, 0.6), rng.uniform(0.005, 0.03)), tint)
    for _ in range(int(rng.choice([0, 1, 1, 2, 3]))):
        someone(canvas, rng, rng.uniform(0.3, 0.9))
    return Notes("night")


def black_night(canvas: Canvas, rng: Rng) -> Notes:
    """Lights in the dark: lamps, windows, reflections; little else."""
    if rng.random() < 0.4:
        return flash_night(canvas, rng)
    full = np.ones((canvas.height, canvas.width), np.float32)
    canvas.cover(
        full,
        pick(rng, ((0.02, 0.02, 0.04), (0.05, 0.04, 0.08), (0.03, 0.05, 0.09)), 0.015),
        Part.SKY if rng.random() < 0.5 else Part.NOTHING,
    )
    light = Sky("night", (0.02, 0.02, 0.05), (0.08, 0.07, 0.10), None, sky.AMBIENT["night"])
    if rng.random() < 0.6:
        things.paint_skyline(canvas, rng, light, rng.uniform(0.5, 0.9), rng.uniform(0.2, 0.7), rng.uniform(0.2, 0.7))
    for _ in range(int(rng.integers(2, 30))):
        x, y = canvas.aspect * rng.random(), float(np.clip(rng.normal(0.55, 0.2), 0, 1))
        tint = pick(rng, ((1.0, 0.8, 0.45), (1.0, 0.95, 0.8), (1.0, 0.3, 0.2), (0.4, 0.6, 1.0), (0.4, 1.0, 0.6)))
        canvas.shine(canvas.glow(x, y, rng.uniform(0.01, 0.06)) * np.float32(rng.uniform(0.4, 1.2)), tint)
    if rng.random() < 0.4:
        paint_water(canvas, rng, light, rng.uniform(0.55, 0.85), Part.LAKE)
    return Notes("night")


#: Every recipe with its weight.
RECIPES: dict[str, tuple[Recipe, float]] = {
    "landscape": (landscape, 34), "demo": (demo_kind, 10), "portrait": (portrait, 18), "street": (street, 7), "room": (room, 8),
    "texture": (texture, 4), "clutter": (clutter, 3), "product": (product, 6), "coloured": (coloured_things, 6),
    "shapes": (flat_shapes, 12), "fire": (flames, 1.5), "food": (food, 2.5), "page": (page, 1.5), "pool": (pool, 1.5),
    "leaves": (leaves, 3), "woods": (woods, 4), "night": (black_night, 4), "crossed": (crossed_shapes, 0),
    "held-out": (held_out_shapes, 0),
}  # fmt: skip


def thumbnail(scene: Scene) -> Image.Image:
    """The scene as a picture, for a contact sheet."""
    return Image.fromarray(scene.pixels)
