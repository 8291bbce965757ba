"""
How the result of a search is shown: options of `search`, `search-text` and `search-image`, and which of them go together.
"""

import dataclasses
import sys
from pathlib import Path
from typing import Annotated

import typer

from pixfind import errors
from pixfind.cli.options import Html, Json, explicit_options
from pixfind.storage.output import Output
from pixfind.types import Sort, TerminalImages

Null = Annotated[
    bool,
    typer.Option(
        "-0", "--null", help="With --paths: end each with a NUL byte, for `xargs -0`; names may hold a newline."
    ),
]

_NO_PICTURES = (TerminalImages.AUTO, TerminalImages.NONE)
"""what --pictures is where nobody has asked for thumbnails"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OutputFlags:
    """Which hits are shown, and how."""

    count: Annotated[int, typer.Option("-k", "--count", max=1_000_000, metavar="K", help="How many pictures.")] = 20
    json: Json = False
    paths: Annotated[bool, typer.Option("--paths", help="One path a line, for pipes.")] = False
    null: Null = False
    html: Html = None
    copy_to: Annotated[
        Path | None, typer.Option("--copy-to", metavar="DIR", help="Copy the hits into a new or empty folder.")
    ] = None
    link_to: Annotated[
        Path | None, typer.Option("--link-to", metavar="DIR", help="The same with symbolic links to the pictures.")
    ] = None
    browse: Annotated[bool, typer.Option("--browse", help="Show the hits with their pictures on the whole screen.")] = (
        False
    )
    each_file: Annotated[
        bool,
        typer.Option(
            "--each-file", help="Show RAW and JPEG of one shot, and all frames of one video, as hits of their own."
        ),
    ] = False
    pictures: Annotated[
        TerminalImages,
        typer.Option("--pictures", metavar="HOW", help="Thumbnails in the terminal: auto, kitty, iterm, sixel, none."),
    ] = TerminalImages.AUTO
    timeout: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            min=0.1,
            max=3_600,
            help="How long to wait for the libraries of a collection; default: 5, or what its file says.",
        ),
    ] = None

    def options(self, context: typer.Context) -> "OutputOptions":
        """Return how to show the result; raises ConflictingOptions, OptionRequires for options that have no effect together, and FolderTaken."""
        printed = check_one_output(json=self.json, paths=self.paths, null=self.null, html=self.html)
        if printed is not None and (self.pictures not in _NO_PICTURES or self.browse):
            raise errors.ConflictingOptions(
                first="--browse" if self.browse else _pictures_option(context),
                second=printed,
                detail="thumbnails are shown only in the list of hits for people",
                instead=f"Leave out {printed}.",
            )
        if self.browse:
            self._check_browsing(context)
        folder = self._folder()
        return OutputOptions(
            self.count,
            self.json,
            self.paths,
            self.null,
            self.html,
            self.pictures,
            browse=self.browse,
            each_file=self.each_file,
            folder=folder,
            link=self.link_to is not None,
            timeout=self.timeout,
        )

    def _check_browsing(self, context: typer.Context) -> None:
        if self.pictures not in _NO_PICTURES:
            raise errors.ConflictingOptions(
                first="--browse",
                second=f"{_pictures_option(context)} {self.pictures}",
                detail="the whole screen has pictures made of characters",
                instead="Leave out one; --pictures none browses without them.",
            )
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise errors.OptionRequires(
                first="--browse", second="a terminal", instead="Leave it out: hits are listed, a line for each."
            )

    def _folder(self) -> Path | None:
        """Return where copies of the hits, or links to them, are put; raises ConflictingOptions for two folders, FolderTaken."""
        from pixfind.workflows import collect

        if self.copy_to is not None and self.link_to is not None:
            raise errors.ConflictingOptions(
                first="--copy-to",
                second="--link-to",
                detail="the hits are put into one folder",
                instead="Leave out one.",
            )
        folder = self.copy_to or self.link_to
        return None if folder is None else collect.check_folder(folder)


@dataclasses.dataclass(frozen=True, slots=True)
class OutputOptions:
    """How a result is shown."""

    count: int
    json: bool = False
    paths: bool = False
    null: bool = False
    html: Output | None = None
    pictures: TerminalImages = TerminalImages.AUTO
    browse: bool = False
    include_weak: bool = False
    distinct: bool = False
    each_file: bool = False
    sort: Sort = Sort.SCORE
    folder: Path | None = None
    """where copies of the hits, or links to them, are put"""
    link: bool = False
    timeout: float | None = None
    """seconds that the libraries of a collection have; None: what the collection says"""

    @property
    def opens_files(self) -> bool:
        """Whether the files of hits themselves are needed: a thumbnail is enough for all else."""
        return self.folder is not None or self.browse

    @property
    def listed(self) -> bool:
        """Whether hits are listed for people: not when the page goes to standard output."""
        return not is_page_printed(self.html)


def _pictures_option(context: typer.Context) -> str:
    # A configuration file may have set it.
    return explicit_options(context).get("pictures", "--pictures")


def is_page_printed(html: Output | None) -> bool:
    """Tell whether a contact sheet goes to standard output."""
    return html is not None and html.is_standard_output


def check_one_output(*, json: bool, paths: bool, null: bool, html: Output | None) -> str | None:
    """
    Return the option that takes standard output, None where hits are listed there for people.

    Raises ConflictingOptions for two of them, OptionRequires for NUL bytes without paths.
    """
    page = is_page_printed(html)
    outputs = [
        name for name, used in (("--json", json), ("--paths", paths), (f"--html {html and html.path}", page)) if used
    ]
    if len(outputs) > 1:
        raise errors.ConflictingOptions(
            first=outputs[0],
            second=outputs[1],
            detail="both would be written to standard output",
            instead="Leave out one" + (", or give --html a file." if page else "."),
        )
    if null and not paths:
        raise errors.OptionRequires(first="--null", second="--paths", instead="Add --paths; --json needs no NUL bytes.")
    return outputs[0] if outputs else None
