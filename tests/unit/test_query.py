"""The language: what is written is what is meant, and what cannot be read points at the character."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixfind import errors
from pixfind.search import query
from pixfind.search.query import Query, Term, TermKind


def shown(source: str) -> list[tuple[str, str, float]]:
    return [(str(term.kind), term.value, term.weight) for term in query.parse(source).terms]


@pytest.mark.parametrize(
    ("source", "terms"),
    [
        ("beach", [("text", "beach", 1)]),
        ("black dog on grass", [("text", "black dog on grass", 1)]),
        ("  beach  ", [("text", "beach", 1)]),
        ("beach +sunset -people", [("text", "beach", 1), ("text", "sunset", 1), ("text", "people", -1)]),
        ("dog + red ball - cat", [("text", "dog", 1), ("text", "red ball", 1), ("text", "cat", -1)]),
        ("beach +2:holiday.jpg", [("text", "beach", 1), ("file", "holiday.jpg", 2)]),
        ("0.5:sea -.25:id:123", [("text", "sea", 0.5), ("id", "123", -0.25)]),
        ("id:12 sea", [("id", "12", 1), ("text", "sea", 1)]),
        ('"black dog" ball', [("text", "black dog", 1), ("text", "ball", 1)]),
        ('"-40 degrees"', [("text", "-40 degrees", 1)]),
        (r'"say \"cheese\" \\ now"', [("text", r'say "cheese" \ now', 1)]),
        ("t-shirt rock+roll", [("text", "t-shirt rock+roll", 1)]),
        ("3:10 to yuma", [("text", "3:10 to yuma", 1)]),
        ("16:9 screens", [("text", "16:9 screens", 1)]),
        ("text:sunset.jpg", [("text", "sunset.jpg", 1)]),
        ('"sunset.jpg"', [("text", "sunset.jpg", 1)]),
        ("file:scan", [("file", "scan", 1)]),
        ('file:"my +1 scan"', [("file", "my +1 scan", 1)]),
        ("./here", [("file", "./here", 1)]),
        ("/a b/c d.png -x", [("file", "/a b/c d.png", 1), ("text", "x", -1)]),
        (r"C:\pictures\a.JPG", [("file", r"C:\pictures\a.JPG", 1)]),
        ("~/a.heic", [("file", "~/a.heic", 1)]),
        ("café Ünïcode 日本", [("text", "café Ünïcode 日本", 1)]),
    ],
)
def test_what_is_written_is_what_is_meant(source: str, terms: list[tuple[str, str, float]]) -> None:
    assert terms == shown(source)


def test_the_arguments_of_a_command_line_are_one_query() -> None:
    assert query.parse("beach +sunset -people").terms == query.parse(["beach", "+sunset", "-people"]).terms


@pytest.mark.parametrize(
    ("source", "at", "words"),
    [
        ("", 0, "empty"),
        (" \n", 0, "empty"),
        ('sea +"sun', 5, "not closed"),
        ('"sea"sun', 5, "space"),
        ("sea +", 5, "expected words"),
        ("sea -2: +x", 7, "expected words"),
        ('sea ""', 4, "expected words"),
        ("sea +0:x", 5, "weight"),
        ("sea +101:x", 5, "weight"),
        ("id:first", 3, "whole number"),
        ("id:", 3, "expected words"),
        ("-people", 0, "all terms are negative"),
        ("-a -b", 0, "all terms are negative"),
        ("a\0.jpg", 0, "NUL"),
        ("x" * 4_001, 4_000, "4,001 characters"),
        ("sea +" + "x" * 1_001, 1_005, "1,001 characters"),
        ("+a " * 33, 96, "33 terms"),
    ],
)
def test_an_error_points_at_the_character(source: str, at: int, words: str) -> None:
    with pytest.raises(errors.InvalidQuery, match=words) as caught:
        query.parse(source)

    assert at == caught.value.fields["at"]


def test_the_pointer_stands_below_the_character_even_behind_wide_ones() -> None:
    with pytest.raises(errors.InvalidQuery) as caught:
        query.parse('日本 +"x')

    line, pointer = str(caught.value).splitlines()[1:3]
    assert '  日本 +"x' == line
    assert "  " + " " * 6 + "^" == pointer


def test_a_long_query_is_shown_around_the_error_only() -> None:
    with pytest.raises(errors.InvalidQuery) as caught:
        query.parse("word " * 100 + "+0:x " + "word " * 100)

    line, pointer = str(caught.value).splitlines()[1:3]
    assert len(line) < 70
    assert "0:x" == line[pointer.index("^") :][:3]


def test_search_text_takes_signs_and_quotes_as_words() -> None:
    assert (Term(TermKind.TEXT, '-a "b.jpg'),) == query.text(' -a "b.jpg ').terms


def test_search_image_takes_any_name_or_an_id() -> None:
    assert (Term(TermKind.FILE, "-a +b"),) == query.image("-a +b").terms
    assert "123" == query.image("id:123").terms[0].value


@pytest.mark.parametrize("make", [query.text, query.image])
def test_simple_forms_refuse_nothing_at_all(make: object) -> None:
    with pytest.raises(errors.InvalidQuery):
        make("")  # type: ignore[operator]


def test_a_text_that_models_would_cut_off_is_refused() -> None:
    with pytest.raises(errors.InvalidQuery, match="over the limit"):
        query.text("x" * 10_000)


weights = st.floats(0.01, 100, allow_nan=False).map(lambda weight: round(weight, 3))
texts = st.text(st.characters(exclude_characters="\0"), min_size=1, max_size=60).filter(lambda text: bool(text.strip()))
terms = st.one_of(
    st.builds(Term, st.just(TermKind.TEXT), texts, weights),
    st.builds(Term, st.just(TermKind.FILE), texts, weights),
    st.builds(Term, st.just(TermKind.ID), st.integers(0, 10**17).map(str), weights),
)


@given(st.lists(terms, min_size=1, max_size=5), st.lists(st.booleans(), min_size=5, max_size=5))
def test_a_query_written_out_reads_back_as_itself(made: list[Term], wanted: list[bool]) -> None:
    signed = [
        Term(term.kind, term.value, term.weight if keep or place == 0 else -term.weight)
        for place, (term, keep) in enumerate(zip(made, wanted, strict=False))
    ]

    again = query.parse(str(Query(tuple(signed))))

    assert [(t.kind, t.value, t.weight) for t in signed] == [(t.kind, t.value, t.weight) for t in again.terms]


@given(st.text(max_size=200))
def test_any_text_is_a_query_or_an_error_that_points_into_it(source: str) -> None:
    made, wrong = None, None
    try:
        made = query.parse(source)
    except errors.InvalidQuery as error:
        wrong = error

    if wrong:
        assert 0 <= wrong.fields["at"] <= len(source)
        assert str(wrong)
    assert made is None or any(term.weight > 0 for term in made.terms)


@given(st.text(st.sampled_from('ab +-:"\\id1.5'), max_size=30))
def test_texts_full_of_signs_read_back_as_themselves(source: str) -> None:
    try:
        made = query.parse(source)
    except errors.InvalidQuery:
        return

    again = query.parse(str(made))

    assert [(t.kind, t.value, t.weight) for t in made.terms] == [(t.kind, t.value, t.weight) for t in again.terms]


def test_words_that_must_stand_somewhere_end_the_term_before_them() -> None:
    assert ["text beach", "name 2023"] == [f"{term.kind} {term.value}" for term in query.parse("beach name:2023").terms]
    assert ["name scans", "says total"] == [
        f"{term.kind} {term.value}" for term in query.parse("name:scans Says:total").terms
    ]
    assert ["text two words", "says a bakery"] == [
        f"{term.kind} {term.value}" for term in query.parse('two words says:"a bakery"').terms
    ]
    assert ["text what he says: nothing"] == [
        f"{term.kind} {term.value}" for term in query.parse("what he says: nothing").terms
    ]
