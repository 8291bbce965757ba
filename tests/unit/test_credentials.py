"""The token file: made for its owner alone, and refused when others could read it."""

import os
from pathlib import Path

import pytest

from pixfind import errors
from pixfind.server import credentials
from pixfind.server.credentials import OwnerFiles, Token

GIVEN = "a-token-of-the-owners-own"


def _file(tmp_path: Path, content: bytes = GIVEN.encode(), mode: int = 0o600) -> Path:
    path = tmp_path / "token"
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("content", [GIVEN, f"{GIVEN}\n", f"  {GIVEN}\r\n"])
def test_a_token_may_end_with_a_newline(tmp_path: Path, content: str) -> None:
    assert credentials.from_file(_file(tmp_path, content.encode())).matches(GIVEN)


@pytest.mark.parametrize(
    "content", [b"", b"short", b"two words that are long enough", b"x" * 513, b"\xff" * 30, b"\0" * 30]
)
def test_what_is_no_token_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(errors.InvalidTokenFile, match="visible ASCII"):
        credentials.from_file(_file(tmp_path, content))


@pytest.mark.skipif(os.name == "nt", reason="modes of POSIX")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_token_file_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(errors.InvalidTokenFile, match=f"its mode is {mode:03o}"):
        credentials.from_file(_file(tmp_path, mode=mode))


def test_a_folder_is_no_token_file(tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidTokenFile):
        credentials.from_file(tmp_path)


def test_every_token_is_another() -> None:
    assert len({Token.new().text for _ in range(100)}) == 100
    assert GIVEN not in repr(Token(GIVEN))


def test_a_library_on_a_file_system_without_modes_gets_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a memory card, where every file is everybody's."""
    monkeypatch.setattr(credentials, "_OTHERS", 0o777)
    files = OwnerFiles(tmp_path, 1)

    assert [None, None] == [files.write_token(Token.new()), files.write_page("http://127.0.0.1/")]
    assert [] == list(tmp_path.iterdir())
    with pytest.raises(errors.InvalidTokenFile, match="file system"):
        credentials.from_file(tmp_path / "token")


def test_a_library_that_is_not_there_gets_no_file(tmp_path: Path) -> None:
    """A server only reads: it also runs where it cannot write."""
    (tmp_path / "file").write_bytes(b"")

    assert OwnerFiles(tmp_path / "file", 1).write_token(Token.new()) is None


def test_the_page_file_has_no_markup_of_the_address(tmp_path: Path) -> None:
    page = OwnerFiles(tmp_path, 1).write_page('http://127.0.0.1/"><script>')

    assert page is not None
    assert "<script>" not in page.read_text()
