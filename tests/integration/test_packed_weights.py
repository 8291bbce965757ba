"""Weights that are packed once and mapped by all workers: the same bits, made once, and never in the way."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pixfind import errors
from pixfind.models import encoders, hub
from pixfind.models.backends import onnx, packed_weights

MODEL = Path(__file__).parents[1] / "golden" / "siglip2-tiny-immich"
PRECISIONS = pytest.mark.parametrize("precision", ["fp32", "int8"])


@pytest.fixture
def packing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the golden model for one whose packed weights are worth a file."""
    monkeypatch.setattr(packed_weights, "_MIN_BYTES", 0)


def rows(precision: str = "fp32") -> NDArray[np.float32]:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    opened = encoders.open_image_encoder(hub.resolve(str(MODEL)), threads=1, precision=precision)
    return opened.forward(list(pixels))


def copies(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache/derived").glob("*/packed-*.onnx"))


@PRECISIONS
def test_the_packed_copy_computes_the_same_bits_and_is_made_once(
    precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = rows(precision)
    assert [] == copies(tmp_path)
    monkeypatch.setattr(packed_weights, "_MIN_BYTES", 0)

    assert np.array_equal(expected, rows(precision))

    (copy,) = copies(tmp_path)
    assert copy.with_name(f"{copy.name}.data").is_file()
    made = copy.stat().st_mtime_ns
    assert np.array_equal(expected, rows(precision))
    assert [made] == [one.stat().st_mtime_ns for one in copies(tmp_path)]


@pytest.mark.usefixtures("packing")
@pytest.mark.parametrize(("later", "kept"), [("1.0.0-other", 2), ("2.0.0-this", 1)], ids=["processor", "runtime"])
def test_each_processor_has_a_copy_and_a_new_runtime_replaces_that_of_the_old(
    later: str, kept: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed_weights, "_runtime", lambda: "1.0.0-this")
    expected = rows()
    monkeypatch.setattr(packed_weights, "_runtime", lambda: later)

    assert np.array_equal(expected, rows())

    assert kept == len(copies(tmp_path)) == len(list((tmp_path / "cache/derived").glob("*/packed-*.data")))
    assert any(later in copy.name for copy in copies(tmp_path))


@pytest.mark.usefixtures("packing")
def test_a_copy_for_which_there_was_no_room_is_made_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as full:
        # What ONNX Runtime raises then is an error about the file.
        def no_room(graph: Path, path: Path) -> None:  # noqa: ARG001  as the one that it replaces
            raise errors.InvalidModelFile(path=graph, detail="No space left on device")

        full.setattr(onnx, "save_packed", no_room)
        expected = rows()
    assert [] == copies(tmp_path)

    assert np.array_equal(expected, rows())

    assert 1 == len(copies(tmp_path))


def test_int8_is_packed_where_a_gpu_would_run_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "onnxruntime.get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    )

    assert [True, False] == [onnx.runs_on_cpu(precision, "auto") for precision in ("int8", "fp32")]


@pytest.mark.usefixtures("packing")
def test_a_copy_that_computes_other_bits_is_not_used_and_not_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[Path] = []

    def save_another(graph: Path, path: Path) -> None:
        saved.append(graph)
        shutil.copy(MODEL.parent / "clip-tiny" / "visual" / "model.onnx", path)

    monkeypatch.setattr(onnx, "save_packed", save_another)
    first = rows()

    assert [] == copies(tmp_path)
    assert np.array_equal(first, rows())
    assert 1 == len(saved)


@pytest.mark.usefixtures("packing")
def test_a_cache_that_takes_nothing_is_done_without(tmp_path: Path) -> None:
    expected = rows()
    shutil.rmtree(tmp_path / "cache/derived")
    (tmp_path / "cache/derived").write_text("a file where the folder should be")

    assert np.allclose(expected, rows(), atol=1e-5)


def test_workers_that_start_together_make_one_copy(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from pixfind.models import encoders, hub\n"
        "from pixfind.models.backends import onnx, packed_weights\n"
        "packed_weights._MIN_BYTES = 0\n"
        "save = onnx.save_packed\n"
        "onnx.save_packed = lambda graph, path: (print('made'), save(graph, path))\n"
        "encoders.open_image_encoder(hub.resolve(sys.argv[1]), threads=1, precision='int8')\n"
    )
    workers = [
        subprocess.Popen([sys.executable, "-c", code, str(MODEL)], stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]

    said = [worker.communicate()[0] for worker in workers]

    assert [0, 0, 0] == [worker.returncode for worker in workers]
    assert ["", "", "made\n"] == sorted(said)
    assert 1 == len(copies(tmp_path))
