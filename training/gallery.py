"""
The gallery: training pictures drawn once, in shards, on disk.

Owns the shards' layout and drawing them with several processes. A shard that is there is never drawn again while the
drawing code stays the same, so an interrupted run continues where it was. Facts are not stored: they are counted from what is (`facts`), and may change.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pixfind.demo.canvas import Part
from training.scenes import SIDE, Scene, draw_scene
from training.scenes_shapes import SHAPE_LABEL

SHARD = 1000
STEP = 4
"""Pixels from one kept label to the next, both ways."""


@dataclass
class Gallery:
    """Pictures and what is known of them: labels, the share of each part, what was said, pairs of colour and thing."""

    pixels: np.ndarray
    """(pictures, 112, 112, 3) uint8"""
    labels: np.ndarray
    """(pictures, 28, 28) uint8, what every fourth pixel shows"""
    parts: np.ndarray
    """(pictures, parts) float32, the share of each part"""
    known: list[dict[str, object]]

    def __len__(self) -> int:
        return len(self.pixels)


def joined(one: Gallery, other: Gallery) -> Gallery:
    """Two galleries as one."""
    names = ("pixels", "labels", "parts")
    pixels, labels, parts = (np.concatenate([getattr(one, name), getattr(other, name)]) for name in names)
    return Gallery(pixels, labels, parts, [*one.known, *other.known])


def draw_gallery(
    folder: Path,
    count: int,
    seed: int,
    processes: int,
    kind: str | None = None,
    report: Callable[[int], None] | None = None,
) -> Gallery:
    """Draw what is missing and open all of it. Picture number i depends on (seed, kind, i) alone."""
    folder = folder / f"drawn-{drawing_hash()[:10]}"
    folder.mkdir(parents=True, exist_ok=True)
    starts = range(0, count, SHARD)
    names = [folder / f"{kind or 'any'}-{seed}-{start:07d}.npz" for start in starts]
    todo = [(name, start) for name, start in zip(names, starts, strict=True) if not name.exists()]
    with ProcessPoolExecutor(max(1, processes)) as pool:
        jobs = [pool.submit(_draw_shard, name, start, min(SHARD, count - start), seed, kind) for name, start in todo]
        for done, job in enumerate(as_completed(jobs), 1):
            job.result()
            if report:
                report(len(names) - len(todo) + done)
    return _open(names)


def drawing_hash() -> str:
    """One hash over the code that draws: pictures of other code are never taken for pictures of this one."""
    here = Path(__file__).parent
    painters = (here.parent / "src" / "pixfind" / "demo").glob("*.py")
    drawing = [path for path in painters if path.name not in ("__init__.py", "collection.py")]
    files = sorted([*here.glob("scenes*.py"), here / "camera.py", here / "gallery.py", *drawing])
    total = hashlib.sha256()
    for file in files:
        total.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return total.hexdigest()


def _draw_shard(name: Path, start: int, count: int, seed: int, kind: str | None) -> None:
    scenes = [draw_scene(np.random.default_rng([seed, start + index]), kind) for index in range(count)]
    part = name.with_suffix(f".{os.getpid()}.part")
    with part.open("wb") as file:
        known = np.frombuffer(json.dumps([_known(scene) for scene in scenes]).encode(), np.uint8)
        np.savez(
            file,
            pixels=np.stack([s.pixels for s in scenes]),
            labels=np.stack([s.label[STEP // 2 :: STEP, STEP // 2 :: STEP] for s in scenes]),
            parts=np.stack([_shares(s) for s in scenes]),
            known=known,
        )
    part.rename(name)


def _shares(scene: Scene) -> np.ndarray:
    label = np.where(scene.label >= SHAPE_LABEL, Part.SHAPE, scene.label)
    return (np.bincount(label.ravel(), minlength=len(Part)) / label.size).astype(np.float32)


def _known(scene: Scene) -> dict[str, object]:
    sky = np.isin(scene.label, (Part.SKY, Part.CLOUD, Part.SUN))
    tint = scene.pixels[sky].mean(axis=0).tolist() if sky.any() else None
    return {"kind": scene.kind, "said": scene.said, "pairs": scene.pairs, "sky": tint}


def _open(names: list[Path]) -> Gallery:
    shards = [np.load(name) for name in names]
    known = [entry for shard in shards for entry in json.loads(shard["known"].tobytes())]
    pixels = np.empty((len(known), SIDE, SIDE, 3), np.uint8)
    at = 0
    for shard in shards:
        block = shard["pixels"]
        pixels[at : at + len(block)] = block
        at += len(block)
    labels, parts = (np.concatenate([shard[name] for shard in shards]) for name in ("labels", "parts"))
    return Gallery(pixels, labels, parts, known)
