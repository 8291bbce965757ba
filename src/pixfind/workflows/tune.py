"""Tune: compare the precisions of a model on a sample of a library's own pictures."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from pixfind import errors
from pixfind.images import decode
from pixfind.models.tune import SAMPLE


def sample(paths: Sequence[Path], count: int = SAMPLE, *, shortest_side: int | None = None) -> list[Image.Image]:
    """Decode up to `count` of the files, evenly spread; those that are no pictures are left out."""
    limits = decode.limits_for(2 << 30).value
    step = max(1, len(paths) // count)
    pictures = []
    for path in paths[::step]:
        try:
            pictures.append(decode.decode(path.read_bytes(), limits=limits, shortest_side=shortest_side).image)
        except (errors.ImageProblem, OSError):
            continue
    return pictures[:count]
