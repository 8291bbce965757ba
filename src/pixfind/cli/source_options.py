"""
Options about where pictures lie: object storage, lists, and the part of a source that is this library's.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from pixfind import errors

_A_LIST = ("a list", "Name a CSV, TSV, JSON lines, Parquet or text file as well: pixfind add pictures.csv --column url")
_SETTING_REQUIRES = {
    "column": _A_LIST,
    "keep": _A_LIST,
    "part": ("a folder or an address", "Name it as well: pixfind index FOLDER --part 3/16"),
    "": ("an address", "Name the bucket as well: pixfind add s3://BUCKET/PREFIX"),
}
"""what an option of SourceFlags has no effect without, and what to do"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFlags:
    """Where object storage is and how it is asked, what a list has: the roots that are added with these remember them. Never a secret."""

    endpoint: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Address of another object store than the vendor's: MinIO, R2, ..."),
    ] = None
    region: Annotated[str | None, typer.Option(metavar="NAME", help="Region of the bucket.")] = None
    anonymous: Annotated[bool, typer.Option("--anonymous", help="Ask without credentials, as for a public bucket.")] = (
        False
    )
    instance_role: Annotated[
        bool,
        typer.Option(
            "--instance-role", help="Ask the cloud machine that this runs on for the credentials of its role."
        ),
    ] = False

    part: Annotated[
        str | None,
        typer.Option(
            metavar="K/N",
            help="Only part K of N, from now on: N libraries share the source.",
        ),
    ] = None
    collection: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="With --part: collection.toml whose libraries have the other parts. What moves here takes its embedding from there.",
        ),
    ] = None

    column: Annotated[
        str | None, typer.Option(metavar="NAME", help="Column of a list that has the addresses of the pictures.")
    ] = None
    keep: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="Further columns of a list, with commas, for --where: license,author."),
    ] = None

    def settings(self, paths: list[str]) -> dict[str, Any] | None:
        """Return what the roots remember, None where nothing is said; raises OptionRequires where none of `paths` takes it."""
        given = {name: value for name, value in dataclasses.asdict(self).items() if value}
        if self.part is not None:
            # An empty one too: it is a mistake, most likely of a script.
            given["part"] = self.part
        if self.keep is not None:
            given["keep"] = [name.strip() for name in self.keep.split(",") if name.strip()]
        if self.collection is not None:
            if self.part is None:
                raise errors.OptionRequires(
                    first="--collection", second="--part", instead="Say which part is this library's: --part 3/16"
                )
            from pixfind.collection import config

            file = self.collection.expanduser().absolute()
            config.read(file)
            given["collection"] = str(file)
        if not given:
            return None
        # Here: the help does without it.
        from pixfind.images import source

        for name in given:
            if not any(name in source.settings_of(path) for path in paths):
                second, instead = _SETTING_REQUIRES.get(name, _SETTING_REQUIRES[""])
                raise errors.OptionRequires(first="--" + name.replace("_", "-"), second=second, instead=instead)
        return given
