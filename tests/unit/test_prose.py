import re
from pathlib import Path

import pytest
from tools import prose
from tools.prose import Word, Words

WORDS = Words(
    prose=[Word(re.compile(r"\b(?:work\s*spaces?)\b", re.IGNORECASE), "library")],
    pages=[Word(re.compile(r"\b(?:anew)\b", re.IGNORECASE), "again")],
    names=[Word(re.compile(r"_*Seat"), "WorkerSlot")],
    exempt=[],
    finished=("src/finished/",),
)


def _found(name: str, text: str) -> list[tuple[int, str]]:
    return [(each.line, each.found) for each in prose.check(Path(name), text, WORDS)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A Workspace.", [(1, "Workspace")]),
        ("One\n\nA work\nspace and more", [(3, "work space")]),
        ("Made\nanew", [(2, "anew")]),
        ("`workspace`, [a page](workspace.md), <workspace> and https://example.org/workspace", []),
        ("```\nworkspace\n```\nworkspace", [(4, "workspace")]),
        ("workspaced", []),
    ],
)
def test_a_page_is_checked_outside_of_code(text: str, found: list[tuple[int, str]]) -> None:
    assert found == _found("page.md", text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('"""\nOne.\n\nThe workspace.\n"""', [(4, "workspace")]),
        ("x = 1  # the workspace", [(1, "workspace")]),
        ('say(f"the workspace {name} is full")', [(1, "workspace")]),
        ('row["workspace"] = 1', []),
        ('"""Made anew."""', []),
        ("seat = _Seat()", [(1, "_Seat")]),
        ("class Seats: ...", []),
    ],
)
def test_python_is_checked_in_what_people_read_and_in_its_names(text: str, found: list[tuple[int, str]]) -> None:
    assert found == _found("module.py", text)


def test_code_of_a_finished_package_is_held_to_the_words_of_pages() -> None:
    assert [(1, "anew")] == _found("src/finished/module.py", '"""Made anew."""')


def test_a_finding_says_where_and_what_to_write() -> None:
    (finding,) = prose.check(Path("page.md"), "A workspace", WORDS)

    assert 'page.md:1: "workspace": write "library"' == str(finding)


def test_every_discouraged_word_of_the_project_has_its_standard_term() -> None:
    words = prose.load()

    assert words.prose
    assert words.names
    assert all(word.instead for word in (*words.prose, *words.pages, *words.names))
