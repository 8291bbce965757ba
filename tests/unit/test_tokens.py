"""What is searched for finds what was indexed, in any script, and short words too."""

import sqlite3

import pytest

from pixfind.library import sql, tokens


def found(text: str, query: str) -> bool:
    """Tell whether FTS5 finds a text that was indexed by a query."""
    connection = sqlite3.connect(":memory:")
    connection.execute(sql.queries("fulltext.sql")["create_said"])
    connection.execute("INSERT INTO said (rowid, words) VALUES (1, ?)", [" ".join(tokens.indexed(text))])
    words = tokens.wanted(query)
    expression = " AND ".join(word.expression for word in words)
    there = bool(words) and bool(connection.execute("SELECT 1 FROM said WHERE said MATCH ?", [expression]).fetchall())
    assert there == (bool(words) and all(word.stands_in(tokens.indexed(text)) for word in words))
    return there


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("IMG_2023-05-17_invoice.jpg", "invoice"),
        ("IMG_2023-05-17_invoice.jpg", "2023"),
        ("IMG_2023-05-17_invoice.jpg", "2023-05"),
        ("BeachHoliday", "holiday beach"),
        ("invoices", "invoice"),
        ("total:12.50EUR", "12.50 eur"),
        ("CAFÉ Crème", "cafe creme"),
        ("cafe", "Café"),
        ("Straße", "STRASSE"),
        ("\uff26\uff35\uff2c\uff2c width", "full"),
        ("統一發票 2023", "發票"),
        ("統一發票", "統一發票"),
        ("統一發票", "票"),
        ("統一發票", "一"),
        ("東京タワー", "タワ"),
        ("이미지를 찾다", "이미지"),
        ("москва Й", "Москва"),
        ("مرحبا بالعالم", "بالعالم"),
        ("B2B", "b2b"),
        ("20 \u2103", "20 c"),
        ("コーヒー・紅茶", "紅茶"),
        ("コーヒー・紅茶", "コーヒー"),
        ("\u1982\u19c8", "\u1982\u19c8"),
        ("ok", "OK"),
        ("a" * 500, "a" * 500),
    ],
)
def test_a_text_is_found(text: str, query: str) -> None:
    assert found(text, query)


@pytest.mark.parametrize(
    ("text", "query"),
    [("category", "cat"), ("統一發票", "發一"), ("發", "發票"), ("invoice", "invoice 2023"), ("voice", "invoice")],
)
def test_a_text_without_the_words_is_not_found(text: str, query: str) -> None:
    assert not found(text, query)


@pytest.mark.parametrize(
    "query", ['"', "AND", 'a" OR "b', "NEAR(a b)", "text:x", "*", "(", "-x", "^a", "\x00a", "<b>x</b>"]
)
def test_what_looks_like_a_query_of_fts5_is_only_words(query: str) -> None:
    found("anything at all", query)


def test_a_text_without_a_letter_or_digit_has_no_word() -> None:
    assert [] == tokens.wanted("... !?  -- _")


def test_every_letter_and_digit_of_unicode_is_kept_by_fts5() -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute(sql.queries("fulltext.sql")["create_said"])
    connection.execute("CREATE VIRTUAL TABLE terms USING fts5vocab(said, row)")
    made = {token for code in range(0x110000) if not 0xD800 <= code < 0xE000 for token in tokens.indexed(chr(code))}
    connection.executemany("INSERT INTO said (words) VALUES (?)", ((token,) for token in made))

    assert len(made) > 100_000
    assert made == {term for (term,) in connection.execute("SELECT term FROM terms")}
