"""The roles of generations, and the names that they have in models.json."""

import json
from pathlib import Path

import pytest

from pixfind import errors
from pixfind.library import generations
from pixfind.library.generations import Generations

ROLES = Generations("models/3", staged="models/4", previous="models/2", retired=".", last_number=4)


def test_the_file_keeps_the_names_that_libraries_were_made_with(tmp_path: Path) -> None:
    generations.publish(tmp_path, ROLES)

    assert {
        "current": "models/3",
        "next": "models/4",
        "previous": "models/2",
        "aside": ".",
        "number": 4,
        "unfinished_rollback": False,
    } == json.loads((tmp_path / "models.json").read_text(encoding="utf-8"))


def test_what_was_published_is_read(tmp_path: Path) -> None:
    generations.publish(tmp_path, ROLES)

    assert ROLES == generations.read(tmp_path)


def test_a_library_without_the_file_has_one_generation(tmp_path: Path) -> None:
    assert Generations(".") == generations.read(tmp_path)
    assert {"."} == generations.read(tmp_path).in_use()


@pytest.mark.parametrize("content", ["", "[]", "{", '{"active": "."}', '{"current": "../pictures"}', '{"next": 3}'])
def test_a_file_that_is_not_ours_is_damage(tmp_path: Path, content: str) -> None:
    (tmp_path / "models.json").write_text(content, encoding="utf-8")
    with pytest.raises(errors.LibraryDamaged, match=r"models\.json"):
        generations.read(tmp_path)


def test_a_generation_that_is_staged_again_has_no_other_role() -> None:
    assert Generations("models/3", staged="models/4", previous="models/2", last_number=4) == ROLES.without(".")
    assert ROLES.without("models/2").previous is None


def test_numbers_are_never_reused(tmp_path: Path) -> None:
    first, roles = generations.reserve(tmp_path, Generations())
    second, _ = generations.reserve(tmp_path, roles)

    assert ("models/2", "models/3") == (first, second)
    assert 3 == generations.read(tmp_path).last_number


def test_only_generations_without_a_role_are_deleted(tmp_path: Path) -> None:
    for name in ("models/2", "models/4", "models/5", "data"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("metadata.db", "data/embeddings.npy", "data/mine.txt", "models/4/metadata.db", "models/5/metadata.db"):
        (tmp_path / name).touch()
    generations.publish(tmp_path, Generations("models/4", previous="models/2", last_number=5))
    generations.delete_unused(tmp_path)

    assert {"models/2", "models/4"} == {f"models/{path.name}" for path in (tmp_path / "models").iterdir()}
    assert ["data", "data/mine.txt", "models.json"] == sorted(
        str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.parts[len(tmp_path.parts)] != "models"
    )
