"""What the reader makes of strange pictures and of a package that is not as it should be."""

import random
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from pixfind import errors
from pixfind.library import texts
from pixfind.models import readers
from pixfind.models.backends import rapidocr
from pixfind.models.readers import TextReader
from pixfind.testing import draw_text


@pytest.fixture(scope="module")
def reader() -> TextReader:
    return readers.open_text_reader(1)


def said(reader: TextReader, image: Image.Image) -> list[str]:
    return [line.text for line in reader.read(readers.prepared(image))]


def test_lines_come_from_top_to_bottom_with_their_places(reader: TextReader, tmp_path: Path) -> None:
    image = Image.open(draw_text(tmp_path / "a.png", "Invoice 2023\nTotal 12.50"))
    first, second = reader.read(readers.prepared(image))

    assert ("Invoice 2023", "Total 12.50") == (first.text, second.text)
    assert first.box[1] < second.box[1]
    assert all(0 <= value <= 1 for line in (first, second) for value in line.box)


@pytest.mark.parametrize("size", [(1, 1), (3, 2000), (2000, 3), (31, 31), (640, 480)])
def test_noise_of_any_shape_has_no_text(reader: TextReader, size: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), np.uint8)

    assert [] == said(reader, Image.fromarray(noise))


def test_of_a_million_tiny_letters_the_largest_lines_are_read(
    reader: TextReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a smaller limit, as they would take minutes."""
    monkeypatch.setattr(rapidocr, "_MAX_LINES", 5)
    image = Image.new("RGB", (1200, 1200), "white")
    pen, chance = ImageDraw.Draw(image), random.Random(0)
    for line in range(40):
        letters = "".join(chance.choices("abcdefgh ", k=110))
        pen.text((10, 30 * line), letters, fill="black", font=ImageFont.load_default(14))

    assert 5 >= len(said(reader, image))


@pytest.mark.parametrize("text", ['<b>"bold"</b> -x', "says:x OR y*", "مرحبا", "- + ( ) NEAR"])
def test_text_that_means_something_elsewhere_is_only_text(reader: TextReader, text: str) -> None:
    image = Image.new("RGB", (800, 200), "white")
    ImageDraw.Draw(image).text((30, 60), text, fill="black", font=ImageFont.load_default(48))
    lines = reader.read(readers.prepared(image))

    assert lines == texts.from_json(texts.to_json(lines))


def test_a_large_picture_is_scaled_and_a_long_one_stays_legible() -> None:
    assert (1033, 1549) == readers.prepared(Image.new("RGB", (6000, 4000))).shape[:2]
    assert (5333, 300) == readers.prepared(Image.new("RGB", (300, 5333))).shape[:2]
    assert (300, 400) == readers.prepared(Image.new("L", (400, 300))).shape[:2]


def test_without_the_package_the_message_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rapidocr", None)

    with pytest.raises(errors.ExtraNotInstalled, match=r"pip install 'pixfind\[ocr\]'"):
        readers.name()


@pytest.mark.parametrize("fault", ["missing", "of another version"])
def test_a_package_with_other_models_is_refused_and_nothing_is_downloaded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fault: str
) -> None:
    file = tmp_path / "model.onnx"
    if fault != "missing":
        file.write_bytes(b"another model")
    monkeypatch.setitem(rapidocr._MODELS, "Det", str(file))

    with pytest.raises(errors.ReaderUnusable, match="force-reinstall"):
        readers.open_text_reader(1)
    assert ([] if fault == "missing" else [file]) == list(tmp_path.iterdir())
