"""
The command demo: the guide, on a collection that is drawn.
"""

from pathlib import Path
from typing import Annotated

import typer

from pixfind import errors
from pixfind.cli import search_commands
from pixfind.cli.console import Console
from pixfind.cli.index_commands import end
from pixfind.cli.options import BUILD, DryRun, command
from pixfind.cli.styles import escape
from pixfind.library import protected_files
from pixfind.library.library import Library
from pixfind.storage import output
from pixfind.types import numbered


@command(rich_help_panel=BUILD)
def demo(
    context: typer.Context,
    pictures: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where to draw them; default: beside the library.")
    ] = None,
    count: Annotated[int, typer.Option(metavar="N", min=20, help="How many pictures.")] = 150,
    html: Annotated[
        output.Output | None,
        typer.Option(
            parser=protected_files.page_at, metavar="FILE", help="The contact sheet; default: in the library."
        ),
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Draw a small collection and walk through the guide on it: no pictures of your own, no network."""
    from pixfind import demo as drawing

    path, console = context.obj.path, context.obj.console
    folder = (pictures or path / "pictures").absolute()
    if folder.exists() and not folder.is_dir():
        raise errors.FolderNotReadable(path=folder, detail="it is a file")
    if dry_run:
        console.say(
            f"would draw {numbered(count, 'picture')} into {escape(str(folder))}, index them in the library {escape(str(path))}"
        )
        console.say(f"and write a contact sheet: {escape(str(html.path if html else path / 'sky.html'))}")
        return
    _guide(console, "0", f"draw {numbered(count, 'picture')} into {folder}", "")
    with console.bar("drawing", "pictures") as show:
        drawing.draw_collection(folder, count, progress=lambda done: show(done, count))
    with Library.create(path) as library:
        _fill(library, folder, console)
    sheet = html or protected_files.output_at(path / "sky.html")
    _guide(console, "5", "search", 'pixfind search-text "sky"')
    search_commands.show(context.obj, "sky", 8, sheet)
    for query in ("sunset over the sea", "red flower"):
        console.step(f"  $ pixfind search-text {query!r}")
        search_commands.show(context.obj, query, 4, None)
    console.say(f"\nNow look at {sheet.path.absolute()} in a browser, and try your own words:")
    console.say(f'  pixfind --library {context.obj.path} search-text "autumn forest"')


def _fill(library: Library, folder: Path, console: Console) -> None:
    """Index the pictures, and name at each step the command of the guide that does it alone."""
    from pixfind.cli.progress import TerminalObserver
    from pixfind.workflows.choose_model import fetch_model
    from pixfind.workflows.events import EmbedStarted, Event, Step, StepStarted
    from pixfind.workflows.index import index
    from pixfind.workflows.options import EmbedOptions

    guide = {
        Step.SCAN: ("1", "register the pictures", f"pixfind add {folder.name}"),
        Step.MERGE: ("3", "merge what the workers saved", "pixfind merge"),
        Step.BUILD_INDEX: ("4", "build the index", "pixfind build-index"),
    }
    options = EmbedOptions(model="starter")
    with TerminalObserver(console) as show:

        def observer(event: Event) -> None:
            if isinstance(event, StepStarted) and event.step in guide:
                _guide(console, *guide[event.step])
            elif isinstance(event, EmbedStarted):
                _guide(console, "2", "embed them, with 80 % of this machine", "pixfind embed")
            show(event)

        # Refuses a library of the user's own: `index` would switch its model.
        fetch_model(library, options)
        end(stopped=index(library, [folder], options, observer=observer).stopped)


def _guide(console: Console, number: str, what: str, command: str) -> None:
    console.say("")
    console.step(f"{number}. {what}" + (f"   $ {command}" if command else ""))
