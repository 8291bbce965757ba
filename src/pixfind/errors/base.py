"""
The base of every error, and the three families.

The docstring of a class is its message: it says what, where, and the next command.
An `ImageProblem` is about one file: it is recorded and counted and never stops a run.
An `OperationError` stops the command or call; a command exits with its `exit_code`, listed in docs/reference/errors.md.
A `RequestError` refuses one request to `pixfind serve`, with its HTTP `status`.
An `OSError` on a user's file becomes the first; on our own files it is never swallowed.
"""

import inspect
from typing import Any, ClassVar


class PixfindError(Exception):
    """An error without a message. This is a bug in pixfind; report it with the traceback."""

    def __init__(self, **fields: Any) -> None:
        super().__init__(fields)
        self.fields = fields

    def __str__(self) -> str:
        template = inspect.cleandoc(type(self).__doc__ or "")
        return template.format(**self.fields)

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions with keyword arguments do not pickle by themselves.
        return (_rebuild, (type(self), self.fields))


def _rebuild(kind: type[PixfindError], fields: dict[str, Any]) -> PixfindError:
    return kind(**fields)


class ImageProblem(PixfindError):
    """Cannot be embedded: {detail}"""

    #: Tried again by the next run, because the file itself may be fine.
    transient: ClassVar[bool] = False
    #: Left out by a rule of ours, not because the file is broken.
    skipped: ClassVar[bool] = False


class OperationError(PixfindError):
    """It cannot be done: {detail}"""

    exit_code: ClassVar[int] = 3


class RequestError(PixfindError):
    """The request cannot be answered: {detail}"""

    status: ClassVar[int] = 400
