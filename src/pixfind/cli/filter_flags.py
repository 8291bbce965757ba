"""
The filters of the commands that search.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from pixfind import errors
from pixfind.cli import completion_values

if TYPE_CHECKING:
    # A type alone: the help does without it.
    from pixfind.search.filters import Filters

_FILTERS = "Filters"
"""panel of `pixfind search --help`"""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterFlags:
    """Which pictures are searched."""

    inside: Annotated[
        str | None,
        typer.Option(
            "--in",
            metavar="GLOB",
            help="Only these folders or files: a path, a name, or a pattern with * ? [ ].",
            rich_help_panel=_FILTERS,
        ),
    ] = None
    after: Annotated[
        str | None,
        typer.Option(
            metavar="DATE",
            help="Taken on or after: 2021, 2021-05-17, yesterday, last summer.",
            rich_help_panel=_FILTERS,
        ),
    ] = None
    before: Annotated[str | None, typer.Option(metavar="DATE", help="Taken before.", rich_help_panel=_FILTERS)] = None
    added_after: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="Registered in the library on or after.", rich_help_panel=_FILTERS),
    ] = None
    added_before: Annotated[
        str | None, typer.Option(metavar="DATE", help="Registered before.", rich_help_panel=_FILTERS)
    ] = None
    min_size: Annotated[
        int | None, typer.Option(metavar="PIXELS", help="Shorter side at least.", rich_help_panel=_FILTERS)
    ] = None
    max_size: Annotated[
        int | None, typer.Option(metavar="PIXELS", help="Longer side at most.", rich_help_panel=_FILTERS)
    ] = None
    landscape: Annotated[bool, typer.Option("--landscape", help="Wider than high.", rich_help_panel=_FILTERS)] = False
    portrait: Annotated[bool, typer.Option("--portrait", help="Higher than wide.", rich_help_panel=_FILTERS)] = False
    square: Annotated[bool, typer.Option("--square", help="About as wide as high.", rich_help_panel=_FILTERS)] = False
    camera: Annotated[
        str | None, typer.Option(metavar="NAME", help="Part of the camera's name.", rich_help_panel=_FILTERS)
    ] = None
    near: Annotated[
        str | None,
        typer.Option(metavar="LAT,LON,KM", help="Taken at most KM kilometres from a place.", rich_help_panel=_FILTERS),
    ] = None

    where: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CONDITION",
            help="A field of a list: license=cc0, width>1000, caption~dog; also !=, <=, >=.",
            rich_help_panel=_FILTERS,
        ),
    ] = None

    label: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            autocompletion=completion_values.labels,
            help="With this label of `pixfind label`; -NAME: without it.",
            rich_help_panel=_FILTERS,
        ),
    ] = None

    in_album: Annotated[
        str | None,
        typer.Option(
            "--in-album",
            metavar="NAME",
            autocompletion=completion_values.picture_albums,
            help="Was put into this album.",
            rich_help_panel=_FILTERS,
        ),
    ] = None

    def remarks(self) -> list[str]:
        """Return what the dates in words were taken for, a line each."""
        from pixfind.search import dates

        given = {
            "--after": self.after,
            "--before": self.before,
            "--added-after": self.added_after,
            "--added-before": self.added_before,
        }
        now = dates.now()
        return [
            f'{option} "{text}": {dates.day(span.start)}{f" ({span.note})" if span.note else ""}'
            for option, text in given.items()
            if text is not None and dates.is_in_words(text) and (span := dates.parse(text, now))
        ]

    def parsed(self) -> "Filters":
        """Return the filters; raises ConflictingOptions for two shapes, and what `filters.parse` raises."""
        from pixfind.search import filters

        shapes = [name for name in ("landscape", "portrait", "square") if getattr(self, name)]
        if len(shapes) > 1:
            raise errors.ConflictingOptions(
                first=f"--{shapes[0]}",
                second=f"--{shapes[1]}",
                detail="no picture has both shapes",
                instead="Leave out one.",
            )
        return filters.parse(
            inside=self.inside,
            after=self.after,
            before=self.before,
            added_after=self.added_after,
            added_before=self.added_before,
            min_size=self.min_size,
            max_size=self.max_size,
            shape=shapes[0] if shapes else None,
            camera=self.camera,
            near=self.near,
            where=self.where or (),
            label=self.label or (),
            album=self.in_album,
        )
