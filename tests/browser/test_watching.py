"""What the tests of the page are told of what went wrong on it."""

from collections.abc import Callable
from typing import Any

Open = Callable[..., Any]


def test_a_problem_that_must_come_is_waited_for(tab: Open) -> None:
    opened = tab()
    opened.expect_problems("^first$", "^second$")
    page = opened.open()
    page.evaluate("() => { setTimeout(() => console.error('first'), 200); setTimeout(() => console.error('second'), 400); }")  # fmt: skip
    opened.close()
    assert ["first", "second"] == opened.problems


def test_only_problems_that_are_expected_or_allowed_may_come(tab: Open) -> None:
    opened = tab()
    page = opened.open()
    page.evaluate("() => ['one', 'two', 'three'].forEach((each) => console.error(each))")
    opened.expect_problems("^one$")
    opened.allow_problems("^two$", "^four$")
    assert ["three"] == opened.wrong()
    opened.allow_problems("^three$")
    assert [] == opened.missing()
