"""What a running embed is asked for from outside."""

from pathlib import Path

import pytest

from pixfind.library import control
from pixfind.library.control import ControlRequest


def test_nothing_is_asked_for_where_there_is_no_file(tmp_path: Path) -> None:
    assert ControlRequest() == control.read(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"fly": true}',
        b"5",
        b'{"cpu": "x"}',
        b'{"cpu": -1}',
        b'{"cpu": NaN}',
        b'{"stop": 1}',
        b'{"pause": "no"}',
    ],
)
def test_a_file_that_is_not_ours_asks_for_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "control.json").write_bytes(content)

    assert ControlRequest() == control.read(tmp_path)


def test_what_is_asked_for_adds_to_what_was_asked_for_before(tmp_path: Path) -> None:
    control.request(tmp_path, ControlRequest(pause=True))
    control.request(tmp_path, ControlRequest(cpu=0.3))
    assert ControlRequest(pause=True, cpu=0.3) == control.read(tmp_path)

    control.request(tmp_path, ControlRequest(pause=False))
    assert ControlRequest(pause=False, cpu=0.3) == control.read(tmp_path)


def test_a_stop_is_never_taken_back_by_another_request(tmp_path: Path) -> None:
    control.request(tmp_path, ControlRequest(stop=True))
    control.request(tmp_path, ControlRequest(pause=False, cpu=1.0))

    assert control.read(tmp_path).stop


def test_what_was_cleared_is_forgotten_and_may_be_cleared_again(tmp_path: Path) -> None:
    control.request(tmp_path, ControlRequest(stop=True))
    control.clear(tmp_path)
    control.clear(tmp_path)

    assert ControlRequest() == control.read(tmp_path)
    assert [] == list(tmp_path.iterdir())
