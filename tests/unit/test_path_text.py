"""Paths as text: valid UTF-8, each path its own, and back to the very bytes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pixfind.library import path_text

#: Pieces that meet in every way an escape could be mistaken for another.
PIECES = st.sampled_from(
    [b"\\", b"x", b"5c", b"ff", b"e", b"9", b"\xff", b"\xe9", "é".encode(), b"\\xff", b"\\x5c", b"/", b"a"]
)
NAMES = st.one_of(st.binary(max_size=20), st.lists(PIECES, max_size=12).map(b"".join))


@given(NAMES)
@example(b"caf\xe9.jpg")
@example(rb"caf\xe9.jpg")
@example(rb"caf\x5cxe9.jpg")
def test_every_name_comes_back_from_valid_text(name: bytes) -> None:
    text = path_text.to_text(name)

    assert text == text.encode().decode()
    assert name == os.fsencode(path_text.from_text(text))


@given(NAMES, NAMES)
def test_a_folder_and_what_lies_in_it_are_written_apart(folder: bytes, name: bytes) -> None:
    """So that a range of texts is a folder, as the scan asks for it."""
    assert path_text.to_text(folder + b"/" + name) == f"{path_text.to_text(folder)}/{path_text.to_text(name)}"


@pytest.mark.parametrize("name", ["a.jpg", "snö 雪.jpg", "back\\slash.jpg", r"C:\photos\x1.jpg", "new\nline"])
def test_ordinary_names_stay_as_they_are(name: str) -> None:
    assert name == path_text.to_text(name) == path_text.from_text(name)


def test_an_escape_is_readable_and_a_name_that_looks_like_one_is_another() -> None:
    assert r"caf\xe9.jpg" == path_text.to_text(b"caf\xe9.jpg")
    assert r"caf\x5cxe9.jpg" == path_text.to_text(rb"caf\xe9.jpg")


def test_readable_escapes_what_is_no_text_and_nothing_else() -> None:
    assert r"excluded: *\xff\xe9" == path_text.readable(os.fsdecode(b"excluded: *\xff\xe9"))
    assert r"copied caf\xe9" == path_text.readable(r"copied caf\xe9")
    assert r"\ud800" == path_text.readable("\ud800")


def test_names_come_back_where_the_system_writes_them_in_another_encoding(tmp_path: Path) -> None:
    program = """
import os, sys
from pixfind.library import path_text
assert "utf-8" != sys.getfilesystemencoding()
name = os.fsdecode("caf\\xe9 \\u65e5.jpg".encode() + bytes([255]))
assert name == path_text.from_text(path_text.to_text(name))
assert [(name,)] == list(path_text.rows_from_text([(path_text.to_text(name),)], ["path"], "path"))
"""
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment, cwd=tmp_path)
