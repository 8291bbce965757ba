"""
The commands completions and man: what a shell needs to complete `pixfind`, and the manual page.

Owns the scripts, which are Typer's: a shell that completes runs `pixfind` with the variable `cli.COMPLETE`, and `main` answers it.
"""

from enum import StrEnum
from typing import Annotated

import typer

from pixfind.cli import COMPLETE
from pixfind.cli.console import Console
from pixfind.cli.options import SHELL, command


class Shell(StrEnum):
    """A shell that can complete."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


@command(rich_help_panel=SHELL)
def completions(
    shell: Annotated[Shell, typer.Argument(metavar="bash|zsh|fish", help="The shell that is to complete.")],
) -> None:
    """
    Print the script that lets a shell complete commands, options and their values, such as models, labels and albums.

    bash: `source <(pixfind completions bash)` in ~/.bashrc. zsh: the same, after `compinit`, in ~/.zshrc.
    fish: `pixfind completions fish > ~/.config/fish/completions/pixfind.fish`.
    """
    from typer.completion import get_completion_script  # type: ignore[attr-defined]  # public, but not in its __all__

    Console.data(get_completion_script(prog_name="pixfind", complete_var=COMPLETE, shell=shell.value))


@command(rich_help_panel=SHELL)
def man() -> None:
    """
    Print the manual page.

    `pixfind man | man -l -` shows it; `pixfind man > ~/.local/share/man/man1/pixfind.1` lets `man pixfind` find it.
    """
    from typer.main import get_command

    import pixfind
    from pixfind.cli import man_page
    from pixfind.cli.options import app

    Console.data(man_page.render(get_command(app), pixfind.__version__))
