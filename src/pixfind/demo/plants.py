# ruff: noqa: PLR2004 - a drawing is made of numbers; each is named by the line it stands in
"""
Plants: single trees, rows of trees, the inside of a forest, meadows and flowers seen from near.

Owns leaves and petals. Must not know hours beyond the light of a `Sky`.
"""

from __future__ import annotations

import numpy as np

from pixfind.demo.canvas import Canvas, Colour, Part, Plane, Rng, flat, jitter, mix, pick, step, tone
from pixfind.demo.noise import fractal, line
from pixfind.demo.sky import Sky, dimmed

GREENS: tuple[Colour, ...] = ((0.16, 0.34, 0.10), (0.22, 0.40, 0.12), (0.12, 0.28, 0.12), (0.30, 0.44, 0.14))
CONIFERS: tuple[Colour, ...] = ((0.08, 0.22, 0.13), (0.10, 0.25, 0.12), (0.07, 0.18, 0.12))
AUTUMNS: tuple[Colour, ...] = ((0.86, 0.46, 0.10), (0.78, 0.24, 0.10), (0.90, 0.66, 0.16), (0.60, 0.30, 0.10))
PETALS: dict[str, Colour] = {
    "red": (0.86, 0.10, 0.12),
    "pink": (0.96, 0.52, 0.70),
    "yellow": (0.99, 0.83, 0.14),
    "white": (0.97, 0.96, 0.94),
    "purple": (0.52, 0.22, 0.70),
    "orange": (0.98, 0.52, 0.10),
    "blue": (0.24, 0.36, 0.86),
}


def _lit(sky: Sky, colour: Plane) -> Plane:
    return np.asarray(colour * (0.14 + 0.86 * flat(sky.ambient)), np.float32)


def paint_treeline(canvas: Canvas, rng: Rng, sky: Sky, base: float, height: float, kind: str, haze: float) -> None:
    """A row of trees across the picture: 'conifer', 'leafy' or 'autumn'."""
    skyline = base - height * (_spires if kind == "conifer" else _crowns)(rng, canvas.width, height, canvas.aspect)
    palette = {"conifer": CONIFERS, "leafy": GREENS, "autumn": AUTUMNS}[kind]
    clumps = fractal(rng, canvas.height, canvas.width, 1.1 / max(height, 0.02), 5, 0.7)
    patches = fractal(rng, canvas.height, canvas.width, 0.6 / max(height, 0.02), 2)
    one, other = pick(rng, palette), pick(rng, palette)
    colour = mix(one, other, step((patches - 0.5) * 4 + 0.5)) * (0.40 + 1.15 * clumps)[..., None]
    depth = np.clip((canvas.y - skyline[None, :]) / max(height, 0.02), 0, 1)
    colour = _lit(sky, np.asarray(colour, np.float32)) * (1.1 - 0.45 * depth)[..., None]
    colour = mix(np.asarray(colour, np.float32), np.broadcast_to(flat(sky.horizon), colour.shape), haze)
    mask = canvas.below(skyline, 1.2) * step((base + 0.01 - canvas.y) / canvas.pixel + 1)
    canvas.cover(np.asarray(mask, np.float32), colour, Part.AUTUMN if kind == "autumn" else Part.TREES)


def _spires(rng: Rng, width: int, height: float, aspect: float) -> Plane:
    """The skyline of conifers: many narrow triangles with ragged sides."""
    at = np.linspace(0, aspect, width, dtype=np.float32)
    skyline = np.full(width, 0.35, np.float32)
    spacing = max(height * 0.26, 0.02)
    for centre in np.arange(-spacing, aspect + spacing, spacing):
        tip, reach = rng.uniform(0.6, 1.0), spacing * rng.uniform(0.7, 1.1)
        far = np.abs(at - centre - rng.normal(0, spacing / 3)) / reach
        skyline = np.maximum(skyline, tip * (1 - far * 0.9) - 0.04 * np.abs(np.sin(far * 14)))
    return np.asarray(skyline + 0.03 * line(rng, width, 60, 2), np.float32)


def _crowns(rng: Rng, width: int, height: float, aspect: float) -> Plane:
    """The skyline of leafy trees: overlapping round crowns."""
    at = np.linspace(0, aspect, width, dtype=np.float32)
    skyline = np.full(width, 0.4, np.float32)
    spacing = max(height * 0.5, 0.03)
    for centre in np.arange(-spacing, aspect + spacing, spacing):
        reach = spacing * rng.uniform(0.7, 1.2)
        far = np.clip(np.abs(at - centre - rng.normal(0, spacing / 3)) / reach, 0, 1)
        skyline = np.maximum(skyline, rng.uniform(0.6, 1.0) * np.sqrt(1 - far * far))
    return np.asarray(skyline + 0.07 * line(rng, width, 22, 4), np.float32)


def paint_conifer(canvas: Canvas, rng: Rng, sky: Sky, x: float, foot: float, height: float, snow: float = 0.0) -> None:
    """A fir tree of stacked boughs; `snow` whitens it."""
    tint = dimmed(pick(rng, CONIFERS), sky, 0.2)
    white = dimmed((0.93, 0.95, 1.0), sky, 0.25)
    trunk = tone((0.26, 0.18, 0.12), float(np.mean(sky.ambient)))
    wide = height * 0.022
    canvas.fill(
        [(x - wide, foot - height * 0.3), (x + wide, foot - height * 0.3), (x + wide, foot), (x - wide, foot)],
        trunk,
        Part.TREES,
    )
    tiers = int(rng.integers(7, 11))
    for tier in range(tiers):
        share = (tier + 1) / tiers
        top = foot - height + height * 0.86 * tier / tiers
        bottom = foot - height + height * 0.95 * share
        half = height * 0.25 * share * rng.uniform(0.88, 1.1)
        shade = tone(tint, rng.uniform(0.75, 1.3))
        for side in (-1, 1):
            ragged = [
                (x + side * half * s, bottom - (1 - s) * height * 0.03 + rng.uniform(0, 0.012) * height)
                for s in (1, 0.72, 0.45, 0.2)
            ]
            canvas.fill([(x, top), *ragged, (x, bottom)], tone(shade, 0.8 if side > 0 else 1.1), Part.TREES)
            if snow > rng.random():
                bough = [(x + side * half * s, bottom - (1 - s) * (bottom - top) * 0.95) for s in (0.95, 0.55, 0.15)]
                canvas.fill([(x, top), *bough, (x + side * half * 0.5, bottom - height * 0.035)], white, Part.SNOW)


def paint_tree(
    canvas: Canvas, rng: Rng, sky: Sky, x: float, foot: float, height: float, palette: tuple[Colour, ...] = GREENS
) -> None:
    """A leafy tree: a forked trunk and a crown of many clumps, lit from above."""
    light = 0.15 + 0.85 * flat(sky.ambient)
    bark = dimmed(jitter(rng, (0.33, 0.25, 0.18)), sky, 0.15)
    wide = height * 0.035
    crown = foot - height * 0.6
    canvas.fill(
        [(x - wide, foot), (x - wide * 0.5, crown), (x + wide * 0.5, crown), (x + wide, foot)], bark, Part.TREES
    )
    part = Part.AUTUMN if palette is AUTUMNS else Part.TREES
    tint = flat(pick(rng, palette)) * light
    clumps = []
    for _ in range(30):
        angle, reach = rng.uniform(0, 2 * np.pi), np.sqrt(rng.random()) * height * 0.3
        clumps.append((crown + np.sin(angle) * reach * 0.85, x + np.cos(angle) * reach))
    for clump_y, clump_x in sorted(clumps, reverse=True):
        bright = 0.62 + 0.85 * (crown + height * 0.3 - clump_y) / (height * 0.6)
        _clump(
            canvas, rng, clump_x, clump_y, height * rng.uniform(0.07, 0.12), np.asarray(tint * bright, np.float32), part
        )


def _clump(canvas: Canvas, rng: Rng, x: float, y: float, radius: float, tint: Plane, part: Part) -> None:
    """A tuft of leaves: a disc with ragged edge and speckled light, in its own small window."""
    box = canvas.window([(x - radius * 1.3, y - radius * 1.3), (x + radius * 1.3, y + radius * 1.3)])
    if box is None:
        return
    left, top, width, height = box
    rows, columns = canvas.y[top : top + height], canvas.x[:, left : left + width]
    grain = rng.random((height, width), dtype=np.float32)
    far = np.hypot(columns - x, rows - y) / radius
    mask = step((1.12 - far - 0.45 * grain) * 5)
    colour = tint * (0.72 + 0.5 * grain + 0.22 * np.clip((y - rows) / radius, -1, 1))[..., None]
    canvas.cover(mask, np.asarray(colour, np.float32), part, top, left)


def paint_forest(canvas: Canvas, rng: Rng, sky: Sky, autumn: bool = False, misty: float = 0.3) -> None:
    """Inside a forest: foliage and light behind, trunks in several depths, a floor of moss or leaves."""
    palette = AUTUMNS if autumn else GREENS
    part = Part.AUTUMN if autumn else Part.TREES
    leaves = fractal(rng, canvas.height, canvas.width, 7, 6, 0.72)
    gaps = fractal(rng, canvas.height, canvas.width, 3, 3)
    colour = mix(tone(pick(rng, palette), 0.6), tone(pick(rng, palette), 2.1), leaves)
    glade: Colour = (0.98, 0.90, 0.66) if autumn else (0.86, 0.95, 0.74)
    back = step((gaps + leaves * 0.6 - 0.72) * 2.5) * np.clip(1.15 - np.abs(canvas.y - 0.35) * 1.6, 0, 1)
    full = np.ones((canvas.height, canvas.width), np.float32)
    canvas.cover(full, _lit(sky, mix(colour, np.broadcast_to(flat(glade), colour.shape), back * 0.75)), part)
    floor = rng.uniform(0.66, 0.8)
    _forest_floor(canvas, rng, sky, palette, floor, part)
    for depth in range(3):
        near = (depth + 1) / 3
        for _ in range(int(rng.integers(4, 8)) - depth):
            _trunk(canvas, rng, sky, floor, near, mix(tone(glade, 0.8), glade, 0.5), misty)
    canopy = fractal(rng, canvas.height, canvas.width, 9, 5, 0.75)
    mask = step((canopy - 0.42 - canvas.y * 0.95) * 6 + 0.35) * 0.9
    over = mix(tone(pick(rng, palette), 0.7), tone(pick(rng, palette), 1.7), canopy * canopy * 1.4)
    canvas.cover(np.asarray(mask, np.float32), _lit(sky, over), part)


def _forest_floor(canvas: Canvas, rng: Rng, sky: Sky, palette: tuple[Colour, ...], floor: float, part: Part) -> None:
    litter = fractal(rng, canvas.height, canvas.width, 14, 5, 0.8, 2.2)
    dapple = step((fractal(rng, canvas.height, canvas.width, 4, 3, 0.5, 3.0) - 0.48) * 5)
    ground = mix(tone(pick(rng, palette), 0.5), tone(pick(rng, palette), 1.5), litter * 0.75 + dapple * 0.35)
    edge = floor + 0.02 * line(rng, canvas.width, 5, 4)
    canvas.cover(canvas.below(edge, 12), _lit(sky, ground), part)


def _trunk(canvas: Canvas, rng: Rng, sky: Sky, floor: float, near: float, mist: Plane, misty: float) -> None:
    x, wide = rng.uniform(0, canvas.aspect), 0.007 + 0.033 * near**2 * rng.uniform(0.7, 1.3)
    foot = floor + (1.02 - floor) * near**2.2 * rng.uniform(0.5, 1)
    lean = rng.normal(0, 0.025)
    bark = flat(jitter(rng, (0.30, 0.24, 0.18), 0.04)) * (0.2 + 0.8 * flat(sky.ambient))
    haze = misty * (1 - near) * 1.3
    for strip in range(5):
        left, right = x - wide + 2 * wide * strip / 5, x - wide + 2 * wide * (strip + 1) / 5
        round_light = 0.55 + 0.85 * (1 - abs(strip - 1.4) / 3.6)
        colour = bark * flat(round_light) * (1 - haze) + flat(mist) * haze
        corners = [(left + lean, -0.02), (right + lean, -0.02), (right, foot), (left, foot)]
        red, green, blue = (float(c) for c in colour)
        canvas.fill(corners, (red, green, blue), Part.TREES)


def paint_meadow(canvas: Canvas, rng: Rng, horizon: float, colours: list[Colour], amount: int = 900) -> None:
    """Flowers all over a meadow: dots far away, small flowers near."""
    for depth in np.sort(rng.random(amount) ** 0.62):
        y = horizon + (1.04 - horizon) * depth**2.2 + 0.006
        x = rng.uniform(-0.05, canvas.aspect + 0.05)
        radius = 0.0022 + 0.016 * depth**3
        colour = tone(colours[int(rng.integers(len(colours)))], rng.uniform(0.75, 1.15))
        _bloom(canvas, rng, x, y, radius, colour)


def _bloom(canvas: Canvas, rng: Rng, x: float, y: float, radius: float, colour: Colour) -> None:
    row, column = int(y * canvas.height), int(x * canvas.height)
    size = max(1, round(radius * canvas.height))
    if row - size < 0 or column - size < 0 or row >= canvas.height or column >= canvas.width:
        return
    if size < 3:
        canvas.rgb[row : row + size, column : column + size + 1] = colour
        canvas.label[row : row + size, column : column + size + 1] = Part.FLOWER
        return
    spokes = int(rng.integers(5, 8))
    angles = np.linspace(0, 2 * np.pi, spokes * 4, endpoint=False) + rng.random()
    reach = radius * (0.66 + 0.34 * np.cos(angles * spokes))
    outline = [(x + float(np.cos(a) * r), y + float(np.sin(a) * r) * 0.75) for a, r in zip(angles, reach, strict=True)]
    canvas.fill(outline, colour, Part.FLOWER)
    middle = radius * 0.26
    centre = [(x - middle, y - middle), (x + middle, y - middle), (x + middle, y + middle), (x - middle, y + middle)]
    canvas.fill(centre, (0.95, 0.78, 0.2) if colour[2] > 0.3 else (0.25, 0.16, 0.06), Part.FLOWER)


def paint_flower(canvas: Canvas, rng: Rng, x: float, y: float, radius: float, colour: Colour, heart: Colour) -> None:
    """One flower seen from near: two rows of shaded petals and a speckled heart."""
    petals = int(rng.integers(8, 17))
    turn, squeeze = rng.uniform(0, 2 * np.pi), rng.uniform(0.8, 1.0)
    for ring, (reach, shade) in enumerate(((1.0, 0.74), (0.86, 1.0))):
        for petal in rng.permutation(petals):
            angle = turn + (petal + 0.5 * ring) * 2 * np.pi / petals + rng.normal(0, 0.04)
            length = radius * reach * rng.uniform(0.93, 1.05)
            _petal(
                canvas,
                x,
                y,
                angle,
                length,
                radius * 2.5 / petals,
                tone(colour, shade * rng.uniform(0.92, 1.06)),
                squeeze,
            )
    _heart(canvas, rng, x, y, radius * rng.uniform(0.24, 0.32), heart)


def _petal(
    canvas: Canvas, x: float, y: float, angle: float, length: float, wide: float, colour: Colour, squeeze: float
) -> None:
    tip_x, tip_y = x + np.cos(angle) * length, y + np.sin(angle) * length * squeeze
    reach = length + wide
    box = canvas.window([(min(x, tip_x) - wide, min(y, tip_y) - wide), (max(x, tip_x) + wide, max(y, tip_y) + wide)])
    if box is None or reach <= 0:
        return
    left, top, width, height = box
    dx = canvas.x[:, left : left + width] - x
    dy = (canvas.y[top : top + height] - y) / squeeze
    along = (dx * np.cos(angle) + dy * np.sin(angle)) / length
    aside = (dy * np.cos(angle) - dx * np.sin(angle)) / wide
    half = np.sin(np.clip(along, 0, 1) ** 0.75 * np.pi) ** 0.6 * 0.9 + 1e-4
    mask = step((half - np.abs(aside)) * wide / canvas.pixel) * (along > 0) * (along < 1)
    vein = 1 - 0.10 * np.abs(np.sin(aside * 9))
    light = (0.58 + 0.5 * along - 0.16 * np.abs(aside / half)) * vein
    canvas.cover(
        np.asarray(mask, np.float32), np.asarray(light[..., None] * flat(colour), np.float32), Part.FLOWER, top, left
    )


def _heart(canvas: Canvas, rng: Rng, x: float, y: float, radius: float, colour: Colour) -> None:
    box = canvas.window([(x - radius, y - radius), (x + radius, y + radius)])
    if box is None:
        return
    left, top, width, height = box
    far = np.hypot(canvas.x[:, left : left + width] - x, canvas.y[top : top + height] - y) / radius
    seeds = fractal(rng, height, width, 14, 2, 0.8)
    shade = (0.5 + 0.75 * seeds) * (1.12 - 0.4 * far)
    mask = step((1 - far) * radius / canvas.pixel + 0.5)
    canvas.cover(mask, np.asarray(shade[..., None] * flat(colour), np.float32), Part.FLOWER, top, left)


def paint_bokeh(canvas: Canvas, rng: Rng, dark: Colour, light: Colour, part: Part = Part.LEAF, spots: int = 14) -> None:
    """An out-of-focus background: soft patches and pale discs."""
    soft = fractal(rng, canvas.height, canvas.width, 2.2, 3, 0.45)
    canvas.cover(np.ones((canvas.height, canvas.width), np.float32), mix(dark, light, soft), part)
    for _ in range(spots):
        x, y, radius = rng.uniform(0, canvas.aspect), rng.uniform(0, 1), rng.uniform(0.03, 0.11)
        canvas.shine(canvas.disc(x, y, radius) * flat(rng.uniform(0.03, 0.10)), tone(light, 1.3))
