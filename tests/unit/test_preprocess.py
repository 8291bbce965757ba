import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pixfind import errors
from pixfind.models import preprocess
from pixfind.models.files import Layout, ModelFiles

OPEN_CLIP: dict[str, Any] = {
    "size": [32, 32],
    "mode": "RGB",
    "mean": [0.5, 0.4, 0.3],
    "std": [0.2, 0.25, 0.5],
    "interpolation": "bicubic",
    "resize_mode": "shortest",
    "fill_color": 0,
}
TRANSFORMERS: dict[str, Any] = {
    "image_processor_type": "CLIPImageProcessor",
    "do_center_crop": True,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "crop_size": {"height": 32, "width": 32},
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
    "resample": 3,
    "rescale_factor": 0.00392156862745098,
    "size": {"shortest_edge": 40},
}


def loaded(folder: Path, layout: Layout, config: dict[str, Any]) -> preprocess.Preprocessing:
    files = ModelFiles(name="m", directory=folder, layout=layout, dimension=8, hash="")
    path = files.path(files.names.preprocessing)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(config))
    return preprocess.load(files)


def noise(width: int, height: int) -> Image.Image:
    pixels = np.random.default_rng(width * 1000 + height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def resized_then_cropped(image: Image.Image, resize: int, side: int) -> np.ndarray[Any, Any]:
    """What the reference does, step by step."""
    short = min(image.size)
    width, height = (int(resize * length / short) for length in image.size)
    whole = image.resize((width, height), Image.Resampling.BICUBIC)
    left, upper = (width - side) // 2, (height - side) // 2
    return np.asarray(whole.crop((left, upper, left + side, upper + side)))


@pytest.mark.parametrize(
    "size", [(32, 32), (33, 32), (35, 32), (61, 47), (47, 61), (300, 40), (9, 200), (1, 1), (2, 90)]
)
@pytest.mark.parametrize("resize", [32, 40])
def test_the_square_is_what_resize_then_crop_gives(size: tuple[int, int], resize: int, tmp_path: Path) -> None:
    made = loaded(tmp_path, Layout.TRANSFORMERS, TRANSFORMERS | {"size": {"shortest_edge": resize}})
    image = noise(*size)

    difference = made.apply(image).astype(int) - resized_then_cropped(image, resize, 32)

    # Where only a part is resized, Pillow may order its two passes differently and rounds at other places.
    assert abs(difference).max() <= (0 if max(size) <= 8 * min(size) else 16)
    assert abs(difference).mean() < 0.5


def test_a_line_of_ten_thousand_pixels_does_not_become_a_huge_picture(tmp_path: Path) -> None:
    made = loaded(tmp_path, Layout.IMMICH, OPEN_CLIP)

    assert (32, 32, 3) == made.apply(noise(10_000, 1)).shape


def test_squash_keeps_all_of_the_picture(tmp_path: Path) -> None:
    made = loaded(tmp_path, Layout.IMMICH, OPEN_CLIP | {"resize_mode": "squash"})
    image = noise(100, 20)

    assert np.array_equal(made.apply(image), np.asarray(image.resize((32, 32), Image.Resampling.BICUBIC)))


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "1"])
def test_every_mode_becomes_three_colours(mode: str, tmp_path: Path) -> None:
    made = loaded(tmp_path, Layout.IMMICH, OPEN_CLIP)

    assert (32, 32, 3) == made.apply(noise(50, 40).convert(mode)).shape


def test_the_scale_maps_bytes_to_what_the_file_says(tmp_path: Path) -> None:
    made = loaded(tmp_path, Layout.IMMICH, OPEN_CLIP)
    pixels = made.apply(noise(50, 40))[None]

    planes = preprocess.normalise(pixels, *made.scale())

    expected = (pixels[0] / 255 - np.array([0.5, 0.4, 0.3])) / np.array([0.2, 0.25, 0.5])
    assert np.float32 == planes.dtype
    np.testing.assert_allclose(planes[0], expected.transpose(2, 0, 1), atol=1e-5)


DEFAULTS = {
    "size": 224,
    "mode": "RGB",
    "mean": [0.48145466, 0.4578275, 0.40821073],
    "std": [0.26862954, 0.26130258, 0.27577711],
    "interpolation": "bicubic",
    "resize_mode": "shortest",
}


@pytest.mark.parametrize("key", DEFAULTS)
def test_a_missing_key_means_what_open_clip_takes_for_it(key: str, tmp_path: Path) -> None:
    config = {name: value for name, value in OPEN_CLIP.items() if name != key}

    assert loaded(tmp_path, Layout.IMMICH, OPEN_CLIP | {key: DEFAULTS[key]}) == loaded(tmp_path, Layout.IMMICH, config)


CLIP_PROCESSOR = {
    "do_center_crop": True,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "crop_size": {"height": 224, "width": 224},
    "image_mean": DEFAULTS["mean"],
    "image_std": DEFAULTS["std"],
    "resample": 3,
    "rescale_factor": 1 / 255,
    "size": {"shortest_edge": 224},
}
SIGLIP_PROCESSOR = CLIP_PROCESSOR | {
    "do_center_crop": False,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
    "size": {"height": 224, "width": 224},
}


@pytest.mark.parametrize("key", CLIP_PROCESSOR)
@pytest.mark.parametrize("named", ["CLIPImageProcessor", "SiglipImageProcessor"])
def test_a_missing_key_means_what_its_class_in_transformers_takes_for_it(named: str, key: str, tmp_path: Path) -> None:
    whole = (CLIP_PROCESSOR if named.startswith("CLIP") else SIGLIP_PROCESSOR) | {"image_processor_type": named}

    made = loaded(tmp_path, Layout.TRANSFORMERS, {name: value for name, value in whole.items() if name != key})

    assert loaded(tmp_path, Layout.TRANSFORMERS, whole) == made


def test_files_of_before_2023_do_not_know_of_rescaling(tmp_path: Path) -> None:
    old = {
        "crop_size": 32,
        "do_center_crop": True,
        "do_normalize": True,
        "do_resize": True,
        "feature_extractor_type": "CLIPFeatureExtractor",
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "resample": 3,
        "size": 32,
    }

    assert loaded(tmp_path, Layout.TRANSFORMERS, TRANSFORMERS | {"size": 32}) == loaded(
        tmp_path, Layout.TRANSFORMERS, old
    )


@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_a_file_that_names_no_class_is_read_by_that_of_the_model(family: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": family}))

    made = loaded(tmp_path, Layout.TRANSFORMERS, {})

    assert ((224, False) if family == "clip" else (224, True)) == (made.side, made.squash)


@pytest.mark.parametrize("named", ["ViTFeatureExtractor", ""])
def test_a_class_that_we_do_not_know_is_an_error(named: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")

    with pytest.raises(errors.InvalidModelFile, match=r"preprocessor_config\.json .*CLIP or SigLIP"):
        loaded(tmp_path, Layout.TRANSFORMERS, {"image_processor_type": named})


@pytest.mark.parametrize(
    ("layout", "change"),
    [
        (Layout.IMMICH, {"resize_mode": "longest"}),
        (Layout.IMMICH, {"interpolation": "magic"}),
        (Layout.IMMICH, {"mode": "L"}),
        (Layout.IMMICH, {"size": [32, 48]}),
        (Layout.IMMICH, {"size": 0}),
        (Layout.IMMICH, {"mean": [0.5]}),
        (Layout.IMMICH, {"std": ["a", "b", "c"]}),
        (Layout.TRANSFORMERS, {"do_normalize": False}),
        (Layout.TRANSFORMERS, {"rescale_factor": 1.0}),
        (Layout.TRANSFORMERS, {"do_center_crop": False}),
        (Layout.TRANSFORMERS, {"crop_size": {"height": 64, "width": 64}}),
        (Layout.TRANSFORMERS, {"size": {"height": 40, "width": 40}}),
        (Layout.TRANSFORMERS, {"resample": 17}),
        (Layout.TRANSFORMERS, {"resample": True}),
    ],
)
def test_a_value_that_we_cannot_follow_is_an_error(layout: Layout, change: dict[str, Any], tmp_path: Path) -> None:
    config = OPEN_CLIP if layout is Layout.IMMICH else TRANSFORMERS

    with pytest.raises(errors.InvalidModelFile):
        loaded(tmp_path, layout, config | change)


def test_old_files_that_give_sizes_as_numbers_are_understood(tmp_path: Path) -> None:
    made = loaded(tmp_path, Layout.TRANSFORMERS, TRANSFORMERS | {"size": 32, "crop_size": 32})

    assert (32, 32, False) == (made.side, made.resize, made.squash)
