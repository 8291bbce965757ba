"""The form for the token: its languages, and the address that it keeps."""

import re

import pytest

from pixfind.server import token_form


@pytest.mark.parametrize(
    ("accepted", "language", "title"),
    [
        ("", "en", "Token needed"),
        ("de-AT,de;q=0.9,en;q=0.8", "de", "Token nötig"),
        ("pt, fr;q=0.5, en;q=0.2", "fr", "Jeton nécessaire"),
        ("en;q=0.1,DE", "de", "Token nötig"),
        ("de;q=0, en;q=x, fr;q=", "fr", "Jeton nécessaire"),
        ("*", "en", "Token needed"),
        (";;q=,,=\x00", "en", "Token needed"),
    ],
)
def test_the_form_speaks_the_first_language_of_the_browser_that_there_is(
    accepted: str, language: str, title: str
) -> None:
    page = token_form.page(accepted, (), wrong=True)
    assert f'<html lang="{language}">' in page
    assert f"<h1>{title}</h1>" in page
    assert ("This token is wrong" in page) == (language == "en")


def test_a_right_token_can_be_sent_with_everything_else_and_nothing_becomes_markup() -> None:
    page = token_form.page("en", [("q", '"><script>alert(1)</script>'), ("<b>", ""), ("q", "&amp;")], wrong=False)
    assert "<script" not in page
    assert "alert(1)&lt;/script&gt;" in page
    assert 3 == len(re.findall(r'<input type="hidden" ', page))
    assert "wrong" not in page
