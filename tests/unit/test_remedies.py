"""The page says what to do about every kind of failure that there is."""

import json
from pathlib import Path

import pixfind
from pixfind.errors import images
from pixfind.errors.base import ImageProblem

PAGE = Path(pixfind.__file__).parent / "server/page/messages.en.json"


def test_every_kind_of_failure_has_a_remedy_on_the_page() -> None:
    described = [key for key in json.loads(PAGE.read_text(encoding="utf-8")) if key.startswith("remedy.")]
    problems = [
        each
        for each in vars(images).values()
        if isinstance(each, type) and issubclass(each, ImageProblem) and each is not ImageProblem
    ]
    kinds = {" ".join((each.__doc__ or "").split()).partition(":")[0] for each in problems}

    assert kinds == {key.removeprefix("remedy.") for key in described}
