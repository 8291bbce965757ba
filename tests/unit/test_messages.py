"""The texts of the page: every language has every one, in every form that it needs, and nothing is asked for that is not there."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

import pixfind
from pixfind.embedding.bottleneck import STAGES, bottleneck

PAGE = Path(pixfind.__file__).parent / "server/page"
MESSAGES: dict[str, dict[str, Any]] = {
    path.name.split(".")[1]: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted(PAGE.glob("messages.*.json"))
}
OTHERS = sorted(MESSAGES.keys() - {"en"})
#: of plural rules (CLDR), for whole numbers
CATEGORIES = {"en": {"one", "other"}, "de": {"one", "other"}, "fr": {"one", "many", "other"}}


def forms(message: Any) -> list[str]:
    return [message] if isinstance(message, str) else list(message.values())


def values(message: Any) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", " ".join(forms(message))))


def test_the_languages_are_those_that_can_be_chosen() -> None:
    (names,) = re.findall(r"const NAMES = \{(.*)\};", (PAGE / "language.js").read_text(encoding="utf-8"))
    assert set(re.findall(r"(\w+):", names)) == MESSAGES.keys() == CATEGORIES.keys()


@pytest.mark.parametrize("language", OTHERS)
def test_every_language_has_every_text_in_the_same_order(language: str) -> None:
    assert list(MESSAGES["en"]) == list(MESSAGES[language])


@pytest.mark.parametrize("language", OTHERS)
def test_a_text_has_the_same_values_in_every_language(language: str) -> None:
    other = MESSAGES[language]
    assert {key: values(message) for key, message in MESSAGES["en"].items()} == {key: values(message) for key, message in other.items()}  # fmt: skip
    assert not [key for key in other if isinstance(other[key], str) != isinstance(MESSAGES["en"][key], str)]


@pytest.mark.parametrize("language", MESSAGES)
def test_numbers_have_the_forms_of_the_language(language: str) -> None:
    counted = {key: set(message) for key, message in MESSAGES[language].items() if not isinstance(message, str)}
    assert counted
    assert not {key: found for key, found in counted.items() if not {"one", "other"} <= found <= CATEGORIES[language]}


@pytest.mark.parametrize("language", MESSAGES)
def test_no_text_is_empty_or_of_another_language(language: str) -> None:
    empty = [key for key, message in MESSAGES[language].items() if not all(form.strip() for form in forms(message))]
    assert [] == empty
    if language != "en":
        # Names, commands and words that are the same in both are few.
        same = [key for key, message in MESSAGES[language].items() if message == MESSAGES["en"][key] and re.search(r"[a-z]{4}", str(message))]  # fmt: skip
        assert len(same) < len(MESSAGES["en"]) / 12, same


SCRIPTS = "\n".join(path.read_text(encoding="utf-8") for path in sorted(PAGE.glob("*.js")))
#: `t("a.b")` and what stands in index.html
NAMED = set(re.findall(r'\bt\("([^"]+)"', SCRIPTS)) | set(
    re.findall(r' data-t[a-z-]*="([^"]+)"', (PAGE / "index.html").read_text(encoding="utf-8"))
)
#: in a list, or chosen by a condition: `t(one ? "a.b" : "a.c")`
LISTED = set(re.findall(r'"([a-z]+\.[A-Za-z-]+)"', SCRIPTS))
#: what stands before the value in t(`a.${value}`)
BEGUN = set(re.findall(r"\b(?:t|isKnown)\(`([a-z]+[.-][^$`]*)\$\{", SCRIPTS))


def in_list(script: str, name: str) -> set[str]:
    """The texts in a list of a script."""
    (found,) = re.findall(rf"const {name} = \[(.*?)\];", (PAGE / script).read_text(encoding="utf-8"))
    return set(re.findall(r'"([^"]*)"', found))


def test_the_page_asks_for_texts_that_are_there() -> None:
    families = {key.split(".")[0] for key in MESSAGES["en"]}
    asked = NAMED | {key for key in LISTED if key.split(".")[0] in families and not key.endswith((".js", ".json"))}
    assert set() == asked - MESSAGES["en"].keys()


def test_no_text_is_there_that_nobody_asks_for() -> None:
    assert BEGUN
    assert [] == [key for key in MESSAGES["en"] if key not in NAMED | LISTED and not key.startswith(tuple(BEGUN))]


def limits() -> set[str]:
    """What may hold a run back."""
    nothing = dict.fromkeys(STAGES, 0.0)
    waits = [{**nothing, "wait": 1.0, stage: 1.0} for stage in STAGES if stage not in ("model", "wait", "pace")]
    works = [{**nothing, stage: 1.0} for stage in STAGES]
    return {limit for stages in [*waits, *works] if (limit := bottleneck(stages))}


@pytest.mark.parametrize(
    ("begun", "values"),
    [
        ("bottleneck.", limits()),
        ("stage.", limits()),
        (
            "outcome.",
            {f"{outcome}{means}" for outcome in in_list("status.js", "OUTCOMES") for means in ("", "-means")}
            | {"offline", "gone", "none"},
        ),
        ("roots.", in_list("roots.js", "COUNTS") | {f"sent-{action}" for action in ("add", "scan", "exclude")}),
        ("shape.", in_list("filters.js", "SHAPES") - {""} | {"any"}),
        ("duration.", {"day", "hour", "minute", "second"}),
        ("status.", {"worker", "pictures", "rate", "bottleneck", "saved"}),
        ("html.", {"library", "map"}),
        ("taking.address-", {"search", "library", "map", "picture"}),
        (
            "key.",
            set(
                re.findall(
                    r"[A-Z][a-z]+",
                    " ".join(re.findall(r'\[\["(.*?)"\],', (PAGE / "keys.js").read_text(encoding="utf-8"))),
                )
            ),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_value_of_a_text_that_is_chosen_by_one_has_its_text(begun: str, values: set[str]) -> None:
    assert set() == {f"{begun}{value}" for value in values} - MESSAGES["en"].keys()


def test_the_texts_that_are_chosen_by_a_value_are_known_to_these_tests() -> None:
    # reason, remedy, refused, rests: test_remedies; roots.sent- is among those of roots.
    tried = {"bottleneck.", "stage.", "outcome.", "roots.", "roots.sent-", "shape.", "duration.", "status.", "html.", "taking.address-", "key."}  # fmt: skip
    assert tried | {"reason.", "remedy.", "refused.", "rests."} == BEGUN
