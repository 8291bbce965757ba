"""What a running embed is asked for from outside."""

from pathlib import Path

import pytest

from pixfind.library import control
from pixfind.library.control import Asked


def test_nothing_is_asked_for_where_there_is_no_file(tmp_path: Path) -> None:
    assert Asked() == control.read(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"fly": true}', b"5"])
def test_a_file_that_is_not_ours_asks_for_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "control.json").write_bytes(content)

    assert Asked() == control.read(tmp_path)


def test_what_is_asked_for_adds_to_what_was_asked_for_before(tmp_path: Path) -> None:
    control.ask(tmp_path, Asked(pause=True))
    control.ask(tmp_path, Asked(cpu=0.3))
    assert Asked(pause=True, cpu=0.3) == control.read(tmp_path)

    control.ask(tmp_path, Asked(pause=False))
    assert Asked(pause=False, cpu=0.3) == control.read(tmp_path)


def test_a_stop_is_never_taken_back_by_another_word(tmp_path: Path) -> None:
    control.ask(tmp_path, Asked(stop=True))
    control.ask(tmp_path, Asked(pause=False, cpu=1.0))

    assert control.read(tmp_path).stop


def test_what_was_withdrawn_is_forgotten_and_may_be_withdrawn_again(tmp_path: Path) -> None:
    control.ask(tmp_path, Asked(stop=True))
    control.withdraw(tmp_path)
    control.withdraw(tmp_path)

    assert Asked() == control.read(tmp_path)
    assert [] == list(tmp_path.iterdir())
