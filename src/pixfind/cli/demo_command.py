"""
The command demo: the guide, on a collection that is drawn.
"""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from pixfind import errors
from pixfind.cli import search_commands
from pixfind.cli.console import Console
from pixfind.cli.index_commands import end
from pixfind.cli.options import BUILD, command
from pixfind.library.library import Library
from pixfind.storage import output


@command(rich_help_panel=BUILD)
def demo(
    context: typer.Context,
    pictures: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where to draw them; default: beside the library.")
    ] = None,
    count: Annotated[int, typer.Option(min=20, help="How many pictures.")] = 150,
    html: Annotated[
        output.Output | None,
        typer.Option(parser=output.Output.at, metavar="FILE", help="The contact sheet; default: in the library."),
    ] = None,
) -> None:
    """Draw a small collection and walk through the guide on it: no pictures of your own, no network."""
    from pixfind import demo as drawing

    path, console = context.obj.path, context.obj.console
    folder = (pictures or path / "pictures").absolute()
    if folder.exists() and not folder.is_dir():
        raise errors.NoSuchFolder(path=folder, detail="it is a file")
    _guide(console, "0", f"draw {count} pictures into {folder}", "")
    with console.bar("drawing", "pictures") as show:
        drawing.draw_collection(folder, count, progress=lambda done: show(done, count))
    with Library.create(path) as library:
        _fill_step_by_step(library, folder, console)
    sheet = html or output.Output.at(path / "sky.html")
    _guide(console, "5", "search", 'pixfind search-text "sky"')
    search_commands.show(context.obj, "sky", 8, sheet)
    for query in ("sunset over the sea", "red flower"):
        console.step(f"  $ pixfind search-text {query!r}")
        search_commands.show(context.obj, query, 4, None)
    console.say(f"\nNow look at {sheet.path.absolute()} in a browser, and try your own words:")
    console.say(f'  pixfind --library {context.obj.path} search-text "autumn forest"')


def _guide(console: Console, number: str, what: str, command: str) -> None:
    console.say("")
    console.step(f"{number}. {what}" + (f"   $ {command}" if command else ""))


def _fill_step_by_step(library: Library, folder: Path, console: Console) -> None:
    """Do what `index` does, one command of the guide at a time."""
    from pixfind.cli.progress import TerminalObserver
    from pixfind.workflows.add import add
    from pixfind.workflows.build_index import build_index
    from pixfind.workflows.choose_model import choose_model
    from pixfind.workflows.embed import embed
    from pixfind.workflows.merge import merge
    from pixfind.workflows.options import EmbedOptions

    options = EmbedOptions(model="starter")
    with library.lock("demo") as run, TerminalObserver(console) as observer:
        model = choose_model(library, options, observer=observer).value
        _guide(console, "1", "register the pictures", f"pixfind add {folder.name}")
        add(library, [folder], observer=observer)
        _guide(console, "2", "embed them, with 80 % of this machine", "pixfind embed")
        report = embed(library, options, model=model, observer=observer)
        run.report.update(dataclasses.asdict(report))
        _guide(console, "3", "merge what the workers saved", "pixfind merge")
        merge(library, observer)
        end(stopped=report.stopped)
        _guide(console, "4", "build the index", "pixfind build-index")
        build_index(library, observer)
