"""
The camera: what lies between a scene and a photograph of it.

Roll and crop, blur, exposure, white balance, contrast, haze, vignette, noise, JPEG. Broad on purpose: the towers must not
lean on any of it.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageFilter

from pixfind.demo.canvas import Canvas, Labels, Plane, Rng

Pixels = np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]


def photograph(canvas: Canvas, rng: Rng, gentle: bool = False) -> tuple[Pixels, Labels]:
    """The canvas as a camera might have seen it, and what each pixel of that shows."""
    image, label = _framed(canvas, rng, gentle)
    chance = rng.random()
    if chance < (0.1 if gentle else 0.2):
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.4)))
    elif chance > 0.7 and not gentle:
        image = image.filter(ImageFilter.UnsharpMask(rng.uniform(0.5, 1.5), int(rng.integers(30, 120)), 0))
    light = _developed(np.asarray(image, np.float32) / 255, rng, 0.4 if gentle else 1.0)
    pixels = (np.clip(light, 0, 1) * 255 + 0.5).astype(np.uint8)
    if rng.random() < 0.2:
        pixels = _jpeg(pixels, int(rng.integers(40, 95)))
    return pixels, label


def _framed(canvas: Canvas, rng: Rng, gentle: bool) -> tuple[Image.Image, Labels]:
    image, label = canvas.image(), canvas.label
    if gentle or rng.random() < 0.45:
        return image, label
    roll, zoom = rng.normal(0, 0.06), 1 / rng.uniform(1.0, 1.5)
    cos, sin = float(np.cos(roll)) * zoom, float(np.sin(roll)) * zoom
    size = canvas.height
    x, y = (size / 2 + rng.uniform(-0.5, 0.5) * size * (1 - zoom) for _ in range(2))
    matrix = (cos, sin, x - (cos + sin) * size / 2, -sin, cos, y + (sin - cos) * size / 2)
    turned = image.transform((size, size), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
    seen = Image.fromarray(label).transform((size, size), Image.Transform.AFFINE, matrix, Image.Resampling.NEAREST)
    return turned, np.asarray(seen)


def _developed(light: Plane, rng: Rng, strength: float) -> Plane:
    height, width, _ = light.shape
    if strength == 1.0:
        # What a camera's own metering does: lift the dark a good deal, hold back the bright a little.
        mean = max(float(light.mean()), 0.02)
        light = light * np.float32(np.clip((0.42 / mean) ** (0.5 if mean < 0.42 else 0.15), 0.5, 2.5))
    gains = np.exp(rng.normal(0, 0.06 * strength, 3) + rng.normal(0, 0.22 * strength))
    light = light * gains.astype(np.float32)
    light = np.clip(light, 0, 1.2) ** np.float32(np.exp(rng.normal(0, 0.2 * strength)))
    grey = light.mean(axis=2, keepdims=True)
    saturation = rng.uniform(1 - 0.55 * strength, 1 + 0.2 * strength)
    if strength == 1.0 and rng.random() < 0.04:
        saturation = 0.0
    light = grey + (light - grey) * np.float32(saturation)
    contrast, pivot = np.exp(rng.normal(0.02, 0.18 * strength)), rng.uniform(0.35, 0.6)
    light = pivot + (light - pivot) * np.float32(contrast)
    if rng.random() < 0.12 * strength:
        light = light + (np.float32(rng.uniform(0.5, 0.9)) - light) * np.float32(rng.uniform(0.1, 0.35))
    if rng.random() < 0.3 * strength:
        y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        light = light * (1 - rng.uniform(0.1, 0.5) * ((x * x + y * y) / 2))[..., None]
    if rng.random() < 0.4 * strength:
        light = light + rng.standard_normal(light.shape, np.float32) * np.float32(0.05 * rng.random() ** 2)
    return np.asarray(light, np.float32)


def _jpeg(pixels: Pixels, quality: int) -> Pixels:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))
