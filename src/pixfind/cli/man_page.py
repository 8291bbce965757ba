"""
The manual page, made from the help of all commands.

Owns the form (man(7): https://man7.org/linux/man-pages/man7/man.7.html). Must not know what a command does.
"""

import re
from collections.abc import Iterator
from typing import Any

from pixfind.cli import examples

_ENVIRONMENT = {
    "PIXFIND_LIBRARY": "The library to use where --library is not given.",
    "PIXFIND_CACHE": "The folder for downloaded models and what is made from them.",
    "HF_ENDPOINT": "A mirror of the model hub.",
    "HF_HUB_OFFLINE": "1: never download.",
    "NO_COLOR": "Set: no colours.",
}
_STATUS = {
    "0": "Done.",
    "1": "A search found nothing.",
    "2": "Wrong usage.",
    "70": "A bug in pixfind.",
    "others": "One for each error, listed in docs/reference/errors.md.",
}


def render(program: Any, version: str) -> str:
    """Return the page in roff for a program: the group of all commands, with their panels as sections."""
    lines = [
        f'.TH PIXFIND 1 "" "pixfind {_text(version)}" "User Commands"',
        ".SH NAME",
        r"pixfind \- search your own pictures by what they show",
        ".SH SYNOPSIS",
        r".B pixfind",
        r"[\fIOPTIONS\fR] \fICOMMAND\fR [\fIARGUMENTS\fR]",
        ".SH DESCRIPTION",
        *_paragraphs(program.help or ""),
        ".SH OPTIONS",
        *_parameters(program),
    ]
    panel = None
    for name, command in _commands(program):
        if command.rich_help_panel != panel:
            panel = command.rich_help_panel
            lines.append(f".SH {_text(panel).upper()}")
        lines += _command(name, command)
    for title, table in (("ENVIRONMENT", _ENVIRONMENT), ("EXIT STATUS", _STATUS)):
        lines += [f".SH {title}", *(line for pair in table.items() for line in _item(*pair))]
    return "\n".join(lines)


def _commands(group: Any) -> list[tuple[str, Any]]:
    return [(name, group.commands[name]) for name in group.list_commands(None) if not group.commands[name].hidden]


def _command(name: str, command: Any) -> Iterator[str]:
    arguments = " ".join(_argument(param) for param in command.params if param.param_type_name == "argument")
    yield f".SS {_text(name)} {arguments}".rstrip()
    yield from _paragraphs(command.help or "")
    yield from _parameters(command)
    if name in examples.EXAMPLES:
        yield from (".PP", "Examples:", ".PP", ".nf")
        yield from map(_text, examples.EXAMPLES[name])
        yield ".fi"
    for inner, below in _commands(command) if hasattr(command, "commands") else ():
        yield from _command(f"{name} {inner}", below)


def _argument(param: Any) -> str:
    word = rf"\fI{_text(param.metavar or param.name.upper())}\fR"
    word = word if param.nargs == 1 else f"{word}..."
    return word if param.required else f"[{word}]"


def _parameters(command: Any) -> Iterator[str]:
    for param in command.params:
        if getattr(param, "hidden", False) or param.param_type_name == "argument":
            continue
        names = ", ".join(rf"\fB{_text(name)}\fR" for name in (*param.opts, *param.secondary_opts))
        value = "" if param.is_flag else rf" \fI{_text(param.metavar or param.name.upper())}\fR"
        yield from (".TP", f"{names}{value}", _inline(param.help or ""))


def _item(word: str, meaning: str) -> tuple[str, str, str]:
    return ".TP", rf"\fB{_text(word)}\fR", _inline(meaning)


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in text.strip().split("\n\n"):
        yield ".PP"
        yield _inline(" ".join(paragraph.split()))


def _inline(text: str) -> str:
    """Return a text of one paragraph; what stands in backticks is bold."""
    parts = re.split(r"`([^`]+)`", text)
    marked = [rf"\fB{_text(part)}\fR" if place % 2 else _text(part) for place, part in enumerate(parts)]
    line = "".join(marked)
    # A line that begins with a dot or an apostrophe would be a request.
    return rf"\&{line}" if line.startswith((".", "'")) else line


def _text(text: str) -> str:
    return text.replace("\\", r"\e").replace("-", r"\-")
