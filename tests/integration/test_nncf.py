"""
int8 for OpenVINO: one quantisation of a model has a name, and a library never gets the numbers of two.

The process that quantises is a double where its result does not matter; the last tests run NNCF on a tiny model.
"""

import importlib.util
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from pixfind import errors
from pixfind.library.library import Library, ModelIdentity
from pixfind.models import encoders, engines, hub, tune
from pixfind.models.backends import nncf, openvino
from pixfind.models.files import ModelFiles
from pixfind.testing import make_pictures
from pixfind.types import Choice
from pixfind.workflows.add import add
from pixfind.workflows.choose_model import choose_model
from pixfind.workflows.embed import embed
from pixfind.workflows.options import EmbedOptions

GOLDEN = Path(__file__).parents[1] / "golden"
NEEDS_NNCF = pytest.mark.skipif(importlib.util.find_spec("nncf") is None, reason="needs the nncf extra")

#: Writes a graph whose weights are the bytes in a file, and counts its runs.
WRITES = """
import json, pathlib, sys
to = pathlib.Path(json.loads(sys.argv[2])["to"])
to.write_bytes(b"<net/>")
to.with_suffix(".bin").write_bytes(pathlib.Path(sys.argv[1]).read_bytes())
with pathlib.Path(sys.argv[1] + ".runs").open("a") as runs:
    runs.write("x")
"""


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PIXFIND_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def clip() -> ModelFiles:
    return hub.resolve(str(GOLDEN / "clip-tiny"), text=True)


class Quantiser:
    """What quantises, in place of NNCF: its numbers, and how often it ran."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.numbers(b"some")

    def numbers(self, weights: bytes) -> None:
        self._path.write_bytes(weights)

    @property
    def runs(self) -> int:
        runs = Path(f"{self._path}.runs")
        return runs.stat().st_size if runs.exists() else 0


@pytest.fixture
def quantiser(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Quantiser:
    made = Quantiser(tmp_path / "weights")
    quantises_with(monkeypatch, WRITES, str(tmp_path / "weights"))
    return made


def quantises_with(monkeypatch: pytest.MonkeyPatch, code: str, *arguments: str) -> None:
    monkeypatch.setattr(openvino, "require", lambda _: None)
    monkeypatch.setattr(nncf, "COMMAND", (sys.executable, "-c", code, *arguments))


def forget(tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "cache/quantized")


def test_a_quantisation_is_made_once_and_named_by_its_numbers(clip: ModelFiles, quantiser: Quantiser) -> None:
    name = engines.image_precision(clip, "int8-openvino").value

    assert nncf.is_named(name)
    assert name == engines.image_precision(clip, "int8-openvino").value
    assert name == engines.image_precision(clip, name).value
    assert 1 == quantiser.runs


def test_what_was_deleted_is_made_again_with_the_same_numbers(
    clip: ModelFiles, quantiser: Quantiser, tmp_path: Path
) -> None:
    name = engines.image_precision(clip, "int8-openvino").value
    forget(tmp_path)

    engines.prepare_image(clip, name)

    assert nncf.is_made(clip, name)
    assert 2 == quantiser.runs


def test_other_numbers_are_refused_with_their_name(clip: ModelFiles, quantiser: Quantiser, tmp_path: Path) -> None:
    name = engines.image_precision(clip, "int8-openvino").value
    forget(tmp_path)
    quantiser.numbers(b"others")

    with pytest.raises(errors.OtherQuantization) as raised:
        engines.prepare_image(clip, name)

    other = engines.image_precision(clip, "int8-openvino").value
    assert other != name
    assert f"pixfind index --precision {other}" in str(raised.value)
    assert name in str(raised.value)


def test_an_embed_that_would_mix_two_quantisations_stops_before_any_worker_starts(
    clip: ModelFiles, quantiser: Quantiser, tmp_path: Path
) -> None:
    make_pictures(tmp_path / "pictures", 3)
    with Library.create(tmp_path / "library") as library, library.lock("embed"):
        library.remember_model(ModelIdentity(clip.name, clip.hash, clip.dimension, "int8-openvino-00000000"))
        add(library, [tmp_path / "pictures"])

        with pytest.raises(errors.OtherQuantization):
            embed(library)

        assert 3 == library.catalogue.count_pending()
        assert 1 == quantiser.runs


def test_a_library_with_nothing_to_embed_needs_no_quantisation(
    clip: ModelFiles, quantiser: Quantiser, tmp_path: Path
) -> None:
    with Library.create(tmp_path / "library") as library, library.lock("embed"):
        library.remember_model(ModelIdentity(clip.name, clip.hash, clip.dimension, "int8-openvino-00000000"))
        embed(library)

    assert 0 == quantiser.runs


def test_who_asks_for_int8_openvino_keeps_the_quantisation_of_the_library(
    clip: ModelFiles, quantiser: Quantiser, tmp_path: Path
) -> None:
    known = ModelIdentity(clip.name, clip.hash, clip.dimension, "int8-openvino-00000000")
    with Library.create(tmp_path / "library") as library, library.lock("embed"):
        library.remember_model(known)

        assert known == choose_model(library, EmbedOptions(precision="int8-openvino"), clip).value
    assert 0 == quantiser.runs


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise ValueError('no such layer')", "NNCF failed: ValueError: no such layer"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "killed by signal 9"),
    ],
)
def test_tune_goes_on_when_the_quantisation_fails_and_says_why(
    monkeypatch: pytest.MonkeyPatch, clip: ModelFiles, tmp_path: Path, code: str, reason: str
) -> None:
    quantises_with(monkeypatch, code)
    pictures = [np.full((32, 32, 3), number, dtype=np.uint8) for number in range(40)]

    report = tune.tune(clip, pictures, threads=1, remember=False)

    (row,) = (row for row in report.rows if row.precision == "int8-openvino")
    assert reason in row.remark
    assert not row.passes
    assert [".lock"] == [path.name for path in (tmp_path / "cache/quantized" / clip.hash).iterdir()]


def test_texts_have_no_such_precision(clip: ModelFiles, quantiser: Quantiser) -> None:
    with pytest.raises(errors.PrecisionUnavailable, match="texts run in"):
        encoders.open_text_encoder(clip, threads=1, precision="int8-openvino")
    assert 0 == quantiser.runs


@pytest.mark.usefixtures("quantiser")
def test_a_choice_whose_quantisation_was_deleted_is_no_choice(clip: ModelFiles, tmp_path: Path) -> None:
    name = engines.image_precision(clip, "int8-openvino").value
    engines.save_tuned(clip, Choice(name, "fast"))
    assert name == engines.image_precision(clip, "auto").value

    forget(tmp_path)
    assert "fp32" == engines.image_precision(clip, "auto").value


@NEEDS_NNCF
def test_nncf_gives_the_same_numbers_each_time_and_they_are_near_those_of_fp32(
    clip: ModelFiles, tmp_path: Path
) -> None:
    random = np.random.default_rng(1)
    batch = list(random.integers(0, 256, (4, 32, 32, 3), dtype=np.uint8))
    exact = encoders.open_image_encoder(clip, threads=1, precision="fp32")
    encoder = encoders.open_image_encoder(clip, threads=1, precision="int8-openvino")
    cosines = (exact.finish(exact.forward(batch)) * encoder.finish(encoder.forward(batch))).sum(axis=1)
    forget(tmp_path)

    assert encoder.precision == encoders.open_image_encoder(clip, threads=1, precision=encoder.precision).precision
    assert "openvino" == encoder.engine.value
    assert cosines.min() > 0.9
