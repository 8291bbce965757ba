"""
The command config: which options have another default than the documented one, and who says so.
"""

import dataclasses
import os
import shlex
from collections.abc import Mapping, Sequence

import typer

from pixfind import errors
from pixfind.cli import configuration
from pixfind.cli.console import Console
from pixfind.cli.options import SHELL, Json, app, command


@command(rich_help_panel=SHELL)
def config(context: typer.Context, json: Json = False) -> None:
    """
    Show which defaults of options are set, and where.

    A file pixfind.toml sets them, in the library or as ~/.config/pixfind/pixfind.toml: `search.count = 20`. So do variables:
    PIXFIND_SEARCH_COUNT=20. The command line comes first, then variables, the library's file and the user's.
    """
    from typer.main import get_group

    from pixfind.cli import options

    options.load()
    console, library = context.obj.console, context.obj.path
    program = get_group(app)
    commands = dict(configuration.leaves(program))
    usable, refused = configuration.every(program, library)
    found = [(setting, configuration.problem(commands[setting.command], setting)) for setting in usable]
    unknown = configuration.unknown_variables(program)
    places = [(str(path), os.access(path, os.F_OK)) for path in configuration.files(library)]
    if json:
        console.json(
            {
                "files": [{"path": path, "exists": exists} for path, exists in places],
                "settings": [{**dataclasses.asdict(setting), "problem": problem} for setting, problem in found],
                "refused": [
                    {"source": str(error.fields["where"]), "detail": error.fields["detail"]} for error in refused
                ],
                "unknown_variables": [{"name": name, "suggestion": near} for name, near in unknown.items()],
            }
        )
    else:
        _show(console, found, unknown, places)
        for error in refused:
            console.error(f"{error.fields['where']}: {error.fields['detail']}")
    if refused:
        raise typer.Exit(errors.InvalidConfiguration.exit_code)


def _show(
    console: Console,
    found: Sequence[tuple[configuration.Setting, str | None]],
    unknown: Mapping[str, str | None],
    places: Sequence[tuple[str, bool]],
) -> None:
    from pixfind.cli.styles import escape

    for setting, problem in found:
        useless = f"    [red]cannot be used:[/red] {escape(problem)}" if problem else ""
        console.print(f"{escape(_as_typed(setting))}    [dim]{escape(setting.source)}[/dim]{useless}")
    for name, near in unknown.items():
        suggestion = f"; did you mean {escape(near)}?" if near else ""
        console.say(f"[yellow]no option has the variable[/yellow] {escape(name)}{suggestion}")
    console.say(
        "files that can set defaults, the first one first:"
        if found
        else "all options have their built-in defaults; these files could change them:"
    )
    for path, exists in places:
        console.say(f"  {escape(path)}{'' if exists else ' (not there)'}")


def _as_typed(setting: configuration.Setting) -> str:
    """Return the command line that says the same."""
    words = ["pixfind", *setting.command.split()]
    if isinstance(setting.value, bool):
        # A flag that is switched off in one place, where another switched it on.
        return (
            shlex.join([*words, setting.option]) if setting.value else f"{shlex.join(words)} without {setting.option}"
        )
    values = [setting.value] if isinstance(setting.value, str) else setting.value
    return shlex.join([*words, *(word for value in values for word in (setting.option, value))])
