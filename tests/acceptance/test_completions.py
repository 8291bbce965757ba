"""Completion as a shell asks for it: the protocol for each shell, and the shells themselves where they are installed."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pixfind.models import registry

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
