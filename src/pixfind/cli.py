"""
The command line: words in, words out.

Owns the options, the exit codes and which verb is called; nothing is decided here. Heavy modules are imported inside the commands
that need them, so that `pixfind --help` answers at once.
"""

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from pixfind import errors
from pixfind.console import Console
from pixfind.library import Library, locate

app = typer.Typer(
    name="pixfind",
    help="Search your own pictures by what they show. Begin with: pixfind index FOLDER",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@dataclass(frozen=True, slots=True)
class _Globals:
    path: Path
    console: Console


@app.callback()
def options(
    context: typer.Context,
    library: Annotated[Path | None, typer.Option(metavar="DIR", help="The library to use.")] = None,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Say more.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Say nothing but errors.")] = False,
) -> None:
    context.obj = _Globals(locate(library), Console(quiet=quiet, verbose=verbose))


# --- what options look like -----------------------------------------------------------------------


def _share(text: str) -> float:
    """Read "80%", "80" or "0.8" as a share of the machine."""
    try:
        number = float(text.removesuffix("%"))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a share; write 80% or 0.8") from None
    share = number / 100 if text.endswith("%") or number > 1 else number
    if not 0 < share <= 1:
        raise typer.BadParameter(f"{text!r} is not between 1% and 100%")
    return share


Workers = Annotated[
    int | None, typer.Argument(min=1, metavar="[WORKERS]", help="Processes; default: 80 % of the cores.")
]
Cpu = Annotated[str, typer.Option(metavar="SHARE", help="Share of the processors for pixfind.")]
Model = Annotated[
    str | None, typer.Option(metavar="NAME", help="Model of the library, chosen the first time; see `pixfind models`.")
]
Precision = Annotated[str, typer.Option(help="auto, fp32, int8 or bf16; chosen the first time.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, ...")]
Exclude = Annotated[
    list[str] | None, typer.Option(metavar="GLOB", help="Leave out files and folders with this name or path.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Paths = Annotated[list[Path], typer.Argument(metavar="PATH...", help="Folders with pictures.")]
Megapixels = Annotated[float, typer.Option("--max-megapixels", help="Skip larger pictures.")]
Retry = Annotated[bool, typer.Option("--retry", help="Try again what failed or was skipped.")]


# --- filling a library ----------------------------------------------------------------------------


@app.command()
def index(
    context: typer.Context,
    paths: Paths,
    exclude: Exclude = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; default: 80 % of the cores.")] = None,
    cpu: Cpu = "80%",
    model: Model = None,
    precision: Precision = "auto",
    device: Device = "auto",
    max_megapixels: Megapixels = 200,
    retry: Retry = False,
) -> None:
    """Do everything: register, embed, merge, build the index. Goes on where an earlier run stopped."""
    from pixfind import ingest

    console = context.obj.console
    asked = ingest.Options(workers, _share(cpu), model, precision, device, megapixels=max_megapixels, retry=retry)
    with Library.create(context.obj.path) as library, library.lock("index") as run:
        console.say(f"library: {library.path}")
        _choose_model(library, asked, console)
        _add(library, paths, exclude, console)
        stopped = _embed(library, asked, console, run.report)
        _merge(library, console)
        if not stopped:
            _build_index(library, console)
    _end(stopped)


@app.command()
def add(
    context: typer.Context, paths: Paths, exclude: Exclude = None, model: Model = None, precision: Precision = "auto"
) -> None:
    """Register the images below folders, and tell what is new, changed, moved, gone or offline."""
    from pixfind import ingest

    console = context.obj.console
    with Library.create(context.obj.path) as library, library.lock("add"):
        if model is not None:
            _choose_model(library, ingest.Options(model=model, precision=precision), console)
        _add(library, paths, exclude, console)


@app.command()
def embed(
    context: typer.Context,
    workers: Workers = None,
    cpu: Cpu = "80%",
    model: Model = None,
    precision: Precision = "auto",
    device: Device = "auto",
    max_megapixels: Megapixels = 200,
    retry: Retry = False,
    background: Annotated[
        bool, typer.Option("--background", help="Return at once; watch with `pixfind status --watch`.")
    ] = False,
    worker_id: Annotated[int | None, typer.Option(min=0, help="Embed one part alone: which.")] = None,
    num_workers: Annotated[int | None, typer.Option(min=1, help="Embed one part alone: of how many.")] = None,
    set_cpu: Annotated[str | None, typer.Option(metavar="SHARE", help="Change the share of a running embed.")] = None,
) -> None:
    """Embed what is pending (the guide's step 1), then merge."""
    from pixfind import control, ingest

    console = context.obj.console
    if set_cpu is not None:
        _running(context.obj.path)
        control.ask(context.obj.path, control.Asked(cpu=_share(set_cpu)))
        console.say(f"asked for {set_cpu} of the machine")
        return
    asked = ingest.Options(workers, _share(cpu), model, precision, device, megapixels=max_megapixels, retry=retry)
    if (worker_id is None) != (num_workers is None) or (worker_id or 0) >= (num_workers or 1):
        raise typer.BadParameter("--worker-id K and --num-workers N go together, with K < N")
    if worker_id is not None and num_workers is not None:
        with Library.open(context.obj.path) as library:
            count = ingest.embed_part(library, worker_id, num_workers, asked)
        console.say(f"part {worker_id} of {num_workers}: {count:,} images embedded; adopt them with `pixfind merge`")
        return
    if background:
        _background(context.obj.path, console)
        return
    with Library.open(context.obj.path, write=True) as library, library.lock("embed") as run:
        _choose_model(library, asked, console)
        stopped = _embed(library, asked, console, run.report)
        _merge(library, console)
    _end(stopped)


@app.command()
def merge(context: typer.Context) -> None:
    """Move what workers saved into data/embeddings.npy."""
    with Library.open(context.obj.path, write=True) as library, library.lock("merge"):
        _merge(library, context.obj.console)


@app.command()
def build_index(context: typer.Context) -> None:
    """Build data/faiss.index, and measure its recall on this library."""
    with Library.open(context.obj.path, write=True) as library, library.lock("build-index"):
        _build_index(library, context.obj.console)


@app.command()
def stop(context: typer.Context) -> None:
    """End a running embed cleanly: nothing that was saved is lost."""
    from pixfind import control

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


# --- asking about a library -----------------------------------------------------------------------


@app.command()
def status(
    context: typer.Context,
    json: Json = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again every two seconds.")] = False,
) -> None:
    """Show the ledger, what is running, and what it is held back by."""
    from pixfind import status as state

    console = context.obj.console
    with Library.open(context.obj.path) as library:
        while True:
            now = state.status(library)
            if json:
                console.json(now.values())
            else:
                console.status(now)
            if not watch:
                return
            time.sleep(2)


@app.command()
def verify(
    context: typer.Context,
    repair: Annotated[
        bool, typer.Option("--repair", help="Mend what can be derived; the rest becomes pending.")
    ] = False,
    json: Json = False,
) -> None:
    """Prove that the library is whole: the ledger, every checksum, every row both ways, the index."""
    from pixfind import verify as proof

    path, console = context.obj.path, context.obj.console
    if repair and (kept := proof.rebuild_if_needed(path)) is not None:
        console.say(
            f"metadata.db could not be read; it lies in {kept} now. Run `pixfind add` on your folders afterwards."
        )
    with Library.open(path, write=repair) as library, contextlib.ExitStack() as held:
        if repair:
            held.enter_context(library.lock("verify"))
        with console.bar("checking rows", "rows") as show:
            findings = proof.verify(library, show)
            if repair and findings:
                console.findings(findings)
                findings = proof.repair(library, findings)
    if json:
        console.json([{slot: getattr(finding, slot) for slot in finding.__slots__} for finding in findings])
    else:
        console.findings(findings)
        console.say("[green]whole[/green]: nothing found" if not findings else f"{len(findings)} finding(s)")
    if findings:
        raise typer.Exit(errors.LibraryDamaged.exit_code)


@app.command()
def plan(context: typer.Context, workers: Workers = None, cpu: Cpu = "80%") -> None:
    """Show the numbers that embed would use, each with its reason."""
    from pixfind import ingest

    context.obj.console.plan(ingest.make_plan(ingest.Options(workers, _share(cpu))))


# --- steps ----------------------------------------------------------------------------------------


def _add(library: Library, paths: list[Path], exclude: list[str] | None, console: Console) -> None:
    from pixfind import scan

    for folder in paths:
        console.step(f"looking through {folder}")
        with console.bar("looking", "files") as show:
            console.scan(scan.add(library, folder, tuple(exclude or ()), show))


def _choose_model(library: Library, asked: object, console: Console) -> None:
    from pixfind import ingest

    assert isinstance(asked, ingest.Options)
    with console.bar("fetching the model", "bytes") as show:
        model = ingest.choose_model(library, asked, lambda _, done, total: show(done, total))
    console.say(f"model: {model.name}, {model.dimension} dimensions")


def _embed(library: Library, asked: object, console: Console, report: dict[str, object]) -> bool:
    """Embed what is pending; return whether it was stopped."""
    from pixfind import ingest

    assert isinstance(asked, ingest.Options)
    pending = library.catalogue.count_pending()
    console.step(f"embedding {pending:,} images")
    if console.verbose:
        console.plan(ingest.make_plan(asked))
    with console.run() as show:
        done = ingest.embed(library, asked, watch=show)
    report.update({slot: getattr(done, slot) for slot in done.__slots__})
    console.report(done)
    counts = library.catalogue.ledger()
    for outcome in ("duplicate", "failed", "skipped"):
        if counts[outcome]:
            console.say(f"  {counts[outcome]:,} {outcome}; see `pixfind status`")
    return done.stopped


def _merge(library: Library, console: Console) -> None:
    from pixfind import ingest

    with console.bar("merging", "rows") as show:
        merged = ingest.merge(library, show)
    console.say(f"merged {merged.rows:,} rows, {merged.total:,} in all")


def _build_index(library: Library, console: Console) -> None:
    from pixfind import search

    with console.bar("building the index", "rows") as show:
        report = search.build_index(library, show)
    console.index(report)


def _running(path: Path) -> int:
    with Library.open(path) as library:
        holder = library.holder()
    if holder is None or holder["verb"] not in ("embed", "index", "demo"):
        raise errors.NothingRunning(path=path)
    return int(holder["pid"])


def _background(path: Path, console: Console) -> None:
    """Start the same command again, detached from this terminal."""
    with Library.open(path) as library:
        log = library.logs / "embed.log"
    command = [argument for argument in sys.argv[1:] if argument != "--background"]
    with log.open("a", encoding="utf-8") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "pixfind", *command],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    console.say(f"embedding in the background (process {process.pid}, log {log}); see `pixfind status --watch`")


def _end(stopped: bool) -> None:
    if stopped:
        raise typer.Exit(130)


@contextlib.contextmanager
def _telling(console: Console) -> Iterator[None]:
    """Border: the process. Known errors become a message and an exit code, unknown ones are told as ours."""
    try:
        yield
    except errors.LibraryError as error:
        if console.verbose:
            console.traceback()
        console.error(str(error))
        raise SystemExit(error.exit_code) from error
    except (BrokenPipeError, KeyboardInterrupt):
        raise SystemExit(130) from None
    except Exception:  # noqa: BLE001 - the fourth border
        console.traceback()
        console.error("This is a bug in pixfind; please report it with what stands above.")
        raise SystemExit(1) from None


def main() -> None:
    with _telling(Console(verbose="-v" in sys.argv or "--verbose" in sys.argv)):
        app()
