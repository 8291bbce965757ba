"""
Near names for what was mistyped, where the parser knows none: an option of the program behind a command, an option without its dashes.
"""

import difflib
from typing import Any

import typer

USAGE_ERROR: Any = typer.BadParameter.__base__
"""the parser's own error, which Typer (since 0.25) brings along and does not export"""


def add_near_options(error: Any, context: Any) -> None:
    """Let an error that names an unknown option suggest the nearest of the command and of the program, which may stand behind it, best first."""
    name = getattr(error, "option_name", None)
    if name is None or not hasattr(error, "possibilities"):
        return
    # Without the dashes that all have: by them --in is near to --jsn.
    names = [option.removeprefix("--") for option in (*_options(context), *_options(context.find_root()))]
    near = difflib.get_close_matches(name.lstrip("-"), dict.fromkeys(names))
    error.possibilities = None
    error.message = f"No such option '{name}'."
    if near:
        named = ", ".join(f"'--{option}'" for option in near)
        error.message += f" Did you mean {named}?"


def add_option_of_word(error: Any, context: Any, word: str) -> None:
    """Let an error that names an unknown command suggest the option that is written so: `pixfind version`."""
    if f"--{word}" in _options(context):
        error.message = f"No such command '{word}'. Did you mean '--{word}'?"


def _options(context: Any) -> list[str]:
    return [name for param in context.command.get_params(context) for name in param.opts if name.startswith("--")]
