"""
What all commands do with their options and arguments: show them in the help, convert their values, suggest near names for unknown ones.
"""

import shutil
from typing import Any

from pixfind.cli import conversion, examples, narrow_help, suggestions


class Parameters:
    """Shows in the help what is typed for a value and not its type in Python, with examples, and converts values by `conversion`."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        columns = shutil.get_terminal_size().columns
        if columns < narrow_help.BELOW_COLUMNS:
            formatter.write(narrow_help.render(self, ctx, columns, examples.EXAMPLES.get(typed(ctx), ())))
        else:
            super().format_help(ctx, formatter)  # type: ignore[misc]  # of the command that this is mixed into
            formatter.write(examples.text(typed(ctx)))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)  # type: ignore[misc,no-any-return]  # of the command that this is mixed into
        except suggestions.USAGE_ERROR as error:
            suggestions.add_near_options(error, ctx)
            raise

    def get_params(self, ctx: Any) -> list[Any]:
        params: list[Any] = super().get_params(ctx)  # type: ignore[misc]  # of the command that this is mixed into
        for param in params:
            conversion.convert_directly(param)
            if getattr(param, "is_flag", False):
                param.metavar = ""
            elif param.param_type_name == "argument":
                # Its name is what is typed; the column beside it would have a type of Python.
                param.display_type_rich = _no_type
        return params


def _no_type(ctx: Any) -> None:
    return None


def typed(ctx: Any) -> str:
    """Return the words of a command behind the name of the program."""
    words: list[str] = []
    while ctx.parent is not None:
        words.insert(0, ctx.info_name)
        ctx = ctx.parent
    return " ".join(words)
