"""The page says what to do about every kind of failure that there is, about what the server refuses, and why something rests."""

import ast
import json
import re
import string
from pathlib import Path

import pytest

import pixfind
from pixfind import errors
from pixfind.errors import images
from pixfind.errors.base import ImageProblem

PACKAGE = Path(pixfind.__file__).parent
PAGE = PACKAGE / "server/page/messages.en.json"

REFUSED = {
    key.removeprefix("refused."): text
    for key, text in json.loads(PAGE.read_text(encoding="utf-8")).items()
    if key.startswith("refused.") and key not in {"refused.no-label", "refused.no-album"}
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

    # A command is the page's own: it names the library.
    assert set(re.findall(r"\{(\w+)\}", REFUSED[kind])) - {"command"} <= named
    assert " --" not in REFUSED[kind]


def reasons() -> dict[str, set[str]]:
    """Each kind of `Reason` in the package, and the names of its values."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Name(id="Reason"), args=[ast.Constant(value=kind), _, *rest]):
                    found[str(kind)] = {str(key.value) for values in rest for key in getattr(values, "keys", ())}
    return found


def test_the_page_has_words_for_each_reason_to_rest() -> None:
    texts = {
        key.removeprefix("rests."): set(re.findall(r"\{(\w+)\}", text))
        for key, text in json.loads(PAGE.read_text(encoding="utf-8")).items()
        if key.startswith("rests.")
    }
    assert "PausedOnRequest" in texts
    assert reasons() == texts
