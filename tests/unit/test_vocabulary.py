from pathlib import Path

import pytest

from pixfind.models import vocabulary


@pytest.fixture
def words(tmp_path: Path) -> vocabulary.Vocabulary:
    (tmp_path / "vocabulary.txt").write_text(
        "# a remark\nsky\nflowers\nbeach\nforest\nsunset\n!beaches\n!bench\n!breach\n"
    )
    found = vocabulary.load(tmp_path)
    assert found is not None
    return found


@pytest.mark.parametrize("text", ["sky", "the SKY!", "skys", "flower", "xyzzy sky", "b\u00e9ach", "sunset,forest"])
def test_a_listed_word_is_known_in_any_dress(text: str, words: vocabulary.Vocabulary) -> None:
    assert words.knows(text)


@pytest.mark.parametrize("text", ["forst", "forrest", "fotest", "forets", "susnet"])
def test_a_long_word_with_one_slip_is_known(text: str, words: vocabulary.Vocabulary) -> None:
    assert words.knows(text)


@pytest.mark.parametrize(
    "text", ["", "123", "spy", "ski", "breach", "torest", "fotets", "remark", "\u043d\u0435\u0431\u043e"]
)
def test_another_word_is_not_known(text: str, words: vocabulary.Vocabulary) -> None:
    assert not words.knows(text)


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("the SKY over a forest", ()),
        ("Dog on sky, dog and b\u00e9ach", ("Dog", "dog")),
        ("xyzzy 123", ("xyzzy", "123")),
        ("\u043d\u0435\u0431\u043e sky", ("\u043d\u0435\u0431\u043e",)),
        ("on the", ()),
        ("skis forrest", ("skis",)),
    ],
)
def test_unknown_words_are_named_as_they_are_written(
    text: str, unknown: tuple[str, ...], words: vocabulary.Vocabulary
) -> None:
    assert unknown == words.unknown_words(text)


def test_a_model_without_a_list_has_no_vocabulary(tmp_path: Path) -> None:
    assert vocabulary.load(tmp_path) is None
