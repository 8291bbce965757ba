"""
Drawn pictures with words in them and in their names, and queries for them of which the right answers are known.

Owns what stands where: signs on scenes of the demo, receipts and screenshots, folders that are called after anything. The same seed gives the same
pictures. Must not know how text is read or ranked; `benchmarks.text` measures both, and a test holds the ranking to it.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pixfind.demo import collection
from pixfind.demo.kinds import KINDS
from pixfind.library import texts
from pixfind.library.library import Library
from pixfind.types import ReadText, TextLine

WORDS = tuple(
    """
invoice total receipt bakery hotel museum station platform ticket concert garage dentist school winter summer market street exit entrance
coffee private danger closed open welcome tuesday friday january april october manager discount service payment customer account password
settings download update battery message contact calendar folder printer harbour ferry airport gate boarding passport luggage bicycle
pharmacy doctor hospital library reading garden beach forest sunset mountain lake river bridge castle tower palace kitchen recipe butter
sugar flour pepper chocolate orange lemon banana potato tomato onion carrot cheese yoghurt chicken salmon rice pasta bread breakfast lunch
dinner festival theatre cinema balcony parking speed limit police fire water electric warranty delivery express standard return refund
serial number
""".split()  # noqa: SIM905  a list would have a line for each
)
"""of signs, pages and folders: some name what other pictures show"""

_PER_FOLDER = 6

_WHOLE = (0.1, 0.1, 0.9, 0.1, 0.9, 0.2, 0.1, 0.2)
"""corners of a line whose place does not matter"""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A picture whose content is known."""

    path: Path
    kind: str
    says: tuple[str, ...]
    named: tuple[str, ...]
    """words of its folder"""


@dataclass(frozen=True, slots=True)
class Question:
    """A query and the pictures that answer it."""

    query: str
    right: frozenset[str]
    """their paths"""


def scene(
    chance: random.Random, kind: str | None = None, size: tuple[int, int] = (640, 480)
) -> tuple[str, Image.Image]:
    """Return a kind of the demo, any unless one is named, and a picture of it."""
    kind = kind or chance.choice(sorted(KINDS))
    return kind, collection.draw(kind, np.random.default_rng(chance.getrandbits(32)), size)


def sign(chance: random.Random, image: Image.Image, says: Sequence[str], letters: int) -> None:
    """Write words into a picture: on a plate, or without one in a colour that can be seen."""
    pen, font, text = ImageDraw.Draw(image), ImageFont.load_default(letters), " ".join(says)
    left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
    x = chance.randint(4, max(4, image.width - int(right - left) - 8))
    y = chance.randint(4, max(4, image.height - int(bottom - top) - 16))
    fill, plate = chance.choice([("black", "white"), ("white", "darkblue"), ("yellow", "darkred"), ("white", None)])
    if plate:
        box = pen.textbbox((x, y), text, font=font)
        pen.rectangle((box[0] - 6, box[1] - 6, box[2] + 6, box[3] + 6), fill=plate)
    pen.text((x, y), text, fill=fill, font=font, stroke_width=0 if plate else 1, stroke_fill="black")


def page(chance: random.Random, says: Sequence[str], kind: str) -> Image.Image:
    """Draw a receipt, narrow and pale, or a screenshot with a bar; two words a line."""
    size, paper = ((360, 640), (244, 242, 236)) if kind == "receipt" else ((800, 500), (252, 252, 252))
    image = Image.new("RGB", size, paper)
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(20)
    if kind == "screenshot":
        pen.rectangle((0, 0, size[0], 44), fill=(40, 60, 120))
    for line, some in enumerate(zip(says[::2], says[1::2], strict=True)):
        text = " ".join(some) + (f"  {chance.randint(1, 99)}.{chance.randint(10, 99)}" if kind == "receipt" else "")
        pen.text((24, 60 + 44 * line), text, fill=(30, 30, 34), font=font)
    return image


def draw_set(folder: Path, count: int, seed: int = 2, size: tuple[int, int] = (640, 480)) -> list[Drawn]:
    """Draw `count` scenes, every third with a sign of three words, and a third as many pages; every other folder is called after two words."""
    chance = random.Random(seed)
    names: list[tuple[str, ...]] = []
    drawn = []
    for number in range(count + count // 3):
        if number % _PER_FOLDER == 0:
            names.append(tuple(chance.sample(WORDS, 2)) if len(names) % 2 else ())
        inside = folder / f"{len(names):03} {' '.join(names[-1])}".strip()
        inside.mkdir(parents=True, exist_ok=True)
        says: list[str] = []
        if number >= count:
            kind, says = chance.choice(("receipt", "screenshot")), chance.sample(WORDS, 10)
            image = page(chance, says, kind)
        else:
            kind, image = scene(chance, size=size)
            if number % 3 == 0:
                says = chance.sample(WORDS, 3)
                sign(chance, image, says, chance.choice((24, 30, 40)) * size[1] // 480)
        image.save(inside / f"IMG_{number:04}.jpg", quality=90)
        drawn.append(Drawn(inside / f"IMG_{number:04}.jpg", kind, tuple(says), names[-1]))
    return drawn


def keep_as_written(library: Library, drawn: Sequence[Drawn]) -> None:
    """Keep in a library the words as they were written, as if a reader without fault had read them."""
    rows = library.catalogue._connection.execute("SELECT path, id, hash FROM images")  # noqa: SLF001  for tests alone
    hashes = {path: (image_id, content) for path, image_id, content in rows}
    read = [
        ReadText(*hashes[str(one.path)], (TextLine(" ".join(one.says), 0.95, _WHOLE),) if one.says else ())
        for one in drawn
    ]
    with library.catalogue.transaction():
        texts.keep(library.catalogue, read, "written")


# --- queries --------------------------------------------------------------------------------------


def look_questions(drawn: Sequence[Drawn]) -> list[Question]:
    """Ask for each kind."""
    return [
        _question(kind.replace("-", " "), [one for one in drawn if one.kind == kind])
        for kind in sorted({one.kind for one in drawn if one.kind in KINDS})
    ]


def word_questions(drawn: Sequence[Drawn]) -> list[Question]:
    """Ask for one word of each picture that has any: mostly not for what pictures show, but who knows."""
    return _text_questions(drawn, 1)


def text_questions(drawn: Sequence[Drawn]) -> list[Question]:
    """Ask for two words of each picture that has any."""
    return _text_questions(drawn, 2)


def mixed_questions(drawn: Sequence[Drawn]) -> list[Question]:
    """Ask for the kind of each scene with a sign, and a word of it."""
    chance = random.Random(4)
    made = []
    for one in drawn:
        if one.says and one.kind in KINDS:
            word = chance.choice(one.says)
            right = [each for each in drawn if each.kind == one.kind and word in each.says]
            made.append(_question(f"{one.kind.replace('-', ' ')} {word}", right))
    return made


def name_questions(drawn: Sequence[Drawn]) -> list[Question]:
    """Ask for the two words of each folder that is called after any."""
    return [
        _question(" ".join(words), [one for one in drawn if set(words) <= {*one.named, *one.says}])
        for words in sorted({one.named for one in drawn if one.named})
    ]


def _text_questions(drawn: Sequence[Drawn], count: int) -> list[Question]:
    chance = random.Random(3)
    asked = [chance.sample(one.says, count) for one in drawn if one.says]
    return [_question(" ".join(words), [one for one in drawn if set(words) <= set(one.says)]) for words in asked]


def _question(query: str, right: Iterable[Drawn]) -> Question:
    return Question(query, frozenset(str(one.path) for one in right))
