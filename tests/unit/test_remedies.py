"""The page says what to do about every kind of failure that there is, and about what the server refuses."""

import json
import re
import string
from pathlib import Path

import pytest

import pixfind
from pixfind import errors
from pixfind.errors import images
from pixfind.errors.base import ImageProblem

PAGE = Path(pixfind.__file__).parent / "server/page/messages.en.json"

REFUSED = {
    key.removeprefix("refused."): text
    for key, text in json.loads(PAGE.read_text(encoding="utf-8")).items()
    if key.startswith("refused.") and key != "refused.no-label"
}


def test_every_kind_of_failure_has_a_remedy_on_the_page() -> None:
    texts = json.loads(PAGE.read_text(encoding="utf-8"))
    problems = [
        each
        for each in vars(images).values()
        if isinstance(each, type) and issubclass(each, ImageProblem) and each is not ImageProblem
    ]
    kinds = {" ".join((each.__doc__ or "").split()).partition(":")[0] for each in problems}

    for what in ("remedy.", "reason."):
        assert kinds == {key.removeprefix(what) for key in texts if key.startswith(what)}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_the_page_says_of_a_refusal_has_values_of_the_error_and_no_options(kind: str) -> None:
    named = {name for _, name, _, _ in string.Formatter().parse(getattr(errors, kind).__doc__)}

    assert set(re.findall(r"\{(\w+)\}", REFUSED[kind])) <= named
    assert " --" not in REFUSED[kind]
