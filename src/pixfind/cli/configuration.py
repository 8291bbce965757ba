"""
Defaults of options that a user sets once: environment variables, and a file pixfind.toml in the library and one of the user.

Owns where they are read, which place comes first, and what a file in a library may not set: the command line comes first, then the environment, the
library's file and the user's. A table is named after a command, a key in it after an option: `[search]` and `count = 20` stand for
`pixfind search --count 20`; the variable of it is PIXFIND_SEARCH_COUNT. Must not know what an option does.
"""

import contextlib
import difflib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from pixfind import errors

FILE = "pixfind.toml"

_MAX_BYTES = 1 << 20

#: What the file in a library may set. A library may come from somebody else, so it must not name files to write, or let others in.
_OF_A_LIBRARY = frozenset(
    {
        *("between", "cpu", "device", "max-megapixels", "memory", "nice", "pause-when-busy", "retry"),
        *("precision", "workers"),
        *("count", "include-weak", "distinct", "each-file"),
    }
)  # fmt: skip

#: What a command does once. As a default it would be done, or another's warning overridden, by each call that meant something else.
_ACTIONS = frozenset(
    {
        *("add", "take", "remove", "save", "repair", "off", "again", "install", "uninstall"),
        *("pause", "resume", "set-cpu", "rollback", "drop-previous", "switch-anyway", "anyway"),
    }
)

_PRINTED = frozenset({"json", "paths", "null"})
_SHAPES = frozenset({"landscape", "portrait", "square"})

#: A default -> the options of the command line that exclude it, and in whose favour it is left out.
_GIVES_WAY = {
    "json": frozenset({"paths", "null", "browse"}),
    "paths": frozenset({"json", "browse"}),
    "null": frozenset({"json", "browse"}),
    "browse": _PRINTED,
    "pictures": _PRINTED | {"browse"},
    **{shape: _SHAPES - {shape} for shape in _SHAPES},
    "copy-to": frozenset({"link-to"}),
    "link-to": frozenset({"copy-to"}),
    "xmp": frozenset({"xmp-beside"}),
    "xmp-beside": frozenset({"xmp"}),
}

#: What is no default of an option.
_OTHER_VARIABLES = frozenset(
    {
        *("PIXFIND_LIBRARY", "PIXFIND_CACHE", "PIXFIND_TOKEN"),
        *(
            "PIXFIND_COORDINATOR",
            "PIXFIND_BEGAN_WITH_ONE_BLAS_THREAD",
            "PIXFIND_UNSAFE_NO_SYNC",
            "PIXFIND_TESTING_WATCH",
        ),
    }
)

_YES, _NO = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off"})


@dataclass(frozen=True, slots=True)
class Setting:
    """A default that was set somewhere."""

    command: str
    """as it is typed: "model switch" """
    option: str
    """--precision"""
    value: str | bool | list[str]
    source: str
    """the variable, or the path of the file"""


def files(library: Path) -> tuple[Path, Path]:
    """Return where the library's file and the user's are, or would be."""
    home = os.environ.get("APPDATA" if os.name == "nt" else "XDG_CONFIG_HOME")
    # `Path.home` raises for a user without an entry, as in a container.
    home = home or os.path.expanduser("~/.config")  # noqa: PTH111
    return library / FILE, Path(home, "pixfind", FILE)


def settings(
    command: str,
    params: Iterable[Any],
    library: Path | None,
    commands: Iterable[str],
    refused: list[errors.InvalidConfiguration] | None = None,
) -> dict[str, Setting]:
    """
    Return parameter -> its default, for the options of `command` that are set somewhere; `commands` are the first words of all.

    The file of a `library` counts too; None: several are used, so that none of theirs does.

    Raises InvalidConfiguration, for what a command does once too; with a list of those that were `refused` it is added there, and left out.
    """
    options = {_key(param): param for param in params if _is_option(param)}
    found: dict[str, Setting] = {}
    of_library, of_user = files(library or Path())
    known = frozenset(commands)
    # The last one counts.
    for path in (of_user,) if library is None else (of_user, of_library):
        with _collecting(refused):
            _check_tables(path, known)
        with _collecting(refused):
            for key, value in _table(path, command).items():
                with _collecting(refused):
                    _check_key(path, command, key, options)
                    _refuse_action(path, command, key)
                    if path == of_library and key not in _OF_A_LIBRARY:
                        detail = f"--{key} cannot be set by a library, which may come from somebody else; set it in {of_user}"
                        raise errors.InvalidConfiguration(where=path, detail=detail)
                    where = f"{key} in [{command.replace(' ', '.')}]"
                    checked = _value(options[key], value, path, where)
                    found[options[key].name] = Setting(command, f"--{key}", checked, str(path))
    for key, param in options.items():
        name = variable(command, key)
        if (text := os.environ.get(name)) is not None:
            with _collecting(refused):
                _refuse_action(name, command, key)
                value = _flag(text, name) if param.is_flag else text.split(os.pathsep) if param.multiple else text
                found[param.name] = Setting(command, f"--{key}", value, name)
    return found


@contextlib.contextmanager
def _collecting(refused: list[errors.InvalidConfiguration] | None) -> Iterator[None]:
    try:
        yield
    except errors.InvalidConfiguration as error:
        if refused is None:
            raise
        # What is wrong with a whole file is found for each command.
        if str(error) not in map(str, refused):
            refused.append(error)


def without_excluded(found: Mapping[str, Setting], given: Iterable[str]) -> dict[str, Setting]:
    """Leave out the defaults that options of the command line, by their longest names, exclude."""
    names = {option.lstrip("-") for option in given}
    return {
        name: setting
        for name, setting in found.items()
        if names.isdisjoint(_GIVES_WAY.get(setting.option.lstrip("-"), ()))
    }


def variable(command: str, key: str) -> str:
    """Return the name of the environment variable of an option."""
    return f"pixfind_{command}_{key}".replace(" ", "_").replace("-", "_").upper()


def _is_option(param: Any) -> bool:
    return param.param_type_name == "option" and not param.is_eager and param.name != "help"


def _key(param: Any) -> str:
    name: str = max(param.opts, key=len)
    return name.lstrip("-")


def _check_tables(path: Path, commands: frozenset[str]) -> None:
    for name, table in _document(path).items():
        if name not in commands:
            detail = f"there is no command {name!r}{_suggestion(name, commands)}; a table is named after a command"
            raise errors.InvalidConfiguration(where=path, detail=detail)
        if not isinstance(table, dict):
            raise errors.InvalidConfiguration(where=path, detail=f"{name!r} is no table; write [{name}]")


def _table(path: Path, command: str) -> Mapping[str, Any]:
    """Return the table of a command in a file, empty where there is none; raises InvalidConfiguration for what is no TOML."""
    found: Any = _document(path)
    for word in command.split():
        found = found.get(word, {}) if isinstance(found, dict) else {}
    return found if isinstance(found, dict) else {}


def _document(path: Path) -> dict[str, Any]:
    try:
        mode = path.stat().st_mode
    except OSError:
        # Not there, or below a folder that is closed to this user: somebody else's home after `sudo`.
        return {}
    # A pipe would never end.
    if not stat.S_ISREG(mode):
        raise errors.InvalidConfiguration(where=path, detail="it is no regular file")
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise errors.InvalidConfiguration(where=path, detail=error.strerror or str(error)) from error
    import tomllib

    if len(data) > _MAX_BYTES:
        raise errors.InvalidConfiguration(where=path, detail=f"it is larger than {_MAX_BYTES:,} bytes")
    try:
        # Some editors begin a file with the mark of its encoding.
        return tomllib.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise errors.InvalidConfiguration(where=path, detail=f"it is not TOML: {error}") from error


def _check_key(path: Path, command: str, key: str, options: Mapping[str, Any]) -> None:
    if key not in options:
        detail = f"`pixfind {command}` has no option --{key}{_suggestion(key, options)}"
        raise errors.InvalidConfiguration(where=path, detail=detail)


def _refuse_action(where: Path | str, command: str, key: str) -> None:
    if key in _ACTIONS:
        detail = f"--{key} of `pixfind {command}` is done once and has no default; give it on the command line"
        raise errors.InvalidConfiguration(where=where, detail=detail)


def _suggestion(name: str, known: Iterable[str]) -> str:
    similar = difflib.get_close_matches(name, list(known), 1)
    return f" (did you mean {similar[0]}?)" if similar else ""


def _value(param: Any, value: Any, path: Path, where: str) -> str | bool | list[str]:
    """Return a value of a file as the command line would have it; raises InvalidConfiguration."""
    if param.is_flag:
        if not isinstance(value, bool):
            raise errors.InvalidConfiguration(where=path, detail=f"{where} is true or false, without quotes")
        return value
    values = value if isinstance(value, list) else [value]
    if any(isinstance(each, bool | dict | list) for each in values) or (isinstance(value, list) and not param.multiple):
        raise errors.InvalidConfiguration(where=path, detail=f"{where} has a value of another kind than the option")
    return [str(each) for each in values] if param.multiple else str(value)


def _flag(text: str, name: str) -> bool:
    if text.lower() not in _YES | _NO:
        raise errors.InvalidConfiguration(where=name, detail=f"{text!r} is neither 1 nor 0")
    return text.lower() in _YES


def every(program: Any, library: Path) -> tuple[list[Setting], list[errors.InvalidConfiguration]]:
    """Return all that is set, for all commands of a loaded `program`, and what is refused, such as a table of no command."""
    refused: list[errors.InvalidConfiguration] = []
    found = [
        setting
        for name, command in leaves(program)
        for setting in settings(name, command.params, library, program.commands, refused).values()
    ]
    return found, refused


def problem(command: Any, setting: Setting) -> str | None:
    """Return why the value of a setting cannot be used, as its option would refuse it; None where it can."""
    context = typer.Context(command)
    param = next(each for each in command.get_params(context) if f"--{_key(each)}" == setting.option)
    try:
        param.process_value(context, setting.value)
    except typer.BadParameter as error:
        return str(error.message).rstrip(".")
    return None


def unknown_variables(program: Any) -> dict[str, str | None]:
    """Return the variables that look like ours and set nothing -> the nearest name that would."""
    known = {
        variable(name, _key(param)) for name, each in leaves(program) for param in each.params if _is_option(param)
    } | _OTHER_VARIABLES
    found = sorted(name for name in os.environ if name.startswith("PIXFIND_") and name not in known)
    return {name: next(iter(difflib.get_close_matches(name, known, 1)), None) for name in found}


def leaves(group: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Yield (as it is typed, command) for each command below a group that is none itself."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from leaves(command, (*words, name))
        else:
            yield " ".join((*words, name)), command
