"""
The help for narrow terminals: each option on a line of its own, what it does below it.

The tables of the usual help cut names there. Must not know what a command does.
"""

import textwrap
from collections.abc import Iterable, Iterator
from typing import Any, Final

BELOW_COLUMNS: Final = 76
"""the narrowest terminal in which no table of the usual help cuts a name"""

_MIN_COLUMNS: Final = 24
_INDENT: Final = "    "


def render(command: Any, context: Any, columns: int, examples: Iterable[str]) -> str:
    """Return the help of a command in lines of at most `columns` characters; a longer word is broken."""
    width = max(columns, _MIN_COLUMNS)
    lines = ["", *_wrapped(" ".join(command.get_usage(context).split()), width), ""]
    for paragraph in (command.help or "").strip().split("\n\n"):
        lines += [*_wrapped(" ".join(paragraph.split()), width), ""]
    params = [param for param in command.get_params(context) if not getattr(param, "hidden", False)]
    for title, shown in (
        ("Arguments", [param for param in params if param.param_type_name == "argument"]),
        ("Options", [param for param in params if param.param_type_name == "option"]),
    ):
        lines += _section(title, (_of_param(param, context) for param in shown), width)
    if hasattr(command, "list_commands"):
        known = [(name, command.get_command(context, name)) for name in command.list_commands(context)]
        lines += _section("Commands", ((name, each.get_short_help_str(1_000)) for name, each in known), width)
    lines += _section("Examples", ((line, "") for line in examples), width)
    return "\n".join(lines) + "\n"


def _section(title: str, entries: Iterable[tuple[str, str]], width: int) -> Iterator[str]:
    shown = list(entries)
    if not shown:
        return
    yield f"{title}:"
    for name, meaning in shown:
        yield from _wrapped(name, width)
        yield from _wrapped(meaning, width, _INDENT)
    yield ""


def _of_param(param: Any, context: Any) -> tuple[str, str]:
    """Return how a parameter is typed, and what it does."""
    if param.param_type_name == "argument":
        return param.metavar or param.name.upper(), param.help or ""
    name, meaning = param.get_help_record(context)
    return name, meaning


def _wrapped(text: str, width: int, indent: str = "") -> list[str]:
    return textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
