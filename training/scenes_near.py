"""
Near things for training pictures: creatures, figures, lumps, boxes; textures; rooms; food.

Most photographs have something in front of something. These stand in for all that the starter model has no word for,
so that it learns what is *not* sky, snow or grass. None of them is meant to be pretty.
"""

from __future__ import annotations

import numpy as np

from pixfind.demo.canvas import Canvas, Colour, Part, Plane, Rng, flat, mix, pick, step, tone
from pixfind.demo.noise import fractal, line
from training import scenes_materials as materials

#: What things are made of: the materials that a near thing may wear.
COATS = ("fur", "cloth", "cloth", "bark", "rock", "soil", "asphalt")

FURS: tuple[Colour, ...] = (
    (0.45, 0.30, 0.18), (0.70, 0.55, 0.38), (0.12, 0.10, 0.10), (0.90, 0.88, 0.84), (0.48, 0.46, 0.44),
    (0.66, 0.38, 0.18), (0.30, 0.22, 0.16), (0.80, 0.70, 0.55),
)  # fmt: skip
SKINS: tuple[Colour, ...] = (
    (0.90, 0.70, 0.58),
    (0.82, 0.60, 0.46),
    (0.62, 0.42, 0.30),
    (0.38, 0.25, 0.18),
    (0.95, 0.78, 0.68),
)
VIVIDS: tuple[Colour, ...] = (
    (0.82, 0.10, 0.12), (0.95, 0.48, 0.08), (0.97, 0.84, 0.12), (0.12, 0.58, 0.20), (0.10, 0.28, 0.78),
    (0.48, 0.16, 0.62), (0.94, 0.42, 0.64), (0.10, 0.66, 0.70), (0.60, 0.05, 0.10), (0.06, 0.14, 0.42), (0.55, 0.80, 0.20),
)  # fmt: skip
MUTEDS: tuple[Colour, ...] = (
    (0.50, 0.48, 0.44), (0.34, 0.30, 0.27), (0.72, 0.68, 0.60), (0.56, 0.50, 0.42), (0.40, 0.44, 0.48), (0.85, 0.83, 0.78),
    (0.20, 0.20, 0.22), (0.62, 0.52, 0.46), (0.44, 0.40, 0.30), (0.95, 0.95, 0.94), (0.60, 0.62, 0.64),
)  # fmt: skip
WOODS: tuple[Colour, ...] = ((0.52, 0.34, 0.20), (0.66, 0.48, 0.30), (0.36, 0.22, 0.13), (0.76, 0.60, 0.42))
FOLIAGE: tuple[Colour, ...] = (
    (0.20, 0.34, 0.10),
    (0.34, 0.46, 0.16),
    (0.12, 0.24, 0.08),
    (0.46, 0.54, 0.24),
    (0.28, 0.36, 0.22),
)


def any_colour(rng: Rng) -> Colour:
    """A colour as things have them: mostly muted, sometimes vivid."""
    if rng.random() < 0.45:
        return pick(rng, VIVIDS, 0.07)
    return pick(rng, (*MUTEDS, *WOODS, *FURS), 0.07)


def surface(canvas: Canvas, rng: Rng, colour: Colour, contrast: float = 0.5, material: str | None = None) -> Plane:
    """A colour plane with some texture: a material's, or fractal grain, stripes, spots, speckles."""
    if material is not None or rng.random() < 0.45:
        return _made_of(canvas, rng, colour, contrast, material or str(rng.choice(COATS)))
    kind = rng.random()
    grain = fractal(
        rng,
        canvas.height,
        canvas.width,
        rng.uniform(3, 24),
        int(rng.integers(2, 6)),
        rng.uniform(0.5, 0.9),
        rng.choice([1.0, 1.0, 3.0, 0.35]),
    )
    other = tone(colour, rng.uniform(0.4, 0.8)) if kind < 0.8 else any_colour(rng)
    if kind > 0.62:
        angle, pitch = rng.uniform(0, np.pi), rng.uniform(8, 40)
        wave = np.sin((canvas.x * np.cos(angle) + canvas.y * np.sin(angle)) * pitch * 2 + grain * rng.uniform(0, 4))
        grain = step(np.asarray(wave * rng.uniform(1, 5) + 0.5, np.float32))
    elif kind > 0.54:
        grain = step((grain - rng.uniform(0.45, 0.7)) * 9)
    return mix(colour, other, grain * np.float32(contrast))


def _made_of(canvas: Canvas, rng: Rng, colour: Colour, contrast: float, material: str) -> Plane:
    """The colour as a material wears it; now and then with a second one."""
    scale, turn = float(np.exp(rng.uniform(-0.7, 1.5))), rng.uniform(0, 2 * np.pi)
    planes = materials.facing(canvas, rng, materials.any_tiles(rng, material), scale, turn)
    body = flat(colour) * (1 + (planes[..., :1] - 0.5) * np.float32(0.4 + 1.4 * contrast))
    other = np.broadcast_to(flat(any_colour(rng) if rng.random() < 0.5 else tone(colour, 0.4)), body.shape)
    return mix(np.asarray(body, np.float32), other, planes[..., 1] * np.float32(rng.random()))


def blob(
    canvas: Canvas, rng: Rng, x: float, y: float, wide: float, tall: float, rough: float = 0.2, turn: float = 0.0
) -> tuple[Plane, Plane]:
    """The mask of a lump, and how its roundness catches the light from above."""
    dx, dy = canvas.x - x, canvas.y - y
    across, down = (dx * np.cos(turn) + dy * np.sin(turn)) / wide, (dy * np.cos(turn) - dx * np.sin(turn)) / tall
    angle = np.arctan2(down, across)
    edge = np.ones_like(angle)
    for lobe in (2, 3, 5, 8):
        edge = edge + rough / np.sqrt(lobe) * rng.normal() * np.sin(lobe * angle + rng.uniform(0, 6.3))
    far = np.hypot(across, down) / np.maximum(edge, 0.3)
    mask = step((1 - far) * min(wide, tall) / canvas.pixel * 0.8 + 0.5)
    slant = rng.normal(0, 0.5)
    light = 0.95 - 0.35 * np.clip(far, 0, 1) ** 2 - 0.28 * np.clip((down + slant * across), -1, 1)
    return np.asarray(mask, np.float32), np.asarray(light, np.float32)


def paint_lump(
    canvas: Canvas, rng: Rng, x: float, y: float, size: float, colour: Colour, part: Part = Part.THING
) -> None:
    """Something: a lump of a colour, with a texture, and a darker shade under it."""
    wide, tall = size * rng.uniform(0.6, 1.3), size * rng.uniform(0.6, 1.3)
    if rng.random() < 0.4:
        shade, _ = blob(canvas, rng, x, y + tall * 0.85, wide * 1.1, tall * 0.25, 0.1)
        canvas.veil(shade * np.float32(0.4), (0.05, 0.05, 0.05))
    mask, light = blob(canvas, rng, x, y, wide, tall, rng.uniform(0, 0.3), rng.uniform(0, 3))
    canvas.cover(mask, surface(canvas, rng, colour, rng.uniform(0, 0.8)) * light[..., None], part)


def paint_creature(canvas: Canvas, rng: Rng, x: float, y: float, size: float) -> None:
    """An animal of sorts: trunk, head, legs, ears, in fur or feathers."""
    fur = pick(rng, FURS, 0.06) if rng.random() < 0.8 else any_colour(rng)
    coat = surface(canvas, rng, fur, rng.uniform(0.2, 0.8), "fur" if rng.random() < 0.7 else None)
    side = 1 if rng.random() < 0.5 else -1
    parts = [
        (x - side * size * rng.uniform(-0.1, 0.5) * leg, y + size * 0.55, size * 0.11, size * 0.5)
        for leg in (-1.0, -0.6, 0.6, 1.0)
    ]
    parts.append((x, y, size * rng.uniform(0.6, 0.95), size * rng.uniform(0.35, 0.6)))
    head = (x + side * size * rng.uniform(0.5, 0.8), y - size * rng.uniform(0.2, 0.55))
    parts += [(head[0] + ear * size * 0.18, head[1] - size * 0.28, size * 0.09, size * 0.18) for ear in (-1, 1)]
    parts.append((*head, size * rng.uniform(0.26, 0.4), size * rng.uniform(0.26, 0.38)))
    for px, py, wide, tall in parts:
        mask, light = blob(canvas, rng, px, py, wide, tall, 0.08)
        canvas.cover(mask, coat * light[..., None], Part.ANIMAL)
    ink: Colour = (0.06, 0.05, 0.05)
    canvas.cover(canvas.disc(head[0] + side * size * 0.1, head[1] - size * 0.06, size * 0.045), ink, Part.ANIMAL)
    canvas.cover(canvas.disc(head[0] + side * size * 0.3, head[1] + size * 0.08, size * 0.06), ink, Part.ANIMAL)


def paint_figure(canvas: Canvas, rng: Rng, x: float, foot: float, tall: float, shirt: Colour) -> None:
    """A person of sorts: head, hair, clothed trunk and limbs."""
    skin, hair = pick(rng, SKINS, 0.04), pick(rng, FURS[:6], 0.05)
    trousers = pick(rng, (*MUTEDS, (0.14, 0.18, 0.34), (0.20, 0.24, 0.42)), 0.05)
    top = foot - tall
    unit = tall / 7
    cloth = surface(canvas, rng, shirt, rng.uniform(0.1, 0.5), "cloth" if rng.random() < 0.7 else None)
    spread, lean = rng.uniform(0.2, 0.9), rng.normal(0, 0.3)
    limbs: list[tuple[float, float, float, float, float, Plane | Colour]] = [
        (x - unit * spread, foot - unit * 1.7, unit * 0.45, unit * 1.9, spread * 0.3, trousers),
        (x + unit * spread, foot - unit * 1.7, unit * 0.45, unit * 1.9, -spread * 0.3, trousers),
        (x + lean * unit * 0.3, top + unit * 2.6, unit * rng.uniform(0.85, 1.15), unit * 1.7, lean * 0.2, cloth),
    ]
    for side in (-1, 1):
        swing = rng.normal(0, 0.6)
        limbs.append(
            (
                x + side * unit * (1.0 + 0.3 * abs(swing)),
                top + unit * 2.7,
                unit * 0.3,
                unit * 1.35,
                swing,
                cloth if rng.random() < 0.6 else skin,
            )
        )
    limbs.append((x + lean * unit * 0.5, top + unit * 0.55, unit * 0.52, unit * 0.62, 0.0, skin))
    for px, py, wide, high, turn, colour in limbs:
        mask, light = blob(canvas, rng, px, py, wide, high, 0.05, turn)
        canvas.cover(mask, np.asarray(np.asarray(colour, np.float32) * light[..., None], np.float32), Part.PERSON)
    mask, light = blob(canvas, rng, x + lean * unit * 0.5, top + unit * 0.28, unit * 0.56, unit * 0.42, 0.1)
    canvas.cover(
        mask,
        np.asarray(np.float32(hair if rng.random() < 0.7 else any_colour(rng)) * light[..., None], np.float32),
        Part.PERSON,
    )


def paint_box(
    canvas: Canvas, rng: Rng, x: float, foot: float, wide: float, tall: float, colour: Colour, part: Part = Part.THING
) -> None:
    """A box in three shades: furniture, a crate, a machine, a far building."""
    deep, lift = wide * rng.uniform(0.1, 0.5), tall * rng.uniform(0.02, 0.25)
    left, right, top = x - wide / 2, x + wide / 2, foot - tall
    texture = surface(canvas, rng, colour, rng.uniform(0, 0.5))
    canvas.fill([(left, top), (right, top), (right, foot), (left, foot)], texture, part)
    canvas.fill(
        [(right, top), (right + deep, top - lift), (right + deep, foot - lift), (right, foot)],
        np.asarray(texture * 0.62, np.float32),
        part,
    )
    canvas.fill(
        [(left, top), (left + deep, top - lift), (right + deep, top - lift), (right, top)],
        np.asarray(texture * 1.18, np.float32),
        part,
    )
    if rng.random() < 0.4:
        panel = any_colour(rng)
        canvas.fill([(left + wide * 0.15, top + tall * 0.15), (right - wide * 0.15, top + tall * 0.15),
                     (right - wide * 0.15, top + tall * 0.6), (left + wide * 0.15, top + tall * 0.6)], panel, part)  # fmt: skip


def strew(canvas: Canvas, rng: Rng, count: int, top: float, bottom: float, light: float) -> None:
    """Small things between two heights, as streets and rooms are full of them: signs, boxes, bottles, bags."""
    for _ in range(count):
        x, y, size = rng.uniform(0, canvas.aspect), rng.uniform(top, bottom), 0.03 + 0.12 * rng.random() ** 2
        colour = tone(any_colour(rng), 0.2 + 0.8 * light)
        if rng.random() < 0.3:
            paint_lump(canvas, rng, x, y, size, colour)
            continue
        wide, tall = size * rng.uniform(0.3, 2), size * rng.uniform(0.3, 2)
        corners = [(x - wide, y - tall), (x + wide, y - tall), (x + wide, y + tall), (x - wide, y + tall)]
        canvas.fill(corners, colour, Part.THING)
        if rng.random() < 0.5:
            inner = [(x + (px - x) * 0.6, y + (py - y) * 0.5) for px, py in corners]
            canvas.fill(inner, tone(any_colour(rng), 0.2 + 0.8 * light), Part.THING)


def paint_sticks(canvas: Canvas, rng: Rng, colour: Colour, count: int, part: Part) -> None:
    """Branches, poles, grass blades, wires: thin strokes across the picture."""
    for _ in range(count):
        x, y, turn = rng.uniform(0, canvas.aspect), rng.random(), rng.normal(np.pi / 2, 0.5)
        reach, thick = rng.uniform(0.2, 0.9), rng.uniform(0.003, 0.02)
        dx, dy = float(np.cos(turn)) * reach, float(np.sin(turn)) * reach
        shade = tone(colour, rng.uniform(0.5, 1.3))
        canvas.fill(
            [(x - thick, y), (x + thick, y + thick), (x + dx + thick / 3, y + dy), (x + dx - thick / 3, y + dy)],
            shade,
            part,
        )


def paint_foliage(
    canvas: Canvas, rng: Rng, palette: tuple[Colour, ...] = FOLIAGE, part: Part = Part.LEAF, leaves: int = 60
) -> None:
    """Leaves from near: dark depth behind, many pointed ellipses before it."""
    full = np.ones((canvas.height, canvas.width), np.float32)
    depth = fractal(rng, canvas.height, canvas.width, rng.uniform(4, 14), 5, 0.8)
    if rng.random() < 0.7:
        name = str(rng.choice(["foliage", "foliage", "foliage", "grass"]))
        depth = materials.facing(canvas, rng, materials.any_tiles(rng, name), float(np.exp(rng.uniform(-1, 1.2))))[
            ..., 0
        ]
        leaves = int(leaves * rng.random() ** 2)
    canvas.cover(full, mix(tone(pick(rng, palette), 0.25), tone(pick(rng, palette, 0.08), 1.3), depth), part)
    size = rng.uniform(0.03, 0.14)
    for _ in range(leaves):
        x, y, turn, reach = (
            rng.uniform(0, canvas.aspect),
            rng.random(),
            rng.uniform(0, 6.3),
            size * rng.uniform(0.6, 1.5),
        )
        dx, dy = float(np.cos(turn)) * reach, float(np.sin(turn)) * reach
        side_x, side_y = -dy * 0.3, dx * 0.3
        tint = tone(pick(rng, palette, 0.06), rng.uniform(0.6, 1.5))
        canvas.fill(
            [(x - dx, y - dy), (x + side_x, y + side_y), (x + dx, y + dy), (x - side_x, y - side_y)], tint, part
        )


def paint_backdrop(canvas: Canvas, rng: Rng, colours: tuple[Colour, ...], part: Part = Part.NOTHING) -> None:
    """Something out of focus behind a near thing: two or three colours in soft patches."""
    full = np.ones((canvas.height, canvas.width), np.float32)
    field = fractal(
        rng, canvas.height, canvas.width, rng.uniform(1, 4), int(rng.integers(1, 4)), 0.5, rng.choice([1.0, 1.0, 2.5])
    )
    canvas.cover(full, mix(pick(rng, colours, 0.06), pick(rng, colours, 0.06), field), part)
    if rng.random() < 0.5:
        slope = np.clip((canvas.y - rng.uniform(0.2, 0.8)) / rng.uniform(0.05, 0.6) + 0.5, 0, 1)
        canvas.veil(np.broadcast_to(slope, full.shape) * np.float32(rng.uniform(0.3, 1)), pick(rng, colours, 0.06))


def paint_room(canvas: Canvas, rng: Rng) -> None:
    """Indoors: a wall, a floor, perhaps a window, furniture, pictures, a lamp's warm light."""
    wall = pick(
        rng,
        (*MUTEDS, (0.92, 0.88, 0.78), (0.86, 0.80, 0.70), (0.95, 0.92, 0.86), (0.75, 0.82, 0.84), (0.70, 0.30, 0.22)),
        0.06,
    )
    full = np.ones((canvas.height, canvas.width), np.float32)
    canvas.cover(full, surface(canvas, rng, wall, rng.uniform(0, 0.25)), Part.WALL)
    if rng.random() < 0.25:
        _tiles(canvas, rng)
    corner = rng.uniform(0, canvas.aspect)
    canvas.veil((canvas.x < corner) * full * np.float32(rng.uniform(0.05, 0.3)), (0.1, 0.08, 0.06))
    floor = rng.uniform(0.55, 0.95)
    slant = rng.normal(0, 0.12)
    edge = floor + slant * (canvas.x[0] - canvas.aspect / 2)
    canvas.cover(canvas.below(np.asarray(edge, np.float32)), _floor(canvas, rng, floor), Part.FLOOR)
    if rng.random() < 0.25:
        _curtain(canvas, rng)
    if rng.random() < 0.2:
        _shelves(canvas, rng)
    if rng.random() < 0.4:
        x, y, half = rng.uniform(0.1, canvas.aspect - 0.1), rng.uniform(0.15, 0.4), rng.uniform(0.08, 0.2)
        for shift in (-half * 0.52, half * 0.52):
            pane = [
                (x + shift - half / 2, y - half),
                (x + shift + half / 2, y - half),
                (x + shift + half / 2, y + half),
                (x + shift - half / 2, y + half),
            ]
            canvas.fill(pane, pick(rng, ((0.95, 0.97, 1.0), (0.75, 0.85, 0.95), (0.3, 0.4, 0.3))), Part.WINDOW)
    for _ in range(int(rng.integers(1, 6))):
        x, foot = rng.uniform(0, canvas.aspect), rng.uniform(0.5, 1.1)
        colour = (
            any_colour(rng)
            if rng.random() < 0.35
            else pick(rng, (*WOODS, *MUTEDS, (0.93, 0.93, 0.92), (0.97, 0.97, 0.96)))
        )
        paint_box(canvas, rng, x, foot, rng.uniform(0.1, 0.5), rng.uniform(0.1, 0.5), colour)
    if rng.random() < 0.5:
        x, y = rng.uniform(0, canvas.aspect), rng.uniform(0.0, 0.6)
        canvas.shine(canvas.glow(x, y, rng.uniform(0.1, 0.4)) * np.float32(rng.uniform(0.1, 0.5)), (1.0, 0.8, 0.5))
    if rng.random() < 0.55:
        canvas.rgb *= np.float32([1.0, rng.uniform(0.76, 0.95), rng.uniform(0.5, 0.85)])


def _floor(canvas: Canvas, rng: Rng, edge: float) -> Plane:
    """Carpet, boards or tiles, in perspective."""
    colour, eye = pick(rng, (*WOODS, *MUTEDS), 0.06), edge - rng.uniform(0.1, 0.8)
    material = str(rng.choice(["fur", "cloth", "asphalt", "bark", "gravel"]))
    grain = materials.lying(canvas, rng, materials.any_tiles(rng, material), eye, rng.uniform(0.5, 3))
    body = flat(colour) * (1 + (grain[..., :1] - 0.5) * np.float32(rng.uniform(0.1, 1.0)))
    if rng.random() < 0.5:
        away = 1 / np.maximum(canvas.y - eye, 0.02)
        boards, rows = (canvas.x - canvas.aspect / 2) * away * rng.uniform(2, 8), away * rng.uniform(2, 8)
        joints = (boards % 1 < 0.06) | ((rows % 1 < 0.06) & (rng.random() < 0.5))
        body = body * (1 - 0.4 * joints[..., None])
    return np.asarray(body, np.float32)


def _curtain(canvas: Canvas, rng: Rng) -> None:
    """Cloth that hangs in folds."""
    left, wide = rng.uniform(-0.2, canvas.aspect), rng.uniform(0.1, 0.6)
    folds = 0.75 + 0.35 * np.sin(canvas.x * rng.uniform(20, 80) + 2 * line(rng, canvas.width, 3, 3)[None])
    cloth = surface(canvas, rng, any_colour(rng), 0.3, "cloth") * np.broadcast_to(folds, canvas.label.shape)[..., None]
    mask = ((canvas.x > left) & (canvas.x < left + wide) & (canvas.y < rng.uniform(0.6, 1.1))).astype(np.float32)
    canvas.cover(mask, np.asarray(cloth, np.float32), Part.FABRIC)


def _shelves(canvas: Canvas, rng: Rng) -> None:
    """Rows of narrow things of many colours: books, bottles, boxes."""
    left, top, wide, tall = (
        rng.uniform(-0.1, 0.7),
        rng.uniform(-0.1, 0.4),
        rng.uniform(0.2, 0.7),
        rng.uniform(0.08, 0.18),
    )
    for row in range(int(rng.integers(2, 6))):
        x, foot = left, top + (row + 1) * tall
        canvas.fill(
            [(left, foot - tall), (left + wide, foot - tall), (left + wide, foot), (left, foot)],
            tone(pick(rng, WOODS), 0.5),
            Part.THING,
        )
        while x < left + wide:
            thick, high = rng.uniform(0.008, 0.05), tall * rng.uniform(0.5, 0.95)
            if rng.random() < 0.9:
                corners = [(x, foot - high), (x + thick, foot - high), (x + thick, foot - 0.01), (x, foot - 0.01)]
                canvas.fill(corners, any_colour(rng), Part.THING)
            x += thick + 0.004


def _tiles(canvas: Canvas, rng: Rng) -> None:
    """A grid of joints, as in kitchens and bathrooms."""
    pitch, thin = rng.uniform(5, 16), rng.uniform(0.05, 0.12)
    joints = ((canvas.y * pitch) % 1 < thin) | ((canvas.x * pitch) % 1 < thin)
    canvas.veil(joints.astype(np.float32) * np.float32(rng.uniform(0.1, 0.5)), pick(rng, MUTEDS))


def paint_bricks(canvas: Canvas, rng: Rng, colour: Colour, rows: int) -> None:
    """Courses of bricks or blocks with mortar between."""
    row = np.floor(canvas.y * rows)
    along = canvas.x * rows / rng.uniform(1.6, 2.6) + 0.5 * (row % 2)
    joint = np.maximum((canvas.y * rows) % 1 < 0.12, along % 1 < 0.06).astype(np.float32)
    tint = rng.random((64, 64), dtype=np.float32)[(row.astype(int) % 64), (np.floor(along).astype(int) % 64)]
    full = np.ones((canvas.height, canvas.width), np.float32)
    body = surface(canvas, rng, colour, 0.3) * (0.75 + 0.5 * tint)[..., None]
    mortar = pick(rng, ((0.75, 0.73, 0.70), (0.45, 0.43, 0.41)))
    canvas.cover(
        full, mix(np.asarray(body, np.float32), np.broadcast_to(np.float32(mortar), body.shape), joint), Part.WALL
    )


def paint_plate(canvas: Canvas, rng: Rng) -> None:
    """Food of sorts on a plate on a table."""
    paint_backdrop(canvas, rng, (*WOODS, *MUTEDS), Part.NOTHING)
    x, y, radius = canvas.aspect * rng.uniform(0.35, 0.65), rng.uniform(0.4, 0.6), rng.uniform(0.3, 0.55)
    canvas.cover(
        canvas.disc(x, y, radius, rng.uniform(0.5, 1)),
        pick(rng, ((0.94, 0.94, 0.92), (0.85, 0.85, 0.88), (0.25, 0.27, 0.33))),
        Part.FOOD,
    )
    dishes: tuple[Colour, ...] = (
        (0.75, 0.50, 0.22),
        (0.86, 0.68, 0.34),
        (0.62, 0.16, 0.10),
        (0.30, 0.46, 0.14),
        (0.92, 0.86, 0.70),
        (0.42, 0.24, 0.14),
        (0.95, 0.55, 0.15),
    )
    for _ in range(int(rng.integers(4, 14))):
        angle, reach = rng.uniform(0, 6.3), radius * 0.6 * rng.random()
        paint_lump(
            canvas,
            rng,
            x + float(np.cos(angle)) * reach,
            y + float(np.sin(angle)) * reach * 0.7,
            rng.uniform(0.05, 0.16),
            pick(rng, dishes, 0.06),
            Part.FOOD,
        )


def paint_page(canvas: Canvas, rng: Rng) -> None:
    """Print: rows of ink on paper, a screen, a sign."""
    paper = pick(rng, ((0.96, 0.96, 0.94), (0.90, 0.86, 0.76), (0.1, 0.1, 0.12), (0.95, 0.95, 0.97)), 0.03)
    full = np.ones((canvas.height, canvas.width), np.float32)
    canvas.cover(full, surface(canvas, rng, paper, 0.06), Part.THING)
    ink = tone(paper, 0.15) if sum(paper) > 1.5 else (0.85, 0.9, 0.85)
    y = rng.uniform(0.02, 0.2)
    size = rng.uniform(0.015, 0.06)
    while y < 0.98:
        x = rng.uniform(0.03, 0.15)
        while x < canvas.aspect * rng.uniform(0.6, 0.98):
            word = rng.uniform(1, 5) * size
            canvas.fill(
                [(x, y), (x + word, y), (x + word, y + size * 0.55), (x, y + size * 0.55)],
                tone(ink, rng.uniform(0.8, 1.4)),
                Part.THING,
            )
            x += word + size * 0.6
        y += size * rng.uniform(1.3, 2.2)


def paint_fire(canvas: Canvas, rng: Rng) -> None:
    """Flames before the dark."""
    full = np.ones((canvas.height, canvas.width), np.float32)
    canvas.cover(full, tone(pick(rng, MUTEDS), rng.uniform(0.05, 0.35)), Part.NOTHING)
    tongues = fractal(rng, canvas.height, canvas.width, 3, 5, 0.6, 0.35)
    x = canvas.aspect * rng.uniform(0.3, 0.7)
    reach = np.clip(1 - np.abs(canvas.x - x) / rng.uniform(0.25, 0.8), 0, 1)
    heat = np.clip(tongues * 1.5 + (canvas.y - rng.uniform(0.3, 0.6)) * 1.6 - (1 - reach) * 1.2, 0, 1.2)
    colour = np.stack(
        [np.clip(heat * 2.6, 0, 1), np.clip(heat * 2.4 - 0.75, 0, 1), np.clip(heat * 2.2 - 1.6, 0, 1)], -1
    )
    canvas.cover(step(np.asarray((heat - 0.12) * 4, np.float32)), colour.astype(np.float32), Part.FIRE)


def paint_stripes(canvas: Canvas, rng: Rng, first: Colour, second: Colour, kind: str) -> None:
    """A pattern in two colours: stripes, checks or dots."""
    turn, pitch = rng.uniform(0, np.pi), rng.uniform(4, 16)
    u = (canvas.x * np.cos(turn) + canvas.y * np.sin(turn)) * pitch
    v = (canvas.y * np.cos(turn) - canvas.x * np.sin(turn)) * pitch
    waves = {
        "stripes": np.sin(u * np.pi),
        "checks": np.sin(u * np.pi) * np.sin(v * np.pi) * 3,
        "dots": 0.35 - np.hypot(u % 1 - 0.5, v % 1 - 0.5),
    }
    full = np.ones((canvas.height, canvas.width), np.float32)
    canvas.cover(full, mix(first, second, step(np.asarray(waves[kind] * 12 + 0.5, np.float32))), Part.FABRIC)


def paint_clutter(canvas: Canvas, rng: Rng, count: int = 40) -> None:
    """The 'dead leaves' picture: lumps over lumps, sizes as in nature; clutter of any kind."""
    full = np.ones((canvas.height, canvas.width), np.float32)
    canvas.cover(full, surface(canvas, rng, any_colour(rng)), Part.NOTHING)
    for _ in range(count):
        size = 0.03 / (rng.random() + 0.06)
        paint_lump(canvas, rng, rng.uniform(0, canvas.aspect), rng.random(), size, any_colour(rng))


def paint_shore_line(canvas: Canvas, rng: Rng, colour: Colour, base: float, part: Part) -> None:
    """A band of something beyond: reeds, a quay, a far shore."""
    edge = base + 0.03 * line(rng, canvas.width, 4, 5)
    canvas.cover(canvas.below(np.asarray(edge, np.float32)), surface(canvas, rng, colour, 0.6), part)
