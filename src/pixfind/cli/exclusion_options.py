"""
Options of `index` and `add` about what is left out below the folders.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from pixfind.cli.options import explicit_options

if TYPE_CHECKING:
    from pixfind.library.roots import Configured


@dataclass(frozen=True, slots=True, kw_only=True)
class ExclusionFlags:
    """What is left out: the roots that are added with these remember them."""

    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Leave out files and folders with this name or path, from now on."),
    ] = None
    include: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Take back an earlier --exclude; `pixfind status` lists them."),
    ] = None

    def given(self, context: typer.Context) -> list[str]:
        """Return the globs that were typed; what is configured is none of them."""
        return (self.exclude or []) if "exclude" in explicit_options(context) else []

    @staticmethod
    def configured(context: typer.Context) -> "Configured":
        """Return what pixfind.toml and the environment leave out, also where more was typed."""
        # Here: the help does without it.
        from pixfind.library.roots import Configured

        globs = (context.default_map or {}).get("exclude") or ()
        return Configured(str(context.info_name), tuple(globs))
