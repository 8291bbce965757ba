"""`pixfind man`: every command and option, in roff that a formatter takes."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from pixfind.cli import app, man_page

FORMATTERS = [["groff", "-man", "-Tutf8", "-ww"], ["mandoc", "-W", "warning"]]


def page() -> str:
    pixfind = Path(sys.executable).with_name("pixfind")
    return subprocess.run([pixfind, "man"], capture_output=True, text=True, check=True, env=os.environ).stdout


def names(command: Any, above: str = "") -> Iterator[tuple[str, list[str]]]:
    for name, below in getattr(command, "commands", {}).items():
        yield (
            f"{above}{name}",
            [opt for param in below.params for opt in param.opts if opt.startswith("-") and not param.hidden],
        )
        yield from names(below, f"{above}{name} ")


def test_it_has_every_command_and_every_option() -> None:
    sections = {}
    for part in page().replace("\\-", "-").split("\n.S"):
        if part.startswith("S "):
            title, _, text = part[2:].partition("\n")
            # Arguments are in italics or in brackets.
            sections[re.split(r" [\[\\]", title)[0]] = text
    known = dict(names(typer.main.get_command(app)))
    assert set(known) == set(sections)
    missing = {(name, opt) for name, opts in known.items() for opt in opts if rf"\fB{opt}\fR" not in sections[name]}
    assert set() == missing


def test_a_formatter_takes_it_without_a_warning() -> None:
    made = page()
    for formatter in FORMATTERS:
        if shutil.which(formatter[0]):
            done = subprocess.run(formatter, input=made, capture_output=True, text=True, check=True)
            assert "" == done.stderr
            # Bold and italics are struck twice.
            assert "search-text" in re.sub(".\b", "", done.stdout)


def test_a_line_that_looks_like_a_request_is_text() -> None:
    assert r"\&.hidden files\-" == man_page._inline(".hidden files-")
    assert r"a \fBpixfind \-\-x\fR b\e" == man_page._inline("a `pixfind --x` b\\")
