"""
Commands that fill a library: index, add, embed, stop, merge, build-index, demo.
"""

import dataclasses
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pixfind import errors
from pixfind.cli import model_commands, search_commands
from pixfind.cli.console import Console
from pixfind.cli.options import (
    Between,
    Cpu,
    Device,
    Exclude,
    KnownPaths,
    Megapixels,
    Memory,
    Model,
    NewModel,
    NewPrecision,
    Nice,
    Paths,
    PauseWhenBusy,
    Precision,
    Retry,
    Workers,
    alone,
    command,
    share,
)
from pixfind.library import generations
from pixfind.library.library import Library
from pixfind.storage import logs, output

if TYPE_CHECKING:
    # Types alone: at run time the modules that load models are imported by the commands that need them.
    from pixfind.workflows.options import EmbedOptions


@command()
def index(
    context: typer.Context,
    paths: KnownPaths = None,
    exclude: Exclude = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; default: 80 % of the cores.")] = None,
    cpu: Cpu = "80%",
    model: NewModel = None,
    precision: NewPrecision = "auto",
    device: Device = "auto",
    max_megapixels: Megapixels = 200,
    retry: Retry = False,
    nice: Nice = 5,
    memory: Memory = None,
    pause_when_busy: PauseWhenBusy = False,
    between: Between = None,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Abandon a change of the model, or after it go back to the one before.")
    ] = False,
    drop_previous: Annotated[
        bool, typer.Option("--drop-previous", help="Delete what is kept for --rollback, to free its room.")
    ] = False,
    switch_anyway: Annotated[
        bool,
        typer.Option("--switch-anyway", help="Change the model although pictures that are found now would not be."),
    ] = False,
) -> None:
    """
    Do everything: register, embed, merge, build the index. Goes on where an earlier run stopped.

    With another --model search answers with the old one until the new one is complete; --rollback goes back.
    """
    from pixfind.cli.progress import TerminalObserver
    from pixfind.library import scan
    from pixfind.workflows import index as workflow

    path, console = context.obj.path, context.obj.console
    if rollback or drop_previous:
        option = "rollback" if rollback else "drop_previous"
        alone(context, option, instead="Run it by itself, then the rest with another `pixfind index`.")
        (model_commands.roll_back if rollback else model_commands.drop_previous)(path, console)
        return
    if not paths and not generations.is_library(path):
        raise errors.NothingToIndex(path=path)
    asked = _options(context)
    if not generations.is_library(path):
        scan.check_folders(paths or [])
    with Library.create(path) as library, TerminalObserver(console) as observer:
        console.say(f"library: {library.path}")
        done = workflow.index(
            library, paths or (), asked, exclude=exclude or (), switch_anyway=switch_anyway, observer=observer
        )
    _end(done.stopped)


@command()
def add(
    context: typer.Context, paths: Paths, exclude: Exclude = None, model: Model = None, precision: Precision = "auto"
) -> None:
    """Register the images below folders, and tell what is new, changed, moved, gone or offline."""
    from pixfind.cli.progress import TerminalObserver
    from pixfind.library import scan
    from pixfind.workflows import add as workflow
    from pixfind.workflows.choose_model import choose_model
    from pixfind.workflows.options import EmbedOptions

    path = context.obj.path
    if not generations.is_library(path):
        scan.check_folders(paths)
    with (
        Library.create(path) as library,
        library.lock("add"),
        TerminalObserver(context.obj.console) as observer,
    ):
        scan.check_folders(paths, library)
        if model is not None or precision != "auto":
            choose_model(library, EmbedOptions(model=model, precision=precision), observer=observer)
        workflow.add(library, paths, exclude or (), observer)


@command()
def embed(
    context: typer.Context,
    workers: Workers = None,
    cpu: Cpu = "80%",
    model: Model = None,
    precision: Precision = "auto",
    device: Device = "auto",
    max_megapixels: Megapixels = 200,
    retry: Retry = False,
    nice: Nice = 5,
    memory: Memory = None,
    pause_when_busy: PauseWhenBusy = False,
    between: Between = None,
    background: Annotated[
        bool, typer.Option("--background", help="Return at once; watch with `pixfind status --watch`.")
    ] = False,
    worker_id: Annotated[int | None, typer.Option(min=0, help="Embed one part alone: which.")] = None,
    num_workers: Annotated[int | None, typer.Option(min=1, help="Embed one part alone: of how many.")] = None,
    then_index: Annotated[bool, typer.Option("--index", help="Build the index as well when all is embedded.")] = False,
    set_cpu: Annotated[str | None, typer.Option(metavar="SHARE", help="Change the share of a running embed.")] = None,
    pause: Annotated[bool, typer.Option("--pause", help="Let a running embed rest.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Let a paused embed go on.")] = False,
) -> None:
    """Embed what is pending (the guide's step 1), then merge."""
    from pixfind.cli.progress import TerminalObserver
    from pixfind.workflows import index as workflow
    from pixfind.workflows import switch_model

    path, console = context.obj.path, context.obj.console
    if set_cpu is not None or pause or resume:
        _control(context, set_cpu, pause=pause, resume=resume)
        return
    asked = _options(context)
    if worker_id is not None or num_workers is not None:
        _embed_part(context, asked, worker_id, num_workers)
        return
    if background:
        _background(path, console)
        return
    with Library.open(path, write=True) as library, TerminalObserver(console) as observer:
        done = workflow.embed_and_merge(library, asked, then_index=then_index, observer=observer)
        if switch_model.is_in_progress(library):
            console.say("the model is being switched: `pixfind index` goes on and completes it")
    _end(done.stopped)


@command()
def merge(context: typer.Context) -> None:
    """Move what workers saved into data/embeddings.npy."""
    from pixfind.cli.progress import TerminalObserver
    from pixfind.workflows import merge as workflow
    from pixfind.workflows import switch_model

    with (
        Library.open(context.obj.path, write=True) as library,
        library.lock("merge"),
        switch_model.open_staged(library) as filled,
        TerminalObserver(context.obj.console) as observer,
    ):
        workflow.merge(filled, observer)


@command()
def build_index(context: typer.Context) -> None:
    """Build data/faiss.index, and measure its recall on this library."""
    from pixfind.cli.progress import TerminalObserver
    from pixfind.workflows import build_index as workflow

    with (
        Library.open(context.obj.path, write=True) as library,
        library.lock("build-index"),
        TerminalObserver(context.obj.console) as observer,
    ):
        workflow.build_index(library, observer, thorough=True)


@command()
def stop(context: typer.Context) -> None:
    """End a running embed cleanly: nothing that was saved is lost."""
    from pixfind.library import control

    path, console = context.obj.path, context.obj.console
    pid = _running(path)
    control.ask(path, control.Asked(stop=True))
    with console.bar("waiting for the workers") as show, Library.open(path) as library:
        waited = 0
        while (library.holder() or {}).get("pid") == pid:
            time.sleep(0.2)
            waited += 1
            show(waited // 5, None)
    console.say("stopped; `pixfind embed` goes on from here")


@command()
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


def _options(context: typer.Context) -> "EmbedOptions":
    """Return what `index` and `embed` were asked for."""
    from pixfind.workflows.options import EmbedOptions, make_plan

    values = context.params
    asked = EmbedOptions(
        workers=values["workers"],
        share=share(values["cpu"]),
        model=values["model"],
        precision=values["precision"],
        device=values["device"],
        nice=values["nice"],
        megapixels=values["max_megapixels"],
        memory=values["memory"],
        retry=values["retry"],
        hours=values["between"],
        pause_when_busy=values["pause_when_busy"],
    )
    # Refuses what no machine can do with these numbers, before any work is done.
    make_plan(asked)
    return asked


def _control(context: typer.Context, set_cpu: str | None, *, pause: bool, resume: bool) -> None:
    """Ask a running embed for something else."""
    from pixfind.library import control

    if pause and resume:
        raise errors.OptionsExclude(
            first="--pause", second="--resume", detail="an embed does one or the other", instead="Give one of them."
        )
    option = "set_cpu" if set_cpu is not None else "pause" if pause else "resume"
    alone(
        context,
        option,
        "set_cpu",
        "pause",
        "resume",
        instead="Leave it out: only --set-cpu and --pause reach a running embed.",
    )
    asked = control.Asked(
        cpu=None if set_cpu is None else share(set_cpu), pause=True if pause else False if resume else None
    )
    _running(context.obj.path)
    control.ask(context.obj.path, asked)
    context.obj.console.say("; ".join(_told(set_cpu, asked.pause)))


def _embed_part(context: typer.Context, asked: "EmbedOptions", worker_id: int | None, num_workers: int | None) -> None:
    """Embed one part alone, as one of several processes that somebody else starts."""
    from pixfind.workflows import embed_part, switch_model

    usage = "`pixfind embed --worker-id K --num-workers N` embeds part K of N; K counts from 0."
    if worker_id is None:
        raise errors.OptionNeeds(first="--num-workers", second="--worker-id", instead=usage)
    if num_workers is None:
        raise errors.OptionNeeds(first="--worker-id", second="--num-workers", instead=usage)
    if worker_id >= num_workers:
        raise typer.BadParameter(f"--worker-id {worker_id} is none of {num_workers} parts: they count from 0")
    # What only the coordinator of all workers can do: a part has none.
    harmless = ("num_workers", "cpu", "model", "precision", "device", "max_megapixels", "nice", "memory")
    alone(context, "worker_id", *harmless, instead="Leave it out, or embed all of it: pixfind embed")
    with Library.open(context.obj.path) as library, switch_model.open_staged(library, write=False) as filled:
        count = embed_part.embed_part(filled, worker_id, num_workers, asked)
    context.obj.console.say(
        f"part {worker_id} of {num_workers}: {count:,} images embedded; adopt them with `pixfind merge`"
    )


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
        _end(report.stopped)
        _guide(console, "4", "build the index", "pixfind build-index")
        build_index(library, observer)


def _told(set_cpu: str | None, pause: bool | None) -> list[str]:
    told = [] if set_cpu is None else [f"asked for {set_cpu} of the machine"]
    if pause is not None:
        told.append("asked to rest; `pixfind embed --resume` goes on" if pause else "asked to go on")
    return told


def _running(path: Path) -> int:
    with Library.open(path) as library:
        holder = library.holder()
    if holder is None or holder["verb"] not in ("embed", "index", "demo"):
        raise errors.NothingRunning(path=path)
    return int(holder["pid"])


def _background(path: Path, console: Console) -> None:
    """Start the same command again, detached from this terminal."""
    with Library.open(path) as library:
        library.refuse_second_writer()
        log = library.logs / "embed.log"
    words = [argument for argument in sys.argv[1:] if argument != "--background"]
    with logs.appending(log) as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "pixfind", *words],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    console.say(f"embedding in the background (process {process.pid}, log {log}); see `pixfind status --watch`")


def _end(stopped: bool) -> None:
    if stopped:
        raise typer.Exit(130)
