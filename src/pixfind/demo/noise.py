# ruff: noqa: PLR2004 - a drawing is made of numbers; each is named by the line it stands in
"""
Noise: the roughness of clouds, ridges, grass and water.

Owns random fields between 0 and 1. Must not know colours.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from pixfind.demo.canvas import Plane, Rng


def fractal(
    rng: Rng, height: int, width: int, cells: float, octaves: int = 5, fall: float = 0.55, stretch: float = 1.0
) -> Plane:
    """
    Noise with detail at every scale, spread over 0..1.

    `cells` counts the coarsest bumps over the height; `stretch` > 1 makes them longer sideways.
    """
    total = np.zeros((height, width), np.float32)
    weight = 1.0
    for _ in range(octaves):
        down = int(np.clip(round(cells), 1, height))
        across = int(np.clip(round(cells * width / height / stretch), 1, width))
        grid = rng.random((down + 3, across + 3), dtype=np.float32)
        total += weight * _enlarge(grid, height, width)
        weight *= fall
        cells *= 2
        if down >= height or across >= width:
            break
    return spread(total)


def _enlarge(grid: Plane, height: int, width: int) -> Plane:
    down, across = grid.shape
    box = (1.0, 1.0, across - 1.0, down - 1.0)
    return np.asarray(Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC, box=box), np.float32)


def spread(field: Plane) -> Plane:
    """The field scaled so that it fills 0..1, extremes clipped."""
    middle, width = float(field.mean()), float(field.std()) * 5 + 1e-6
    return np.asarray(np.clip((field - middle) / width + 0.5, 0, 1), np.float32)


def line(rng: Rng, width: int, cells: float, octaves: int = 6, fall: float = 0.5) -> Plane:
    """One-dimensional fractal noise between -1 and 1: a ridge, a shore, a row of hills."""
    total = np.zeros(width, np.float32)
    weight, at = 1.0, np.linspace(0, 1, width, dtype=np.float32)
    for _ in range(octaves):
        knots = rng.uniform(-1, 1, int(cells) + 3).astype(np.float32)
        where = at * cells + rng.random()
        index = where.astype(np.int64)
        share = where - index
        share = share * share * (3 - 2 * share) if fall < 0.6 else share
        total += weight * (knots[index] * (1 - share) + knots[np.minimum(index + 1, len(knots) - 1)] * share)
        weight *= fall
        cells *= 2
    return np.asarray(total / 1.6, np.float32)


def receding(rng: Rng, height: int, width: int, cells: float, octaves: int = 4, stretch: float = 2.0) -> Plane:
    """Noise on a plane that runs away from the camera: fine at the top row, coarse at the bottom one."""
    side = 256
    tile = fractal(rng, side, side, 8, octaves, 0.6)
    nearness = (np.arange(height, dtype=np.float32) + 0.5)[:, None] / height
    depth = 1.0 / (nearness + 0.04)
    across = (np.arange(width, dtype=np.float32)[None, :] - width / 2) / height
    scale = cells * side / 8
    u = (across * depth * scale / stretch + rng.integers(side)).astype(np.int64) % side
    v = (depth * scale + rng.integers(side)).astype(np.int64) % side
    sampled = tile[np.broadcast_to(v, u.shape), u]
    return np.asarray(0.5 + (sampled - 0.5) * np.minimum(1, nearness * 4 + 0.15), np.float32)
