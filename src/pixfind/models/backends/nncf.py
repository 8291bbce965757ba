"""
Image models in int8 for OpenVINO, quantised by NNCF and kept for the user.

Owns the `nncf` library, the recipe, and the names of what it made. Must not know what runs the result; `tune` measures whether the answers are the same.

The recipe (docs/decisions/0021-one-quantisation-in-a-library.md): SmoothQuant and static ranges, found with pictures that pixfind draws, the same ones each time.
So every library and every worker of a machine has one quantisation of a model. Another version of NNCF, or another processor, may give different
numbers, which must not get into a library that has some already. A digest of the weights and ranges is therefore part of the name of the precision,
`int8-openvino-1a2b3c4d`, and a library keeps to it as it keeps to a precision.

NNCF runs in a process of its own (`python -m pixfind.models.backends.nncf`): it takes gigabytes for a minute, and gives them back only at its end.
"""

import dataclasses
import hashlib
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pixfind import errors, machine
from pixfind.models import cache, preprocess
from pixfind.models.backends import onnx_ports, openvino, quantize
from pixfind.models.files import ModelFiles
from pixfind.models.preprocess import Preprocessing
from pixfind.storage import disk

if TYPE_CHECKING:
    from PIL import Image

PRECISION = "int8-openvino"
COMMAND = (sys.executable, "-m", "pixfind.models.backends.nncf")
_DIGITS = 8
_NAMED = re.compile(rf"{PRECISION}-[0-9a-f]{{{_DIGITS}}}")
_PICTURES = 48
_SECONDS = 3600.0
"""after which a quantisation is given up; it takes about a minute"""
_NICE = 5


def is_named(precision: str) -> bool:
    """Tell whether this is the name of one quantisation, with its digest."""
    return _NAMED.fullmatch(precision) is not None


def made(files: ModelFiles) -> list[str]:
    """Return the names of the quantisations of this model that are kept here, sorted."""
    found = _folder(files).glob(f"{PRECISION}-*.xml")
    return sorted(path.stem for path in found if is_named(path.stem))


def is_made(files: ModelFiles, precision: str) -> bool:
    """Tell whether the quantisation with this name is kept here."""
    return (_folder(files) / f"{precision}.xml").is_file()


def any_made(model: Path, files: ModelFiles) -> str:
    """
    Return the name of a quantisation of this model: one that is kept, else one made now of `model`, its image graph with a free batch.

    Raises ExtraNotInstalled, PrecisionUnavailable when NNCF fails, and what `disk.writing` raises.
    """
    if found := made(files):
        return found[0]
    openvino.require(PRECISION)
    folder = _folder(files)
    with cache.locked(folder):
        return made(files)[0] if made(files) else _make(model, files, folder)


def graph(model: Path, files: ModelFiles, precision: str) -> Path:
    """
    Return the OpenVINO graph of the quantisation with this name; where it is not kept, it is made again.

    Raises OtherQuantization when that gives other numbers, and as `any_made`.
    """
    folder = _folder(files)
    if not is_made(files, precision):
        openvino.require(PRECISION)
        with cache.locked(folder):
            found = precision if is_made(files, precision) else _make(model, files, folder)
        if found != precision:
            raise errors.OtherQuantization(precision=precision, found=found, folder=folder)
    return folder / f"{precision}.xml"


def _folder(files: ModelFiles) -> Path:
    return cache.folder("quantized", files.hash)


def _make(model: Path, files: ModelFiles, folder: Path) -> str:
    import tempfile

    # Published under a name that is known only when it is made.
    with disk.writing(folder), tempfile.TemporaryDirectory(prefix=".making-", dir=folder) as temporary:
        new = Path(temporary) / "new.xml"
        task = {"graph": str(model), "to": str(new), "preprocessing": dataclasses.asdict(preprocess.load(files))}
        _run([*COMMAND, json.dumps(task, default=int)])
        with new.with_suffix(".bin").open("rb") as file:
            name = f"{PRECISION}-{hashlib.file_digest(file, 'sha256').hexdigest()[:_DIGITS]}"
        with cache.publishing(folder / f"{name}.xml") as publishing:
            for suffix in (".bin", ".xml"):
                new.with_suffix(suffix).replace(publishing / f"{name}{suffix}")
    return name


def _run(command: Sequence[str]) -> None:
    import subprocess

    try:
        done = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        detail = f"NNCF had not quantised the model after {_SECONDS / 60:.0f} minutes"
        raise errors.PrecisionUnavailable(precision=PRECISION, detail=detail) from error
    if done.returncode < 0:
        detail = (
            f"NNCF was killed by signal {-done.returncode} while it quantised the model; it needs about 2 GB of memory"
        )
        raise errors.PrecisionUnavailable(precision=PRECISION, detail=detail)
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2].rstrip(". ")
        raise errors.PrecisionUnavailable(precision=PRECISION, detail=f"NNCF failed: {last}")


# --- in the process of its own ---------------------------------------------------------------------


def main() -> None:
    """Quantise one graph: the JSON of an object with `graph`, `to` and `preprocessing` is the argument."""
    task = json.loads(sys.argv[1])
    machine.be_nice(_NICE)
    quantised = _quantised(Path(task["graph"]), Preprocessing(**task["preprocessing"]))
    openvino.save(quantised, Path(task["to"]))


def _quantised(path: Path, settings: Preprocessing) -> Any:
    import nncf

    model = openvino.read(path)
    pixels = onnx_ports.image_input(openvino.ports(model.inputs), path, settings.side)
    return nncf.quantize(
        model,
        nncf.Dataset([_feed(picture, pixels, settings) for picture in _pictures()]),
        # SmoothQuant, and attention's products left as they are where they lose most.
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=_PICTURES,
        # Without VNNI, x86 adds two products in 16 bits, which saturate with large weights; weights get 7 bits then.
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            overflow_fix=nncf.OverflowFix.DISABLE if quantize.has_vnni() else nncf.OverflowFix.ENABLE
        ),
    )


def _feed(picture: "Image.Image", pixels: onnx_ports.Pixels, settings: Preprocessing) -> dict[str, NDArray[Any]]:
    row = settings.apply(picture)[None]
    if not pixels.takes_bytes:
        row = preprocess.normalise(row, *settings.scale()).astype(pixels.kind, copy=False)
    return {pixels.name: row}


def _pictures() -> "Iterator[Image.Image]":
    """Yield pictures of many kinds, the same ones on each call."""
    from pixfind.demo.collection import draw
    from pixfind.demo.kinds import KINDS

    kinds = sorted(KINDS)
    for number in range(_PICTURES):
        yield draw(kinds[number % len(kinds)], np.random.default_rng(number))


if __name__ == "__main__":
    main()
