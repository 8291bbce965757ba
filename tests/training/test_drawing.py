"""Training pictures: what the drawing promises to those that learn from it."""

import numpy as np
import pytest
from training import scenes_materials, scenes_water
from training.scenes import RECIPES, SIDE, draw_scene
from training.scenes_shapes import HELD_OUT

from pixfind.demo.canvas import Canvas, Part
from pixfind.demo.sky import Sky

DAY = Sky("day", (0.3, 0.5, 0.9), (0.9, 0.9, 0.9), None, (1.0, 1.0, 1.0))


@pytest.mark.parametrize("kind", sorted(RECIPES))
def test_a_picture_depends_on_its_seed_alone(kind: str) -> None:
    one = draw_scene(np.random.default_rng([3, 5]), kind)
    draw_scene(np.random.default_rng([4, 5]), kind)
    again = draw_scene(np.random.default_rng([3, 5]), kind)

    assert (SIDE, SIDE, 3) == one.pixels.shape
    assert np.array_equal(one.pixels, again.pixels)
    assert np.array_equal(one.label, again.label)


@pytest.mark.parametrize("kind", ["shapes", "crossed"])
def test_held_out_pairs_are_never_drawn_for_training(kind: str) -> None:
    drawn = {pair for index in range(150) for pair in draw_scene(np.random.default_rng([9, index]), kind).pairs}

    assert len(drawn) > 60
    assert not drawn & HELD_OUT


def test_crossed_shapes_share_colours_and_shapes() -> None:
    """Words alone cannot tell a picture of a red ring and a blue star from one of a blue ring and a red star."""
    scenes = [draw_scene(np.random.default_rng([9, index]), "crossed").pairs for index in range(60)]
    shared = [
        pairs
        for pairs in scenes
        if len({colour for colour, _ in pairs}) < len(pairs) or len({shape for _, shape in pairs}) < len(pairs)
    ]

    assert len(shared) > 30


@pytest.mark.parametrize("name", sorted(scenes_materials.MAKERS))
def test_a_material_has_texture_and_goes_on_beyond_its_tile(name: str) -> None:
    tiles = scenes_materials.any_tiles(np.random.default_rng(0), name)
    fine = tiles[0, ..., 0].astype(np.float32)
    seams = np.abs(fine[:, 0] - fine[:, -1]).mean(), np.abs(fine[0] - fine[-1]).mean()
    inside = np.abs(np.diff(fine, axis=0)).mean(), np.abs(np.diff(fine, axis=1)).mean()

    assert (scenes_materials.LEVELS, scenes_materials.SIDE, scenes_materials.SIDE, 2) == tiles.shape
    assert 0 <= fine.min()
    assert fine.max() <= 1
    assert fine.std() > 0.03
    assert max(seams) < 2 * max(inside)


def test_a_tile_seen_from_afar_is_its_average() -> None:
    """Otherwise the far ground would glitter with single points of the tile."""
    canvas = Canvas(64, 64)
    tiles = scenes_materials.any_tiles(np.random.default_rng(0), "gravel")
    near, far = (
        scenes_materials.facing(canvas, np.random.default_rng(1), tiles, scale)[..., 0] for scale in (0.3, 8.0)
    )

    assert far.std() < 0.5 * near.std()
    assert abs(float(far.mean()) - float(tiles[0, ..., 0].astype(np.float32).mean())) < 0.05


def test_still_water_mirrors_what_stands_above_it() -> None:
    means = []
    for shore in ((0.9, 0.1, 0.1), (0.1, 0.9, 0.1)):
        canvas = Canvas(96, 96)
        canvas.cover(np.ones((96, 96), np.float32), shore, Part.TREES)
        scenes_water.paint_water(canvas, np.random.default_rng(7), DAY, 0.5, Part.LAKE, tint=(0.05, 0.1, 0.1))
        assert (canvas.label[60:] == Part.LAKE).all()
        means.append(canvas.rgb[50:70].mean(axis=(0, 1)))

    assert means[0][0] > 1.5 * means[1][0]
    assert means[1][1] > 1.5 * means[0][1]
