"""Completion as a shell asks for it: the protocol for each shell, and the shells themselves where they are installed."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pixfind.cli import completion_values
from pixfind.library import albums, labels
from pixfind.library.library import Library
from pixfind.models import engines, registry

BIN = Path(sys.executable).parent
CASES = [
    ("pixfind sea", {"search", "search-text", "search-image"}),
    ("pixfind model f", {"fetch"}),
    ("pixfind search --inc", {"--include-weak"}),
    ("pixfind model fetch siglip2-b", {"siglip2-b32-256", "siglip2-b16-224"}),
    ("pixfind index --model star", {registry.STARTER}),
    ("pixfind --library somewhere stat", {"status"}),
]

# Each asks the function of the script what the words complete to, and prints that, one a line.
ASK = {
    "bash": """source <(pixfind completions bash); COMP_WORDS=($1); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _pixfind_completion pixfind; printf '%s\\n' "${COMPREPLY[@]}" """,
    "zsh": """compdef() { }; _arguments() { print -r -- "$1" }; source <(pixfind completions zsh)
        words=(${=1}); CURRENT=$#words; _pixfind_completion""",
    "fish": """pixfind completions fish | source; complete -C $argv[1]""",
}
COMMAND = {"bash": ["bash", "--norc", "-c"], "zsh": ["zsh", "-f", "-c"], "fish": ["fish", "--no-config", "-c"]}
INSTALLED = [shell for shell in ASK if shutil.which(shell)]


def complete(shell: str, words: str) -> set[str]:
    name = [] if shell == "fish" else [shell]
    environment = os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        [*COMMAND[shell], ASK[shell], *name, words], capture_output=True, text=True, check=True, env=environment
    )
    if shell == "zsh":
        # *: :(("search":"Find pictures ..." "search-text":"..."))
        return set(re.findall(r'"([^"]+)"(?::"[^"]*")?', done.stdout))
    return {line.partition("\t")[0] for line in done.stdout.splitlines()}


@pytest.mark.parametrize("shell", INSTALLED)
@pytest.mark.parametrize(("words", "expected"), CASES)
def test_a_shell_completes_commands_options_and_models(shell: str, words: str, expected: set[str]) -> None:
    assert expected == complete(shell, words)


@pytest.fixture
def library(tmp_path: Path) -> Path:
    path = tmp_path / "library"
    Library.create(path).close()
    with Library.open(path, write=True) as library:
        labels.define(library.catalogue, [labels.Definition("beach", "beach"), labels.Definition("bird", "bird")])
    albums.keep(path, albums.Album("Sea", {"q": "sea"}))
    albums.put(path, "Snow", [bytes(32)])
    return path


def offered(words: str) -> tuple[set[str], list[str]]:
    """Return what is offered for a line, and the modules that were loaded for it."""
    code = (
        "import contextlib, sys\nsys.argv[0] = 'pixfind'\nfrom pixfind.__main__ import main\n"
        "with contextlib.suppress(SystemExit): main()\nprint(*sys.modules, file=sys.stderr)"
    )
    asked = {
        "_PIXFIND_COMPLETE": "complete_fish",
        "_TYPER_COMPLETE_ARGS": words,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ | asked
    )
    return {line.partition("\t")[0] for line in done.stdout.splitlines() if line}, done.stderr.split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("index --precision int", {"int8", "int8-openvino"}),
        ("search --label b", {"beach", "bird"}),
        ("search --album S", {"Sea", "Snow"}),
        ("search --in-album S", {"Snow"}),
        ("albums --add S", {"Snow"}),
        ("albums --take Sn", {"Snow"}),
        ("albums --remove Se", {"Sea"}),
    ],
)
def test_values_are_those_of_the_library(library: Path, words: str, expected: set[str]) -> None:
    found, loaded = offered(f"pixfind --library {library} {words}")

    assert expected == found
    assert {"numpy", "onnxruntime", "pydantic"}.isdisjoint(loaded)


def test_a_library_that_cannot_be_read_completes_nothing(tmp_path: Path) -> None:
    (tmp_path / "metadata.db").write_bytes(b"no database" * 100)
    for place in (tmp_path, tmp_path / "nowhere"):
        for words in ("search --label b", "search --album b"):
            found, loaded = offered(f"pixfind --library {place} {words}")
            assert set() == found
            assert "Traceback" not in loaded
    assert not (tmp_path / "nowhere").exists()


def test_the_precisions_that_are_offered_are_all_there_are() -> None:
    assert engines.PRECISIONS == completion_values.PRECISIONS


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_a_shell_is_told_what_each_word_means(shell: str) -> None:
    environment = {
        "_PIXFIND_COMPLETE": f"complete_{shell}",
        "_TYPER_COMPLETE_ARGS": "pixfind verif",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    done = subprocess.run([BIN / "pixfind"], capture_output=True, text=True, check=False, env=os.environ | environment)

    assert "verify" in done.stdout
    assert "Check" in done.stdout


def test_a_shell_that_is_not_known_is_refused() -> None:
    done = subprocess.run([BIN / "pixfind", "completions", "tcsh"], capture_output=True, text=True, check=False)

    assert 2 == done.returncode
    assert "bash" in done.stderr
