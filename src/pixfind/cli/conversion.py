"""
Values of options and arguments, converted without Pydantic.

Typer (since 0.25) validates each value with Pydantic, whose import takes as long as half a search. What is right as it stands is
converted here; everything else goes Typer's way, which makes the message too.
"""

import enum
import functools
import re
from pathlib import Path
from typing import Any, get_args, get_origin

import typer


class _NotPlainError(Exception):
    """A value that is wrong, or of a type that Typer knows better."""


def convert_directly(param: Any) -> None:
    """Let a parameter of a command convert plain values by itself."""
    # Typer before 0.25 has no such description, and no Pydantic.
    if getattr(param, "type_descriptor", None) is not None and param.name is not None:
        param.process_value = functools.partial(_process_value, param)


def _process_value(param: Any, context: Any, value: Any) -> Any:
    try:
        converted = _converted(param, value)
    except _NotPlainError:
        return type(param).process_value(param, context, value)
    return converted if param.callback is None else param.callback(context, param, converted)


def _converted(param: Any, value: Any) -> Any:
    descriptor = param.type_descriptor
    several = param.multiple or param.nargs == -1
    if value is None or param.value_is_missing(value):
        if param.required:
            raise _NotPlainError
        return () if several else value
    annotation = descriptor.annotation
    if several and get_origin(annotation) is list and isinstance(value, (list, tuple)):
        (annotation,) = get_args(annotation)
        return [_plain(descriptor.parameter_info, annotation, one) for one in value]
    return _plain(descriptor.parameter_info, annotation, value)


def _plain(info: Any, annotation: Any, value: Any) -> Any:
    """Return a value in its type; raises _NotPlainError."""
    if info.parser is not None and isinstance(value, str):
        try:
            return info.parser(value)
        except (ValueError, typer.BadParameter) as error:
            raise _NotPlainError from error
    if isinstance(annotation, type):
        if annotation in {int, float}:
            return _number(info, annotation, value)
        if annotation in {str, bool} and isinstance(value, annotation):
            return value
        if issubclass(annotation, enum.Enum) and isinstance(value, (str, annotation)):
            return _member(annotation, value)
        if annotation is Path and isinstance(value, str) and not _checked(info):
            return Path(value)
    raise _NotPlainError


def _number(info: Any, annotation: type[int | float], value: Any) -> int | float:
    if isinstance(value, str) and not re.fullmatch(r"-?\d+(\.\d+)?" if annotation is float else r"-?\d+", value):
        raise _NotPlainError
    number = annotation(value)
    if (info.min is not None and number < info.min) or (info.max is not None and number > info.max):
        raise _NotPlainError
    return number


def _member(annotation: type[enum.Enum], value: Any) -> enum.Enum:
    try:
        return annotation(value)
    except ValueError as error:
        raise _NotPlainError from error


def _checked(info: Any) -> bool:
    """Tell whether a path has to exist, or the like."""
    return bool(info.exists or info.resolve_path or info.allow_dash or info.path_type or not info.file_okay)
