"""
Which files no output may replace: the user's pictures and archives, and the files of a library.

Owns the rule, which looks at names alone. So it holds before a picture is registered and for every library, not only for the one in use.
Only a list of pictures has a name as any table has; `refuse_roots` knows those of a library. How an output is written: `storage.output`.
"""

import os
from pathlib import Path

from pixfind.errors import OutputNotWritable
from pixfind.images import suffixes
from pixfind.library import generations
from pixfind.library.library import Library
from pixfind.storage.output import Output


def output_at(path: str | os.PathLike[str]) -> Output:
    """Return what can be written at `path`; raises OutputNotWritable, for a protected file too."""
    output = Output.at(path)
    if not output.is_standard_output:
        # Links are followed, as the output does.
        target = Path(os.path.realpath(output.path))
        if target.is_file() and suffixes.suffix(target.name) in suffixes.SUFFIXES | suffixes.COUNTED:
            raise OutputNotWritable(
                path=output.path, detail="a picture, video or archive is there, and pixfind only reads these"
            )
        if (library := generations.library_of(target)) is not None:
            raise OutputNotWritable(path=output.path, detail=f"that name belongs to the library {library}")
    return output


def page_at(path: str | os.PathLike[str]) -> Output:
    """Return where a page can be written, as `output_at` does; raises OutputNotWritable for a table too, which may be a list of pictures."""
    from pixfind.images.source import list_files

    output = output_at(path)
    if not output.is_standard_output:
        target = Path(os.path.realpath(output.path))
        if target.is_file() and suffixes.suffix(target.name) in list_files.SUFFIXES:
            raise OutputNotWritable(path=output.path, detail="a table or a text is there, and this would be a page")
    return output


def refuse_roots(library: Library, output: Output) -> None:
    """Raise OutputNotWritable for a file that is a root of the library: the list that names its pictures."""
    if output.is_standard_output:
        return
    target = os.path.realpath(output.path)
    for root in library.catalogue.roots():
        if os.path.realpath(root.path) == target:
            raise OutputNotWritable(path=output.path, detail="this library gets pictures from it, and only reads it")
